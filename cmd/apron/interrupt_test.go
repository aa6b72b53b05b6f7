package main

import (
	"bufio"
	"os"
	"runtime"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestInterrupt_leavesWhatTheNextApplyFinishes(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("windows has no interrupt that one process can send to another")
	}
	t.Parallel()
	c := newCheckout(t, small, built.app)
	c.vars = append(c.vars, "APRON_SANDBOX_SPEED=4")
	cmd := c.command("apply", "--sandbox", "--yes")
	pipe, err := cmd.StderrPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	var said []string
	for lines := bufio.NewScanner(pipe); lines.Scan(); {
		said = append(said, lines.Text())
		if strings.HasSuffix(lines.Text(), "apprunner/service/shop: rolling out") {
			require.NoError(t, cmd.Process.Signal(os.Interrupt))
		}
	}
	text := strings.Join(said, "\n")
	require.Equal(t, exitInterrupted, exitOf(t, cmd.Wait()), text)
	require.Contains(t, text, "goes on without apron")
	require.Contains(t, text, "interrupted")

	out, _ := c.apron(exitOK, "apply", "--sandbox", "--yes")
	require.NotContains(t, out, "+ apprunner/service/shop", "it was created before")
	out, _ = c.apron(exitOK, "plan", "--sandbox", "--detailed-exitcode")
	require.Contains(t, out, "No changes.")
}
