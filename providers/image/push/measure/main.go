//go:build linux

// Command measure compares pushes of apron with those of crane, skopeo, docker, podman and
// buildah: the same images to the same loopback registry, which discards what it gets, in turns.
// measure.sh beside it finds and starts the other tools.
//
//	measure [flags]                         run, and print tables in Markdown
//	measure create DIR SHAPE SCALE          two versions of an image, the same way
//	measure push KIND SOURCE ENDPOINT DIR   apron's push, in a process of its own
package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"regexp"
	"syscall"

	"github.com/apron-deploy/apron/providers/image/origin"
	"github.com/apron-deploy/apron/providers/image/push"
	"github.com/apron-deploy/apron/providers/image/store"
)

type settings struct {
	rounds int
	scale  int // divides the sizes of layers
	only   *regexp.Regexp
	dir    string
	links  []bool // shaped or not
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	var err error
	switch {
	case len(os.Args) == 6 && os.Args[1] == "push":
		err = pushOnce(ctx, os.Args[2], os.Args[3], os.Args[4], os.Args[5])
	case len(os.Args) == 5 && os.Args[1] == "create":
		err = createOne(os.Args[2], os.Args[3], os.Args[4])
	default:
		err = run(ctx)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "measure: error:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context) error {
	var s settings
	only := flag.String("only", "", "measure the cases whose name matches this regular `expression`")
	link := flag.String("link", "both", "bare, shaped or both")
	flag.IntVar(&s.rounds, "rounds", 7, "how often each push is measured, in turns")
	flag.IntVar(&s.scale, "scale", 1, "divide the sizes of layers by this; a shaped link divides them by 8 more")
	flag.Parse()
	switch *link {
	case "bare":
		s.links = []bool{false}
	case "shaped":
		s.links = []bool{true}
	case "both":
		s.links = []bool{false, true}
	default:
		return fmt.Errorf("-link %q: it is bare, shaped or both", *link)
	}
	var err error
	if s.only, err = regexp.Compile(*only); err != nil {
		return err
	}
	if s.dir, err = os.MkdirTemp("", "apron-measure-"); err != nil {
		return err
	}
	defer os.RemoveAll(s.dir)
	return measure(ctx, s, os.Stdout)
}

// pushOnce is what apron does with a source of a kind, what an engine has built or what
// image.from names; dir holds what it remembers.
func pushOnce(ctx context.Context, kind, source, endpoint, dir string) error {
	known := store.OpenKnown(dir)
	to, o := push.Destination{Endpoint: endpoint, Repository: "web", Tag: "one"}, push.Options{Memory: known}
	var err error
	switch kind {
	case "docker", "podman", "buildah":
		err = pushBuilt(ctx, kind, source, to, o, store.Options{Known: known, Temp: dir, Daemon: store.DockerSocket(os.Getenv)})
	default:
		err = pushFrom(ctx, source, to, o, origin.Options{Dir: filepath.Dir(source), Known: known, Temp: dir})
	}
	if err != nil {
		return err
	}
	return known.Save()
}

func pushBuilt(ctx context.Context, engine, source string, to push.Destination, o push.Options, from store.Options) error {
	img, err := store.FromEngine(ctx, engine, func(ctx context.Context, out io.Writer, args ...string) error {
		cmd := exec.CommandContext(ctx, engine, args...)
		cmd.Stdout, cmd.Stderr = out, os.Stderr
		return cmd.Run()
	}, source, from)
	if err != nil {
		return err
	}
	defer img.Close()
	_, _, err = push.Push(ctx, img, to, nil, o)
	return err
}

// pushFrom pins a source as a plan does, and then copies it as an apply does.
func pushFrom(ctx context.Context, source string, to push.Destination, o push.Options, from origin.Options) error {
	pin, err := origin.Resolve(ctx, "./"+filepath.Base(source), from)
	if err != nil {
		return err
	}
	s, err := origin.Open(ctx, pin, from)
	if err != nil {
		return err
	}
	defer s.Close()
	_, _, err = origin.Copy(ctx, s, to, nil, o)
	return err
}
