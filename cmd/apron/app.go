package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"golang.org/x/term"

	"github.com/apron-deploy/apron/manifest"
	"github.com/apron-deploy/apron/providers/sandbox"
	"github.com/apron-deploy/apron/providers/sandbox/runner"
	"github.com/apron-deploy/apron/reconcile/render"
	"github.com/apron-deploy/apron/reconcile/render/joblog"
)

// app is one run of the command line: its streams and its global flags. Everything that
// is printed passes the redactors, which know the values of the manifest's secrets.
type app struct {
	in       io.Reader
	out      *render.Redactor
	err      *journal
	stdout   io.Writer // what is behind out
	stderr   io.Writer // and behind err
	ci       joblog.CI // whose job this is a part of
	colorOut bool
	colorErr bool
	ttyIn    bool
	ttyErr   bool
	width    func() int // of the terminal behind err
	lookup   func(string) (string, bool)
	// lookupOther has variables that a manifest finds nowhere else; nil for none.
	lookupOther func(string) (string, bool)
	// cache is a directory for what is worth remembering from run to run; empty is none.
	cache string
	// connect finds the sandbox of a manifest's directory.
	connect func(ctx context.Context, dir, account, region string) (sandbox.Info, error)
	log     *slog.Logger

	files           []string
	only            []string // services; empty is all of the manifests
	environment     string
	envFiles        []string
	region          string
	profile         string
	format          string
	json            bool
	noColor         bool
	debug           bool
	allowSecretArgs bool
	resolver        string // a name server, as host:port, instead of those of the zones
	sandbox         sandboxFlags
	// set is what was loaded last, as far as it is sound.
	set *manifest.Set
	// unwritten are files that are read though they are not written yet, by name.
	unwritten map[string][]byte
	// frozen are the manifests and env files as they were read first, by absolute path.
	frozen     map[string][]byte
	quiet      bool // loading tells nothing but errors
	helper     bool // the program was called as a credential helper
	wrote      bool // something, to stdout
	command    string
	flags      *pflag.FlagSet // of the command
	summarized bool           // the summary of the step has been written
}

func newApp(in io.Reader, out, errOut io.Writer) *app {
	a := &app{in: in, stdout: out, stderr: errOut, out: render.NewRedactor(out), err: newJournal(errOut, joblog.None), lookup: os.LookupEnv, frozen: map[string][]byte{}, width: func() int { return 80 }}
	a.connect = a.startSandbox
	if dir, err := os.UserCacheDir(); err == nil { // without a home there is no cache
		a.cache = filepath.Join(dir, "apron")
	}
	a.colorOut, _ = terminal(out)
	a.ttyIn, _ = terminal(in)
	var fd int
	a.ttyErr, fd = terminal(errOut)
	a.colorErr = a.ttyErr
	if a.ttyErr {
		a.width = func() int {
			if w, _, err := term.GetSize(fd); err == nil {
				return w
			}
			return 80
		}
	}
	a.log = slog.New(slog.DiscardHandler)
	return a
}

func terminal(stream any) (bool, int) {
	f, ok := stream.(*os.File)
	return ok && term.IsTerminal(int(f.Fd())), fdOf(f, ok)
}

func fdOf(f *os.File, ok bool) int {
	if !ok {
		return -1
	}
	return int(f.Fd())
}

func (a *app) globalFlags(root *cobra.Command) {
	f := root.PersistentFlags()
	f.StringArrayVarP(&a.files, "file", "f", nil, "manifest, or a directory of them; may be repeated (default deploy.yaml)")
	f.StringVarP(&a.environment, "environment", "e", "", "overlay of the manifest to use, such as production")
	f.StringArrayVar(&a.envFiles, "env-file", nil, "file of variables to read instead of .env; may be repeated")
	f.StringVar(&a.region, "region", "", "AWS Region; wins over the manifest and AWS_REGION")
	f.StringVar(&a.profile, "profile", "", "profile of the shared AWS configuration")
	f.StringVar(&a.format, "format", "text", "how the result is written: text, json or markdown")
	f.BoolVar(&a.json, "json", false, "short for --format json")
	f.BoolVar(&a.noColor, "no-color", false, "no colours; so does NO_COLOR in the environment")
	f.BoolVar(&a.debug, "debug", false, "say on stderr which AWS calls are made: never what they hold")
	f.StringVar(&a.resolver, "resolver", a.fallback("APRON_RESOLVER", ""), "name server, as host:port, that is asked about domains instead of the authoritative ones; also APRON_RESOLVER")
	f.BoolVar(&a.allowSecretArgs, "allow-secret-args", false, "take build arguments that look like secrets, though they stay readable in the image")
	f.BoolVar(&a.sandbox.on, "sandbox", false, "use the AWS of this machine instead: a sandbox that really runs containers")
	f.Float64Var(&a.sandbox.speed, "sandbox-speed", 0, "divide the sandbox's AWS-side waits by this; also APRON_SANDBOX_SPEED")
	f.StringVar(&a.sandbox.engine, "sandbox-engine", a.fallback("APRON_SANDBOX_ENGINE", ""), "run the sandbox's containers by docker, podman, namespaces or process; also APRON_SANDBOX_ENGINE (default the first that works)")
}

// prepare checks the global flags once they are read.
func (a *app) prepare(cmd *cobra.Command) error {
	a.command, a.flags = cmd.Name(), cmd.Flags()
	const speed = "APRON_SANDBOX_SPEED"
	if v := a.fallback(speed, ""); v != "" && !cmd.Flags().Changed("sandbox-speed") {
		var err error
		if a.sandbox.speed, err = strconv.ParseFloat(v, 64); err != nil {
			return &usageError{err: fmt.Errorf("%s: %q is not a number", speed, v), command: "apron"}
		}
	}
	if e := a.sandbox.engine; e != "" && !slices.Contains(runner.Names(), e) {
		return &usageError{err: fmt.Errorf("--sandbox-engine %q is none of %s", e, strings.Join(runner.Names(), ", ")), command: "apron"}
	}
	if a.resolver != "" {
		if _, _, err := net.SplitHostPort(a.resolver); err != nil {
			return &usageError{err: fmt.Errorf("--resolver %q is not host:port", a.resolver), command: "apron"}
		}
	}
	if a.sandbox.speed < 0 {
		return &usageError{err: errors.New("--sandbox-speed must not be negative"), command: "apron"}
	}
	if a.json {
		a.format = string(render.JSON)
	}
	switch render.Format(a.format) {
	case render.Text, render.JSON, render.Markdown:
	default:
		return &usageError{err: fmt.Errorf("--format %q is none of text, json, markdown", a.format), command: "apron"}
	}
	// https://no-color.org: set and not empty.
	if v, ok := a.lookup("NO_COLOR"); a.noColor || ok && v != "" {
		a.colorOut, a.colorErr = false, false
	}
	if a.debug {
		a.log = slog.New(slog.NewTextHandler(a.err, &slog.HandlerOptions{Level: slog.LevelDebug}))
	}
	return nil
}

// write writes a result to stdout.
func (a *app) write(v render.View) error {
	a.wrote = true
	return render.Write(a.out, v, render.Options{Format: render.Format(a.format), Color: a.colorOut})
}

// say writes a remark to stderr.
func (a *app) say(format string, args ...any) { fmt.Fprintf(a.err, format+"\n", args...) }

// report writes the errors of a run to stderr, and to stdout for a machine that would
// have nothing to read there.
func (a *app) report(err error) {
	if render.Format(a.format) == render.JSON && !a.wrote {
		_ = a.write(render.NewFailure(err)) // stderr has it as well
	}
	if err := render.Error(a.err, err, a.colorErr); err != nil {
		fmt.Fprintln(os.Stderr, "apron: error: stderr:", err)
	}
	a.annotate(err)
}

// close lets go of what the redactors hold back.
func (a *app) close() {
	_ = a.out.Close() // a stdout that is gone has no reader to tell
	_ = a.err.Close()
}

// version is the module's version, or the commit that a checkout was built from.
func version() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "unknown"
	}
	if v := info.Main.Version; v != "" && v != "(devel)" {
		return v
	}
	revision, dirty := "", ""
	for _, s := range info.Settings {
		switch {
		case s.Key == "vcs.revision":
			revision = s.Value[:min(12, len(s.Value))]
		case s.Key == "vcs.modified" && s.Value == "true":
			dirty = " with local changes"
		}
	}
	if revision == "" {
		return "development"
	}
	return "development " + revision + dirty
}

func (a *app) versionCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "version",
		Short: "Print the version",
		RunE: func(*cobra.Command, []string) error {
			_, err := fmt.Fprintln(a.out, "apron "+version())
			return err
		},
	}
}

// interruptible returns the reason for which ctx ended, if it was a signal.
func interruptible(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return err
}
