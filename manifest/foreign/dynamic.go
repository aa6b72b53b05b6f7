package foreign

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/apron-deploy/apron/reconcile/pattern"
)

// stored is where CloudFormation finds the value of a dynamic reference.
type stored struct {
	place   text   // as a manifest's secrets have it
	version string // of a parameter: App Runner reads the newest only
	wrong   string // why no manifest can have it
}

var dynamicReference = pattern.Lazy(`\{\{resolve:([^:{}]*):?([^{}]*)\}\}`)

// held stands for the reference number 0 of a text that is searched as a whole: templates
// put dynamic references together with !Sub and !Join, from references of other kinds.
const held = '\U000F0000'

// lookUps makes references of the dynamic references below n: as a text they would be
// copied into the manifest, where nobody looks them up.
// https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/dynamic-references.html
func lookUps(n *node) {
	if n == nil {
		return
	}
	for _, f := range n.fields {
		lookUps(f.value)
	}
	for _, item := range n.items {
		lookUps(item)
	}
	var refs []*reference
	var b strings.Builder
	for _, p := range n.text {
		if p.ref != nil {
			b.WriteRune(held + rune(len(refs)))
			refs = append(refs, p.ref)
		}
		b.WriteString(p.literal)
	}
	whole := b.String()
	found := dynamicReference().FindAllStringSubmatchIndex(whole, -1)
	if len(found) == 0 {
		return
	}
	n.text = nil
	end := 0
	for _, m := range found {
		n.text = append(n.text, apart(whole[end:m[0]], refs)...)
		n.text = append(n.text, piece{ref: lookUp(whole[m[2]:m[3]], whole[m[4]:m[5]], refs, n)})
		end = m[1]
	}
	n.text = append(n.text, apart(whole[end:], refs)...)
	tidy(n)
}

// apart is a part of a text with its references in their places again.
func apart(whole string, refs []*reference) text {
	out := &node{}
	for _, r := range whole {
		p := piece{literal: string(r)}
		if i := int(r - held); i >= 0 && i < len(refs) {
			p = piece{ref: refs[i]}
		}
		out.text = append(out.text, p)
	}
	return tidy(out).text
}

// lookUp reads one dynamic reference: its service, and what follows.
func lookUp(service, what string, refs []*reference, n *node) *reference {
	as := "{{resolve:" + service + ":" + apart(what, refs).with(func(r *reference) string { return r.as }) + "}}"
	r := &reference{as: as, secret: service != "ssm", stored: &stored{}}
	v := r.stored
	words := strings.Split(what, ":")
	// take is the name, or the ARN, which has colons of its own.
	take := func(colons int) string {
		length := 1
		if words[0] == "arn" {
			length = min(colons+1, len(words))
		}
		name := strings.Join(words[:length], ":")
		words = append(words[length:], "", "", "", "")
		return name
	}
	prefix := func(prefix, name string) {
		v.place = apart(name, refs)
		if known, ok := ofResource(v.place); ok {
			v.place = literal(known)
			return
		}
		first := v.place[0].ref
		isARN := first != nil && (first.to != nil && first.to.kind == "AWS::SecretsManager::Secret" || strings.HasSuffix(strings.ToLower(first.attr), "arn"))
		if !isARN && !strings.HasPrefix(name, "arn:") {
			v.place = append(literal(prefix), v.place...)
		}
	}
	switch service {
	case "ssm", "ssm-secure":
		name := take(5)
		prefix("ssm:", name)
		v.version = apart(words[0], refs).with(func(r *reference) string { return r.as })
		r.name = variable(name[strings.LastIndexByte(name, ':')+1:])
	case "secretsmanager":
		name := take(6)
		prefix("secretsmanager:", name)
		part := strings.TrimRight("#"+strings.Join(words[1:4], ":"), ":#")
		v.place = tidy(&node{text: slices.Concat(v.place, apart(part, refs))}).text
		if kind := cmp.Or(words[0], "SecretString"); kind != "SecretString" {
			v.wrong = "asks for another part of a secret than its SecretString"
		}
		r.name = variable(name[strings.LastIndexByte(name, ':')+1:], words[1])
	default:
		// What it names is not told: nobody knows whether it is fit to be read.
		r.as, r.loose, v.wrong = "a dynamic reference, at "+n.at.String(), true, "is a dynamic reference of no kind that is known"
		r.name = "VALUE"
	}
	return r
}

// setStored takes a variable whose value CloudFormation looks up: App Runner does so, too.
func (s *service) setStored(name string, n *node, v *stored) {
	known, static := v.place.static()
	switch {
	case v.wrong != "":
		s.look(n, "%s, and is left out: write secrets.%s", v.wrong, name)
	case v.version != "":
		if static {
			s.suggest(known, fmt.Sprintf("version %s is meant, and App Runner reads the newest", v.version), "secrets", name)
		}
		s.look(n, "names version %s of a parameter, and App Runner reads the newest: it is left out until somebody says that this is right", v.version)
	default:
		place := *n
		place.kind, place.text = scalar, v.place
		s.put(n, s.write(&place, "secrets", name), "secrets", name)
		n.mark()
		s.remark(Look, n, "was a copy of the value, made at each deployment; in the manifest App Runner reads it itself")
	}
}
