package main

import (
	"fmt"
	"io"
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// pseudoterminal opens a pseudoterminal: what is written to keyboard is typed on screen, which is
// the end that a program gets.
// https://man7.org/linux/man-pages/man7/pty.7.html
func pseudoterminal(t *testing.T) (keyboard, screen *os.File) {
	t.Helper()
	keyboard, err := os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY, 0)
	require.NoError(t, err)
	t.Cleanup(func() { keyboard.Close() })
	require.NoError(t, unix.IoctlSetPointerInt(int(keyboard.Fd()), unix.TIOCSPTLCK, 0))
	n, err := unix.IoctlGetInt(int(keyboard.Fd()), unix.TIOCGPTN)
	require.NoError(t, err)
	screen, err = os.OpenFile(fmt.Sprintf("/dev/pts/%d", n), os.O_RDWR|unix.O_NOCTTY, 0)
	require.NoError(t, err)
	t.Cleanup(func() { screen.Close() })
	return keyboard, screen
}

// TestPrompts_endWhenInterrupted interrupts a run while it asks for a secret, and one that asks
// whether to go on. A terminal must not stay without its echo.
func TestPrompts_endWhenInterrupted(t *testing.T) {
	t.Parallel()
	c := newCheckout(t, small, built.tiny)
	c.apron(exitOK, "sandbox", "start")
	for question, args := range map[string][]string{
		"KEY: ":                 {"secrets", "set", "KEY", "--sandbox"},
		"taken for a yes: ":     {"push", "--sandbox"},
		"name of the service [": {"init", "-f", "app/deploy.yaml"},
	} {
		t.Run(args[0], func(t *testing.T) {
			_, screen := pseudoterminal(t)
			before, err := unix.IoctlGetTermios(int(screen.Fd()), unix.TCGETS)
			require.NoError(t, err)
			require.NotZero(t, before.Lflag&unix.ECHO)
			cmd := c.command(args...)
			cmd.Stdin = screen
			pipe, err := cmd.StderrPipe()
			require.NoError(t, err)
			require.NoError(t, cmd.Start())
			said, asked := "", false
			for b := make([]byte, 1); ; {
				if _, err := pipe.Read(b); err != nil {
					require.ErrorIs(t, err, io.EOF)
					break
				}
				if said += string(b); !asked && strings.HasSuffix(said, question) {
					asked = true
					require.NoError(t, cmd.Process.Signal(os.Interrupt))
				}
			}
			require.True(t, asked, said)
			require.Equal(t, exitInterrupted, exitOf(t, cmd.Wait()), said)
			after, err := unix.IoctlGetTermios(int(screen.Fd()), unix.TCGETS)
			require.NoError(t, err)
			require.Equal(t, before.Lflag, after.Lflag)
		})
	}
}
