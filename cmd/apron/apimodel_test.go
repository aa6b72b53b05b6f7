package main

import (
	"bytes"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	r53sdk "github.com/aws/aws-sdk-go-v2/service/route53"
	wafsdk "github.com/aws/aws-sdk-go-v2/service/wafv2"
	waftypes "github.com/aws/aws-sdk-go-v2/service/wafv2/types"
	"github.com/spf13/cobra"
	"github.com/stretchr/testify/require"
)

// offline are the commands that never call AWS.
var offline = []string{"validate", "render", "schema", "set", "show", "init", "run", "docs", "version", "build",
	"sandbox start", "sandbox stop", "sandbox status", "sandbox reset", "sandbox env", "sandbox console", "sandbox scenario", "sandbox clock", "sandbox serve"}

// TestCalls_satisfyAWSsModel runs every command that calls AWS, on manifests that use all
// that App Runner has. The sandbox's door checks each request of it, as of every test that
// has a world, against the API models that AWS publishes.
func TestCalls_satisfyAWSsModel(t *testing.T) {
	t.Parallel()
	c := newCheckout(t, small+`env: {PLAIN: "yes", EMPTY: ""}
network: {egress: {subnets: [subnet-0123456789abcdef0, subnet-0123456789abcdef1], security_groups: [sg-0123456789abcdef0]}, ip: dual_stack}
observability: {tracing: xray}
permissions: ["s3:GetObject arn:aws:s3:::bucket/*"]
tags: {team: "a b"}
domains: [{name: shop.example.com, route53: true, www: true}]
apprunner: {web_acl: WEBACL}
environments:
  one: {service: shop-one, domains: [], network: null, observability: null}
  two: {service: shop-two, domains: [], network: null, observability: null}
`, built.tiny)
	c.shared() // so that orphans are looked for
	w := newWorld(t, c, filepath.Join(t.TempDir(), "state"), 0)
	info := w.Info()
	cfg := aws.Config{Region: info.Region, BaseEndpoint: aws.String(info.Endpoint()),
		Credentials: credentials.NewStaticCredentialsProvider(info.AccessKey, info.SecretKey, "")}
	_, err := r53sdk.NewFromConfig(cfg).CreateHostedZone(t.Context(), &r53sdk.CreateHostedZoneInput{Name: aws.String("example.com"), CallerReference: aws.String("1")})
	require.NoError(t, err)
	made, err := createWebACL(t, cfg)
	require.NoError(t, err)
	c.replace("deploy.yaml", "WEBACL", made)

	seen := map[string]bool{}
	w.in = "another value\n"
	for _, line := range strings.Split(strings.TrimSpace(`
		plan
		plan --json
		drift
		push --yes
		verify --read-secrets
		apply --yes
		apply --yes
		status
		status --json
		logs --since 1h --filter app
		logs --deployment
		metrics
		images
		images prune --yes
		secrets list
		secrets diff
		secrets set KEY --yes
		secrets rotate KEY --yes
		secrets import .env --yes
		unlock
		redeploy --yes
		import shop --adopt --out imported.yaml --yes
		pause --yes
		resume --yes
		login
		CHANGE
		plan --detailed-exitcode
		apply --yes
		history
		history show 1
		rollback --yes
		apply -e one --yes
		promote --from one --to two --yes
		destroy --images --logs --yes
	`), "\n") {
		args := strings.Fields(line)
		if args[0] == "CHANGE" {
			c.replace("deploy.yaml", "max: 2", "max: 3")
			c.replace("deploy.yaml", "cpu: 256", "cpu: 512")
			c.replace("deploy.yaml", "memory: 512", "memory: 1024")
			continue
		}
		for i, arg := range args {
			if arg == ".env" || arg == "imported.yaml" {
				args[i] = filepath.Join(c.dir, arg)
			}
		}
		code, out := w.run(t.Context(), args...)
		if args[0] == "login" && os.Getenv("APRON_TEST_ENGINES") != "required" {
			if _, err := loginTool(t.Context()); err != nil {
				require.Contains(t, out, "neither docker nor podman works here")
				code = exitOK
			}
		}
		require.Contains(t, []int{exitOK, exitChanges}, code, "apron %v\n%s", args, out)
		if args[0] == "plan" || args[0] == "drift" {
			require.Contains(t, w.calls, "tagging GetResources")
		}
		for n := len(args); n > 0; n-- {
			seen[strings.Join(args[:n], " ")] = true
		}
	}
	for _, name := range leaves(newApp(nil, new(bytes.Buffer), new(bytes.Buffer)).root(), "") {
		if !slices.Contains(offline, name) {
			require.True(t, seen[name], "apron %s is run by this test", name)
		}
	}
}

func createWebACL(t *testing.T, cfg aws.Config) (string, error) {
	name := aws.String("front")
	out, err := wafsdk.NewFromConfig(cfg).CreateWebACL(t.Context(), &wafsdk.CreateWebACLInput{Name: name, Scope: waftypes.ScopeRegional,
		DefaultAction: &waftypes.DefaultAction{Allow: &waftypes.AllowAction{}}, VisibilityConfig: &waftypes.VisibilityConfig{MetricName: name}})
	if err != nil {
		return "", err
	}
	return *out.Summary.ARN, nil
}

// leaves are the commands that do something, by what follows "apron".
func leaves(cmd *cobra.Command, path string) (all []string) {
	for _, child := range cmd.Commands() {
		if name := strings.TrimSpace(path + " " + child.Name()); child.Name() != "help" && child.Name() != "completion" {
			if child.HasParent() && child.RunE != nil && !child.HasSubCommands() || name == "images" {
				all = append(all, name)
			}
			all = append(all, leaves(child, name)...)
		}
	}
	return all
}
