package foreign

import (
	"fmt"
	"strings"

	"github.com/apron-deploy/apron/manifest"
	"github.com/apron-deploy/apron/reconcile/pattern"
)

// pair is a name with a value, of variables or tags.
type pair struct {
	name  string
	value *node
}

// pairs reads a mapping, or CloudFormation's lists of {Name, Value} and {Key, Value}. A
// name that is given again replaces the one before.
func (s *service) pairs(n *node) []pair {
	var all []pair
	put := func(name string, value *node) {
		for i := range all {
			if all[i].name == name {
				s.other(all[i].value, "is replaced by the one on line %d", value.at.Line)
				all[i].value = value
				return
			}
		}
		all = append(all, pair{name, value})
	}
	switch {
	case n == nil:
	case n.kind == mapping:
		for _, f := range n.fields {
			if f.key == "" {
				s.look(f.value, "has no name")
				continue
			}
			put(f.key, f.value)
		}
	case n.kind == list:
		for _, item := range n.items {
			name := item.get("Name")
			if name == nil {
				name = item.get("Key")
			}
			text, ok := name.static()
			value := item.get("Value")
			switch {
			case !ok && name != nil && name.kind <= unknown && item.get("Value") != nil:
				s.look(item, "its name is known only to %s", s.tool)
			case ok && text != "" && value != nil:
				name.mark()
				put(text, value)
			}
		}
	}
	return all
}

// environment reads plain variables. What looks like a secret becomes one.
func (s *service) environment(n *node) {
	if n != nil && n.kind == unknown {
		s.look(n, "which variables there are is known only to %s: list them under env", s.tool)
		return
	}
	for _, p := range s.pairs(n) {
		s.setVariable(p.name, p.value)
	}
}

var envKey = pattern.Lazy(`^[A-Za-z_][A-Za-z0-9_.-]{0,255}$`)

func (s *service) setVariable(name string, n *node) {
	switch {
	case !envKey().MatchString(name):
		s.look(n, "%q cannot be the name of a variable", name)
	case name == "PORT":
		s.port(n)
	case n.tag == "!!null":
		s.look(n, "has no value")
	case n.kind == list || n.kind == mapping:
		s.look(n, "must be a single value to become env.%s", name)
	default:
		if by, ok := ofParameter(n.text); ok {
			s.put(n, by, "secrets", name)
			n.mark()
			s.remark(Look, n, "was a copy of the parameter's value; in the manifest App Runner reads it itself")
			return
		}
		if r := n.text.alone(); r != nil && r.stored != nil {
			s.setStored(name, n, r.stored)
			return
		}
		what := hidden(name, n.text)
		if what == "" {
			s.set(n, "env", name)
			return
		}
		v := s.ofSecret(name, n)
		s.put(n, "env:"+v, "secrets", name)
		n.mark()
		s.remark(Look, n, "%s, so its value is not here: set %s in the environment or in .env", what, v)
	}
}

// port accounts for PORT, which App Runner sets to the port by itself.
func (s *service) port(n *node) {
	if !s.has("port") {
		s.look(n, "App Runner sets PORT by itself, to port: write port, if this is where the application listens")
		return
	}
	s.other(n, "App Runner sets PORT to port")
}

// hidden says why a text is, or holds, a secret, or "".
func hidden(name string, t text) string {
	for _, p := range t {
		if p.ref != nil && p.ref.secret {
			return "is made of " + p.ref.as + ", which is secret"
		}
	}
	like := func(what string) string {
		if what == "" {
			return ""
		}
		return "looks like " + what
	}
	if known, ok := t.static(); ok {
		return like(manifest.LooksSecret(name, known))
	}
	filled := t.with(func(*reference) string { return "unknown" })
	if what := manifest.Signature(filled); what != "" {
		return like(what)
	}
	if manifest.SecretLooking(name) && (t.alone() == nil || t.alone().direct == "") {
		return like("a secret by its name")
	}
	return like(manifest.LooksSecret("", strings.ReplaceAll(filled, "unknown", "")))
}

// ofParameter is a parameter whose value a plain variable has a copy of.
func ofParameter(t text) (string, bool) {
	r := t.alone()
	if r == nil || r.to == nil || r.to.kind != "AWS::SSM::Parameter" || r.attr != "value" {
		return "", false
	}
	name, ok := r.to.body.get("Name").static()
	return "ssm:" + name, ok && !strings.Contains(name, "$")
}

// ofSecret is the environment variable that an env: secret reads: the one that stands for
// a reference alone, or else one of the secret's own name.
func (s *service) ofSecret(name string, n *node) string {
	r := n.text.alone()
	if r == nil || r.loose {
		r = &reference{as: "the value of " + name + ", at " + n.at.String(), name: variable(name)}
		if strings.ToUpper(name) == name && plainName().MatchString(name) {
			r.name = name
		}
	}
	v := s.variable(r, anything)
	for i := range s.variables {
		if s.variables[i].Name == v {
			s.variables[i].Secret = true
		}
	}
	return v
}

var plainName = pattern.Lazy(`^[A-Za-z_][A-Za-z0-9_]*$`)

// references reads secret variables, which the source has by reference already.
func (s *service) references(n *node) {
	if n != nil && n.kind == unknown {
		s.look(n, "which secrets there are is known only to %s: list them under secrets", s.tool)
		return
	}
	for _, p := range s.pairs(n) {
		s.setReference(p.name, p.value)
	}
}

func (s *service) setReference(name string, n *node) {
	switch {
	case !envKey().MatchString(name):
		s.look(n, "%q cannot be the name of a variable", name)
		return
	case n.kind == list || n.kind == mapping:
		s.look(n, "must be a single value to become secrets.%s", name)
		return
	}
	if named, ok := ofResource(n.text); ok {
		s.put(n, named, "secrets", name)
		n.mark()
		return
	}
	known, ok := n.static()
	switch {
	case ok && manifest.LooksSecret("", known) != "" && !strings.HasPrefix(known, "arn:"):
		s.look(n, "looks like the secret itself, which is not here: put it into Secrets Manager or Parameter Store and refer to it")
	case n.text[0].ref == nil && !strings.HasPrefix(n.text[0].literal, "arn:"):
		s.setAs(n, func(t string) string { return "ssm:" + t }, "secrets", name)
	default:
		s.set(n, "secrets", name)
	}
}

// ofResource is a secret or a parameter that the source declares, by its name, with the
// key of a JSON secret that App Runner takes behind its ARN.
func ofResource(t text) (string, bool) {
	if len(t) == 0 || len(t) > 2 || t[0].ref == nil || t[0].ref.to == nil || len(t) == 2 && t[1].ref != nil {
		return "", false
	}
	to := t[0].ref.to
	prefix := map[string]string{"AWS::SecretsManager::Secret": "secretsmanager:", "AWS::SSM::Parameter": "ssm:"}[to.kind]
	name, ok := to.body.get("Name").static()
	if prefix == "" || !ok || strings.Contains(name, "$") || t[0].ref.attr == "secret_string" || t[0].ref.attr == "value" {
		return "", false
	}
	if len(t) == 1 {
		return prefix + name, true
	}
	parts := strings.Split(t[1].literal, ":")
	if prefix == "ssm:" || len(parts) != 4 || parts[0] != "" || strings.Contains(t[1].literal, "$") {
		return "", false
	}
	return strings.TrimRight(fmt.Sprintf("%s%s#%s", prefix, name, strings.Join(parts[1:], ":")), ":#"), true
}

// tags reads AWS tags.
func (s *service) tags(n *node) {
	if n != nil && n.kind == unknown {
		s.look(n, "which tags there are is known only to %s: list them under tags", s.tool)
		return
	}
	for _, p := range s.pairs(n) {
		if what := hidden(p.name, p.value.text); what != "" {
			s.look(p.value, "%s, and a tag shows it to everybody", what)
			continue
		}
		if s.has("tags", p.name) {
			s.remark(Other, s.from["tags\x00"+p.name], "is replaced by the one on line %d", p.value.at.Line)
		}
		s.set(p.value, "tags", p.name)
	}
}
