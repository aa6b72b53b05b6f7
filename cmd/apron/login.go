package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"strings"

	"github.com/spf13/cobra"

	"github.com/apron-deploy/apron/providers/awsapi"
	"github.com/apron-deploy/apron/providers/ecr"
	"github.com/apron-deploy/apron/reconcile/pattern"
	"github.com/apron-deploy/apron/reconcile/render"
)

func (a *app) loginCommand() *cobra.Command {
	var tool string
	cmd := &cobra.Command{
		Use:   "login",
		Short: "Log docker or podman in to the account's registry",
		Long: "login gets a token from ECR, which is good for twelve hours, and hands it to docker or\n" +
			"podman. The Region is that of the manifest or, where there is none that can be read, that\n" +
			"of --region, AWS_REGION or the profile. To need no login at all, link apron as docker-credential-apron into PATH and\n" +
			"name it in ~/.docker/config.json:\n\n" +
			`  {"credHelpers": {"123456789012.dkr.ecr.us-east-1.amazonaws.com": "apron"}}`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if tool != "" && tool != "docker" && tool != "podman" {
				return &usageError{err: fmt.Errorf("--tool %q is neither docker nor podman", tool), command: cmd.CommandPath()}
			}
			return a.runLogin(cmd.Context(), tool, cmd.Flags().Changed("file"))
		},
	}
	cmd.Flags().StringVar(&tool, "tool", "", "docker or podman (default the first that works)")
	return cmd
}

// openAnywhere opens the manifest, or a session that has none: a registry is an account's and
// a Region's. A manifest that was asked for must be sound.
func (a *app) openAnywhere(ctx context.Context, asked bool) (*session, error) {
	s, err := a.open(ctx, false)
	if err == nil || asked || a.sandbox.on || exitCode(ctx, err) != exitUsage {
		return s, err
	}
	s = &session{a: a, set: a.set, guard: &awsapi.Guard{}}
	if s.configure(ctx) != nil {
		return nil, err
	}
	a.say("apron: note: without a manifest, as it cannot be used: %v", err)
	s.id, err = awsapi.WhoAmI(ctx, s.cfg)
	return s, interruptible(ctx, err)
}

func (a *app) runLogin(ctx context.Context, tool string, asked bool) error {
	s, err := a.openAnywhere(ctx, asked)
	if err != nil {
		return err
	}
	endpoint, user, password, err := s.wire(applyFlags{}).registry.Registry(ctx)
	if err != nil {
		return err
	}
	a.out.Hide(password)
	a.err.Hide(password)
	if tool == "" {
		if tool, err = loginTool(ctx); err != nil {
			return err
		}
	}
	scheme, host, _ := strings.Cut(endpoint, "://")
	args := []string{"login", "--username", user, "--password-stdin"}
	if tool == "podman" && scheme == "http" {
		args = append(args, "--tls-verify=false")
	}
	c := exec.CommandContext(ctx, tool, append(args, host)...)
	c.Stdin = strings.NewReader(password)
	var said bytes.Buffer
	c.Stderr = &said
	if err := c.Run(); err != nil {
		return fmt.Errorf("%s login %s: %w\n%s", tool, host, err, bytes.TrimSpace(said.Bytes()))
	}
	if warning := bytes.TrimSpace(said.Bytes()); len(warning) > 0 { // such as where the token is kept in the clear
		a.say("%s", warning)
	}
	if render.Format(a.format) == render.JSON {
		return a.encode(struct {
			FormatVersion string `json:"format_version"`
			Tool          string `json:"tool"`
			Registry      string `json:"registry"`
		}{render.FormatVersion, tool, host})
	}
	_, err = fmt.Fprintf(a.out, "%s is logged in to %s for twelve hours\n", tool, host)
	return err
}

// loginTool finds the first that works: docker needs its daemon to log in.
func loginTool(ctx context.Context) (string, error) {
	why := make([]error, 0, 2)
	for _, probe := range [][]string{{"docker", "version"}, {"podman", "version"}} {
		err := exec.CommandContext(ctx, probe[0], probe[1:]...).Run()
		if err == nil {
			return probe[0], nil
		}
		why = append(why, fmt.Errorf("%s: %w", probe[0], err))
	}
	return "", fmt.Errorf("neither docker nor podman works here: %w", errors.Join(why...))
}

// credentialHelper is the name under which apron is a credential helper.
// https://github.com/docker/docker-credential-helpers
const credentialHelper = "docker-credential-apron"

// ecrHost is a registry's host, with the Region in it.
// https://docs.aws.amazon.com/AmazonECR/latest/userguide/Registries.html
var ecrHost = pattern.Lazy(`^(?:https://)?\d{12}\.dkr[.-]ecr(?:-fips)?\.([a-z0-9-]+)\.(?:amazonaws\.com(?:\.cn)?|on\.aws|on\.amazonwebservices\.com\.cn)/?$`)

// credential speaks the protocol of credential helpers: get reads a registry's address
// and answers with a user and a token. There is nothing to erase or list, and nothing is
// stored: of a registry that has no token of ECR's nobody must believe that it is.
func (a *app) credential(ctx context.Context, args []string) error {
	verb := strings.Join(args, " ")
	input, err := io.ReadAll(io.LimitReader(a.in, 64<<10))
	if err != nil {
		return err
	}
	switch verb {
	case "store":
		var given struct{ ServerURL string }
		if err := json.Unmarshal(input, &given); err != nil || !ecrHost().MatchString(given.ServerURL) {
			return fmt.Errorf("%s keeps no credentials: name it under credHelpers for hosts of ECR, not as credsStore", credentialHelper)
		}
		return nil
	case "erase":
		return nil
	case "list":
		_, err := fmt.Fprintln(a.out, "{}")
		return err
	case "get":
	default:
		return &usageError{err: fmt.Errorf("%s %s: the verb is one of get, store, erase, list", credentialHelper, verb), command: "apron login"}
	}
	address := strings.TrimSpace(string(input))
	m := ecrHost().FindStringSubmatch(address)
	if m == nil {
		// The words by which docker knows that it may go on without.
		return errors.New("credentials not found in native keychain")
	}
	cfg, err := awsapi.Load(ctx, awsapi.Options{Region: m[1], Guard: &awsapi.Guard{}, UserAgent: "apron", Log: a.log})
	if err != nil {
		return err
	}
	_, user, password, err := ecr.New(cfg, awsapi.Identity{}).Registry(ctx)
	if err != nil {
		return err
	}
	return json.NewEncoder(a.out).Encode(struct{ ServerURL, Username, Secret string }{address, user, password})
}
