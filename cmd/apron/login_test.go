package main

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestCredentialHelper asks as docker does: a program of that name, a verb, and the
// registry on stdin.
func TestCredentialHelper(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("links need a privilege there")
	}
	t.Parallel()
	c := newCheckout(t, small, built.tiny)
	c.apron(exitOK, "sandbox", "start")
	out, _ := c.apron(exitOK, "sandbox", "env")
	for line := range strings.Lines(out) {
		c.vars = append(c.vars, strings.TrimPrefix(strings.TrimSpace(line), "export "))
	}
	helper := filepath.Join(c.dir, credentialHelper)
	require.NoError(t, os.Symlink(built.apron, helper))
	ask := func(verb, input string) (string, int) {
		cmd := exec.Command(helper, verb)
		cmd.Env, cmd.Stdin = c.vars, strings.NewReader(input)
		out, err := cmd.Output()
		return string(out), exitOf(t, err)
	}
	for _, address := range []string{"123456789012.dkr.ecr.us-east-1.amazonaws.com", "https://123456789012.dkr.ecr.us-east-1.amazonaws.com\n"} {
		out, code := ask("get", address)
		require.Equal(t, exitOK, code, out)
		var got struct{ ServerURL, Username, Secret string }
		require.NoError(t, json.Unmarshal([]byte(out), &got))
		require.Equal(t, strings.TrimSpace(address), got.ServerURL)
		require.Equal(t, "AWS", got.Username)
		require.Greater(t, len(got.Secret), 20)
	}
	out, code := ask("get", "index.docker.io")
	require.Equal(t, exitError, code)
	require.Equal(t, "credentials not found in native keychain\n", out, "what docker looks for")
	out, code = ask("list", "")
	require.Equal(t, exitOK, code)
	require.Equal(t, "{}\n", out)
	_, code = ask("store", `{"ServerURL":"https://123456789012.dkr.ecr.us-east-1.amazonaws.com","Username":"AWS","Secret":"x"}`)
	require.Equal(t, exitOK, code)
	out, code = ask("store", `{"ServerURL":"ghcr.io","Username":"me","Secret":"x"}`)
	require.Equal(t, exitError, code, "docker would say that the login succeeded")
	require.Equal(t, "docker-credential-apron keeps no credentials: name it under credHelpers for hosts of ECR, not as credsStore\n", out)
	_, code = ask("steal", "")
	require.Equal(t, exitUsage, code)
}

// TestLogin logs real tools in to the sandbox's registry, and looks that it took.
func TestLogin(t *testing.T) {
	for _, tool := range []string{"docker", "podman"} {
		t.Run(tool, func(t *testing.T) {
			needs(t, tool)
			c := newCheckout(t, small, built.tiny)
			c.vars = append(c.vars, "DOCKER_CONFIG="+filepath.Join(c.dir, "docker"), "REGISTRY_AUTH_FILE="+filepath.Join(c.dir, "auth.json"))
			require.NoError(t, os.Mkdir(filepath.Join(c.dir, "docker"), 0o700))
			out, _ := c.apron(exitOK, "login", "--sandbox", "--tool", tool, "--debug")
			require.Contains(t, out, tool+" is logged in to 127.0.0.1:")
			b, err := os.ReadFile(filepath.Join(c.dir, map[string]string{"docker": "docker/config.json", "podman": "auth.json"}[tool]))
			require.NoError(t, err)
			require.Contains(t, string(b), "127.0.0.1:")
		})
	}
}
