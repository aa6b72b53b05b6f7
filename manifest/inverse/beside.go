package inverse

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/apron-deploy/apron/manifest"
	"github.com/apron-deploy/apron/reconcile/state"
)

// of lists what belongs to the service of a kind, in order of the names.
func (w *writer) of(kind string) []state.Observed {
	var all []state.Observed
	for addr, o := range w.live {
		if addr.Kind == kind && o.Value("service") == w.s.Address.String() {
			all = append(all, o)
		}
	}
	slices.SortFunc(all, func(a, b state.Observed) int { return a.Address.Compare(b.Address) })
	return all
}

// domains are the whole list or none: one that is not in the list would be let go.
func (w *writer) domains() {
	all := w.of("domain")
	var list []any
	var texts, broken []string
	for _, d := range all {
		texts = append(texts, d.Address.Name)
		if d.Phase != state.Ready {
			broken = append(broken, fmt.Sprintf("%s is %s", d.Address.Name, cmp.Or(d.Note, string(d.Phase))))
		}
		if d.Value("www") == "true" {
			list = append(list, manifest.Draft{{Key: "name", Value: d.Address.Name}, {Key: "www", Value: true}})
		} else {
			list = append(list, d.Address.Name)
		}
	}
	switch {
	case len(list) == 0:
	case len(broken) > 0:
		w.leave("domains", "%s: %s", strings.Join(texts, ", "), strings.Join(broken, ", "))
	case !w.out("domains", strings.Join(texts, ", ")):
		w.add(manifest.Entry{Key: "domains", Value: list, Behind: "who writes their DNS records is not known: route53: true has apron do it"})
	}
}

func (w *writer) network() {
	var network manifest.Draft
	if f, ok := w.s.Get("network.egress"); ok {
		if addr, isRef := f.Target(); isRef {
			connector, read := w.live[addr]
			switch subnets, groups := strings.Fields(connector.Value("subnets")), strings.Fields(connector.Value("security_groups")); {
			case !read || len(subnets) == 0 || len(groups) == 0:
				w.leave("network.egress", "the VPC connector %s, whose subnets and groups could not be read", addr.Name)
			case !w.out("network.egress", addr.Name):
				network = append(network, manifest.Entry{Key: "egress", Value: manifest.Draft{
					{Key: "subnets", Value: subnets}, {Key: "security_groups", Value: groups}}, Behind: "the VPC connector " + addr.Name})
			}
		} else if strings.Contains(f.Value, ":") {
			w.leave("network.egress", "the VPC connector %s, which is not of this account and Region", f.Value)
		}
	}
	if w.s.Value("network.public") == "false" {
		network = append(network, manifest.Entry{Key: "public", Value: false})
		network = append(network, w.ingress()...)
	}
	if ip := w.s.Value("network.ip"); ip != "" && ip != "ipv4" {
		network = append(network, manifest.Entry{Key: "ip", Value: ip})
	}
	if len(network) > 0 && !w.out("network", names(w.below("network."))) {
		w.add(manifest.Entry{Key: "network", Value: network})
	}
}

func (w *writer) ingress() (one manifest.Draft) {
	for i, c := range w.of("vpc-ingress") {
		text := fmt.Sprintf("the VPC ingress connection %s, through %s of %s", c.Address.Name, c.Value("endpoint"), c.Value("vpc"))
		switch {
		case i > 0:
			w.leave("network.ingress", "%s: a manifest has one", text)
		case c.Phase != state.Ready:
			w.leave("network.ingress", "%s: it is %s", text, cmp.Or(c.Note, string(c.Phase)))
		case !w.out("network.ingress", text):
			one = manifest.Draft{{Key: "ingress", Inline: true, Behind: "the VPC ingress connection " + c.Address.Name,
				Value: manifest.Draft{{Key: "vpc", Value: c.Value("vpc")}, {Key: "endpoint", Value: c.Value("endpoint")}}}}
		}
	}
	return one
}

func (w *writer) tracing() {
	f, ok := w.s.Get("tracing")
	if !ok || f.Value == "none" {
		return
	}
	addr, _ := f.Target()
	_, role := w.s.Get("instance_role")
	name := cmp.Or(addr.Name, f.Value)
	switch c := w.live[addr]; {
	case c.Value("vendor") != "AWSXRAY":
		w.leave("observability", "the configuration %s, which could not be read or sends no traces to X-Ray", name)
	case !role:
		w.leave("observability", "tracing by %s: the service has no instance role, and apron would make it one that may send traces", name)
	case !w.out("observability", name):
		e := manifest.Entry{Key: "observability", Inline: true, Value: manifest.Draft{{Key: "tracing", Value: "xray"}}}
		if !strings.HasPrefix(addr.Name, "apron-") {
			e.Behind = "by the configuration " + addr.Name
		}
		w.add(e)
	}
}

// roles are those of the service, but for those that apron makes when it is told nothing.
func (w *writer) roles() {
	var roles manifest.Draft
	for _, r := range []struct {
		key, field string
		auto       state.Address
	}{{"access", "access_role", w.o.Access}, {"instance", "instance_role", w.o.Instance}} {
		f, ok := w.s.Get(r.field)
		if !ok || f.Value == "" || f.Value == r.auto.String() {
			continue
		}
		arn := f.Value
		if a, isRef := f.Target(); isRef {
			arn = fmt.Sprintf("arn:%s:iam::%s:role/apron/%s", cmp.Or(w.o.Partition, "aws"), w.o.Account, a.Name)
		}
		if !w.out("roles."+r.key, arn) {
			roles = append(roles, manifest.Entry{Key: r.key, Value: arn})
		}
	}
	if len(roles) > 0 {
		w.add(manifest.Entry{Key: "roles", Value: roles, Above: []string{"apron only uses these, and changes nothing of them."}})
	}
}

// permissions are those of the role that apron has made. What reads secrets follows from
// those.
func (w *writer) permissions() {
	if f, _ := w.s.Get("instance_role"); f.Value != w.o.Instance.String() {
		return
	}
	var all []string
	for _, f := range w.live[w.o.Instance].Fields {
		p, ok := strings.CutPrefix(f.Path, "permission.")
		action, _, _ := strings.Cut(p, " ")
		if ok && action != "ssm:GetParameters" && action != "secretsmanager:GetSecretValue" {
			all = append(all, p)
		}
	}
	if len(all) > 0 && !w.out("permissions", strings.Join(all, ", ")) {
		w.add(manifest.Entry{Key: "permissions", Value: all})
	}
}

func (w *writer) tags() {
	var tags manifest.Draft
	for _, f := range w.below("tags.") {
		lower := strings.ToLower(f.Path)
		switch {
		case strings.HasPrefix(lower, "apron:"):
		case lower == "aws:cloudformation:stack-name":
			w.leave("tags."+f.Path, "%s: that CloudFormation stack manages the service, and undoes what apron changes when it is deployed again. Take the service out of it, with DeletionPolicy: Retain, before the first apply", f.Value)
		case strings.HasPrefix(lower, "aws:"):
			w.leave("tags."+f.Path, "%s: AWS's own", f.Value)
		case !w.out("tags."+f.Path, f.Value):
			tags = append(tags, manifest.Entry{Key: f.Path, Value: manifest.LiveText("tags."+f.Path, f.Value, "")})
		}
	}
	if len(tags) > 0 {
		w.add(manifest.Entry{Key: "tags", Value: tags})
	}
}

func (w *writer) appRunner() {
	var own manifest.Draft
	set := func(key, value string) {
		if value != "" && !w.out("apprunner."+key, value) {
			own = append(own, manifest.Entry{Key: key, Value: value})
		}
	}
	set("kms_key", w.s.Value("kms_key"))
	for _, a := range w.of("association") {
		set("web_acl", a.Value("web_acl"))
	}
	if len(own) > 0 {
		w.add(manifest.Entry{Key: "apprunner", Value: own})
	}
}
