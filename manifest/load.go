package manifest

import (
	"cmp"
	"errors"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"

	"github.com/apron-deploy/apron/reconcile/pattern"
	"github.com/apron-deploy/apron/reconcile/state"
)

// Options say what to load. The zero value loads deploy.yaml of the working directory
// with the process's environment.
type Options struct {
	// Paths are manifests, or directories of them. Default: deploy.yaml.
	Paths []string
	// Environment is the overlay to use, of every document; empty for none.
	Environment string
	// EnvFiles are read instead of the .env beside each manifest; later ones win.
	EnvFiles []string
	// LookupEnv is the process's environment, which wins over files. Default: os.LookupEnv.
	LookupEnv func(name string) (string, bool)
	// LookupOther has the variables that neither the environment nor a file has. Default: none.
	LookupOther func(name string) (string, bool)
	// Git tells sha, branch, tag and dirty. Default: none is known.
	Git func(name string) (string, bool)
	// FallbackEnvFile takes an .env.example, beside the manifest or in the build context,
	// where there is no .env.
	FallbackEnvFile bool
	// AllowSecretArgs takes build arguments that look like secrets, with a warning.
	// Without it they are errors, as they stay readable in the image.
	AllowSecretArgs bool
	// ReadFile reads manifests and env files. Default: os.ReadFile.
	ReadFile func(name string) ([]byte, error)
}

// Set is what was loaded, to be planned together.
type Set struct {
	Documents []Document // in the order of Options.Paths and within files
	Refused   []Refused  // those that are wrong
	Unread    []*Error   // of paths that give no manifest
	Files     []string   // that were read, as the user named them, each once
	Warnings  []Warning  // in the order of the text
	Notes     []string   // for people: what was used in place of what
	// EnvFiles are the absolute paths of the env files that were read and of the files
	// that are build secrets: never part of an image.
	EnvFiles []string
	// Services are the names that the documents claim, sound or not, as far as they say.
	Services []string
	// Variables are the names under which the documents and their env files took values from
	// the environment and from env files, by value: that text need not stand in the
	// repository. Of several names of one value it is the first in the alphabet.
	Variables map[string]string
}

// Document is one service.
type Document struct {
	Spec        state.Spec
	Unsupported []Unsupported // in the order of the text
	// Shared says that the file holds other documents, too.
	Shared bool

	root *node
	env  *environ
}

// Position is where the value at a path such as "scaling.max" stands in the manifest.
// Both are 0 when the manifest does not have it.
func (d *Document) Position(path string) (line, column int) {
	n := d.root.find(path)
	if n == nil {
		return 0, 0
	}
	return n.at.line, n.at.column
}

// Redactions lists the texts that no output may show: the values of env: secrets, those
// of builds too, longest first. Very short ones occur everywhere and are left out.
func Redactions(s *Set) []string {
	seen := map[string]bool{}
	for _, d := range s.Documents {
		for _, v := range secretValues(d.Spec) {
			if len(v) >= minHidden {
				seen[v] = true
			}
		}
	}
	all := sortedKeys(seen)
	slices.SortStableFunc(all, func(a, b string) int { return cmp.Compare(len(b), len(a)) })
	return all
}

// Load reads manifests, checks them and resolves everything in them but the URLs of
// services. Its error is [Set.Mistakes]; beside it the set holds warnings and notes, the
// documents that are sound, and those that are not.
func Load(opts Options) (*Set, error) {
	if len(opts.Paths) == 0 {
		opts.Paths = []string{"deploy.yaml"}
	}
	if opts.LookupEnv == nil {
		opts.LookupEnv = os.LookupEnv
	}
	if opts.ReadFile == nil {
		opts.ReadFile = os.ReadFile
	}
	l := &loader{Options: opts, set: &Set{Variables: map[string]string{}}}
	for _, path := range opts.Paths {
		for _, file := range l.expandDir(path) {
			l.file(file)
		}
	}
	l.twice()
	slices.SortStableFunc(l.warnings, func(a, b Warning) int {
		return pos{a.File, a.Line, a.Column}.compare(pos{b.File, b.Line, b.Column})
	})
	l.set.Warnings = l.warnings
	return l.set, l.set.Mistakes()
}

type loader struct {
	Options
	set      *Set
	warnings []Warning
	names    map[string]pos    // of services
	again    map[string]*Error // services that are declared more than once
}

var (
	hasVersion = topLevel("version")
	hasService = topLevel("service")
)

// topLevel finds a key at the top of a text, which may be in quotes or behind a BOM.
func topLevel(key string) func() *regexp.Regexp {
	return pattern.Lazy(`(?m)^` + bom + `?("` + key + `"|'` + key + `'|` + key + `)[ \t]*:`)
}

// expandDir returns the manifests that path stands for. Within a directory they are the
// YAML files with a version and a service at the top.
func (l *loader) expandDir(path string) []string {
	entries, err := os.ReadDir(path)
	if err != nil {
		return []string{path} // a file, or nothing: reading it tells
	}
	var files []string
	for _, e := range entries {
		if ext := filepath.Ext(e.Name()); e.IsDir() || ext != ".yaml" && ext != ".yml" {
			continue
		}
		file := filepath.Join(path, e.Name())
		data, err := l.ReadFile(file)
		if err == nil && hasVersion().Match(data) && hasService().Match(data) {
			files = append(files, file)
		}
	}
	if len(files) == 0 {
		l.unread(pos{file: path}, "a manifest starts with version: 1 and service: NAME", "no manifest in this directory")
	}
	return files
}

func (l *loader) file(name string) {
	data, err := l.ReadFile(name)
	at := pos{file: name}
	switch {
	case errors.Is(err, fs.ErrNotExist):
		l.unread(at, "go to the directory that has it, or say where with -f", "there is no such file")
		return
	case err != nil:
		l.unread(at, "", "cannot be read: %v", reason(err))
		return
	}
	dir, err := filepath.Abs(filepath.Dir(name))
	if err != nil {
		l.unread(at, "", "%v", err)
		return
	}
	if !slices.Contains(l.set.Files, name) {
		l.set.Files = append(l.set.Files, name)
	}
	text := &findings{}
	roots := parse(filepath.ToSlash(name), data, text)
	l.warnings = append(l.warnings, text.warnings...)
	for _, root := range roots {
		l.document(name, dir, root, len(roots) > 1, text.errors)
	}
	if len(roots) == 0 && len(text.errors) > 0 {
		l.refuse("", name, text.errors...)
	}
}

// reason is the error without the path, which the message starts with.
func reason(err error) error {
	var p *fs.PathError
	if errors.As(err, &p) {
		return p.Err
	}
	return err
}

// document checks one document. Where the file's text is wrong, that is all.
func (l *loader) document(file, dir string, root *node, shared bool, text []*Error) {
	f, m := &findings{}, &Manifest{}
	defer func() {
		if m.Service != "" {
			l.set.Services = append(l.set.Services, m.Service)
		}
		if errs := slices.Concat(text, f.errors); len(errs) > 0 {
			l.refuse(m.Service, file, errs...)
		}
		l.warnings = append(l.warnings, f.warnings...)
	}()
	tree := choose(root, l.Environment, f)
	repo := repository(dir)
	env := l.environ(dir, repo, tree, f)
	vars := &expander{lookup: env.lookup, git: l.Git, dotted: true, unset: env.advice(), partial: env.partial,
		dollar: "write $$ if the dollar sign belongs to the value"}

	d := &decoder{findings: f, vars: vars}
	if n := tree.get("service"); n != nil && n.kind == scalar {
		vars.self, _ = d.text(n, "service") // first, because ${self.url} may come before it
	}
	d.object(tree, reflect.ValueOf(m).Elem(), "")
	l.overlays(root, f)

	c := &checker{findings: f, root: tree, m: m, target: cmp.Or(m.Target, targetAppRunner), dir: dir, repo: repo}
	c.check()
	doc := Document{root: tree, env: env, Shared: shared, Unsupported: survey(tree, "", c.target, f)}
	if n := tree.get("service"); n != nil && m.Service != "" {
		l.unique(m.Service, n.at, f)
	}
	if len(f.errors)+len(text) > 0 {
		return
	}
	doc.Spec = m.spec(file, dir, vars)
	doc.Spec.Image.VersionFrom = doc.Source("image.version")
	(&linter{checker: c, spec: doc.Spec, vars: vars, allowArgs: l.AllowSecretArgs}).lint()
	if len(f.errors) > 0 {
		return
	}
	l.keepOut(doc.Spec)
	l.set.Documents = append(l.set.Documents, doc)
}

func (l *loader) unique(service string, at pos, f *findings) {
	if first, ok := l.names[service]; ok {
		f.fail(at, "service", "give each service a name of its own", "the same service is declared at %s", first)
		if l.again == nil {
			l.again = map[string]*Error{}
		}
		l.again[service] = f.errors[len(f.errors)-1]
		return
	}
	if l.names == nil {
		l.names = map[string]pos{}
	}
	l.names[service] = at
}

// environ collects the variables of one manifest.
func (l *loader) environ(dir, repo string, tree *node, f *findings) *environ {
	e := newEnviron(l.LookupEnv)
	e.other, e.took = l.LookupOther, l.set.Variables
	if len(l.EnvFiles) > 0 {
		for _, file := range l.EnvFiles {
			if !l.add(e, file, f) {
				e.partial = true
				f.fail(pos{file: file}, "", "--env-file takes the path of an existing file", "there is no such file")
			}
		}
		return e
	}
	beside := func(dir, name string) string { return relative(filepath.Join(dir, name)) }
	if l.add(e, beside(dir, ".env"), f) {
		return e
	}
	examples := []string{dir}
	if n := tree.get("image").get("build").get("context"); n != nil && n.kind == scalar && !strings.Contains(n.text, "$") {
		if d := filepath.Join(dir, filepath.FromSlash(n.text)); d != dir && inside(repo, d) && !escapes(repo, d) {
			examples = append(examples, d)
		}
	}
	for _, d := range examples {
		file := beside(d, ".env.example")
		if !l.FallbackEnvFile {
			_, err := os.Lstat(file)
			e.example = e.example || err == nil
			continue
		}
		if l.add(e, file, f) {
			l.note("there is no .env, so variables come from " + filepath.ToSlash(file))
			break
		}
	}
	return e
}

func (l *loader) add(e *environ, file string, f *findings) bool {
	if !e.add(file, l.ReadFile, f) {
		return false
	}
	if abs, err := filepath.Abs(file); err == nil && !slices.Contains(l.set.EnvFiles, abs) {
		l.set.EnvFiles = append(l.set.EnvFiles, abs)
	}
	return true
}

// keepOut makes sure that the files of build secrets never get into an image.
func (l *loader) keepOut(s state.Spec) {
	if s.Image.Build == nil {
		return
	}
	for _, id := range sortedKeys(s.Image.Build.Secrets) {
		file := filepath.FromSlash(s.Image.Build.Secrets[id].File)
		if file == "" {
			continue
		}
		if !filepath.IsAbs(file) {
			file = filepath.Join(s.Dir, filepath.FromSlash(s.Image.Build.Context), file)
		}
		if !slices.Contains(l.set.EnvFiles, file) {
			l.set.EnvFiles = append(l.set.EnvFiles, file)
		}
	}
}

func (l *loader) note(text string) {
	if !slices.Contains(l.set.Notes, text) {
		l.set.Notes = append(l.set.Notes, text)
	}
}

// escapes reports whether the .env.example in dir is really outside of repo, by way of
// symbolic links: a manifest's word is not enough to read there.
func escapes(repo, dir string) bool {
	repo, err := filepath.EvalSymlinks(repo)
	if err != nil {
		return true
	}
	file, err := filepath.EvalSymlinks(filepath.Join(dir, ".env.example"))
	return err == nil && !inside(repo, file)
}

// relative shortens a path below the working directory, for messages.
func relative(path string) string {
	wd, err := os.Getwd()
	if err != nil {
		return path
	}
	if rel, err := filepath.Rel(wd, path); err == nil && filepath.IsLocal(rel) {
		return rel
	}
	return path
}

// repository is the nearest directory above dir with a .git, or dir.
func repository(dir string) string {
	for d := dir; ; d = filepath.Dir(d) {
		if _, err := os.Lstat(filepath.Join(d, ".git")); err == nil {
			return d
		}
		if d == filepath.Dir(d) {
			return dir
		}
	}
}

func sortedKeys[K cmp.Ordered, V any](m map[K]V) []K { return slices.Sorted(maps.Keys(m)) }
