package manifest

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/compose-spec/compose-go/v2/template"

	"github.com/apron-deploy/apron/reconcile/pattern"
)

const (
	plainName  = `[A-Za-z_][A-Za-z0-9_]*`
	dottedName = `(?:services\.[A-Za-z0-9_-]+\.[A-Za-z0-9_]+|[A-Za-z_][A-Za-z0-9_.]*)`
)

var (
	// reference is compose's pattern with dotted names and, in braces, several lines.
	reference = pattern.Lazy(
		`\$(?:(?P<escaped>\$)|(?P<named>` + plainName + `)|\{(?:(?P<braced>` + dottedName + `(?::?[-+?](?s:.*))?)\}|(?P<invalid>)))`)
	operation = pattern.Lazy(`^(` + dottedName + `)(:?[-+?])((?s:.*))$`)
	softName  = pattern.Lazy(`^services\.([A-Za-z0-9_-]+)\.url$`)
)

// expansion is a scalar after interpolation.
type expansion struct {
	text   string // soft references are \x00N\x00, N an index into soft
	soft   []softRef
	varied bool // something was substituted
	commit bool // names git.*
	done   bool
	bad    bool // something is missing; it has been told
}

// softRef is a URL that is known only once its service runs.
type softRef struct {
	service string
	or      string
	hasOr   bool
}

func (s softRef) String() string { return "${services." + s.service + ".url}" }

// each replaces the soft references in the text.
func (e expansion) each(literal func(string) string, soft func(softRef) string) string {
	var b strings.Builder
	for i, part := range strings.Split(e.text, "\x00") {
		if i%2 == 0 {
			b.WriteString(literal(part))
			continue
		}
		n, _ := strconv.Atoi(part)
		b.WriteString(soft(e.soft[n]))
	}
	return b.String()
}

func same(s string) string { return s }

// plain is the text with the defaults of soft references.
func (e expansion) plain() string { return e.each(same, func(s softRef) string { return s.or }) }

// template is the text with each soft reference as ${services.NAME.url}.
func (e expansion) template() string { return e.each(same, softRef.String) }

// source is a text that expands to the same again.
func (e expansion) source() string {
	escape := func(s string) string { return strings.ReplaceAll(s, "$", "$$") }
	return e.each(escape, func(s softRef) string {
		if s.hasOr {
			return "${services." + s.service + ".url:-" + escape(s.or) + "}"
		}
		return s.String()
	})
}

type fault struct{ msg, fix string }

// expander substitutes ${VAR} and its relatives in one text after the other.
type expander struct {
	lookup func(string) (string, bool)
	git    func(string) (string, bool) // by short name: sha, branch, tag, dirty
	self   string                      // the service's name, for ${self.url}
	soft   bool                        // URLs of services may be named here
	dotted bool                        // git.* may
	unset  string                      // what to do about a variable without a value
	dollar string                      // what to do about a dollar sign that starts no name
	// partial says that lookup does not know every variable, for a reason that has been
	// told: that another one is not set would be a consequence.
	partial bool

	out    expansion
	faults []fault
}

func (x *expander) fail(fix, format string, args ...any) {
	x.faults = append(x.faults, fault{fmt.Sprintf(format, args...), fix})
}

// expand returns the text with its variables, and what went wrong.
func (x *expander) expand(text string) (expansion, []fault) {
	x.out, x.faults = expansion{done: true}, nil
	x.out.text = x.run(text)
	x.out.bad = x.out.bad || len(x.faults) > 0
	return x.out, x.faults
}

// run substitutes with compose-go's template. Its errors are dropped, as they quote the
// text; what went wrong is in x.faults.
func (x *expander) run(text string) string {
	if !strings.Contains(text, "$") {
		return text
	}
	out, err := template.SubstituteWithOptions(text, x.plain,
		template.WithPattern(reference()), template.WithoutLogging, template.WithReplacementFunction(x.replace))
	if err != nil && len(x.faults) == 0 {
		x.fail("write ${NAME}, ${NAME:-default} or ${NAME:?message}; $$ is a dollar sign", "holds a ${ that is not a reference")
	}
	return out
}

// replace splits what the greedy pattern matched at the brace that closes the first
// reference: the library would expand the rest with its own rules.
func (x *expander) replace(match string, _ template.Mapping, _ *template.Config) (string, error) {
	switch {
	case match == "$$":
		return "$", nil
	case match == "${":
		return "", &template.InvalidTemplateError{}
	case strings.HasPrefix(match, "${"):
		head, rest := closing(match)
		body := head[len("${") : len(head)-len("}")]
		value, applied := x.operator(body)
		if !applied {
			value, _ = x.plain(body)
		}
		return value + x.run(rest), nil
	}
	if value, ok := x.get(match[1:]); ok {
		return value, nil
	}
	if x.partial {
		x.out.bad = true
		return "", nil
	}
	// The name is not told: it may be the rest of a password with a dollar sign.
	x.fail(x.dollar, "holds a $ that starts the name of a variable, which is not set")
	return "", nil
}

// closing splits a text that starts with a reference and has a brace that closes one. A
// default may hold braces of its own, as compose counts them; where those are not in pairs,
// only the ones of references count.
func closing(s string) (head, rest string) {
	for _, opens := range []string{"{", "${"} {
		depth := 0
		for i := range len(s) {
			switch {
			case strings.HasPrefix(s[i:], opens):
				depth++
			case s[i] == '}':
				if depth--; depth == 0 {
					return s[:i+1], s[i+1:]
				}
			}
		}
	}
	return s, ""
}

// plain is the value of a reference without a default.
func (x *expander) plain(name string) (string, bool) {
	if service, ok := x.url(name); ok {
		return x.later(softRef{service: service}), true
	}
	value, ok := x.get(name)
	if !ok {
		x.missing(name, "")
	}
	return value, true
}

// operator is the value of ${NAME:-default} and its relatives.
func (x *expander) operator(text string) (value string, applied bool) {
	m := operation().FindStringSubmatch(text)
	if m == nil {
		return "", false
	}
	name, op, arg := m[1], m[2], m[3]
	if service, ok := x.url(name); ok {
		if op != ":-" && op != "-" {
			x.fail("give it a default with :- or none", "${%s} can only have a default", name)
			return "", true
		}
		before := len(x.out.soft)
		or := x.run(arg)
		if len(x.out.soft) > before {
			x.fail("use a plain text as the default", "the default of ${%s} names a URL that is not known either", name)
			return "", true
		}
		return x.later(softRef{service, or, true}), true
	}
	value, ok := x.get(name)
	if op[0] == ':' {
		ok = ok && value != ""
	}
	switch op[len(op)-1] {
	case '-':
		if !ok {
			return x.run(arg), true
		}
	case '+':
		if !ok {
			return "", true
		}
		return x.run(arg), true
	case '?':
		if !ok {
			x.missing(name, arg)
		}
	}
	return value, true
}

func (x *expander) later(s softRef) string {
	x.out.varied = true
	x.out.soft = append(x.out.soft, s)
	return "\x00" + strconv.Itoa(len(x.out.soft)-1) + "\x00"
}

// url reports whether name is a soft reference, and to which service.
func (x *expander) url(name string) (string, bool) {
	service := x.self
	if name != "self.url" {
		m := softName().FindStringSubmatch(name)
		if m == nil {
			return "", false
		}
		service = m[1]
	}
	if !x.soft {
		x.fail("move it to env, or write the URL itself", "${%s} is known only after the deployment, and only env can wait for it", name)
	}
	return service, true
}

var gitNames = []string{"git.sha", "git.branch", "git.tag", "git.dirty"}

// get looks a variable up. A name that must not be used has no value, and is told.
func (x *expander) get(name string) (string, bool) {
	x.out.varied = true
	short, isGit := strings.CutPrefix(name, "git.")
	switch {
	case isGit && x.dotted && isKnown(name, gitNames):
		x.out.commit = true
		if x.git == nil {
			return "", false
		}
		return x.git(short)
	case strings.Contains(name, "."):
		fix := "there are self.url, services.NAME.url, " + strings.Join(gitNames, ", ")
		if !x.dotted {
			fix = "only plain variables can be used here"
		}
		x.fail(didYouMean(name, append([]string{"self.url"}, gitNames...), fix), "${%s} is not known", name)
		return "", true
	case refused(name):
		x.fail("these belong to whoever deploys; give the application its own, or roles and permissions", "${%s} must not be used: it is a credential of this session", name)
		return "", true
	}
	return x.lookup(name)
}

func isKnown(name string, names []string) bool {
	for _, n := range names {
		if n == name {
			return true
		}
	}
	return false
}

func (x *expander) missing(name, message string) {
	switch {
	case strings.HasPrefix(name, "git."):
		x.fail("give it a default, such as ${"+name+":-none}: a machine may have no git", "${%s} has no value here", name)
	case x.partial:
		x.out.bad = true
	case message != "":
		x.fail(strings.ReplaceAll(x.unset, "NAME", name), "%s is not set: %s", name, clip(message, 200))
	default:
		x.fail(strings.ReplaceAll(x.unset, "NAME", name), "%s is not set", name)
	}
}

// refused reports whether name is a credential of the session that deploys, which must
// not end in a manifest's values.
func refused(name string) bool {
	switch name {
	case "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_SECURITY_TOKEN",
		"AWS_CONTAINER_AUTHORIZATION_TOKEN", "GITHUB_TOKEN", "GH_TOKEN", "CI_JOB_TOKEN":
		return true
	}
	return strings.HasPrefix(name, "ACTIONS_ID_TOKEN_")
}

// RefusedName reports whether a manifest may not take a variable of that name, because it
// is a credential of the session that deploys.
func RefusedName(name string) bool { return refused(name) }
