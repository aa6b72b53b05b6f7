package foreign

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strings"

	"github.com/hashicorp/go-multierror"

	"github.com/apron-deploy/apron/manifest"
)

// settle turns off, one after the other, the keys that the loader refuses, and tells why:
// sources hold what App Runner itself refuses, and what only its own tool can resolve.
func (s *service) settle() error {
	s.draft = quiet(s.draft)
	for range 1000 {
		refused := s.refusal()
		if refused == nil {
			return nil
		}
		path := locate(s.draft, refused.Line)
		if len(path) == 0 || path[0] == "version" {
			return fmt.Errorf("%s: the draft does not load, which is a bug in apron: %w", s.files, refused)
		}
		s.turnOff(path, refused)
	}
	return errors.New(s.files + ": the draft does not load, which is a bug in apron")
}

// refusal is the first thing that the loader has against the draft.
func (s *service) refusal() *manifest.Error {
	environments := []string{""}
	if all, ok := s.entry("environments").Value.(manifest.Draft); ok {
		for _, e := range all {
			environments = append(environments, e.Key)
		}
	}
	data := s.draft.Text()
	for _, env := range environments {
		_, err := manifest.Load(manifest.Options{
			Paths: []string{"deploy.yaml"}, Environment: env, AllowSecretArgs: true, LookupEnv: s.sample,
			Git: func(name string) (string, bool) { return "0000000", true },
			ReadFile: func(name string) ([]byte, error) {
				if name == "deploy.yaml" {
					return data, nil
				}
				return nil, fs.ErrNotExist
			},
		})
		var many *multierror.Error
		if errors.As(err, &many) {
			for _, e := range many.Errors {
				if bad, ok := errors.AsType[*manifest.Error](e); ok {
					return bad
				}
			}
		}
	}
	return nil
}

// sample is an environment in which each variable of the draft has a value that fits.
func (s *service) sample(name string) (string, bool) {
	for _, v := range s.variables {
		if v.Name == name {
			return v.Example, true
		}
	}
	return "", false
}

// locate is the path of the entry that a line of the draft's text belongs to.
func locate(d manifest.Draft, line int) []string {
	path, _ := locateFrom(d, line, 0)
	return path
}

func locateFrom(d manifest.Draft, line, at int) ([]string, int) {
	for _, e := range d {
		if at += len(e.Above); e.Key == "" {
			continue
		}
		if at++; at == line {
			return []string{e.Key}, at
		}
		if inner, ok := e.Value.(manifest.Draft); ok && !e.Inline && len(inner) > 0 {
			path, end := locateFrom(inner, line, at)
			if path != nil {
				return append([]string{e.Key}, path...), end
			}
			at = end
		}
	}
	return nil, at
}

// turnOff makes a comment of a key that the loader refuses. What might be a secret is
// taken out, and a service must have a name.
func (s *service) turnOff(path []string, why *manifest.Error) {
	key := strings.Join(path, "\x00")
	if n := s.from[key]; n != nil {
		s.remark(Look, n, "%s cannot be used as it is: %s", strings.Join(path, "."), why.Msg)
	} else {
		s.notes = add(s.notes, Note{Place{s.files, 1, 1}, strings.Join(path, "."), "cannot be used as it is: " + why.Msg, Look})
	}
	switch {
	case path[len(path)-1] == "service" && why.Path != "" && s.fixName(path, why):
	case path[0] == "secrets" && len(path) > 1:
		s.draft = remove(s.draft, path)
	default:
		s.draft = off(s.draft, path)
	}
}

// fixName changes a name that App Runner or ECR refuses.
func (s *service) fixName(path []string, why *manifest.Error) bool {
	if strings.Contains(why.Msg, "names the repository too") {
		s.draft = insert(s.draft, manifest.Entry{Value: "app"}, append(path[:len(path)-1:len(path)-1], "image", "repository"))
		if name, ok := s.entry(path...).Value.(string); ok {
			repository := strings.Trim(nameText().ReplaceAllString(strings.ToLower(strings.ReplaceAll(name, "$", "")), "-"), "-_")
			if len(repository) > 1 {
				s.draft = insert(s.draft, manifest.Entry{Value: repository}, append(path[:len(path)-1:len(path)-1], "image", "repository"))
			}
		}
		return true
	}
	name, _ := s.entry(path...).Value.(string)
	fixed := strings.Trim(nameText().ReplaceAllString(name, "-"), "-_")
	fixed = fixed[:min(40, len(fixed))]
	for fixed != "" && len(fixed) < 4 {
		fixed += "-app"
	}
	if fixed == name || fixed == "" {
		fixed = "service"
	}
	s.draft = insert(s.draft, manifest.Entry{Value: fixed}, path)
	return true
}

// distinct gives a service another name if one before it has its own: the same service may
// be deployed in several ways, and a manifest says one of them.
func (s *service) distinct(taken map[string]bool) {
	own, _ := s.entry("service").Value.(string)
	name, n := own, s.from["service"]
	for i := 2; taken[s.expanded(name)]; i++ {
		suffix := fmt.Sprintf("-%d", i)
		name = own[:min(len(own), 40-len(suffix))] + suffix
		if strings.Contains(own, "$") {
			name = own + suffix
		}
	}
	taken[s.expanded(name)] = true
	if name == own {
		return
	}
	s.draft = insert(s.draft, manifest.Entry{Value: name}, []string{"service"})
	if n != nil {
		s.remark(Look, n, "another service before it has the same name: it is %s here", name)
	}
}

// expanded is a text with the examples of its variables.
func (s *service) expanded(text string) string {
	return os.Expand(text, func(name string) string {
		v, _ := s.sample(name)
		return v
	})
}

func off(d manifest.Draft, path []string) manifest.Draft { return change(d, path, false) }

func remove(d manifest.Draft, path []string) manifest.Draft { return change(d, path, true) }

// change turns an entry off, or takes it out, and with it what has nothing else in it.
func change(d manifest.Draft, path []string, out bool) manifest.Draft {
	var kept manifest.Draft
	for _, e := range d {
		if e.Key != path[0] || e.Off {
			kept = append(kept, e)
			continue
		}
		inner, nested := e.Value.(manifest.Draft)
		switch {
		case len(path) > 1 && nested:
			if inner = change(inner, path[1:], out); len(inner) == 0 {
				continue
			}
			e.Value = inner
		case out:
			continue
		default:
			e.Off = true
		}
		kept = append(kept, e)
	}
	return quiet(kept)
}

// quiet makes a comment of each mapping in which all is comments.
func quiet(d manifest.Draft) manifest.Draft {
	var out manifest.Draft
	for _, e := range d {
		if inner, ok := e.Value.(manifest.Draft); ok && !e.Off && len(inner) > 0 {
			inner = quiet(inner)
			e.Value = inner
			if !slices.ContainsFunc(inner, func(e manifest.Entry) bool { return !e.Off }) {
				e.Value, e.Off = loud(inner), true
			}
		}
		out = append(out, e)
	}
	return out
}

// loud is a draft without comments of its own, to be one as a whole.
func loud(d manifest.Draft) manifest.Draft {
	var out manifest.Draft
	for _, e := range d {
		e.Off = false
		out = append(out, e)
	}
	return out
}
