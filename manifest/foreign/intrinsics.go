package foreign

import (
	"strconv"
	"strings"

	"github.com/apron-deploy/apron/reconcile/pattern"
)

// resolve is a value with its intrinsic functions carried out as far as the template says
// what they are.
// https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/intrinsic-function-reference.html
func (t *template) resolve(n *node) *node {
	if n == nil {
		return nil
	}
	if t.depth++; t.depth > maxDepth {
		t.depth--
		return refer(n.at, n.path, t.unresolved(n, "a function within functions"))
	}
	defer func() { t.depth-- }()
	if name, arg, ok := intrinsic(n); ok {
		return t.call(name, arg, n)
	}
	out := *n
	out.fields, out.items = nil, nil
	for _, f := range n.fields {
		if v := t.resolve(f.value); v != nil {
			out.fields = append(out.fields, field{f.key, f.at, v})
		}
	}
	for _, item := range n.items {
		if v := t.resolve(item); v != nil {
			out.items = append(out.items, v)
		}
	}
	return &out
}

// intrinsic is the intrinsic function that a node calls, in either form.
func intrinsic(n *node) (name string, arg *node, ok bool) {
	if len(n.tag) > 1 && n.tag[0] == '!' && n.tag[1] != '!' {
		bare := *n
		bare.tag = ""
		return n.tag[1:], &bare, true
	}
	if n.kind == mapping && len(n.fields) == 1 {
		key := n.fields[0].key
		if name, ok := strings.CutPrefix(key, "Fn::"); ok {
			return name, n.fields[0].value, true
		}
		if key == "Ref" {
			return key, n.fields[0].value, true
		}
	}
	return "", nil, false
}

func (t *template) unresolved(n *node, as string) *reference {
	words := strings.Split(n.path, ".")
	return &reference{as: as + ", at " + n.at.String(), name: variable(words[len(words)-1]), loose: true}
}

// call carries a function out. nil is no value at all: AWS::NoValue.
func (t *template) call(name string, arg, n *node) *node {
	as := "!" + name
	switch name {
	case "Ref":
		if known, ok := arg.static(); ok {
			return t.ref(known, n)
		}
	case "GetAtt":
		words := []string{}
		if known, ok := arg.static(); ok {
			words = strings.SplitN(known, ".", 2)
		}
		for _, item := range arg.items {
			known, _ := item.static()
			words = append(words, known)
		}
		if len(words) == 2 {
			return refer(n.at, n.path, t.attribute(words[0], words[1]))
		}
	case "Sub":
		return t.sub(arg, n)
	case "Join":
		return t.join(arg, n)
	case "If":
		return t.branch(arg, n)
	case "FindInMap":
		if v := t.find(arg); v != nil {
			return t.moved(v, n)
		}
	case "Select":
		if len(arg.items) == 2 {
			at, _ := t.resolve(arg.items[0]).static()
			from := t.resolve(arg.items[1])
			if i, err := strconv.Atoi(at); err == nil && from != nil && from.kind == list && i >= 0 && i < len(from.items) {
				return t.moved(from.items[i], n)
			}
		}
	case "Split":
		if len(arg.items) == 2 {
			by, _ := t.resolve(arg.items[0]).static()
			if whole, ok := t.resolve(arg.items[1]).static(); ok && by != "" {
				out := &node{kind: list, at: n.at, path: n.path}
				for i, part := range strings.Split(whole, by) {
					out.items = append(out.items, leaf(n.at, index(n.path, i), part))
				}
				return out
			}
		}
	case "ImportValue":
		if known, ok := t.resolve(arg).static(); ok {
			return refer(n.at, n.path, &reference{as: "!ImportValue " + known, name: variable(known)})
		}
	}
	t.resolve(arg) // for what it refers to
	return refer(n.at, n.path, t.unresolved(n, as))
}

// moved is a value from elsewhere in the template, as if it stood at n.
func (t *template) moved(v, n *node) *node {
	out := *t.resolve(v)
	out.at, out.path = n.at, n.path
	return &out
}

func (t *template) ref(name string, n *node) *node {
	switch name {
	case "AWS::NoValue":
		return nil
	case "AWS::Region":
		return refer(n.at, n.path, where)
	case "AWS::AccountId":
		return refer(n.at, n.path, account)
	case "AWS::Partition":
		return leaf(n.at, n.path, "aws")
	case "AWS::URLSuffix":
		return leaf(n.at, n.path, "amazonaws.com")
	}
	if p := t.root.get("Parameters").exact(name); p != nil {
		t.asked["Parameters."+name] = true
		return t.parameter(name, p, n)
	}
	return refer(n.at, n.path, t.attribute(name, ""))
}

func (t *template) parameter(name string, p, n *node) *node {
	kind, _ := p.get("Type").static()
	value, known := p.get("Default").static()
	secret := p.get("NoEcho").is("true")
	if !known || secret || strings.HasPrefix(kind, "AWS::SSM::Parameter::") {
		return refer(n.at, n.path, &reference{as: "the parameter " + name, name: variable(name), secret: secret})
	}
	if kind != "CommaDelimitedList" && !strings.HasPrefix(kind, "List<") {
		return leaf(n.at, n.path, value)
	}
	out := &node{kind: list, at: n.at, path: n.path}
	for i, item := range strings.Split(value, ",") {
		out.items = append(out.items, leaf(n.at, index(n.path, i), strings.TrimSpace(item)))
	}
	return out
}

func (t *template) attribute(name, attr string) *reference {
	r := &reference{as: "!Ref " + name, name: variable(name), to: t.byName[name], attr: attr}
	if attr != "" {
		r.as, r.name = "!GetAtt "+name+"."+attr, variable(name, attr)
	}
	if strings.HasPrefix(name, "AWS::") {
		r.name = variable(strings.TrimPrefix(name, "AWS::"))
	}
	return r
}

// exact is the value of a key that is told apart by case as well.
func (n *node) exact(key string) *node {
	if n == nil {
		return nil
	}
	for _, f := range n.fields {
		if f.key == key {
			return f.value
		}
	}
	return nil
}

var substitution = pattern.Lazy(`\$\{(!?)([^}]*)\}`)

func (t *template) sub(arg, n *node) *node {
	pattern, values := arg, (*node)(nil)
	if arg.kind == list && len(arg.items) == 2 {
		pattern, values = arg.items[0], arg.items[1]
	}
	whole, ok := pattern.static()
	if !ok {
		return refer(n.at, n.path, t.unresolved(n, "!Sub"))
	}
	out := &node{kind: scalar, at: n.at, path: n.path}
	end := 0
	for _, m := range substitution().FindAllStringSubmatchIndex(whole, -1) {
		out.text = append(out.text, piece{literal: whole[end:m[0]]})
		end = m[1]
		name := strings.TrimSpace(whole[m[4]:m[5]])
		if m[2] != m[3] {
			out.text = append(out.text, piece{literal: "${" + name + "}"})
			continue
		}
		var v *node
		if given := values.exact(name); given != nil {
			v = t.resolve(given)
		} else if resource, attr, dotted := strings.Cut(name, "."); dotted {
			v = refer(n.at, n.path, t.attribute(resource, attr))
		} else {
			v = t.ref(name, n)
		}
		if v != nil && v.kind != scalar && v.kind != unknown {
			v = refer(n.at, n.path, t.attribute(name, ""))
		}
		if v != nil {
			out.text = append(out.text, v.text...)
		}
	}
	out.text = append(out.text, piece{literal: whole[end:]})
	return tidy(out)
}

// tidy takes empty pieces out, and makes an unknown of a text that is one reference.
func tidy(n *node) *node {
	var t text
	for _, p := range n.text {
		if last := len(t) - 1; p.ref == nil && last >= 0 && t[last].ref == nil {
			t[last].literal += p.literal
		} else if p.ref != nil || p.literal != "" {
			t = append(t, p)
		}
	}
	if len(t) == 0 {
		t = literal("")
	}
	n.text = t
	n.kind = scalar
	if t.alone() != nil {
		n.kind = unknown
	}
	return n
}

func (t *template) join(arg, n *node) *node {
	if len(arg.items) == 2 {
		by, ok := arg.items[0].static()
		items := t.resolve(arg.items[1])
		if ok && items != nil && items.kind == list {
			out := &node{at: n.at, path: n.path}
			for i, item := range items.items {
				if item.kind != scalar && item.kind != unknown {
					return refer(n.at, n.path, t.unresolved(n, "!Join"))
				}
				if i > 0 {
					out.text = append(out.text, piece{literal: by})
				}
				out.text = append(out.text, item.text...)
			}
			return tidy(out)
		}
	}
	return refer(n.at, n.path, t.unresolved(n, "!Join"))
}

func (t *template) find(arg *node) *node {
	v := t.root.get("Mappings")
	for i, item := range arg.items {
		key, ok := t.resolve(item).static()
		if !ok {
			return nil
		}
		if i == 0 {
			t.asked["Mappings."+key] = true
		}
		v = v.exact(key)
	}
	return v
}

// branch takes the branch that a condition chooses.
func (t *template) branch(arg, n *node) *node {
	if len(arg.items) != 3 {
		return refer(n.at, n.path, t.unresolved(n, "!If"))
	}
	name, _ := arg.items[0].static()
	yes, no := t.resolve(arg.items[1]), t.resolve(arg.items[2])
	holds, known := t.condition(name)
	if !known {
		for _, b := range []*node{yes, no} {
			if b != nil && (b.kind == list || b.kind == mapping) {
				t.note(Look, n.at, n.path, "depends on "+name+", which is known only to CloudFormation: one of its branches is drafted")
				return b
			}
		}
		return refer(n.at, n.path, t.unresolved(n, "!If "+name))
	}
	chosen, other := yes, no
	if !holds {
		chosen, other = no, yes
	}
	t.note(Look, n.at, n.path, "depends on "+name+", which is "+strconv.FormatBool(holds)+" with the parameters' defaults")
	other.leaves(func(l *node) {
		t.note(Look, l.at, l.path, "is left out: "+name+" is "+strconv.FormatBool(holds))
	})
	return chosen
}

// condition works a condition out.
func (t *template) condition(name string) (holds, known bool) {
	t.asked["Conditions."+name] = true
	if v, ok := t.truths[name]; ok {
		return v.holds, v.known
	}
	t.truths[name] = verdict{} // one that refers to itself is not known
	holds, known = t.truth(t.root.get("Conditions").exact(name))
	t.truths[name] = verdict{holds, known}
	return holds, known
}

type verdict struct{ holds, known bool }

func (t *template) truth(n *node) (holds, known bool) {
	if n == nil {
		return false, false
	}
	name, arg, ok := intrinsic(n)
	if !ok && n.kind == mapping && len(n.fields) == 1 && n.fields[0].key == "Condition" {
		name, arg, ok = "Condition", n.fields[0].value, true
	}
	if !ok {
		return false, false
	}
	switch name {
	case "Condition":
		other, _ := arg.static()
		return t.condition(other)
	case "Equals":
		if len(arg.items) == 2 {
			a, one := t.resolve(arg.items[0]).static()
			b, two := t.resolve(arg.items[1]).static()
			return a == b, one && two
		}
	case "Not":
		if len(arg.items) == 1 {
			holds, known := t.truth(arg.items[0])
			return !holds, known
		}
	case "And", "Or":
		all := true
		for _, item := range arg.items {
			holds, known := t.truth(item)
			if known && holds == (name == "Or") {
				return holds, true
			}
			all = all && known
		}
		return name == "And", all
	}
	return false, false
}
