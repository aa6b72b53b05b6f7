package foreign

import (
	"path"
	"strings"

	"github.com/apron-deploy/apron/reconcile/pattern"
)

// built reads how an image is built: the inputs of docker/build-push-action, or the words
// of a docker build.
func (s *service) built(b *imageBuild) {
	here, body := b.st, b.st.body
	if run := body.get("run"); run != nil {
		s.dockerRun(b, run)
		return
	}
	with := here.resolved(body.get("with"))
	dir, file := ".", ""
	if v, ok := with.get("context").static(); ok {
		dir = path.Clean(strings.TrimSpace(v))
		with.get("context").mark()
	}
	if v, ok := with.get("file").static(); ok {
		file = path.Clean(strings.TrimSpace(v))
		with.get("file").mark()
	}
	if file == "" {
		file = path.Join(dir, "Dockerfile")
	}
	s.dockerfile(body, dir, file)
	s.set(with.get("target"), "image", "build", "target")
	if p := with.get("platforms"); p.is("linux/amd64") {
		s.set(p, "image", "build", "platform")
	}
	if args := with.get("build-args"); args != nil {
		for _, line := range lines(args) {
			name, value, _ := cutText(line, "=")
			s.buildArgument(name, &node{kind: scalar, at: args.at, path: args.path + "." + name, text: value})
		}
		args.mark()
	}
	s.other(with.get("push"), "apron pushes what it builds")
	s.other(with.get("tags"), "apron names what it builds; image.version and image.tags are names beside that")
	s.look(with.get("cache-from"), "image.build.cache.from is for the same")
	s.look(with.get("cache-to"), "image.build.cache.to is for the same")
	s.look(with.get("provenance"), "App Runner runs plain images, and apron builds such")
	s.leftovers(with)
	body.get("with").mark()
	s.other(body.get("uses"), "apron builds by itself")
	s.tell(Remain, body, "is of the workflow alone")
}

var changesDirectory = pattern.Lazy(`(?m)(^|[;&(])\s*(cd|pushd)\s`)

// dockerRun reads a docker build of a script. Of its flags those that a manifest has keys
// for are taken, and the others told.
func (s *service) dockerRun(b *imageBuild, run *node) {
	st, words := b.st, b.words
	dir, file := ".", ""
	said := func(what string) { s.remark(Look, run, "docker build: %s", what) }
	for i := 0; i < len(words); i++ {
		flag, value, joined := strings.Cut(words[i], "=")
		next := func() string {
			if joined {
				return value
			}
			if i+1 < len(words) {
				i++
				return words[i]
			}
			return ""
		}
		switch {
		case words[i] == "-" || !strings.HasPrefix(words[i], "-"):
			dir = path.Clean(words[i])
		case flag == "-f" || flag == "--file":
			file = path.Clean(next())
		case flag == "--target":
			s.put(run, s.shell(st, run, next()), "image", "build", "target")
		case flag == "--build-arg":
			name, v, given := strings.Cut(next(), "=")
			if !given {
				v = "$" + name
			}
			s.buildArgument(name, &node{kind: scalar, at: run.at, path: run.path + " --build-arg " + name, text: st.shellText(v, run)})
		case flag == "--platform":
			if v := next(); v == "linux/amd64" {
				s.put(run, v, "image", "build", "platform")
			} else {
				said("App Runner runs linux/amd64 only")
			}
		case flag == "-t" || flag == "--tag":
			if n := (&node{kind: scalar, at: run.at, path: run.path, text: st.shellText(next(), run)}); !s.has("image", "repository") {
				s.repositoryOf(n)
			}
		case flag == "--push" || flag == "--load" || flag == "--pull" || flag == "--no-cache" || flag == "-q" || flag == "--quiet":
			said(flag + " has no place in a manifest")
		default:
			next()
			said(flag + " has no place in a manifest")
		}
	}
	if file == "" {
		file = path.Join(dir, "Dockerfile")
	}
	from, setting, known := st.directory()
	switch {
	case strings.Contains(dir+file, "$") || !known:
		said("its paths are variables: write image.build")
		dir, file = ".", "Dockerfile"
	case dir == "-" || strings.Contains(dir, ":"): // a text on its input, or an address
		said("its context is no directory: write image.build")
		dir, file = ".", "Dockerfile"
	default:
		dir, file = beneath(from, dir), beneath(from, file)
	}
	if setting != nil && known {
		s.other(setting, "is in front of the paths of image.build")
	}
	if changesDirectory().MatchString(b.before) {
		said("the script changes its directory before: see whether image.build is right")
	}
	s.dockerfile(run, dir, file)
	s.remark(Look, run, "is a script, of which the docker build is taken: see whether it does more than to build and push")
	run.mark()
	s.tell(Remain, st.body, "is of the workflow alone")
}

// beneath is a path that is relative to a directory.
func beneath(dir, p string) string {
	if path.IsAbs(p) {
		return p
	}
	return path.Join(dir, p)
}

func (s *service) shell(st *step, run *node, word string) string {
	return s.write(&node{kind: scalar, at: run.at, path: run.path, text: st.shellText(word, run)}, "image", "build", "target")
}

var shellVariable = pattern.Lazy(`\$\{?([A-Za-z_][A-Za-z0-9_]*)\}?`)

// shellText is a word of a script with its variables.
func (st *step) shellText(word string, run *node) text {
	var t text
	end := 0
	for _, m := range shellVariable().FindAllStringSubmatchIndex(word, -1) {
		t = append(t, st.expanded(word[end:m[0]], run, 0)...)
		name := word[m[2]:m[3]]
		if v := st.variable(name); v != nil && (v.kind == scalar || v.kind == unknown) {
			t = append(t, v.text...)
		} else {
			t = append(t, piece{ref: &reference{as: "the variable " + name, name: variable(name)}})
		}
		end = m[1]
	}
	t = append(t, st.expanded(word[end:], run, 0)...)
	return tidy(&node{text: t}).text
}

// shellWords splits a line as a shell does, as far as quotes go. A pipe, a redirection or
// another command ends it. GitHub puts the values of expressions in before the shell sees
// the line, so that the spaces in them are none.
func shellWords(line string) []string {
	var words []string
	var word strings.Builder
	quote, has, skip := rune(0), false, 0
	flush := func() {
		if has {
			words = append(words, word.String())
		}
		word.Reset()
		has = false
	}
	for i, r := range line {
		if i >= skip && strings.HasPrefix(line[i:], "${{") {
			if end := strings.Index(line[i:], "}}"); end > 0 {
				skip = i + end + len("}}")
			}
		}
		switch {
		case i < skip:
			word.WriteRune(r)
			has = true
		case quote != 0 && r == quote:
			quote = 0
		case quote != 0:
			word.WriteRune(r)
		case r == '"' || r == '\'':
			quote, has = r, true
		case r == ' ' || r == '\t':
			flush()
		case r == '|' || r == ';' || r == '&' || r == '\n':
			flush()
			return words
		case r == '<' || r == '>':
			if strings.Trim(word.String(), "0123456789") != "" { // else the number of what is redirected
				flush()
			}
			return words
		default:
			word.WriteRune(r)
			has = true
		}
	}
	flush()
	return words
}

// lines are those of a text, each with its references.
func lines(n *node) []text {
	var all []text
	var line text
	for _, p := range n.text {
		if p.ref != nil {
			line = append(line, p)
			continue
		}
		for i, part := range strings.Split(p.literal, "\n") {
			if i > 0 {
				all, line = append(all, line), nil
			}
			line = append(line, piece{literal: part})
		}
	}
	all = append(all, line)
	var full []text
	for _, t := range all {
		if s := strings.TrimSpace(t.with(func(*reference) string { return "x" })); s != "" {
			full = append(full, t)
		}
	}
	return full
}

// cutText splits a text at the first sep in its first literal.
func cutText(t text, sep string) (string, text, bool) {
	if len(t) == 0 || t[0].ref != nil {
		return "", t, false
	}
	before, after, ok := strings.Cut(t[0].literal, sep)
	rest := append(text{{literal: after}}, t[1:]...)
	return strings.TrimSpace(before), tidy(&node{text: rest}).text, ok
}
