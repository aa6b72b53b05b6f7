package manifest

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"unicode/utf8"

	"github.com/compose-spec/compose-go/v2/dotenv"
)

// environ is what variables are looked up in: the process's environment, then the env
// files, the last one first.
type environ struct {
	process func(string) (string, bool)
	other   func(string) (string, bool) // what has the rest; nil for nothing
	files   map[string]string
	at      map[string]pos    // of what files holds
	took    map[string]string // the name by which a value was found
	read    []string          // env files, as named to people
	partial bool              // something of the env files could not be read, and that has been told
	example bool              // there is only an .env.example
}

// newEnviron looks variables up with process until files are added.
func newEnviron(process func(string) (string, bool)) *environ {
	return &environ{process: process, files: map[string]string{}, at: map[string]pos{}, took: map[string]string{}}
}

// clean is a value without the carriage returns of files edited on Windows.
func clean(v string) string {
	return strings.TrimRight(strings.ReplaceAll(strings.ReplaceAll(v, "\x00", ""), "\r\n", "\n"), "\r")
}

// lookup returns a value, cleaned.
func (e *environ) lookup(name string) (string, bool) {
	v, ok := e.process(name)
	if !ok {
		v, ok = e.files[name]
	}
	if !ok && e.other != nil {
		v, ok = e.other(name)
	}
	v = clean(v)
	if first, twice := e.took[v]; ok && (!twice || name < first) {
		e.took[v] = name
	}
	return v, ok
}

// add reads one env file. It reports whether the file exists.
func (e *environ) add(file string, read func(string) ([]byte, error), f *findings) bool {
	data, err := read(file)
	if info, failed := os.Stat(file); errors.Is(err, fs.ErrNotExist) || err != nil && failed == nil && info.IsDir() {
		return false // Python people have directories of that name
	}
	e.read = append(e.read, file)
	if err != nil {
		e.partial = true
		f.fail(pos{file: file}, "", "", "cannot be read")
		return true
	}
	e.parse(filepath.ToSlash(file), string(data), f)
	return true
}

// parse adds the file's variables. compose-go's dotenv reads each statement, with its
// dollar signs hidden: its own expansion takes an unset variable for an empty one, and
// its errors quote values.
func (e *environ) parse(file, text string, f *findings) {
	if !utf8.ValidString(text) || strings.Contains(text, "\x00") {
		e.partial = true
		f.fail(pos{file: file}, "", "save the file as UTF-8", "is not UTF-8 text")
		return
	}
	x := &expander{
		lookup: e.lookup,
		unset:  "define it above or in the environment; if the dollar sign belongs to the value, put the value in single quotes",
		dollar: "if the dollar sign belongs to the value, put the value in single quotes",
	}
	for _, s := range statements(text) {
		at := pos{file, s.line, 1}
		if s.open {
			e.partial = true
			f.fail(at, s.key, "add the closing quote", "a quote is never closed")
			continue
		}
		hidden := strings.ReplaceAll(s.text, "$", "\x00")
		if s.quote == '"' {
			hidden = strings.ReplaceAll(hidden, "\\\x00", "\x00\x00") // \$ is a dollar sign
		}
		got, err := dotenv.UnmarshalBytesWithLookup([]byte(hidden+"\n"), nil)
		if err != nil {
			e.partial = true
			f.fail(at, "", "write KEY=value, KEY=\"value\" or KEY='value'", "is not a variable and its value")
			continue
		}
		for _, key := range sortedKeys(got) {
			value := strings.ReplaceAll(got[key], "\x00", "$")
			if s.quote != '\'' {
				var faults []fault
				var out expansion
				if out, faults = x.expand(value); len(faults) == 0 {
					value = out.plain()
				}
				for _, t := range faults {
					f.fail(at, key, t.fix, "%s", t.msg)
				}
			}
			e.files[key], e.at[key] = value, at
		}
	}
}

// statement is one assignment in an env file, which a quoted value may spread over lines.
type statement struct {
	line  int
	key   string
	text  string
	quote byte // of the value, 0 for none
	open  bool // the quote is never closed
}

// bom is what editors on Windows may put in front of a text.
const bom = "\uFEFF"

func statements(text string) []statement {
	var all []statement
	lines := strings.Split(strings.ReplaceAll(strings.TrimPrefix(text, bom), "\r\n", "\n"), "\n")
	for i := 0; i < len(lines); i++ {
		line := strings.TrimSpace(lines[i])
		if line == "" || line[0] == '#' {
			continue
		}
		s := statement{line: i + 1, text: lines[i]}
		eq := strings.IndexAny(line, "=:")
		if eq < 0 && envName().MatchString(strings.TrimSpace(strings.TrimPrefix(line, "export "))) {
			continue // a name alone: taken from the environment, where we look anyway
		}
		if eq < 0 {
			all = append(all, s)
			continue
		}
		s.key = strings.TrimSpace(strings.TrimPrefix(line[:eq], "export "))
		if !envName().MatchString(s.key) {
			s.key = ""
		}
		if value := strings.TrimSpace(line[eq+1:]); value != "" && (value[0] == '"' || value[0] == '\'') {
			s.quote = value[0]
			start := strings.IndexByte(lines[i], s.quote) + 1
			for !closed(s.text[start:], s.quote) {
				if i++; i == len(lines) {
					s.open = true
					break
				}
				s.text += "\n" + lines[i]
			}
		}
		all = append(all, s)
	}
	return all
}

// closed reports whether the quote ends within text.
func closed(text string, quote byte) bool {
	for i := 0; i < len(text); i++ {
		switch text[i] {
		case '\\':
			i++
		case quote:
			return true
		}
	}
	return false
}

// advice is the hint for a variable without a value.
func (e *environ) advice() string {
	switch {
	case len(e.read) > 0:
		return "set it in the environment or in " + strings.Join(e.read, ", ") + ", or give it a default: ${NAME:-default}"
	case e.example:
		return "set it in the environment, or start with a copy of .env.example named .env, or give it a default: ${NAME:-default}"
	}
	return "set it in the environment or in a file .env beside the manifest, or give it a default: ${NAME:-default}"
}
