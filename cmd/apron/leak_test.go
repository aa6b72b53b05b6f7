package main

import (
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	smsdk "github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	ssmsdk "github.com/aws/aws-sdk-go-v2/service/ssm"
	"github.com/aws/aws-sdk-go-v2/service/ssm/types"
	"github.com/stretchr/testify/require"
)

// TestSecrets_areNowhere looks for a secret's value in every byte that is printed, and
// stored outside of the parameter store.
func TestSecrets_areNowhere(t *testing.T) {
	t.Parallel()
	c := newCheckout(t, small, built.app)
	everyCommand(t, c)
	err := filepath.WalkDir(c.dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		name, err := filepath.Rel(c.dir, path)
		if err != nil || name == ".env" || strings.HasPrefix(filepath.Base(name), "ssm") {
			return err
		}
		b, err := os.ReadFile(path)
		require.NotContains(t, string(b), canary, name)
		return err
	})
	require.NoError(t, err)
}

// TestSecrets_areNotPrinted even where the manifest itself spills them.
func TestSecrets_areNotPrinted(t *testing.T) {
	t.Parallel()
	c := newCheckout(t, small+`env: {ALSO: "x-${KEY}-y", URL: "postgres://app:${KEY}@db.example.com/app"}
`, built.app)
	c.replace("deploy.yaml", "build: {context: app}", "build: {context: app, args: {ARG: \"${KEY}\"}}")
	c.replace("app/Dockerfile", "FROM scratch", "FROM scratch\nARG ARG\nLABEL arg=$ARG")
	everyCommand(t, c, "--allow-secret-args")
}

// TestSecrets_areNotPrintedWhereOnlyAWSKnowsThem: the value is not set on this machine,
// and the application prints it, quoted once more, as it fails.
func TestSecrets_areNotPrintedWhereOnlyAWSKnowsThem(t *testing.T) {
	t.Parallel()
	c := newCheckout(t, small, built.app)
	c.apron(exitOK, "apply", "--sandbox", "--yes")
	require.NoError(t, os.Remove(filepath.Join(c.dir, ".env")))
	c.replace("app/Dockerfile", "HEALTH=200", "HEALTH=500 SPILL=KEY")
	c.replace("deploy.yaml", "version: v1", "version: v2") // v1 names what serves
	for _, format := range []string{"text", "json", "markdown"} {
		out, errOut := c.apron(exitFailed, "apply", "--sandbox", "--yes", "--format", format)
		require.Contains(t, out+errOut, "app: KEY is", "the application has said it")
		require.NotContains(t, out+errOut, canary)
		out, errOut = c.apron(exitOK, "logs", "--sandbox", "--format", format)
		require.Contains(t, out, "app: KEY is")
		require.NotContains(t, out+errOut, canary)
	}
}

// TestSecrets_areNotPrintedWhereTheyAreOnlyReferredTo: apron never needed the values, and
// reads them so that it does not print them when the application does.
func TestSecrets_areNotPrintedWhereTheyAreOnlyReferredTo(t *testing.T) {
	t.Parallel()
	c := newCheckout(t, small, built.app)
	c.replace("deploy.yaml", `secrets: {KEY: "env:KEY"}`, `secrets: {KEY: "ssm:/prod/key", TOKEN: "secretsmanager:prod#token"}`)
	c.apron(exitOK, "sandbox", "start")
	cfg := c.config()
	_, err := ssmsdk.NewFromConfig(cfg).PutParameter(t.Context(), &ssmsdk.PutParameterInput{Name: aws.String("/prod/key"),
		Value: aws.String(canary + "-ssm"), Type: types.ParameterTypeSecureString})
	require.NoError(t, err)
	_, err = smsdk.NewFromConfig(cfg).CreateSecret(t.Context(), &smsdk.CreateSecretInput{Name: aws.String("prod"),
		SecretString: aws.String(`{"token": "` + canary + `-sm"}`)})
	require.NoError(t, err)
	c.apron(exitOK, "apply", "--sandbox", "--yes", "--debug")
	for name, format := range map[string]string{"KEY": "text", "TOKEN": "json"} {
		c.write("app/Dockerfile", strings.Replace(smallDockerfile, "HEALTH=200", "HEALTH=500 SPILL="+name, 1))
		out, errOut := c.apron(exitFailed, "apply", "--sandbox", "--yes", "--debug", "--format", format)
		require.Contains(t, out+errOut, "app: "+name+" is", "the application has said it")
		require.NotContains(t, out+errOut, canary)
	}
}

// everyCommand runs every command there is, with --debug, through success and failure.
func everyCommand(t *testing.T, c *checkout, flags ...string) {
	const value = canary + "-Zq81!x"
	c.write(".env", "KEY="+value+"\n")
	run := func(code int, args ...string) {
		t.Helper()
		out, errOut := c.apron(code, append(append(args, "--debug"), flags...)...)
		require.NotContains(t, out, value, "stdout of apron %v", args)
		require.NotContains(t, errOut, value, "stderr of apron %v", args)
	}
	for _, format := range []string{"text", "json", "markdown"} {
		run(exitOK, "plan", "--sandbox", "--format", format)
	}
	run(exitOK, "validate")
	run(exitOK, "render")
	run(exitOK, "apply", "--sandbox", "--yes")
	run(exitOK, "status", "--sandbox")
	run(exitOK, "status", "--sandbox", "--json")
	run(exitOK, "sandbox", "status")
	for _, format := range []string{"text", "json", "markdown"} {
		run(exitOK, "history", "--sandbox", "--format", format)
		run(exitOK, "history", "show", "1", "--sandbox", "--format", format)
		run(exitOK, "drift", "--sandbox", "--format", format)
	}

	c.write(".env", "KEY="+value+value+"\n")
	run(exitChanges, "plan", "--sandbox", "--detailed-exitcode")
	c.replace("app/Dockerfile", "HEALTH=200", "HEALTH=500")
	run(exitFailed, "apply", "--sandbox", "--yes")
	c.replace("app/Dockerfile", "HEALTH=500", "HEALTH=200 EXIT=9")
	run(exitFailed, "apply", "--sandbox", "--yes", "--json")
	c.replace("deploy.yaml", "cpu: 256", "cpu: 257 ${KEY}")
	run(exitUsage, "validate")
	run(exitUsage, "plan", "--sandbox")
	c.replace("deploy.yaml", "cpu: 257 ${KEY}", "cpu: 256")
	run(exitOK, "destroy", "--sandbox", "--images", "--logs", "--yes")
}
