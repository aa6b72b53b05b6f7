package manifest

import (
	"cmp"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/apron-deploy/apron/reconcile/state"
)

// spec turns the decoded manifest into what the other packages work with, defaults
// applied.
func (m *Manifest) spec(file, dir string, vars *expander) state.Spec {
	s := state.Spec{
		File: file, Dir: dir,
		Service: m.Service, Region: m.Region, Account: m.Account,
		Target:  cmp.Or(m.Target, targetAppRunner),
		Image:   m.Image.spec(m.Service, vars.lookup),
		Secrets: secretRefs(m.Secrets, vars.lookup),
		Command: m.Command, Port: m.Port, CPU: (*int)(m.CPU), Memory: (*int)(m.Memory),
		Scaling: m.Scaling.spec(), Health: m.Health.spec(),
		AutoDeploy: m.AutoDeploy != nil && *m.AutoDeploy,
		Roles:      state.Roles{Access: "auto", Instance: "auto"},
		Tags:       m.Tags,
	}
	if m.Env != nil {
		s.Env = map[string]state.EnvValue{}
		hide := secretValues(s)
		for name, v := range m.Env {
			s.Env[name] = v.spec(name, hide)
		}
	}
	if r := m.Roles; r != nil {
		s.Roles = state.Roles{Access: cmp.Or(r.Access, "auto"), Instance: cmp.Or(r.Instance, "auto")}
	}
	if s.Image.InPlace && publicImage().MatchString(s.Image.From) && s.Roles.Access == "auto" {
		s.Roles.Access = "" // nothing is asked for it
	}
	s.Network = m.Network.spec()
	s.Domains = domains(m.Domains)
	if m.Observability != nil {
		s.Tracing = m.Observability.Tracing
	}
	if m.AppRunner != nil {
		s.KMSKey, s.WebACL = m.AppRunner.KMSKey, m.AppRunner.WebACL
	}
	if m.Permissions != nil { // none is not the same as not said
		s.Permissions = []state.Permission{}
	}
	for _, p := range m.Permissions {
		s.Permissions = append(s.Permissions, state.Permission(p))
	}
	s.Verify = probes(m.Verify, s.Health)
	if m.Verify == nil && s.Network != nil && s.Network.Public != nil && !*s.Network.Public {
		s.Verify = nil // it answers within its VPC only
	}
	return s
}

func (v Value) spec(name string, secrets []string) state.EnvValue {
	e := v.node.value
	out := state.EnvValue{Value: e.plain(), Provenance: e.commit}
	if e.commit {
		out.Source = v.node.text
	}
	for _, s := range e.soft {
		out.Template = e.template()
		out.Omit = out.Omit || !s.hasOr
	}
	out.Hidden = SecretLooking(name) || revealing(name, out.Value) != "" && !e.commit || holdsSecret(out.Value, secrets)
	return out
}

func secretRefs(secrets map[string]Secret, lookup func(string) (string, bool)) map[string]state.SecretRef {
	if secrets == nil {
		return nil
	}
	refs := map[string]state.SecretRef{}
	for name, s := range secrets {
		ref := state.SecretRef{Source: s.Source, Name: s.Name, Key: s.Key, Stage: s.Stage, Version: s.Version}
		if s.Source == state.FromEnv {
			value, _ := lookup(s.Name)
			ref.Value, ref.Set = state.Sensitive(value), value != ""
		}
		refs[name] = ref
	}
	return refs
}

func (im *Image) spec(service string, lookup func(string) (string, bool)) state.Image {
	if im == nil {
		im = &Image{}
	}
	s := state.Image{
		Repository: cmp.Or(im.Repository, service),
		Version:    im.Version, Tags: im.Tags,
	}
	s.From, s.Whole = im.From, im.Platforms == "all"
	s.InPlace = im.inPlace()
	if m := privateImage().FindStringSubmatch(im.From); s.InPlace && m != nil {
		s.Repository = m[1]
	}
	if im.From == "" {
		s.Build = im.Build.spec(lookup)
	}
	if im.Scan != nil {
		s.ScanOnPush = im.Scan.OnPush
		s.Gate = im.Scan.gate()
	}
	if r := im.Retention; r != nil {
		s.Keep, s.Untagged = r.Keep, r.UntaggedDays
	}
	return s
}

// gate is what a scan must not find, or nil when nothing stops a rollout.
func (s *Scan) gate() *state.Gate {
	if s.FailOn == "" {
		return nil
	}
	g := &state.Gate{FailOn: s.FailOn}
	for _, a := range s.Allow {
		until, err := time.Parse(time.DateOnly, a.Until)
		if err != nil {
			until = time.Unix(0, 0) // 31 February: it never holds
		}
		g.Allow = append(g.Allow, state.Allowance{ID: a.ID, Until: until})
	}
	return g
}

func (b *Build) spec(lookup func(string) (string, bool)) *state.Build {
	if b == nil {
		b = &Build{}
	}
	s := &state.Build{
		Context:    path.Clean(cmp.Or(b.Context, ".")),
		Dockerfile: path.Clean(cmp.Or(b.Dockerfile, "Dockerfile")),
		Platform:   cmp.Or(b.Platform, "linux/amd64"),
		Target:     b.Target, Args: texts(b.Args), Labels: texts(b.Labels), Builder: b.Builder, Pull: b.Pull,
	}
	for id, secret := range b.Secrets {
		if s.Secrets == nil {
			s.Secrets = map[string]state.BuildSecret{}
		}
		out := state.BuildSecret{Env: secret.Env, File: secret.File}
		if secret.Env != "" {
			value, _ := lookup(secret.Env)
			out.Value, out.Set = state.Sensitive(value), value != ""
		}
		s.Secrets[id] = out
	}
	if b.Cache != nil {
		s.Cache = &state.Cache{From: b.Cache.From, To: b.Cache.To}
	}
	if r := b.Before; r != nil {
		s.Before = &state.Before{Run: r.Run, Env: texts(r.Env), Inputs: r.Inputs, Outputs: r.Outputs}
	}
	return s
}

func texts(m map[string]Argument) map[string]string {
	if m == nil {
		return nil
	}
	out := make(map[string]string, len(m))
	for k, v := range m {
		out[k] = string(v)
	}
	return out
}

func (s *Scaling) spec() *state.Scaling {
	if s == nil {
		return nil
	}
	out := &state.Scaling{Min: s.Min, Max: s.Max, Concurrency: s.Concurrency}
	if s.Metric == "concurrency" {
		out.Concurrency = s.Target
	}
	return out
}

func domains(list []Domain) []state.Domain {
	if list == nil {
		return nil
	}
	out := []state.Domain{}
	on := func(b *bool) bool { return b != nil && *b }
	for _, d := range list {
		out = append(out, state.Domain{Name: strings.ToLower(d.Name), WWW: on(d.WWW), Route53: on(d.Route53), Wait: on(d.Wait)})
	}
	return out
}

func (n *Network) spec() *state.Network {
	if n == nil {
		return nil
	}
	s := &state.Network{Public: n.Public, IP: n.IP}
	if n.IP == "dual" {
		s.IP = "dual_stack"
	}
	if e := n.Egress; e != nil {
		s.Egress = &state.Egress{Subnets: sorted(e.Subnets), SecurityGroups: sorted(e.SecurityGroups)}
	}
	if i := n.Ingress; i != nil {
		s.Ingress = &state.Ingress{VPC: i.VPC, Endpoint: i.Endpoint}
	}
	return s
}

// sorted is a list of ids whose order says nothing.
func sorted(ids []string) []string {
	ids = slices.Clone(ids)
	slices.Sort(ids)
	return ids
}

func (h *Health) spec() *state.Health {
	if h == nil {
		return nil
	}
	s := &state.Health{
		Protocol: h.Protocol, Path: h.Path,
		Interval: (*time.Duration)(h.Interval), Timeout: (*time.Duration)(h.Timeout),
		Healthy: h.Healthy, Unhealthy: h.Unhealthy,
	}
	if s.Path != nil && s.Protocol == nil {
		http := "HTTP"
		s.Protocol = &http
	}
	return s
}

// probes are those asked for; without a word about them, the path of the health check.
func probes(asked *[]Probe, h *state.Health) []state.Probe {
	if asked == nil {
		if h == nil || h.Protocol == nil || *h.Protocol != "HTTP" {
			return nil
		}
		path := "/" // the API's default
		if h.Path != nil {
			path = *h.Path
		}
		return []state.Probe{{Path: path, Status: 200}}
	}
	out := []state.Probe{}
	for _, p := range *asked {
		status := 200
		if p.Status != nil {
			status = *p.Status
		}
		out = append(out, state.Probe{Path: p.Path, Status: status})
	}
	return out
}
