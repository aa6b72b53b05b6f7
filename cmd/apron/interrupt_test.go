package main

import (
	"bufio"
	"bytes"
	"os"
	"runtime"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// interruptedAt applies in the sandbox, interrupts that at the line on stderr that ends so,
// and returns all of stderr.
func interruptedAt(t *testing.T, c *checkout, end string) string {
	t.Helper()
	cmd := c.command("apply", "--sandbox", "--yes")
	pipe, err := cmd.StderrPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	var said []string
	for lines := bufio.NewScanner(pipe); lines.Scan(); {
		said = append(said, lines.Text())
		if strings.HasSuffix(lines.Text(), end) {
			require.NoError(t, cmd.Process.Signal(os.Interrupt))
		}
	}
	text := strings.Join(said, "\n")
	require.Equal(t, exitInterrupted, exitOf(t, cmd.Wait()), text)
	return text
}

func TestInterrupt_leavesWhatTheNextApplyFinishes(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("windows has no interrupt that one process can send to another")
	}
	t.Parallel()
	c := newCheckout(t, small, built.app)
	c.vars = append(c.vars, "APRON_SANDBOX_SPEED=4")
	text := interruptedAt(t, c, "apprunner/service/shop: rolling out")
	require.Regexp(t, `service "shop": its creation [0-9a-f-]{36} goes on in AWS`, text)
	require.Contains(t, text, "apron status --wait")
	require.Contains(t, text, "interrupted")

	c.apron(exitOK, "status", "--sandbox", "--wait")
	out, _ := c.apron(exitOK, "apply", "--sandbox", "--yes")
	require.NotContains(t, out, "+ apprunner/service/shop", "it was created before")
	out, _ = c.apron(exitOK, "plan", "--sandbox", "--detailed-exitcode")
	require.Contains(t, out, "No changes.")
}

func TestInterrupt_ofABuildHasChangedNothing(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("windows has no interrupt that one process can send to another")
	}
	t.Parallel()
	c := newCheckout(t, small, built.tiny)
	c.replace("deploy.yaml", "context: app", "context: app, before: {run: [sleep, '600'], outputs: [never]}")
	text := interruptedAt(t, c, ": running sleep")
	require.Contains(t, text, "Nothing was deployed: `apron apply` again to go on.")
	require.NotContains(t, text, "goes on without apron")
	out, _ := c.apron(exitOK, "plan", "--sandbox")
	require.Contains(t, out, "+ ecr/repository/shop")
}

// Following is what ends it: with 130, and without a word about it.
func TestLogs_followUntilInterrupted(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("windows has no interrupt that one process can send to another")
	}
	t.Parallel()
	c := newCheckout(t, small, built.tiny)
	c.apron(exitOK, "apply", "--sandbox", "--yes")
	cmd := c.command("logs", "--sandbox", "-f", "--group", "service")
	var said bytes.Buffer
	cmd.Stderr = &said
	pipe, err := cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	paused := false
	for lines := bufio.NewScanner(pipe); lines.Scan(); {
		switch {
		case strings.HasSuffix(lines.Text(), "Service creation completed successfully."):
			c.apron(exitOK, "pause", "--sandbox", "--yes") // is seen as it happens
		case strings.HasSuffix(lines.Text(), "Service pause completed successfully."):
			paused = true
			require.NoError(t, cmd.Process.Signal(os.Interrupt))
		}
	}
	require.Equal(t, exitInterrupted, exitOf(t, cmd.Wait()))
	require.True(t, paused)
	require.NotContains(t, said.String(), "error")
}
