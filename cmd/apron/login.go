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
)

func (a *app) loginCommand() *cobra.Command {
	var tool string
	cmd := &cobra.Command{
		Use:   "login",
		Short: "Log docker or podman in to the account's registry",
		Long: "login gets a token from ECR, which is good for twelve hours, and hands it to docker or\n" +
			"podman. To need no login at all, link apron as docker-credential-apron into PATH and\n" +
			"name it in ~/.docker/config.json:\n\n" +
			`  {"credHelpers": {"123456789012.dkr.ecr.us-east-1.amazonaws.com": "apron"}}`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if tool != "" && tool != "docker" && tool != "podman" {
				return &usageError{err: fmt.Errorf("--tool %q is neither docker nor podman", tool), command: cmd.CommandPath()}
			}
			return a.runLogin(cmd.Context(), tool)
		},
	}
	cmd.Flags().StringVar(&tool, "tool", "", "docker or podman (default the first that works)")
	return cmd
}

func (a *app) runLogin(ctx context.Context, tool string) error {
	s, err := a.open(ctx, false)
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
	out, err := c.CombinedOutput()
	if err != nil {
		return fmt.Errorf("%s login %s: %w\n%s", tool, host, err, bytes.TrimSpace(out))
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
var ecrHost = pattern.Lazy(`^(?:https://)?\d{12}\.dkr[.-]ecr(?:-fips)?\.([a-z0-9-]+)\.(?:amazonaws\.com(?:\.cn)?|on\.aws)/?$`)

// credential speaks the protocol of credential helpers: get reads a registry's address
// and answers with a user and a token. There is nothing to store, erase or list.
func (a *app) credential(ctx context.Context, args []string) error {
	verb := strings.Join(args, " ")
	input, err := io.ReadAll(io.LimitReader(a.in, 4096))
	if err != nil {
		return err
	}
	switch verb {
	case "store", "erase":
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
