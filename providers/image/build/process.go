package build

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"time"
)

// Environ returns the process's environment for a builder or a hook: without what is for
// apron alone, which is AWS_*, GITHUB_*, ACTIONS_*, CI_*, APRON_*, GH_TOKEN and the names
// in withhold.
func Environ(withhold []string) []string { return environment(os.Environ(), withhold) }

func environment(all, withhold []string) []string {
	return slices.DeleteFunc(slices.Clone(all), func(kv string) bool {
		name, _, _ := strings.Cut(kv, "=")
		upper := strings.ToUpper(name)
		for _, prefix := range []string{"AWS_", "GITHUB_", "ACTIONS_", "CI_", "APRON_"} {
			if strings.HasPrefix(upper, prefix) {
				return true
			}
		}
		return upper == "GH_TOKEN" || slices.Contains(withhold, name) // the other name of GITHUB_TOKEN
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
	program, err := find(env, name)
	cmd := exec.CommandContext(ctx, program, args...)
	cmd.Args[0] = name // some programs look at what they are called
	if err != nil {
		cmd.Err = err
	}
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

// find looks a program up in the PATH that env has, as [exec.LookPath] does in apron's own:
// a relative directory is an error where it has the program. What is a path, and what has no
// PATH to be found in, is left to exec.
func find(env []string, name string) (string, error) {
	dirs, ok, windows := "", false, runtime.GOOS == "windows"
	for _, kv := range env {
		if k, v, _ := strings.Cut(kv, "="); k == "PATH" || windows && strings.EqualFold(k, "PATH") {
			dirs, ok = v, true // the last one counts, as for exec
		}
	}
	if !ok || filepath.Base(name) != name {
		return name, nil
	}
	for _, dir := range filepath.SplitList(dirs) {
		if dir == "" && windows {
			continue // elsewhere it is where apron is
		}
		at := filepath.Join(dir, name)
		if filepath.Base(at) == at {
			at = "." + string(filepath.Separator) + at // or it would be looked up once more
		}
		program, err := exec.LookPath(at)
		switch {
		case err == nil && !filepath.IsAbs(dir):
			return name, &exec.Error{Name: name, Err: exec.ErrDot}
		case err == nil:
			return program, nil
		}
	}
	return name, &exec.Error{Name: name, Err: exec.ErrNotFound}
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
	switch {
	case err == nil:
		return nil
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case errors.Is(err, exec.ErrWaitDelay) && out == nil && cmd.ProcessState.Success():
		return nil // something that it started goes on and holds its output open; of data, the end may be missing
	}
	return &CommandError{Name: name, Tail: l.tail, Err: err}
}

// lines splits output into lines and keeps the last ones. A line is passed on as a whole or
// not at all: what hides values looks at one line at a time, and would not know a part of one.
type lines struct {
	each func(string)
	part []byte // of the line that is being read
	long bool   // that line is longer than can be kept
	tail []string
}

const (
	tailLines = 12
	tailBytes = 16 << 10 // of one of them
	lineBytes = 1 << 20
)

func (l *lines) Write(b []byte) (int, error) {
	n := len(b)
	for len(b) > 0 {
		i := bytes.IndexAny(b, "\r\n")
		if i < 0 {
			l.add(b)
			break
		}
		l.add(b[:i])
		l.flush()
		b = b[i+1:]
	}
	return n, nil
}

func (l *lines) add(b []byte) {
	if l.long = l.long || len(l.part)+len(b) > lineBytes; l.long {
		l.part = nil
		return
	}
	l.part = append(l.part, b...)
}

func (l *lines) flush() {
	text := strings.ToValidUTF8(strings.TrimRight(string(l.part), " \t"), "\ufffd")
	if l.long {
		text = "(a line of more than 1 MiB is left out)"
	}
	l.part, l.long = l.part[:0], false
	if text == "" {
		return
	}
	if len(l.tail) == tailLines {
		l.tail = slices.Delete(l.tail, 0, 1)
	}
	if l.tail = append(l.tail, text); len(text) > tailBytes {
		l.tail[len(l.tail)-1] = fmt.Sprintf("(a line of %d KiB is left out here)", len(text)>>10)
	}
	if l.each != nil {
		l.each(text)
	}
}
