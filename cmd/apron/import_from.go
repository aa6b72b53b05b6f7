package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/apron-deploy/apron/manifest"
	"github.com/apron-deploy/apron/manifest/foreign"
	"github.com/apron-deploy/apron/reconcile/render"
)

// fromSource is the result of import --from.
type fromSource struct {
	FormatVersion string            `json:"format_version"`
	File          string            `json:"file"`
	Format        string            `json:"format"`
	Services      []importedService `json:"services"`
}

type importedService struct {
	Name      string             `json:"name"`
	Variables []importedVariable `json:"variables"`
	Notes     []importedNote     `json:"notes"`
}

type importedVariable struct {
	Name   string `json:"name"`
	For    string `json:"for"`
	Secret bool   `json:"secret"`
}

type importedNote struct {
	File   string        `json:"file"`
	Line   int           `json:"line"`
	Column int           `json:"column"`
	Key    string        `json:"key"`
	Class  foreign.Class `json:"class"`
	Text   string        `json:"text"`
}

// importFrom drafts a manifest from what another tool has about a service. It calls
// nothing.
func (a *app) importFrom(o importFlags) error {
	file, err := a.newManifest(o.out)
	if err != nil {
		return err
	}
	files, err := sourceFiles(o.from)
	if err != nil {
		return err
	}
	result, err := foreign.Read(files)
	if err != nil {
		return err
	}
	if err := createFile(file, result.Text(), 0o644); err != nil {
		return err
	}
	return a.imported(result, filepath.ToSlash(file))
}

// sourceFiles reads a source: a file, or those of a Terraform module that a directory has.
func sourceFiles(source string) ([]foreign.File, error) {
	bad := func(err error) error {
		return &manifest.Error{File: filepath.ToSlash(source), Msg: "cannot be read: " + err.Error(), Fix: "apron reads " + strings.Join(foreign.Known, "; ")}
	}
	info, err := os.Stat(source)
	if err != nil {
		return nil, bad(errors.Unwrap(err))
	}
	names := []string{source}
	if info.IsDir() {
		if names, err = moduleFiles(source); err != nil {
			return nil, bad(err)
		}
		if len(names) == 0 {
			return nil, bad(errors.New("the directory has no *.tf in it"))
		}
	}
	var files []foreign.File
	for _, name := range names {
		if info, err := os.Stat(name); err == nil && info.Size() > maxSource {
			return nil, &manifest.Error{File: filepath.ToSlash(name), Msg: "is larger than any such file is"}
		}
		data, err := os.ReadFile(name)
		if err != nil {
			return nil, bad(err)
		}
		files = append(files, foreign.File{Name: filepath.ToSlash(name), Data: data})
	}
	return files, nil
}

const maxSource = 4 << 20

// moduleFiles are those that Terraform reads in a directory, as far as apron does.
// https://developer.hashicorp.com/terraform/language/values/variables#variable-definition-precedence
func moduleFiles(dir string) ([]string, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	var blocks, values []string
	for _, e := range entries {
		path := filepath.Join(dir, e.Name())
		switch name := e.Name(); {
		case e.IsDir():
		case strings.HasSuffix(name, ".tf") || strings.HasSuffix(name, ".tofu"):
			blocks = append(blocks, path)
		case name == "terraform.tfvars":
			values = slices.Insert(values, 0, path) // *.auto.tfvars win
		case strings.HasSuffix(name, ".auto.tfvars"):
			values = append(values, path)
		}
	}
	if len(blocks) == 0 {
		return nil, nil
	}
	return append(blocks, values...), nil
}

// imported says what was written, and what a reader of it should know.
func (a *app) imported(r *foreign.Result, file string) error {
	v := fromSource{FormatVersion: render.FormatVersion, File: file, Format: r.Format}
	for _, s := range r.Services {
		one := importedService{Name: s.Name, Variables: []importedVariable{}, Notes: []importedNote{}}
		for _, x := range s.Variables {
			one.Variables = append(one.Variables, importedVariable{x.Name, x.For, x.Secret})
		}
		rest := 0
		for _, n := range s.Notes {
			one.Notes = append(one.Notes, importedNote{n.Place.File, n.Place.Line, n.Place.Column, n.Key, n.Class, n.Text})
			if n.Class == foreign.Look {
				a.say("apron: note: %s", n)
			} else {
				rest++
			}
		}
		if rest > 0 {
			a.say("apron: %s: %d more notes are in %s, about what is said in another way or is no part of the service", s.Name, rest, file)
		}
		v.Services = append(v.Services, one)
	}
	a.say("Look %s over, then: apron validate -f %s. apron plan shows what is different from what is live; apron apply --adopt takes a live service over.", file, file)
	if render.Format(a.format) == render.JSON {
		return a.encode(v)
	}
	var names []string
	for _, s := range v.Services {
		names = append(names, s.Name)
	}
	_, err := fmt.Fprintf(a.out, "%s is written from %s: %s\n", file, r.Format, strings.Join(names, ", "))
	return err
}
