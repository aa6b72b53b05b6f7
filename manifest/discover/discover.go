package discover

import (
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/apron-deploy/apron/manifest"
	"github.com/apron-deploy/apron/reconcile/pattern"
)

// Found is what a directory tells. What is empty was not found.
type Found struct {
	Service    string // a legal name, from a package file or the directory
	NameFrom   string // what it is from
	Context    string // of the build, relative to the directory, slash-separated
	Dockerfile string // relative to the context; empty if there is none
	Others     []string
	Port       int
	PortFrom   string // "EXPOSE"
	Health     string // path of an HTTP health check
	HealthFrom string
	Args       []string // build arguments without a default
	Env        []manifest.EnvName
	EnvFrom    string // the file whose names Env are
	Warnings   []string
}

// Look looks at a directory, and below it two levels deep for Dockerfiles.
func Look(dir string) (Found, error) {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return Found{}, err
	}
	f := Found{Context: "."}
	f.name(dir)
	files, err := dockerfiles(dir)
	if err != nil {
		return f, err
	}
	if len(files) > 0 {
		f.Context, f.Dockerfile, f.Others = path.Dir(files[0]), path.Base(files[0]), files[1:]
		text, err := os.ReadFile(filepath.Join(dir, filepath.FromSlash(files[0])))
		if err != nil {
			return f, err
		}
		r, err := readDockerfile(files[0], text)
		if err != nil {
			f.Warnings = append(f.Warnings, err.Error())
		}
		f.Port, f.PortFrom, f.Args = r.port, r.portFrom, r.args
		if f.Health = r.health; f.Health != "" {
			f.HealthFrom = "HEALTHCHECK"
		}
	}
	if f.Health == "" {
		f.Health, f.HealthFrom = route(filepath.Join(dir, filepath.FromSlash(f.Context)))
	}
	return f, f.variables(dir)
}

// dockerfiles lists those of the directory and of two levels below, the nearest first.
func dockerfiles(dir string) ([]string, error) {
	var found []string
	err := filepath.WalkDir(dir, func(p string, e fs.DirEntry, err error) error {
		if err != nil {
			return nil // what cannot be read is not there
		}
		rel, err := filepath.Rel(dir, p)
		if err != nil {
			return err
		}
		rel = filepath.ToSlash(rel)
		if e.IsDir() {
			name := e.Name()
			if rel != "." && (strings.HasPrefix(name, ".") || skipped[name] || strings.Count(rel, "/") > 1) {
				return filepath.SkipDir
			}
			return nil
		}
		if base := e.Name(); base == "Dockerfile" || base == "Containerfile" {
			found = append(found, rel)
		}
		return nil
	})
	slices.SortFunc(found, func(a, b string) int {
		if d := strings.Count(a, "/") - strings.Count(b, "/"); d != 0 {
			return d
		}
		return strings.Compare(a, b)
	})
	return found, err
}

var skipped = map[string]bool{"node_modules": true, "vendor": true, "testdata": true, "dist": true, "build": true, "target": true, "venv": true, "__pycache__": true}

var (
	illegal = pattern.Lazy(`[^A-Za-z0-9_-]+`)
	goMod   = pattern.Lazy(`(?m)^module\s+(\S+)`)
	pyName  = pattern.Lazy(`(?m)^name\s*=\s*["']([^"']+)["']`)
)

// name makes a service's name, 4 to 40 letters, digits, hyphens and underscores.
// https://docs.aws.amazon.com/apprunner/latest/api/API_CreateService.html
func (f *Found) name(dir string) {
	try := func(from, name string) bool {
		name = strings.Trim(illegal().ReplaceAllString(path.Base(strings.TrimSuffix(name, "/")), "-"), "-_")
		if name = strings.TrimRight(name[:min(len(name), 40)], "-_"); name == "" {
			return false
		}
		if len(name) < 4 {
			name += "-app"
		}
		f.Service, f.NameFrom = name, from
		return true
	}
	var pkg struct{ Name string }
	if b, err := os.ReadFile(filepath.Join(dir, "package.json")); err == nil && json.Unmarshal(b, &pkg) == nil && try("package.json", pkg.Name) {
		return
	}
	for file, name := range map[string]func() *regexp.Regexp{"go.mod": goMod, "pyproject.toml": pyName} {
		b, err := os.ReadFile(filepath.Join(dir, file))
		if m := name().FindSubmatch(b); err == nil && m != nil && try(file, string(m[1])) {
			return
		}
	}
	if !try("the directory's name", filepath.Base(dir)) {
		f.Service, f.NameFrom = "web-app", "nothing better"
	}
}

var (
	sources     = map[string]bool{".go": true, ".py": true, ".js": true, ".ts": true, ".mjs": true, ".rb": true, ".rs": true, ".java": true, ".kt": true, ".php": true, ".cs": true}
	healthRoute = pattern.Lazy("[\"'` ](/(?:api/)?(?:healthz?|health-?check|readyz?|livez|ping|status))[\"'`]")
)

// route looks for the path of a health check in the sources beside the Dockerfile and one
// level below.
func route(dir string) (at, from string) {
	_ = filepath.WalkDir(dir, func(p string, e fs.DirEntry, err error) error {
		if err != nil || at != "" {
			return nil
		}
		rel, err := filepath.Rel(dir, p)
		if err != nil {
			return err
		}
		if e.IsDir() {
			if rel != "." && (strings.HasPrefix(e.Name(), ".") || skipped[e.Name()] || strings.Count(filepath.ToSlash(rel), "/") > 1) {
				return filepath.SkipDir
			}
			return nil
		}
		info, err := e.Info()
		if !sources[filepath.Ext(p)] || err != nil || info.Size() > 1<<20 || strings.Contains(e.Name(), "test") {
			return nil
		}
		text, err := os.ReadFile(p)
		if m := healthRoute().FindSubmatch(text); err == nil && m != nil {
			at, from = string(m[1]), filepath.ToSlash(rel)
		}
		return nil
	})
	return at, from
}

// variables reads the names of the env file.
func (f *Found) variables(dir string) error {
	for _, file := range []string{".env", ".env.example", path.Join(f.Context, ".env"), path.Join(f.Context, ".env.example")} {
		names, err := manifest.EnvNames(filepath.Join(dir, filepath.FromSlash(file)))
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return err
		}
		f.EnvFrom = path.Clean(file)
		for _, n := range names {
			switch {
			case n.Name == "PORT": // App Runner sets it
			case slices.Contains(f.Args, n.Name):
			case n.Refused:
				f.Warnings = append(f.Warnings, f.EnvFrom+": "+n.Name+" is left out: the application gets credentials of its own, and permissions says what it may do")
			default:
				f.Env = append(f.Env, n)
			}
		}
		return nil
	}
	return nil
}
