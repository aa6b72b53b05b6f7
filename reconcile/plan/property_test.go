package plan_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/hashicorp/go-multierror"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/apron-deploy/apron/reconcile/plan"
	"github.com/apron-deploy/apron/reconcile/state"
)

func at(target, kind, name string) state.Address {
	return state.Address{Target: target, Kind: kind, Name: name}
}

var serviceNames = []string{"api", "web", "worker"}

// drawDesired draws manifests of up to three services that share a repository and
// scaling configurations, and that may name each other's URLs.
func drawDesired(t *rapid.T, label string) state.Desired {
	d := state.Desired{}
	add := func(r state.Resource) state.Address {
		state.Sort(r.Fields)
		d[r.Address] = r
		return r.Address
	}
	for _, name := range serviceNames {
		if !rapid.Bool().Draw(t, label+" has "+name) {
			continue
		}
		pick := func(what string, n int) int { return rapid.IntRange(0, n).Draw(t, label+" "+name+" "+what) }
		repo := add(state.Resource{Address: at("ecr", "repository", "app"), Fields: []state.Field{{Path: "tags.managed", Value: "true"}}})
		image := add(state.Resource{Address: at("ecr", "image", fmt.Sprintf("app:src-%d", pick("image", 2))), Fields: []state.Field{
			{Path: "repository", Value: repo.String(), Ref: true, Order: true}}})
		s := state.Resource{Address: at("apprunner", "service", name), Whole: []string{"env.", "secrets."}, Fields: []state.Field{
			{Path: "image", Value: image.String(), Ref: true},
			{Path: "kms", Value: fmt.Sprint(pick("kms", 1)), Immutable: true},
			{Path: "tags.service", Value: name}}}
		switch n := pick("command", 3); n {
		case 0:
		case 1:
			s.Whole = append(s.Whole, "command")
		default:
			s.Fields = append(s.Fields, state.Field{Path: "command", Value: fmt.Sprint(n), Lasting: true})
		}
		if n := pick("cpu", 2); n > 0 {
			s.Fields = append(s.Fields, state.Field{Path: "cpu", Value: fmt.Sprint(n)})
		}
		if n := pick("scaling", 3); n > 0 {
			scaling := add(state.Resource{Address: at("apprunner", "scaling", fmt.Sprintf("apron-1-%d-100", n)), Fields: []state.Field{
				{Path: "max", Value: fmt.Sprint(n), Immutable: true}}})
			s.Fields = append(s.Fields, state.Field{Path: "scaling", Value: scaling.String(), Ref: true})
		}
		for _, key := range []string{"A", "B"} {
			if n := pick("secret "+key, 2); n > 0 {
				p := add(state.Resource{Address: at("ssm", "parameter", "/apron/"+name+"/"+key), Fields: []state.Field{
					{Path: "type", Value: "SecureString"}, {Path: "value", Value: fmt.Sprint("secret-", n), Secret: true}}})
				s.Fields = append(s.Fields, state.Field{Path: "secrets." + key, Value: p.String(), Ref: true, Restart: true})
			}
			if n := pick("env "+key, 2); n > 0 {
				s.Fields = append(s.Fields, state.Field{Path: "env.PLAIN_" + key, Value: fmt.Sprint(n)})
			}
		}
		for _, other := range serviceNames {
			switch pick("url of "+other, 3) {
			case 1:
				s.Fields = append(s.Fields, state.Field{Path: "env.URL_" + other, Template: "${services." + other + ".url}/", Omit: true})
			case 2:
				s.Fields = append(s.Fields, state.Field{Path: "env.URL_" + other, Template: "${services." + other + ".url}/", Value: "none"})
			}
		}
		s.Fields = append(s.Fields, state.Field{Path: "env.SHA", Value: fmt.Sprint(pick("sha", 3)), Provenance: true})
		service := add(s)
		if n := pick("ingress", 3); n > 0 {
			add(state.Resource{Address: at("apprunner", "vpc-ingress", name), Fields: []state.Field{
				{Path: "service", Value: service.String(), Ref: true, Immutable: true}, {Path: "vpc", Value: fmt.Sprint(n)}}})
		}
		if n := pick("domain", 3); n > 0 {
			domain := add(state.Resource{Address: at("apprunner", "domain", name+".example.com"), Fields: []state.Field{
				{Path: "service", Value: service.String(), Ref: true, Immutable: true}, {Path: "www", Value: fmt.Sprint(n), Immutable: true}}})
			if m := pick("records", 2); m > 0 {
				value := ""
				if m == 2 {
					value = "made"
				}
				add(state.Resource{Address: at("route53", "records", name+".example.com"), Fields: []state.Field{
					{Path: "domain", Value: domain.String(), Ref: true, Immutable: true}, {Path: "target", Value: value, Later: true}}})
			}
		}
		if n := pick("connector", 3); n > 0 {
			c := add(state.Resource{Address: at("apprunner", "vpc-connector", fmt.Sprint("apron-", n)), Fields: []state.Field{
				{Path: "subnets", Value: fmt.Sprint(n), Immutable: true}}})
			r := d[service]
			r.Fields = state.Sort(append(slices.Clone(r.Fields), state.Field{Path: "network.egress", Value: c.String(), Ref: true}))
			d[service] = r
		}
		add(state.Resource{Address: at("ecr", "tag", "app:live-"+name), Fields: []state.Field{
			{Path: "after", Value: service.String(), Ref: true, Order: true}, {Path: "image", Value: image.String(), Ref: true}}})
		add(state.Resource{Address: at("ecr", "tag", fmt.Sprintf("app:v%d", pick("version", 1))), Fields: []state.Field{
			{Path: "after", Value: service.String(), Ref: true, Order: true}, {Path: "image", Value: image.String(), Ref: true, Once: true}}})
	}
	// A soft reference to a service that is not there is refused; the properties are
	// about what is planned.
	for addr, r := range d {
		r.Fields = slices.DeleteFunc(r.Fields, func(f state.Field) bool {
			for _, name := range state.SoftRefs(f.Template) {
				if _, there := d[at("apprunner", "service", name)]; !there {
					return true
				}
			}
			return false
		})
		d[addr] = r
	}
	return d
}

// drawWorld draws a live state that can exist: that of another manifest, with some
// drift, some phases and some owners changed.
func drawWorld(t *rapid.T) world {
	w := world{}
	before := drawDesired(t, "before")
	p, err := plan.Build(before, state.Live{}, plan.Options{})
	require.NoError(t, err)
	for _, a := range p.Actions {
		require.NoError(t, w.do(a))
	}
	for _, addr := range slices.SortedFunc(maps.Keys(w), state.Address.Compare) {
		o := w[addr]
		if len(o.Fields) > 0 && rapid.IntRange(0, 5).Draw(t, "drift "+addr.String()) == 0 {
			o.Fields = slices.Clone(o.Fields)
			f := &o.Fields[rapid.IntRange(0, len(o.Fields)-1).Draw(t, "drifted field")]
			if !f.Ref && !f.Immutable {
				f.Value = "drifted"
			}
		}
		switch addr.Kind {
		case "service":
			o.Phase = rapid.SampledFrom([]state.Phase{state.Ready, state.Ready, state.Ready, state.Busy, state.Paused, state.Failed, state.Stuck}).Draw(t, "phase of "+addr.Name)
			if o.Phase == state.Failed {
				o.URL = "" // it never ran
			}
		case "scaling", "parameter", "vpc-connector":
			if rapid.IntRange(0, 6).Draw(t, "whose "+addr.Name) == 0 {
				o.Owner = state.Theirs
			}
		}
		w[addr] = o
	}
	return w
}

// free takes away the versions that are refused because they name other images.
func free(t *rapid.T, d state.Desired, w world) state.Desired {
	_, err := plan.Build(d, state.Live(w), everything)
	var all *multierror.Error
	if errors.As(err, &all) {
		for _, err := range all.Errors {
			var refused *plan.RefusedError
			require.ErrorAs(t, err, &refused)
			require.True(t, refused.Policy && strings.HasPrefix(refused.Target.Name, "app:v"), "%v", err)
			delete(d, refused.Target)
		}
	}
	return d
}

var everything = plan.Options{Replace: true, Resume: true, Adopt: true}

func TestProperty_onePlanIsEnough(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := drawWorld(t)
		d := free(t, drawDesired(t, "wanted"), w)
		p, err := plan.Build(d, state.Live(w), everything)
		require.NoError(t, err)
		for _, a := range p.Actions {
			if err := w.do(a); !errors.Is(err, errOnce) {
				require.NoError(t, err, "every step is legal: %s", a.ID)
				continue
			}
			require.True(t, slices.ContainsFunc(p.Notes, func(n state.Note) bool { return n.Warning && n.Target == a.Target }),
				"only the build told that %s is taken, and the plan warned of it", a.Target)
			_, err := plan.Build(d, state.Live(w), everything)
			require.ErrorContains(t, err, a.Target.String(), "now it is refused")
			delete(d, a.Target)
		}
		again, err := plan.Build(d, state.Live(w), everything)
		require.NoError(t, err)
		require.Empty(t, ids(again), "planning after applying is empty")
	})
}

func TestProperty_needsComeFirstAndEqualInputsGiveEqualPlans(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := drawWorld(t)
		d := free(t, drawDesired(t, "wanted"), w)
		inputs := fmt.Sprint(d, w)
		p, err := plan.Build(d, state.Live(w), everything)
		require.NoError(t, err)
		done := map[plan.ID]bool{}
		for _, a := range p.Actions {
			for _, n := range a.Needs {
				require.True(t, done[n], "%s runs before %s, which it needs", a.ID, n)
			}
			require.False(t, done[a.ID], "%s comes twice", a.ID)
			done[a.ID] = true
		}
		again, err := plan.Build(maps.Clone(d), maps.Clone(state.Live(w)), everything)
		require.NoError(t, err)
		require.Equal(t, encoded(t, p), encoded(t, again))
		require.Equal(t, inputs, fmt.Sprint(d, w), "inputs are not changed")
	})
}

func TestProperty_notOursNotTouched(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		d, w := drawDesired(t, "wanted"), drawWorld(t)
		for addr, o := range w {
			if o.Owner != state.Derived {
				o.Owner = state.Theirs
				w[addr] = o
			}
		}
		p, err := plan.Build(d, state.Live(w), plan.Options{Replace: true, Resume: true})
		if err != nil {
			return // refused as a whole
		}
		for _, a := range p.Actions {
			if a.Op != plan.Create && !a.Second {
				require.Equal(t, state.Derived, w[a.Target].Owner, "%s touches what is not ours", a.ID)
			}
		}
	})
}

func ids(p *plan.Plan) []plan.ID {
	var ids []plan.ID
	for _, a := range p.Actions {
		ids = append(ids, a.ID)
	}
	return ids
}

func encoded(t require.TestingT, p *plan.Plan) string {
	b, err := json.Marshal(p)
	require.NoError(t, err)
	return string(b)
}
