package main

import (
	"bytes"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/rogpeppe/go-internal/testscript"
	"github.com/stretchr/testify/require"
)

// checkout is a directory with a manifest and the test service, for tests that need more
// than a script can say.
type checkout struct {
	t    testing.TB
	dir  string
	vars []string
}

// small is the manifest and Dockerfile of most tests.
const small = `version: 1
service: shop
region: us-east-1
image: {build: {context: app}, version: v1, tags: [latest]}
secrets: {KEY: "env:KEY"}
cpu: 256
memory: 512
scaling: {min: 1, max: 2, concurrency: 50}
health: {path: /health, interval: 5s, timeout: 2s}
`

const smallDockerfile = "FROM scratch\nCOPY --chmod=755 app /app\nENV VERSION=one HEALTH=200\nENTRYPOINT [\"/app\"]\n"

func newCheckout(t testing.TB, manifest, service string) *checkout {
	t.Helper()
	env := &testscript.Env{WorkDir: t.TempDir()}
	require.NoError(t, fill(env, map[string]string{"APRON_SANDBOX_ENGINE": storyEngine()}))
	c := &checkout{t: t, dir: env.WorkDir, vars: env.Vars}
	c.write("deploy.yaml", manifest)
	c.write(".env", "KEY="+canary+"-value\n")
	c.write("app/Dockerfile", smallDockerfile)
	program, err := os.ReadFile(service)
	require.NoError(t, err)
	c.write("app/app", string(program))
	t.Cleanup(func() {
		if _, err := os.Stat(filepath.Join(c.dir, ".apron", "sandbox.json")); err != nil {
			return
		}
		if out, err := c.command("sandbox", "stop").CombinedOutput(); err != nil && !strings.Contains(string(out), "no sandbox is running") {
			t.Errorf("stop the sandbox: %v\n%s", err, out)
		}
	})
	return c
}

func (c *checkout) write(name, text string) {
	c.t.Helper()
	path := filepath.Join(c.dir, name)
	require.NoError(c.t, os.MkdirAll(filepath.Dir(path), 0o755))
	require.NoError(c.t, os.WriteFile(path, []byte(text), 0o644))
}

func (c *checkout) replace(name, old, with string) {
	c.t.Helper()
	b, err := os.ReadFile(filepath.Join(c.dir, name))
	require.NoError(c.t, err)
	require.Equal(c.t, 1, strings.Count(string(b), old), "%s in %s", old, name)
	c.write(name, strings.Replace(string(b), old, with, 1))
}

func (c *checkout) command(args ...string) *exec.Cmd {
	cmd := exec.Command(built.apron, args...)
	cmd.Dir, cmd.Env = c.dir, c.vars
	return cmd
}

// apron runs a command that must exit with code, and returns what it printed.
func (c *checkout) apron(code int, args ...string) (stdout, stderr string) {
	c.t.Helper()
	cmd := c.command(args...)
	var out, errOut bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errOut
	require.Equal(c.t, code, exitOf(c.t, cmd.Run()), "apron %s\n%s\n%s", strings.Join(args, " "), out.String(), errOut.String())
	return out.String(), errOut.String()
}

// config makes AWS's own SDK use the checkout's sandbox, as apron sandbox env tells.
func (c *checkout) config() aws.Config {
	c.t.Helper()
	out, _ := c.apron(exitOK, "sandbox", "env")
	env := map[string]string{}
	for line := range strings.Lines(out) {
		name, value, _ := strings.Cut(strings.TrimPrefix(strings.TrimSpace(line), "export "), "=")
		env[name] = value
	}
	return aws.Config{Region: env["AWS_REGION"], BaseEndpoint: aws.String(env["AWS_ENDPOINT_URL"]),
		Credentials: credentials.NewStaticCredentialsProvider(env["AWS_ACCESS_KEY_ID"], env["AWS_SECRET_ACCESS_KEY"], "")}
}

// exitOf is the exit code of a command that has run.
func exitOf(t testing.TB, err error) int {
	t.Helper()
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		return exit.ExitCode()
	}
	require.NoError(t, err)
	return 0
}
