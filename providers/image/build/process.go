package build

import (
	"bytes"
	"context"
	"io"
	"maps"
	"os"
	"os/exec"
	"slices"
	"strings"
	"time"
)

// Environ returns the process's environment for a builder or a hook: without what is
// for apron alone, which is AWS_*, GITHUB_*, ACTIONS_*, CI_* and the names in withhold.
func Environ(withhold []string) []string { return environment(os.Environ(), withhold) }

func environment(all, withhold []string) []string {
	return slices.DeleteFunc(slices.Clone(all), func(kv string) bool {
		name, _, _ := strings.Cut(kv, "=")
		for _, prefix := range []string{"AWS_", "GITHUB_", "ACTIONS_", "CI_"} {
			if strings.HasPrefix(strings.ToUpper(name), prefix) {
				return true
			}
		}
		return slices.Contains(withhold, name)
	})
}

// without returns env without some variables.
func without(env []string, names ...string) []string {
	return slices.DeleteFunc(slices.Clone(env), func(kv string) bool {
		name, _, _ := strings.Cut(kv, "=")
		return slices.Contains(names, name)
	})
}

// lookup returns the value of a variable, or "".
func lookup(env []string, name string) string {
	for _, kv := range slices.Backward(env) {
		if k, v, _ := strings.Cut(kv, "="); k == name {
			return v
		}
	}
	return ""
}

// with returns env with the variables of more, which win.
func with(env []string, more map[string]string) []string {
	env = without(env, slices.Collect(maps.Keys(more))...)
	for _, k := range slices.Sorted(maps.Keys(more)) {
		env = append(env, k+"="+more[k])
	}
	return env
}

// CommandError says that a process failed, and what it printed last.
type CommandError struct {
	Name  string // "docker build", or a hook's command
	Tail  []string
	Err   error
	Cause string // what that means, where it is known
	Fix   string
}

var _ error = (*CommandError)(nil)

func (e *CommandError) Error() string {
	text := e.Name + ": "
	if e.Cause != "" {
		text += e.Cause + ": "
	}
	text += e.Err.Error()
	if len(e.Tail) > 0 {
		text += "; it printed last:\n  " + strings.Join(e.Tail, "\n  ")
	}
	return text
}

// Hint says how to get past it, or "".
func (e *CommandError) Hint() string { return e.Fix }

func (e *CommandError) Unwrap() error { return e.Err }

// grace is how long a process may take to end after it was interrupted.
const grace = 5 * time.Second

// command prepares a process that is interrupted, and after a while killed, when ctx ends.
func command(ctx context.Context, env []string, name string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Env = env
	cmd.Cancel = func() error {
		if err := cmd.Process.Signal(os.Interrupt); err != nil {
			return cmd.Process.Kill()
		}
		return nil
	}
	cmd.WaitDelay = grace
	return cmd
}

// run runs a process and passes on each line of what it prints. If out is not nil, its
// standard output goes there instead.
func run(ctx context.Context, cmd *exec.Cmd, name string, out io.Writer, line func(string)) error {
	l := &lines{each: line}
	cmd.Stderr = l
	if cmd.Stdout = out; out == nil {
		cmd.Stdout = l // the same writer: exec then uses one goroutine for both
	}
	err := cmd.Run()
	l.flush()
	if err == nil {
		return nil
	}
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return &CommandError{Name: name, Tail: l.tail, Err: err}
}

// lines splits output into lines and keeps the last ones.
type lines struct {
	each func(string)
	part []byte
	tail []string
}

const (
	tailLines = 12
	lineBytes = 4 << 10
)

func (l *lines) Write(b []byte) (int, error) {
	n := len(b)
	for len(b) > 0 {
		i := bytes.IndexAny(b, "\r\n")
		if i < 0 {
			l.part = append(l.part, b...)
			break
		}
		l.part = append(l.part, b[:i]...)
		l.flush()
		b = b[i+1:]
	}
	if len(l.part) > lineBytes {
		l.flush()
	}
	return n, nil
}

func (l *lines) flush() {
	text := strings.ToValidUTF8(strings.TrimRight(string(l.part), " \t"), "\ufffd")
	l.part = l.part[:0]
	if text == "" {
		return
	}
	if len(text) > lineBytes {
		text = text[:lineBytes]
	}
	if len(l.tail) == tailLines {
		l.tail = slices.Delete(l.tail, 0, 1)
	}
	l.tail = append(l.tail, text)
	if l.each != nil {
		l.each(text)
	}
}
