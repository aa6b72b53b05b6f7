package foreign

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/apron-deploy/apron/manifest"
)

// service is one service on its way into a manifest.
type service struct {
	*source
	draft     manifest.Draft
	from      map[string]*node // what each key of the draft was read from
	notes     []Note
	variables []Variable
	region    text     // where it is, as far as the source says
	under     []string // where keys go: environments.NAME, for an overlay
}

func (s *source) service() *service {
	v := &service{source: s, from: map[string]*node{}}
	v.put(nil, 1, "version")
	return v
}

func (s *service) look(n *node, format string, args ...any)  { s.tell(Look, n, format, args...) }
func (s *service) other(n *node, format string, args ...any) { s.tell(Other, n, format, args...) }

// tell accounts for a node with a note. Of a list or a mapping each leaf is told.
func (s *service) tell(class Class, n *node, format string, args ...any) {
	n.leaves(func(l *node) {
		s.notes = add(s.notes, Note{l.at, l.path, fmt.Sprintf(format, args...), class})
	})
	n.mark()
}

// remark tells something about a node that is accounted for otherwise.
func (s *service) remark(class Class, n *node, format string, args ...any) {
	s.notes = add(s.notes, Note{n.at, n.path, fmt.Sprintf(format, args...), class})
}

// missing tells about a key that a node does not have.
func (s *service) missing(class Class, n *node, key, what string) {
	s.notes = add(s.notes, Note{n.at, join(n.path, key), what, class})
}

// reasons are why a key has no place in a manifest, where more can be said than that.
var reasons = []struct{ key, why string }{
	{"dependson", "the order follows from what refers to what"},
	{"lifecycle", "is about how its own tool works"},
	{"timeouts", "apron waits as long as App Runner may take; --timeout is another limit"},
	{"count", "decides whether there is such a thing, which a manifest cannot: it is drafted as if there is"},
	{"foreach", "decides how many of it there are: it is drafted once"},
	{"condition", "decides whether there is such a thing, which a manifest cannot: it is drafted as if there is"},
	{"provider", "is about how its own tool works: region says where the service is"},
	{"deletionpolicy", "apron destroy says first what it deletes and what it keeps"},
	{"updatereplacepolicy", "apron replaces nothing unless --replace says so"},
	{"imagetagmutability", "apron makes tags immutable, but for those that are to move"},
	{"forcedelete", "apron destroy keeps the repository and its images unless --images says otherwise"},
	{"emptyondelete", "apron destroy keeps the repository and its images unless --images says otherwise"},
}

// leftovers tells what nobody has accounted for below n.
func (s *service) leftovers(n *node) {
	n.leaves(func(l *node) {
		why := "has no place in a manifest"
		if l.tag == "!!null" || l.kind != scalar && l.kind != unknown {
			why = "has no value"
		}
		for _, r := range reasons {
			if slices.ContainsFunc(strings.FieldsFunc(l.path, func(c rune) bool { return c == '.' || c == '[' }), func(k string) bool { return sameKey(k, r.key) }) {
				why = r.why
			}
		}
		s.look(l, "%s", why)
	})
}

// put sets a key of the draft, or replaces what is there.
func (s *service) put(n *node, value any, path ...string) {
	path = slices.Concat(s.under, path)
	s.draft = insert(s.draft, manifest.Entry{Value: value}, path)
	if n != nil {
		s.from[strings.Join(path, "\x00")] = n
	}
}

// suggest adds a key as a comment: what to write, once somebody knows the value.
func (s *service) suggest(value any, behind string, path ...string) {
	if !s.has(path...) {
		s.draft = insert(s.draft, manifest.Entry{Value: value, Behind: behind, Off: true}, slices.Concat(s.under, path))
	}
}

func insert(d manifest.Draft, e manifest.Entry, path []string) manifest.Draft {
	at := slices.IndexFunc(d, func(e manifest.Entry) bool { return e.Key == path[0] })
	if at < 0 {
		at = len(d)
		d = append(d, manifest.Entry{Key: path[0]})
	}
	if len(path) == 1 {
		e.Key = path[0]
		d[at] = e
		return d
	}
	inner, _ := d[at].Value.(manifest.Draft)
	d[at].Value = insert(inner, e, path[1:])
	return d
}

// entry is a key of the draft, or an empty one.
func (s *service) entry(path ...string) manifest.Entry {
	d := s.draft
	for i, key := range path {
		at := slices.IndexFunc(d, func(e manifest.Entry) bool { return e.Key == key && !e.Off })
		if at < 0 {
			return manifest.Entry{}
		}
		if i == len(path)-1 {
			return d[at]
		}
		d, _ = d[at].Value.(manifest.Draft)
	}
	return manifest.Entry{}
}

func (s *service) has(path ...string) bool { return s.entry(slices.Concat(s.under, path)...).Key != "" }

// set copies a single value, with variables for what is not known.
func (s *service) set(n *node, path ...string) bool {
	return s.setAs(n, func(t string) string { return t }, path...)
}

func (s *service) setAs(n *node, as func(string) string, path ...string) bool {
	if n == nil {
		return false
	}
	if n.tag == "!!null" {
		s.look(n, "has no value")
		return false
	}
	if n.kind == list || n.kind == mapping {
		s.look(n, "must be a single value to become %s", strings.Join(path, "."))
		return false
	}
	if what := manifest.Signature(n.text.with(func(*reference) string { return "unknown" })); what != "" && path[0] != "env" && path[0] != "secrets" {
		s.look(n, "looks like %s, so it is not here", what)
		return false
	}
	s.put(n, as(s.write(n, path...)), path...)
	n.mark()
	return true
}

// write is a text as a manifest has it.
func (s *service) write(n *node, path ...string) string {
	var b strings.Builder
	for i, p := range n.text {
		switch {
		case p.ref == nil:
			b.WriteString(strings.ReplaceAll(p.literal, "$", "$$"))
		case p.ref.direct != "":
			b.WriteString(p.ref.direct)
		default:
			whole := len(n.text) == 1 || i == 0 && len(path) > 0 && path[0] == "secrets"
			sample := example(path, whole, s.here())
			if slices.Equal(path, []string{"image", "from"}) {
				sample = imageExample(n.text, i, s.here())
			}
			v := s.variable(p.ref.named(path), sample)
			s.remark(Look, n, "%s is known only to %s: set %s", p.ref.as, s.tool, v)
			b.WriteString("${" + v + "}")
		}
	}
	return b.String()
}

// named is the reference with a name by the key of the manifest that it is for, if its own
// was made up.
func (r *reference) named(path []string) *reference {
	if !r.loose || len(path) == 0 {
		return r
	}
	if path[0] == "env" || path[0] == "secrets" {
		path = path[1:]
	}
	out := *r
	out.name = variable(path...)
	return &out
}

// here is the Region, as far as examples need one.
func (s *service) here() string {
	if r, ok := s.region.static(); ok && r != "" {
		return r
	}
	return "us-east-1"
}

// anything is the example of what has no shape of its own.
const anything = ""

// variable is the name of the environment variable that stands for a reference.
func (s *service) variable(r *reference, sample string) string {
	name := s.nameOf(r.name, r.as)
	i := slices.IndexFunc(s.variables, func(v Variable) bool { return v.Name == name })
	if i < 0 {
		i = len(s.variables)
		s.variables = append(s.variables, Variable{Name: name, For: r.as, Example: s.whatever(name)})
	}
	switch {
	case name == "AWS_REGION":
		sample = s.here()
	case name == "AWS_ACCOUNT_ID":
		sample = "123456789012"
	}
	if sample != anything && s.variables[i].Example == s.whatever(name) {
		s.variables[i].Example = strings.ReplaceAll(sample, "%d", strconv.Itoa(s.number(name)))
	}
	return name
}

// whatever is an example that no other variable has.
func (s *source) whatever(name string) string { return fmt.Sprintf("val%d", s.number(name)) }

func (s *source) number(name string) int {
	if s.numbers[name] == 0 {
		s.numbers[name] = len(s.numbers) + 1
	}
	return s.numbers[name]
}

// taken are variables that every shell has a value for, which is another one.
var taken = []string{"PATH", "HOME", "USER", "NAME", "HOST", "HOSTNAME", "PWD", "SHELL", "TERM", "LANG", "PORT", "TZ", "TMPDIR", "TEMP", "TMP", "LOGNAME", "EDITOR", "CI", "OS"}

// nameOf keeps names of different things apart.
func (s *source) nameOf(name, as string) string {
	if manifest.SessionCredential(name) || slices.Contains(taken, name) {
		name = "APP_" + name
	}
	if name == account.name || name == where.name {
		return name
	}
	for i, base := 2, name; s.names[name] != "" && s.names[name] != as; i++ {
		name = fmt.Sprintf("%s_%d", base, i)
	}
	s.names[name] = as
	return name
}

// imageExample is a value that makes the address of an image in ECR of a text, which is
// where App Runner takes images from.
func imageExample(t text, i int, region string) string {
	const host = ".amazonaws.com"
	before, after := "", ""
	if i > 0 {
		before = t[i-1].literal
	}
	if i+1 < len(t) {
		after = t[i+1].literal
	}
	switch {
	case i == 0 && strings.HasPrefix(after, ".dkr.ecr."):
		return "123456789012"
	case i == 0 && strings.HasPrefix(after, "/"):
		return "123456789012.dkr.ecr." + region + host
	case i == 0 && after == "":
		return "123456789012.dkr.ecr." + region + host + "/app:latest"
	case i == 0:
		return "123456789012.dkr.ecr." + region + host + "/app"
	case strings.HasSuffix(before, ".dkr.ecr."):
		return region
	}
	return anything
}

// example is a value that fits a key of the manifest. %d in it is another number for each
// variable.
func example(path []string, whole bool, region string) string {
	if len(path) == 0 || !whole {
		return anything
	}
	if path[0] == "secrets" {
		return "arn:aws:secretsmanager:" + region + ":123456789012:secret:example-AbCdEf"
	}
	fits, ok := map[string]string{
		"service": "example-%d", "region": region,
		"roles.access": "example-role", "roles.instance": "example-role",
		"network.ingress.vpc": "vpc-0123456789abcdef0", "network.ingress.endpoint": "vpce-0123456789abcdef0",
		"network.public": "true", "network.ip": "ipv4", "auto_deploy": "true", "image.scan.on_push": "true",
		"apprunner.kms_key": "arn:aws:kms:" + region + ":123456789012:key/00000000-0000-0000-0000-000000000000",
		"apprunner.web_acl": "arn:aws:wafv2:" + region + ":123456789012:regional/webacl/example/00000000-0000-0000-0000-000000000000",
		"cpu":               "1 vCPU", "memory": "2 GB", "port": "8080", "domains": "example.com",
		"health.protocol": "HTTP", "health.path": "/health", "health.interval": "10", "health.timeout": "5",
		"health.healthy": "1", "health.unhealthy": "5",
		"scaling.min": "1", "scaling.max": "2", "scaling.concurrency": "100",
	}[strings.Join(path, ".")]
	if !ok {
		return anything
	}
	return fits
}
