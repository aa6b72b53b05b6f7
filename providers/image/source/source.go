// Package source reads what a container build is made of: the Dockerfile, the context
// after its ignore file, and whatever else the manifest names as an input.
//
// A [Context] is opened once and then listed. What it lists is the same on every
// machine that has the same files:
//
//	path          relative to the context, slash-separated
//	type          file or symlink; a symlink is its target's text and is never followed
//	executable    the owner's bit; from git's index where the disk's bits mean nothing
//	content       read, never guessed from times or sizes
//
// A directory without files is not there, as in git. Directories named .git and .apron
// and the files of Options.Exclude are never listed. No process is started, and nothing
// outside the repository is read: not on the manifest's word, and not through a symlink.
package source

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"github.com/apron-deploy/apron/providers/image/ignore"
	"github.com/apron-deploy/apron/reconcile/state"
)

// Options steer [Open]. The zero value is fine.
type Options struct {
	// Exclude are files that are never part of a context, such as the env files that
	// were read: absolute, or relative to the manifest's directory.
	Exclude []string
}

// Context is a build context on disk.
type Context struct {
	Root       string // top of the repository, absolute, without symlinks
	Dir        string // the context, absolute, without symlinks, within Root
	Dockerfile string // absolute, without symlinks, within Root
	Text       []byte // the Dockerfile
	// Rules are the patterns in effect: those of the ignore file, and what is never
	// part of a context.
	Rules []string

	shown   string // the Dockerfile as the user would name it
	ignored *ignore.Matcher
	never   map[string]bool // absolute paths
	tracked func() index    // read when it is first asked for; nil if the disk's own bits will do
}

// Open finds the context and the Dockerfile of b, whose manifest is in dir.
func Open(dir string, b state.Build, o Options) (*Context, error) {
	dir, err := filepath.EvalSymlinks(dir)
	if err != nil {
		return nil, fmt.Errorf("manifest directory: %w", err)
	}
	if dir, err = filepath.Abs(dir); err != nil {
		return nil, fmt.Errorf("manifest directory: %w", err)
	}
	c := &Context{Root: top(dir), never: map[string]bool{}}
	if err := c.locate(dir, b); err != nil {
		return nil, err
	}
	if c.Text, err = os.ReadFile(c.Dockerfile); err != nil {
		return nil, &Error{Key: "image.build.dockerfile", Why: err.Error(), err: err}
	}
	c.tracked = sync.OnceValue(func() index {
		tracked, err := readIndex(c.Root) // nothing, where the disk's bits are those that git goes by
		if err != nil {
			return nil // the disk's own bits will do
		}
		return tracked
	})
	for _, name := range o.Exclude {
		if !filepath.IsAbs(name) {
			name = filepath.Join(dir, name)
		}
		if real, err := filepath.EvalSymlinks(name); err == nil {
			c.never[real] = true
		}
		// The name itself, as the walk will come upon it, may be a symlink.
		if up, err := filepath.EvalSymlinks(filepath.Dir(name)); err == nil {
			c.never[filepath.Join(up, filepath.Base(name))] = true
		}
	}
	if err := c.readRules(); err != nil {
		return nil, err
	}
	return c, c.seesHook(b.Before)
}

// seesHook refuses a hook of which nobody said what it reads, where the ignore file leaves out
// all but what it names: the image would keep its name whatever became of the sources.
func (c *Context) seesHook(before *state.Before) error {
	if before == nil || len(before.Run) == 0 || before.Inputs != nil {
		return nil
	}
	for _, rule := range c.Rules {
		if rule == "*" || rule == "**" || rule == "**/*" || rule == "." {
			return &Error{Key: "image.build.before.inputs", Why: "is missing: the ignore file leaves out all but what it names, so that a change of what " + before.Run[0] + " reads would be no reason to build",
				Fix: `name what it reads, such as inputs: ["**/*.go", go.mod], or write [] if that is in the context`}
		}
	}
	return nil
}

// Shown is the Dockerfile's path as the user would write it, for messages.
func (c *Context) Shown() string { return c.shown }

// locate sets Dir and Dockerfile, or says what is missing.
func (c *Context) locate(dir string, b state.Build) error {
	context := b.Context
	if context == "" {
		context = "."
	}
	at := filepath.Join(dir, filepath.FromSlash(context))
	if filepath.IsAbs(filepath.FromSlash(context)) {
		return &Error{Key: "image.build.context", Why: fmt.Sprintf("%q is absolute", context),
			Fix: "write it relative to the manifest's directory"}
	}
	real, err := filepath.EvalSymlinks(at)
	if err != nil {
		return &Error{Key: "image.build.context", Why: fmt.Sprintf("there is no directory %q", context),
			Fix: "the path is relative to the manifest's directory, " + dir, err: err}
	}
	if info, err := os.Stat(real); err != nil || !info.IsDir() {
		return &Error{Key: "image.build.context", Why: fmt.Sprintf("%q is not a directory", context), err: err}
	}
	if !within(c.Root, real) {
		return c.outside("image.build.context", context)
	}
	c.Dir = real

	name := b.Dockerfile
	if name == "" {
		name = "Dockerfile"
	}
	c.shown = path.Join(context, name)
	if filepath.IsAbs(filepath.FromSlash(name)) {
		return &Error{Key: "image.build.dockerfile", Why: fmt.Sprintf("%q is absolute", name), Fix: "write it relative to the context"}
	}
	file, err := filepath.EvalSymlinks(filepath.Join(real, filepath.FromSlash(name)))
	if err != nil {
		return &Error{Key: "image.build.dockerfile", Why: fmt.Sprintf("there is no %q in the context %q", name, context),
			Fix: nearby(real, name), err: err}
	}
	if !within(c.Root, file) {
		return c.outside("image.build.dockerfile", name)
	}
	if info, err := os.Stat(file); err != nil || !info.Mode().IsRegular() {
		return &Error{Key: "image.build.dockerfile", Why: fmt.Sprintf("%q is not a file", name), err: err}
	}
	c.Dockerfile = file
	return nil
}

func (c *Context) outside(key, name string) error {
	return &Error{Key: key, Why: fmt.Sprintf("%q leads out of the repository %s", name, c.Root),
		Fix: "a build reads nothing from outside the repository; copy what it needs into it"}
}

// readRules finds the ignore file: one beside the Dockerfile and named after it wins.
// https://docs.docker.com/build/concepts/context/#filename-and-location
func (c *Context) readRules() error {
	for _, name := range []string{c.Dockerfile + ".dockerignore", filepath.Join(c.Dir, ".dockerignore")} {
		real, err := filepath.EvalSymlinks(name)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return fmt.Errorf("ignore file: %w", err)
		}
		if !within(c.Root, real) {
			return fmt.Errorf("ignore file: %s leads out of the repository %s", name, c.Root)
		}
		f, err := os.Open(real)
		if err != nil {
			return fmt.Errorf("ignore file: %w", err)
		}
		c.Rules, err = ignore.Parse(f)
		f.Close()
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		if c.ignored, err = ignore.New(c.Rules); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		break
	}
	if c.ignored == nil {
		c.ignored, _ = ignore.New(nil)
	}
	// Docker before 23 does not apply the first form to what such a directory holds.
	c.Rules = append(c.Rules, "**/.git", "**/.git/**", "**/.apron", "**/.apron/**")
	var hidden []string
	for name := range c.never {
		if rel, err := filepath.Rel(c.Dir, name); err == nil && filepath.IsLocal(rel) {
			hidden = append(hidden, quote(filepath.ToSlash(rel)))
		}
	}
	slices.Sort(hidden)
	c.Rules = append(c.Rules, hidden...)
	return nil
}

// quote writes a path as a pattern that matches only it, and that is neither an
// exception nor a comment.
func quote(name string) string {
	name = strings.NewReplacer(`\`, `\\`, `*`, `\*`, `?`, `\?`, `[`, `\[`).Replace(name)
	if strings.HasPrefix(name, "!") || strings.HasPrefix(name, "#") {
		return `\` + name
	}
	return name
}

// top is the directory above dir that holds .git, or else dir itself.
func top(dir string) string {
	for at := dir; ; at = filepath.Dir(at) {
		if _, err := os.Lstat(filepath.Join(at, ".git")); err == nil {
			return at
		}
		if at == filepath.Dir(at) {
			return dir
		}
	}
}

// within reports whether name is root or below it; both are absolute.
func within(root, name string) bool {
	rel, err := filepath.Rel(root, name)
	return err == nil && filepath.IsLocal(rel)
}

// nearby suggests other Dockerfiles in the context, at most two levels down.
func nearby(dir, wanted string) string {
	var found []string
	_ = filepath.WalkDir(dir, func(name string, e fs.DirEntry, err error) error {
		if err != nil {
			return nil
		}
		rel, _ := filepath.Rel(dir, name)
		depth := strings.Count(rel, string(filepath.Separator))
		if e.IsDir() && name != dir && (depth >= 2 || strings.HasPrefix(e.Name(), ".") || e.Name() == "node_modules") {
			return fs.SkipDir
		}
		low := strings.ToLower(e.Name())
		if !e.IsDir() && !strings.HasSuffix(low, ".dockerignore") &&
			(strings.HasPrefix(low, "dockerfile") || strings.HasPrefix(low, "containerfile") || strings.HasSuffix(low, ".dockerfile")) {
			found = append(found, filepath.ToSlash(rel))
		}
		return nil
	})
	if len(found) == 0 {
		return fmt.Sprintf("write a Dockerfile, or name yours with image.build.dockerfile; looked for %s", filepath.Join(dir, filepath.FromSlash(wanted)))
	}
	if len(found) > 3 {
		found = found[:3]
	}
	return "did you mean " + strings.Join(found, " or ") + "?"
}

// Error says what is wrong with a key of the manifest.
type Error struct {
	Key string // "image.build.dockerfile"
	Why string
	Fix string
	err error
}

var _ error = (*Error)(nil)

func (e *Error) Error() string { return e.Key + ": " + e.Why }

// Hint says what would help.
func (e *Error) Hint() string { return e.Fix }

func (e *Error) Unwrap() error { return e.err }
