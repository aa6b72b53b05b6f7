package manifest

import (
	"path/filepath"

	"github.com/apron-deploy/apron/reconcile/state"
)

// Held is the value that one place gives a variable. The zero File is that of the
// process's environment.
type Held struct {
	Value state.Sensitive
	File  string // an env file, as named to people
	Line  int    // 1-based; of the last one that gives it
}

// Held lists what gives a variable a value, the one that counts first. What is empty is
// as good as not set, and left out.
func (d *Document) Held(name string) []Held {
	if d.env == nil { // it is of a release, and of no manifest
		return nil
	}
	var all []Held
	if v, ok := d.env.process(name); ok {
		all = append(all, Held{Value: state.Sensitive(clean(v))})
	}
	if v, ok := d.env.files[name]; ok {
		at := d.env.at[name]
		all = append(all, Held{Value: state.Sensitive(clean(v)), File: at.file, Line: at.line})
	}
	kept := all[:0]
	for _, h := range all {
		if h.Value != "" {
			kept = append(kept, h)
		}
	}
	return kept
}

// ReadEnvFile reads what an env file gives variables, by name, the empty ones too. What
// their values refer to is looked up in the file, and else by lookup. The error has every
// mistake with its place, as that of [Load].
func ReadEnvFile(file string, lookup func(string) (string, bool), read func(string) ([]byte, error)) (map[string]Held, error) {
	f := &findings{}
	e := newEnviron(nil)
	e.process = func(name string) (string, bool) {
		if v, ok := e.files[name]; ok {
			return v, true
		}
		return lookup(name)
	}
	if !e.add(file, read, f) {
		f.fail(pos{file: filepath.ToSlash(file)}, "", "name an existing file with lines KEY=value", "there is no such file")
	}
	all := map[string]Held{}
	for name, v := range e.files {
		all[name] = Held{Value: state.Sensitive(clean(v)), File: e.at[name].file, Line: e.at[name].line}
	}
	return all, f.err()
}
