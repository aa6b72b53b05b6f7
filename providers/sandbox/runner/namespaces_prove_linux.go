package runner

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"

	v1 "github.com/google/go-containerregistry/pkg/v1"
)

// prove finds the best manner that really runs an instance here, and whether limits
// can be set.
func (n *namespaces) prove(ctx context.Context) error {
	// What cannot be removed is empty at least, and in nobody's way.
	_ = removeNoted(ctx, n.prefix, filepath.Join(n.dir, "instances", "*", "groups"))
	if err := n.empty(); err != nil {
		return err
	}
	img, err := trialImage("linux/" + runtime.GOARCH)
	if err != nil {
		return err
	}
	if img == nil {
		return fmt.Errorf("not for %s processors", runtime.GOARCH)
	}
	proc, err := n.choose(ctx, img)
	if err != nil {
		return err
	}
	if n.limits, n.unlimited = findCgroups(n.prefix); n.limits != nil {
		n.unlimited = n.limits.clean(ctx)
		if n.unlimited == nil {
			_, n.unlimited = n.trial(ctx, img)
		}
		if n.unlimited != nil {
			n.limits = nil
		}
	}
	n.describe = n.words(proc)
	return nil
}

// choose tries the manners from the best on. One without an own /proc is the last resort.
func (n *namespaces) choose(ctx context.Context, img v1.Image) (string, error) {
	manners := []manner{{Users: true, Overlay: true}, {Users: true}}
	if manyUsers() {
		manners = append(manners, manner{Overlay: true}, manner{})
	}
	var best manner
	var proc string
	var why []error
	for _, n.how = range manners {
		got, err := n.trial(ctx, img)
		if ctx.Err() != nil {
			return "", context.Cause(ctx)
		}
		if err != nil {
			why = append(why, err)
			continue
		}
		if got == procOwn {
			return got, nil
		}
		if proc == "" || proc == procNone && got == procShared {
			best, proc = n.how, got
		}
	}
	if proc == "" {
		return "", refused(why[0])
	}
	n.how = best
	return proc, nil
}

// trial runs an instance of the trial image and returns what its /proc was.
func (n *namespaces) trial(ctx context.Context, img v1.Image) (proc string, err error) {
	err = trial(ctx, img, func(ctx context.Context, s Spec) (Instance, error) {
		i, err := n.start(ctx, s)
		if err != nil {
			return nil, err
		}
		proc = i.proc
		return i, nil
	})
	return proc, err
}

// words describes the engine.
func (n *namespaces) words(proc string) string {
	s := []string{"namespaces: each instance has its own processes, files, host name and network on this machine's kernel, without a container engine, without outbound network and without capabilities"}
	if !manyUsers() {
		s = append(s, "all files inside are the app's own")
	}
	if proc != procOwn {
		s = append(s, procWords(proc))
	}
	if n.limits != nil {
		s = append(s, "CPU and memory limits are enforced by control groups")
	} else {
		s = append(s, fmt.Sprintf("CPU and memory limits are not enforced (%v)", n.unlimited))
	}
	return strings.Join(s, "; ")
}

// refused explains why the kernel makes no namespaces, where a setting is to blame.
func refused(err error) error {
	err = fmt.Errorf("new namespaces: %w", err)
	for _, s := range []struct{ name, bad string }{
		{"user/max_user_namespaces", "0"},
		{"kernel/unprivileged_userns_clone", "0"},
		{"kernel/apparmor_restrict_unprivileged_userns", "1"},
	} {
		b, _ := os.ReadFile("/proc/sys/" + s.name)
		if os.Geteuid() != 0 && strings.TrimSpace(string(b)) == s.bad {
			return fmt.Errorf("%w (the kernel's setting %s is %s)", err, strings.ReplaceAll(s.name, "/", "."), s.bad)
		}
	}
	return err
}
