package manifest

import (
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// EnvName is a variable of an env file, as far as a manifest is to be written for it.
type EnvName struct {
	Name    string
	Secret  bool // by its name, or by the form of its value
	Refused bool // a credential of whoever deploys, which no manifest may hand on
}

// EnvNames lists the variables of an env file in the order of the text, without their
// values. Its error is fs.ErrNotExist if there is no such file, else a *multierror.Error of
// [*Error]s, which quote no value.
func EnvNames(file string) ([]EnvName, error) {
	f := &findings{}
	e := newEnviron(func(string) (string, bool) { return "", false })
	if !e.add(file, os.ReadFile, f) {
		return nil, fs.ErrNotExist
	}
	var bad []*Error
	for _, err := range f.errors {
		if !strings.Contains(err.Msg, " is not set") { // by the time it counts it may be
			bad = append(bad, err)
		}
	}
	if len(bad) > 0 {
		return nil, (&findings{errors: bad}).err()
	}
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, (&findings{errors: []*Error{{File: filepath.ToSlash(file), Msg: "cannot be read"}}}).err()
	}
	var names []EnvName
	for _, s := range statements(string(text)) {
		if s.key == "" || slices.ContainsFunc(names, func(n EnvName) bool { return n.Name == s.key }) {
			continue
		}
		names = append(names, EnvName{Name: s.key, Secret: SecretLooking(s.key) || revealing(s.key, e.files[s.key]) != "", Refused: refused(s.key)})
	}
	return names, nil
}
