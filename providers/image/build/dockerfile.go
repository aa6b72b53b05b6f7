package build

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/moby/buildkit/frontend/dockerfile/instructions"
	"github.com/moby/buildkit/frontend/dockerfile/parser"
	"github.com/moby/buildkit/frontend/dockerfile/shell"

	"github.com/apron-deploy/apron/reconcile/state"
)

// dockerfile is a parsed Dockerfile with the arguments of one build.
type dockerfile struct {
	name   string // for messages
	escape rune
	stages []instructions.Stage
	args   map[string]string // of the build
	global map[string]string // predefined, and declared before the first FROM
	target int
	os     v1.Platform
}

// ParseError says where a Dockerfile cannot be understood.
type ParseError struct {
	File string
	Line int
	Err  error
}

var _ error = (*ParseError)(nil)

func (e *ParseError) Error() string {
	if e.Line == 0 {
		return fmt.Sprintf("%s: %v", e.File, e.Err)
	}
	return fmt.Sprintf("%s:%d: %v", e.File, e.Line, e.Err)
}

func (e *ParseError) Unwrap() error { return e.Err }

// UnsupportedError says which instruction the built-in builder cannot carry out.
type UnsupportedError struct {
	File string
	Line int
	What string // "RUN", "ADD of a URL"
}

var _ error = (*UnsupportedError)(nil)

func (e *UnsupportedError) Error() string {
	return fmt.Sprintf("%s:%d: %s needs docker, podman or buildah; the built-in builder executes and fetches nothing", e.File, e.Line, e.What)
}

// Hint says how to get past it.
func (e *UnsupportedError) Hint() string {
	return "install and start docker (or podman, buildah), or move the step into image.build.before"
}

// Validate finds what no builder could carry out: a Dockerfile that is none. Its errors are
// of type [*ParseError]. What a "# syntax=" line gives into other hands is not looked at.
func Validate(name string, text []byte, b state.Build) error {
	if _, _, _, elsewhere := parser.DetectSyntax(text); elsewhere {
		return nil
	}
	_, err := parse(name, text, b)
	var wrong *ParseError
	if errors.As(err, &wrong) {
		return wrong
	}
	return nil // what is left depends on the builder
}

// parse reads a Dockerfile and the build's arguments.
func parse(name string, text []byte, b state.Build) (*dockerfile, error) {
	d := &dockerfile{name: name, args: b.Args, global: map[string]string{}}
	os, err := v1.ParsePlatform(cmp.Or(b.Platform, "linux/amd64"))
	if err != nil {
		return nil, fmt.Errorf("image.build.platform: %w", err)
	}
	d.os = *os
	ast, err := parser.Parse(bytes.NewReader(text))
	if err != nil {
		return nil, d.located(err)
	}
	d.escape = ast.EscapeToken
	var metas []instructions.ArgCommand
	if d.stages, metas, err = instructions.Parse(ast.AST, nil); err != nil {
		return nil, d.located(err)
	}
	if len(d.stages) == 0 {
		return nil, &ParseError{File: name, Err: errors.New("there is no FROM instruction")}
	}
	d.target = len(d.stages) - 1
	if b.Target != "" {
		if d.target, err = d.stage(b.Target); err != nil {
			return nil, err
		}
	}
	d.predefine(cmp.Or(b.Target, d.stages[d.target].Name, "default"))
	for _, meta := range metas {
		for _, arg := range meta.Args {
			if err := d.declare(arg); err != nil {
				return nil, &ParseError{File: name, Line: line(meta.Location()), Err: err}
			}
		}
	}
	return d, d.expandBases()
}

// predefine sets the arguments that every build has. Nothing is executed, so that the
// platform of the build is that of its result: the machine it runs on has no influence.
func (d *dockerfile) predefine(target string) {
	full := d.os.OS + "/" + d.os.Architecture
	if d.os.Variant != "" {
		full += "/" + d.os.Variant
	}
	for _, side := range []string{"BUILD", "TARGET"} {
		d.global[side+"PLATFORM"] = full
		d.global[side+"OS"] = d.os.OS
		d.global[side+"ARCH"] = d.os.Architecture
		d.global[side+"VARIANT"] = d.os.Variant
	}
	d.global["TARGETSTAGE"] = target
	for k := range d.global {
		if v, ok := d.args[k]; ok {
			d.global[k] = v
		}
	}
}

// declare is an ARG before the first FROM.
func (d *dockerfile) declare(arg instructions.KeyValuePairOptional) error {
	if v, ok := d.args[arg.Key]; ok {
		d.global[arg.Key] = v
		return nil
	}
	if arg.Value == nil {
		return nil
	}
	v, err := d.expand(*arg.Value, d.global)
	if err != nil {
		return err
	}
	d.global[arg.Key] = v
	return nil
}

func (d *dockerfile) expandBases() error {
	for i := range d.stages {
		s := &d.stages[i]
		base, err := d.expand(s.BaseName, d.global)
		if err == nil && base == "" {
			err = fmt.Errorf("FROM %s names nothing; is a build argument missing?", s.BaseName)
		}
		if err == nil {
			s.BaseName = base
			s.Platform, err = d.expand(s.Platform, d.global)
		}
		if err != nil {
			return &ParseError{File: d.name, Line: line(s.Location), Err: err}
		}
	}
	return nil
}

// expand replaces variables in a word.
func (d *dockerfile) expand(word string, vars map[string]string) (string, error) {
	lex := shell.NewLex(d.escape)
	out, _, err := lex.ProcessWord(word, environ(vars))
	return out, err
}

// environ presents variables to BuildKit.
func environ(vars map[string]string) shell.EnvGetter {
	list := make([]string, 0, len(vars))
	for _, k := range slices.Sorted(maps.Keys(vars)) {
		list = append(list, k+"="+vars[k])
	}
	return shell.EnvsFromSlice(list)
}

// stage finds a stage by its name or number.
func (d *dockerfile) stage(name string) (int, error) {
	if i, ok := d.find(name, len(d.stages)); ok {
		return i, nil
	}
	var names []string
	for _, s := range d.stages {
		if s.Name != "" {
			names = append(names, s.Name)
		}
	}
	return 0, fmt.Errorf("image.build.target: %s has no stage %q, only %q", d.name, name, names)
}

// find looks among the first n stages.
func (d *dockerfile) find(name string, n int) (int, bool) {
	for i := n - 1; i >= 0; i-- {
		if d.stages[i].Name != "" && strings.EqualFold(d.stages[i].Name, name) {
			return i, true
		}
	}
	if i, err := strconv.Atoi(name); err == nil && i >= 0 && i < n {
		return i, true
	}
	return 0, false
}

// base returns the stage that stage i starts from, or -1 for an image or scratch.
func (d *dockerfile) base(i int) int {
	for j := i - 1; j >= 0; j-- {
		if d.stages[j].Name != "" && strings.EqualFold(d.stages[j].Name, d.stages[i].BaseName) {
			return j
		}
	}
	return -1
}

// needed returns the stages that the target is made of, in order.
func (d *dockerfile) needed() []int {
	use := map[int]bool{}
	var visit func(int)
	visit = func(i int) {
		if use[i] {
			return
		}
		use[i] = true
		if j := d.base(i); j >= 0 {
			visit(j)
		}
		for _, cmd := range d.stages[i].Commands {
			for _, from := range readFrom(cmd) {
				if j, ok := d.find(from, i); ok {
					visit(j)
				}
			}
		}
	}
	visit(d.target)
	return slices.Sorted(maps.Keys(use))
}

// readFrom names the stages and images that an instruction reads.
func readFrom(cmd instructions.Command) (names []string) {
	switch c := cmd.(type) {
	case *instructions.CopyCommand:
		if c.From != "" {
			names = append(names, c.From)
		}
	case *instructions.RunCommand:
		for _, m := range instructions.GetMounts(c) {
			if m.From != "" {
				names = append(names, m.From)
			}
		}
	}
	return names
}

// early returns an error if an instruction of stage i reads a stage that is not there yet, or
// a number that is no stage's: a registry must not be asked for an image of that name. Mounts
// take no numbers.
// https://github.com/moby/buildkit/blob/v0.34.2/frontend/dockerfile/dockerfile2llb/convert.go
func (d *dockerfile) early(i int, cmd instructions.Command) error {
	_, copies := cmd.(*instructions.CopyCommand)
	verb := map[bool]string{true: "copy", false: "mount"}[copies]
	for _, from := range readFrom(cmd) {
		_, err := strconv.Atoi(from)
		_, there := d.find(from, i)
		_, stage := d.find(from, len(d.stages))
		if number := err == nil; there || number && !copies || !number && !stage {
			continue
		}
		why := fmt.Sprintf("it needs to be defined before the current stage %d", i)
		switch {
		case !stage:
			why = fmt.Sprintf("the last one is %d", len(d.stages)-1)
		case d.stages[i].Name != "":
			why = fmt.Sprintf("it needs to be defined before the current stage %q", d.stages[i].Name)
		}
		return &ParseError{File: d.name, Line: line(cmd.Location()), Err: fmt.Errorf("%s: cannot %s from stage %q, %s", strings.ToUpper(cmd.Name()), verb, from, why)}
	}
	return nil
}

// unsupported returns an *[UnsupportedError] for the first needed instruction that only an
// engine can carry out, an *[ParseError] for one that none can, or nil.
func (d *dockerfile) unsupported() error {
	for _, i := range d.needed() {
		for _, cmd := range d.stages[i].Commands {
			what := ""
			switch c := cmd.(type) {
			case *instructions.RunCommand:
				what = "RUN"
			case *instructions.OnbuildCommand:
				what = "ONBUILD"
			case *instructions.CopyCommand:
				switch {
				case c.Parents:
					what = "COPY --parents"
				case len(c.ExcludePatterns) > 0:
					what = "COPY --exclude"
				}
			case *instructions.AddCommand:
				switch {
				case slices.ContainsFunc(c.SourcePaths, remoteSource):
					what = addRemote
				case len(c.ExcludePatterns) > 0:
					what = "ADD --exclude"
				}
			}
			if what != "" {
				return &UnsupportedError{File: d.name, Line: line(cmd.Location()), What: what}
			}
			if err := d.early(i, cmd); err != nil {
				return err
			}
		}
	}
	return nil
}

// addRemote is what an [UnsupportedError] calls ADD of something that is elsewhere.
const addRemote = "ADD of a URL or a git repository"

func remoteSource(src string) bool {
	return strings.Contains(src, "://") || strings.HasPrefix(src, "git@")
}

func (d *dockerfile) located(err error) error {
	e := &ParseError{File: d.name, Err: err}
	if l, ok := errors.AsType[*parser.LocationError](err); ok && len(l.Locations) > 0 {
		e.Line = line(l.Locations[0])
	} else if at, text, ok := strings.Cut(err.Error(), ": "); ok {
		if _, err := fmt.Sscanf(at, "dockerfile parse error on line %d", &e.Line); err == nil {
			e.Err = errors.New(text)
		}
	}
	return e
}

func line(r []parser.Range) int {
	if len(r) == 0 {
		return 0
	}
	return r[0].Start.Line
}

// Bases lists the images that the build b of a Dockerfile starts from, copies from or
// mounts, sorted. One that a "# syntax=" line gives into other hands may be one that cannot
// be parsed.
func Bases(name string, text []byte, b state.Build) ([]string, error) {
	d, err := parse(name, text, b)
	if err != nil {
		return nil, err
	}
	var refs []string
	for _, i := range d.needed() {
		if base := d.stages[i].BaseName; d.base(i) < 0 && base != "scratch" {
			refs = append(refs, base)
		}
		for _, cmd := range d.stages[i].Commands {
			if err := d.early(i, cmd); err != nil {
				return nil, err
			}
			for _, from := range readFrom(cmd) {
				if _, ok := d.find(from, i); !ok && from != "scratch" {
					refs = append(refs, from)
				}
			}
		}
	}
	slices.Sort(refs)
	return slices.Compact(refs), nil
}
