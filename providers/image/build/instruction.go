package build

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/moby/buildkit/frontend/dockerfile/instructions"
	"github.com/moby/buildkit/frontend/dockerfile/shell"
)

func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }

// stage carries out the instructions of stage i.
func (w *work) stage(ctx context.Context, i int) (*image, error) {
	s := w.d.stages[i]
	img, err := w.start(ctx, i)
	if err != nil {
		return nil, &ParseError{File: w.d.name, Line: line(s.Location), Err: err}
	}
	cmdSet := false
	for _, cmd := range s.Commands {
		if ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
		if text, ok := cmd.(fmt.Stringer); ok {
			w.r.line("builtin", text.String())
		}
		err := w.instruction(ctx, i, img, cmd, &cmdSet)
		if _, ok := errors.AsType[*UnsupportedError](err); ok {
			return nil, err // which has the line
		}
		if err != nil {
			return nil, &ParseError{File: w.d.name, Line: line(cmd.Location()), Err: fmt.Errorf("%s: %w", strings.ToUpper(cmd.Name()), err)}
		}
	}
	return img, nil
}

func (w *work) start(ctx context.Context, i int) (*image, error) {
	s := w.d.stages[i]
	if j := w.d.base(i); j >= 0 {
		return w.done[j].clone(), nil
	}
	if s.BaseName == "scratch" {
		return w.scratch().begin(), nil
	}
	base, err := w.base(ctx, s.BaseName, s.Platform)
	if err != nil {
		return nil, err
	}
	return base.clone().begin(), nil
}

func variables(env []string) map[string]string {
	vars := map[string]string{}
	for _, e := range env {
		k, v, _ := strings.Cut(e, "=")
		vars[k] = v
	}
	return vars
}

func (w *work) instruction(ctx context.Context, at int, img *image, cmd instructions.Command, cmdSet *bool) error {
	if _, isArg := cmd.(*instructions.ArgCommand); !isArg {
		if c, ok := cmd.(instructions.SupportsSingleWordExpansion); ok {
			if err := c.Expand(func(word string) (string, error) { return w.d.expand(word, img.vars) }); err != nil {
				return err
			}
		}
	}
	if c, ok := cmd.(instructions.SupportsSingleWordExpansionRaw); ok {
		if err := c.ExpandRaw(func(text string) (string, error) {
			lex := shell.NewLex('\\')
			lex.SkipProcessQuotes = true
			out, _, err := lex.ProcessWord(text, environ(img.vars))
			return out, err
		}); err != nil {
			return err
		}
	}
	config := &img.config.Config
	changes := map[string]*node{}
	switch c := cmd.(type) {
	case *instructions.CopyCommand:
		from, missing, err := w.source(ctx, c.From, at)
		if err != nil {
			return err
		}
		t := transfer{from: from, srcs: c.SourcePaths, dst: c.DestPath, chown: c.Chown, chmod: c.Chmod, missing: missing}
		if err := w.transfer(img, t, c.SourceContents, changes); err != nil {
			return err
		}
	case *instructions.AddCommand:
		if slices.ContainsFunc(c.SourcePaths, remoteSource) { // once its variables are replaced
			return &UnsupportedError{File: w.d.name, Line: line(c.Location()), What: addRemote}
		}
		from, missing, err := w.source(ctx, "", at)
		if err != nil {
			return err
		}
		t := transfer{from: from, srcs: c.SourcePaths, dst: c.DestPath, chown: c.Chown, chmod: c.Chmod, missing: missing}
		if c.Unpack == nil || *c.Unpack {
			if err := refuseArchives(t); err != nil {
				return err
			}
		}
		if err := w.transfer(img, t, c.SourceContents, changes); err != nil {
			return err
		}
	case *instructions.WorkdirCommand:
		if err := w.workdir(img, c.Path, changes); err != nil {
			return err
		}
	case *instructions.ArgCommand:
		for _, arg := range c.Args {
			if err := w.argument(img, arg); err != nil {
				return err
			}
		}
	case *instructions.EnvCommand:
		for _, kv := range c.Env {
			img.vars[kv.Key] = kv.Value
			config.Env = setEnv(config.Env, kv.Key, kv.Value)
		}
	case *instructions.LabelCommand:
		for _, kv := range c.Labels {
			if config.Labels == nil {
				config.Labels = map[string]string{}
			}
			config.Labels[kv.Key] = kv.Value
		}
	case *instructions.ExposeCommand:
		return w.expose(img, c)
	case *instructions.UserCommand:
		config.User = c.User
	case *instructions.VolumeCommand:
		for _, v := range c.Volumes {
			if config.Volumes == nil {
				config.Volumes = map[string]struct{}{}
			}
			config.Volumes[v] = struct{}{}
		}
	case *instructions.StopSignalCommand:
		config.StopSignal = c.Signal
	case *instructions.ShellCommand:
		config.Shell = c.Shell
	case *instructions.CmdCommand:
		config.Cmd, *cmdSet = withShell(config, c.ShellDependantCmdLine), true
		config.ArgsEscaped = true
	case *instructions.EntrypointCommand:
		config.Entrypoint = withShell(config, c.ShellDependantCmdLine)
		if !*cmdSet {
			config.Cmd = nil // one that the base image brought does not fit
		}
	case *instructions.HealthCheckCommand:
		if c.Health.StartInterval != 0 {
			return lacking{errors.New("--start-interval needs docker, podman or buildah")}
		}
		config.Healthcheck = &v1.HealthConfig{Test: c.Health.Test, Interval: c.Health.Interval,
			Timeout: c.Health.Timeout, StartPeriod: c.Health.StartPeriod, Retries: c.Health.Retries}
	case *instructions.MaintainerCommand:
		img.config.Author = c.Maintainer
	default:
		return lacking{errors.New("needs docker, podman or buildah")}
	}
	if len(changes) > 0 {
		img.above = append(img.above, changes)
	}
	w.record(img, cmd, len(changes) == 0)
	return nil
}

func (w *work) record(img *image, cmd instructions.Command, noFiles bool) {
	text := cmd.Name()
	if s, ok := cmd.(fmt.Stringer); ok {
		text = s.String()
	}
	img.history = append(img.history, v1.History{Created: v1.Time{Time: time.Unix(w.when, 0).UTC()}, CreatedBy: text, Comment: "apron", EmptyLayer: noFiles})
}

// source returns the tree that COPY copies from, and what to say of a missing file.
func (w *work) source(ctx context.Context, from string, at int) (*node, func(string) error, error) {
	if from == "" {
		if w.context == nil {
			files, err := w.r.Context.Files(ctx)
			if err != nil {
				return nil, nil, err
			}
			if w.context, err = contextTree(w.r.Context, files); err != nil {
				return nil, nil, err
			}
		}
		return w.context, w.missing, nil
	}
	missing := func(src string) error { return fmt.Errorf("there is no %s in %s", src, from) }
	if j, ok := w.d.find(from, at); ok {
		root, err := w.done[j].tree(w.r.Spool)
		return root, missing, err
	}
	img, err := w.base(ctx, from, "")
	if err != nil {
		return nil, nil, err
	}
	root, err := img.tree(w.r.Spool)
	return root, missing, err
}

// missing says why the context does not hold src.
func (w *work) missing(src string) error { return missing(w.r, src) }

func missing(r Request, src string) error {
	at := filepath.Join(r.Context.Dir, filepath.Clean(filepath.FromSlash("/"+src)))
	if info, err := os.Lstat(at); err == nil {
		if info.IsDir() {
			return fmt.Errorf("%s holds no file of the context; does the ignore file leave them out?", src)
		}
		return fmt.Errorf("%s is on disk but not in the context; does the ignore file leave it out?", src)
	}
	return fmt.Errorf("there is no %s in the context", src)
}

func (w *work) transfer(img *image, t transfer, texts []instructions.SourceContent, changes map[string]*node) error {
	root, err := img.tree(w.r.Spool)
	if err != nil {
		return err
	}
	for _, c := range texts {
		t.texts = append(t.texts, inline{c.Path, c.Data})
	}
	t.dir = img.config.Config.WorkingDir
	return t.apply(&stage{root: root, changes: changes})
}

// workdir makes the directory, owned by the user that was set before.
func (w *work) workdir(img *image, dir string, changes map[string]*node) error {
	config := &img.config.Config
	if dir == "" {
		return errors.New("needs a path")
	}
	if !path.IsAbs(dir) {
		dir = path.Join("/", config.WorkingDir, dir)
	}
	config.WorkingDir = path.Clean(dir)
	if config.WorkingDir == "/" {
		return nil
	}
	root, err := img.tree(w.r.Spool)
	if err != nil {
		return err
	}
	s := &stage{root: root, changes: changes}
	own, err := s.owner(config.User)
	if err != nil {
		return err
	}
	_, err = s.mkdir(config.WorkingDir, own.uid, own.gid)
	return err
}

// argument is an ARG within a stage: the build's value, else its default, else that of
// an ARG before the first FROM.
func (w *work) argument(img *image, arg instructions.KeyValuePairOptional) error {
	w.used[arg.Key] = true
	if v, ok := w.d.args[arg.Key]; ok {
		img.vars[arg.Key] = v
		return nil
	}
	if arg.Value == nil {
		if v, ok := w.d.global[arg.Key]; ok {
			img.vars[arg.Key] = v
		}
		return nil
	}
	v, err := w.d.expand(*arg.Value, img.vars)
	img.vars[arg.Key] = v
	return err
}

// expose reads "80", "80/udp" and "8000-8003".
func (w *work) expose(img *image, c *instructions.ExposeCommand) error {
	lex := shell.NewLex(w.d.escape)
	for _, text := range c.Ports {
		words, err := lex.ProcessWords(text, environ(img.vars))
		if err != nil {
			return err
		}
		for _, port := range words {
			span, proto, ok := strings.Cut(strings.ToLower(port), "/")
			if !ok {
				proto = "tcp"
			}
			first, last, ok := strings.Cut(span, "-")
			if !ok {
				last = first
			}
			lo, err1 := strconv.ParseUint(first, 10, 16)
			hi, err2 := strconv.ParseUint(last, 10, 16)
			if err1 != nil || err2 != nil || hi < lo || !slices.Contains([]string{"tcp", "udp", "sctp"}, proto) {
				return fmt.Errorf("%q is not a port", port)
			}
			if img.config.Config.ExposedPorts == nil {
				img.config.Config.ExposedPorts = map[string]struct{}{}
			}
			for p := lo; p <= hi; p++ {
				img.config.Config.ExposedPorts[fmt.Sprintf("%d/%s", p, proto)] = struct{}{}
			}
		}
	}
	w.record(img, c, true)
	return nil
}

// withShell returns a command line, run by the shell if it was not written as JSON.
func withShell(c *v1.Config, cmd instructions.ShellDependantCmdLine) []string {
	if !cmd.PrependShell {
		return cmd.CmdLine
	}
	sh := c.Shell
	if len(sh) == 0 {
		sh = []string{"/bin/sh", "-c"}
	}
	return append(slices.Clone(sh), strings.Join(cmd.CmdLine, " "))
}

func setEnv(env []string, key, value string) []string {
	for i, e := range env {
		if k, _, _ := strings.Cut(e, "="); k == key {
			env[i] = key + "=" + value
			return env
		}
	}
	return append(env, key+"="+value)
}

// refuseArchives fails on files that ADD would unpack.
func refuseArchives(t transfer) error {
	for _, src := range t.srcs {
		names, err := t.from.glob(src)
		if err != nil {
			return err
		}
		for _, name := range names {
			_, n, err := t.from.resolve(name)
			if err != nil {
				return err
			}
			if n == nil || n.open == nil {
				continue
			}
			if packed, err := isArchive(n); err != nil {
				return err
			} else if packed {
				return lacking{fmt.Errorf("%s is an archive, and unpacking it needs docker, podman or buildah; COPY copies it as it is", src)}
			}
		}
	}
	return nil
}
