package main

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"

	"github.com/hashicorp/go-multierror"
	"github.com/spf13/cobra"

	"github.com/apron-deploy/apron/manifest"
	"github.com/apron-deploy/apron/reconcile/render"
)

// setFlags are those of set.
type setFlags struct {
	service string
	remove  []string
	commit  bool
	message string
}

func (a *app) setCommand() *cobra.Command {
	var o setFlags
	cmd := &cobra.Command{
		Use:   "set KEY=VALUE...",
		Short: "Change values in the manifest, and nothing else in it",
		Long: "set writes values into the manifest where they stand: comments, order and spacing\n" +
			"stay. What would make the manifest wrong is refused, and nothing is written.\n" +
			"With -e it edits that environment's overlay.",
		Example: "  apron set image.version=v1.1.0 scaling.max=4\n  apron set -e production image.tags='[latest, stable]' --commit\n  apron set --remove env.LOG_LEVEL",
		Args:    cobra.ArbitraryArgs,
		RunE: func(cmd *cobra.Command, args []string) error {
			edits, err := o.edits(args)
			if err != nil {
				return &usageError{err: err, command: cmd.CommandPath()}
			}
			return a.runSet(cmd.Context(), o, edits)
		},
	}
	f := cmd.Flags()
	f.StringVar(&o.service, "service", "", "which service, where the file holds several")
	f.StringArrayVar(&o.remove, "remove", nil, "key to take out, so that it is unmanaged again; may be repeated")
	f.BoolVar(&o.commit, "commit", false, "make a git commit of the manifest alone")
	f.StringVarP(&o.message, "message", "m", "", "message of the commit (default the changes)")
	return cmd
}

func (o setFlags) edits(args []string) ([]manifest.Edit, error) {
	var edits []manifest.Edit
	for _, arg := range args {
		key, value, ok := strings.Cut(arg, "=")
		if !ok {
			return nil, fmt.Errorf("%q is not KEY=VALUE", arg)
		}
		edits = append(edits, manifest.Edit{Path: key, Value: value})
	}
	for _, key := range o.remove {
		edits = append(edits, manifest.Edit{Path: key, Remove: true})
	}
	if len(edits) == 0 {
		return nil, errors.New("nothing to set: name at least one KEY=VALUE, or --remove KEY")
	}
	if o.message != "" && !o.commit {
		return nil, errors.New("--message is for --commit")
	}
	return edits, nil
}

// edited is the result of set.
type edited struct {
	FormatVersion string       `json:"format_version"`
	File          string       `json:"file"`
	Changes       []editedText `json:"changes"`
	Commit        string       `json:"commit,omitempty"`
}

type editedText struct {
	Path string `json:"path"`
	Line int    `json:"line,omitempty"`
	Old  string `json:"old"`
	New  string `json:"new"`
	Same bool   `json:"-"` // no change at all; those are not told
}

// line says for people what was changed, and where.
func (c editedText) line(file string) string {
	switch {
	case c.Line == 0:
		return fmt.Sprintf("%s: %s: %s is gone", file, c.Path, visible(c.Old))
	case c.Old == "":
		return fmt.Sprintf("%s:%d: %s: %s", file, c.Line, c.Path, visible(c.New))
	}
	return fmt.Sprintf("%s:%d: %s: %s → %s", file, c.Line, c.Path, c.Old, visible(c.New))
}

// visible is a value that people can see, though it is an empty text.
func visible(value string) string { return cmp.Or(value, `""`) }

func (a *app) runSet(ctx context.Context, o setFlags, edits []manifest.Edit) error {
	file, err := a.oneManifest()
	if err != nil {
		return err
	}
	if o.commit {
		if err := committable(ctx, file); err != nil {
			return err
		}
	}
	changes, err := a.rewrite(file, manifest.EditOptions{Service: o.service, Environment: a.environment}, edits, nil)
	if err != nil {
		return err
	}
	v := edited{FormatVersion: render.FormatVersion, File: filepath.ToSlash(file), Changes: []editedText{}}
	for _, c := range changes {
		v.Changes = append(v.Changes, editedText(c))
	}
	if o.commit && len(changes) > 0 {
		if v.Commit, err = commit(ctx, file, o.message, changes); err != nil {
			return err
		}
	}
	if render.Format(a.format) == render.JSON {
		return a.encode(v)
	}
	for _, c := range v.Changes {
		fmt.Fprintln(a.out, c.line(v.File))
	}
	if len(changes) == 0 {
		fmt.Fprintf(a.out, "%s: nothing to change\n", v.File)
	}
	if v.Commit != "" {
		fmt.Fprintf(a.out, "committed as %s\n", v.Commit)
	}
	return nil
}

// oneManifest is the file that is to be edited.
func (a *app) oneManifest() (string, error) {
	file := "deploy.yaml"
	if len(a.files) > 0 {
		file = a.files[0]
	}
	if info, err := os.Stat(file); len(a.files) > 1 || err == nil && info.IsDir() {
		return "", &usageError{err: errors.New("one manifest is edited at a time: name its file with -f"), command: "apron"}
	}
	return file, nil
}

// rewrite edits a manifest and returns what is different then. The file is written only
// if the edits make nothing in it wrong that was not wrong before, and if accept, which may
// be nil, has nothing against what is read of it then.
func (a *app) rewrite(file string, o manifest.EditOptions, edits []manifest.Edit, accept func(*manifest.Set) error) ([]manifest.Change, error) {
	data, err := os.ReadFile(file)
	if err != nil {
		return nil, &manifest.Error{File: file, Msg: "cannot be read: " + err.Error(), Fix: "say where the manifest is with -f"}
	}
	out, changes, err := manifest.Rewrite(file, data, o, edits)
	if err != nil {
		return nil, err
	}
	changes = slices.DeleteFunc(changes, func(c manifest.Change) bool { return c.Same })
	if bytes.Equal(data, out) {
		return nil, nil
	}
	known := map[string]bool{}
	for _, e := range a.mistakes(file, data) {
		known[e.Path+e.Msg] = true
	}
	var errs *multierror.Error
	set, wrong := a.reread(file, out)
	for _, e := range wrong {
		if !known[e.Path+e.Msg] {
			errs = multierror.Append(errs, e)
		}
	}
	err = errs.ErrorOrNil()
	if err == nil && accept != nil {
		err = accept(set)
	}
	if err != nil {
		return nil, fmt.Errorf("nothing was written: %w", err)
	}
	return changes, manifest.WriteFile(file, out)
}

// mistakes are what is wrong with the text of a manifest.
func (a *app) mistakes(file string, text []byte) []*manifest.Error {
	_, wrong := a.reread(file, text)
	return wrong
}

// reread reads a text in place of a manifest's own.
func (a *app) reread(file string, text []byte) (*manifest.Set, []*manifest.Error) {
	set, err := manifest.Load(manifest.Options{
		Paths: []string{file}, Environment: a.environment, EnvFiles: a.envFiles, LookupEnv: a.lookup,
		Git: gitFacts(filepath.Dir(file)), FallbackEnvFile: a.sandbox.on, AllowSecretArgs: a.allowSecretArgs,
		ReadFile: func(name string) ([]byte, error) {
			if name == file {
				return text, nil
			}
			return a.readFile(name)
		},
	})
	var all []*manifest.Error
	for _, e := range flatten(err) {
		if bad, ok := errors.AsType[*manifest.Error](e); ok {
			all = append(all, bad)
		}
	}
	return set, all
}

// committable fails if a commit of the file would hold more than the edits.
func committable(ctx context.Context, file string) error {
	out, err := gitCommand(ctx, file, "status", "--porcelain", "--untracked-files=normal", "--", filepath.Base(file))
	if err != nil {
		return fmt.Errorf("%s cannot be committed: %w; nothing was written", file, err)
	}
	if out != "" {
		return &dirtyError{file: file}
	}
	return nil
}

// dirtyError says that a commit would hold what set did not write.
type dirtyError struct{ file string }

func (e *dirtyError) Error() string {
	return e.file + " has changes that are not committed, and the commit would hold them too; nothing was written"
}
func (e *dirtyError) Hint() string { return "commit them first, or leave --commit away" }

// commit commits the file alone, whatever else is staged, and returns the commit.
func commit(ctx context.Context, file, message string, changes []manifest.Change) (string, error) {
	if message == "" {
		var texts []string
		for _, c := range changes {
			if c.Line == 0 {
				texts = append(texts, "no "+c.Path)
				continue
			}
			texts = append(texts, c.Path+" "+visible(c.New))
		}
		message = filepath.Base(file) + ": " + strings.Join(texts, ", ")
	}
	if _, err := gitCommand(ctx, file, "commit", "--quiet", "--only", "--message", message, "--", filepath.Base(file)); err != nil {
		return "", fmt.Errorf("%s is written, but not committed: %w", file, err)
	}
	return gitCommand(ctx, file, "rev-parse", "--short=12", "HEAD")
}

// gitCommand runs git where the file is.
func gitCommand(ctx context.Context, file string, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, "git", args...)
	cmd.Dir = filepath.Dir(file)
	var errOut bytes.Buffer
	cmd.Stderr = &errOut
	out, err := cmd.Output()
	if err != nil {
		if said := strings.TrimSpace(errOut.String()); said != "" {
			err = errors.New(said)
		}
		return "", fmt.Errorf("git %s: %w", args[0], err)
	}
	return strings.TrimSpace(string(out)), nil
}
