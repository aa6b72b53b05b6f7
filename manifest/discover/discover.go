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
	EnvFrom    string // the file whose names Env are, relative to the directory, slash-separated
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
	illegal = pattern.Lazy(`[^a-z0-9_-]+`)
	doubled = pattern.Lazy(`[_-]{2,}`)
	goMod   = pattern.Lazy(`(?m)^module\s+"?([^\s"]+)`)
	major   = pattern.Lazy(`/v[0-9]+$`)
	pyName  = pattern.Lazy(`(?m)^name\s*=\s*["']([^"']+)["']`)
)

// legal makes a service's name of a text, 4 to 40 letters, digits, hyphens and underscores,
// or "". The repository is named after the service, and ECR has neither capital letters nor
// hyphens beside underscores.
// https://docs.aws.amazon.com/apprunner/latest/api/API_CreateService.html
// https://docs.aws.amazon.com/AmazonECR/latest/APIReference/API_CreateRepository.html
func legal(text string) string {
	text = illegal().ReplaceAllString(strings.ToLower(path.Base(strings.TrimSuffix(text, "/"))), "-")
	text = strings.Trim(doubled().ReplaceAllString(text, "-"), "-_")
	text = strings.TrimRight(text[:min(len(text), 40)], "-_")
	if text != "" && len(text) < 4 {
		text += "-app"
	}
	return text
}

// name takes the service's name from the first that has one. package.json is first, since
// somebody chose the name in it; the last word of go.mod's path is but the repository's, as
// a rule; and pyproject.toml is often there for the tools of a project in another language.
func (f *Found) name(dir string) {
	packageName := func(text []byte) string {
		var pkg struct{ Name string }
		if json.Unmarshal(text, &pkg) != nil {
			return ""
		}
		return pkg.Name
	}
	first := func(of func() *regexp.Regexp) func([]byte) string {
		return func(text []byte) string {
			if m := of().FindSubmatch(text); m != nil {
				return string(m[1])
			}
			return ""
		}
	}
	for _, from := range []struct {
		file string
		name func(text []byte) string
	}{
		{"package.json", packageName},
		{"go.mod", func(text []byte) string { return major().ReplaceAllString(first(goMod)(text), "") }}, // /v2 is no name
		{"pyproject.toml", first(pyName)},
	} {
		text, err := os.ReadFile(filepath.Join(dir, from.file))
		if err != nil {
			continue
		}
		if f.Service, f.NameFrom = legal(from.name(text)), from.file; f.Service != "" {
			return
		}
	}
	if f.Service, f.NameFrom = legal(filepath.Base(dir)), "the directory's name"; f.Service == "" {
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

// variables reads the names of the env file: of the one beside the manifest, which commands
// read by themselves, or else of the one in the context.
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
