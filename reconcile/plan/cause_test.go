package plan_test

import (
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/apron-deploy/apron/reconcile/plan"
	"github.com/apron-deploy/apron/reconcile/state"
)

func hidden(path, value, version string) state.Field {
	return state.Field{Path: path, Value: value, Secret: true, Version: version}
}

func TestBuild_saysWhereAChangeComesFrom(t *testing.T) {
	web := at("apprunner", "service", "web")
	unmanaged := func(fields ...state.Field) state.Resource {
		return state.Resource{Address: web, Fields: state.Sort(fields)}
	}
	for name, tc := range map[string]struct {
		base     *state.Resource // nil: the release did not want it
		attempts []plan.Attempt
		live     []state.Field
		want     state.Resource
		causes   map[string]plan.Cause
	}{
		"the manifest changed":            {base: ptr(service("web", field("cpu", "1"))), live: []state.Field{field("cpu", "1")}, want: service("web", field("cpu", "2")), causes: map[string]plan.Cause{"cpu": plan.Pending}},
		"live changed":                    {base: ptr(service("web", field("cpu", "1"))), live: []state.Field{field("cpu", "2")}, want: service("web", field("cpu", "1")), causes: map[string]plan.Cause{"cpu": plan.Drift}},
		"both changed":                    {base: ptr(service("web", field("cpu", "1"))), live: []state.Field{field("cpu", "2")}, want: service("web", field("cpu", "3")), causes: map[string]plan.Cause{"cpu": plan.Conflict}},
		"live lost a setting":             {base: ptr(service("web", field("cpu", "1"))), want: service("web", field("cpu", "1")), causes: map[string]plan.Cause{"cpu": plan.Drift}},
		"live lost it, the manifest too":  {base: ptr(service("web", field("cpu", "1"))), want: service("web", field("cpu", "2")), causes: map[string]plan.Cause{"cpu": plan.Conflict}},
		"the release left it alone":       {base: ptr(service("web")), live: []state.Field{field("cpu", "1")}, want: service("web", field("cpu", "2")), causes: map[string]plan.Cause{"cpu": plan.Pending}},
		"a variable is new":               {base: ptr(service("web")), want: service("web", field("env.A", "1")), causes: map[string]plan.Cause{"env.A": plan.Pending}},
		"a variable left the manifest":    {base: ptr(service("web", field("env.A", "1"))), live: []state.Field{field("env.A", "1")}, want: service("web"), causes: map[string]plan.Cause{"env.A": plan.Pending}},
		"somebody added a variable":       {base: ptr(service("web")), live: []state.Field{field("env.A", "1")}, want: service("web"), causes: map[string]plan.Cause{"env.A": plan.Drift}},
		"both added a variable":           {base: ptr(service("web")), live: []state.Field{field("env.A", "1")}, want: service("web", field("env.A", "2")), causes: map[string]plan.Cause{"env.A": plan.Conflict}},
		"the map was not managed before":  {base: ptr(unmanaged()), live: []state.Field{field("env.A", "1")}, want: service("web"), causes: map[string]plan.Cause{"env.A": plan.Pending}},
		"the service was not wanted":      {live: []state.Field{field("cpu", "1")}, want: service("web", field("cpu", "2")), causes: map[string]plan.Cause{"cpu": plan.Pending}},
		"a failed release left it":        {base: ptr(service("web", field("cpu", "1"))), attempts: tried(service("web", field("cpu", "2"))), live: []state.Field{field("cpu", "2")}, want: service("web", field("cpu", "1")), causes: map[string]plan.Cause{"cpu": plan.Pending}},
		"a failed release was undone":     {base: ptr(service("web", field("cpu", "1"))), attempts: tried(service("web", field("cpu", "2"))), live: []state.Field{field("cpu", "1")}, want: service("web", field("cpu", "2")), causes: map[string]plan.Cause{"cpu": plan.Pending}},
		"somebody changed it after that":  {base: ptr(service("web", field("cpu", "1"))), attempts: tried(service("web", field("cpu", "2"))), live: []state.Field{field("cpu", "3")}, want: service("web", field("cpu", "1")), causes: map[string]plan.Cause{"cpu": plan.Drift}},
		"a failed release took it away":   {base: ptr(service("web", field("env.A", "1"))), attempts: tried(service("web")), want: service("web", field("env.A", "1")), causes: map[string]plan.Cause{"env.A": plan.Pending}},
		"somebody took it away after it":  {base: ptr(service("web", field("env.A", "1"))), attempts: tried(service("web", field("env.A", "1"))), want: service("web", field("env.A", "1")), causes: map[string]plan.Cause{"env.A": plan.Drift}},
		"a secret's value here changed":   {base: ptr(service("web", hidden("value", "", "3"))), live: []state.Field{hidden("value", "a", "3")}, want: service("web", hidden("value", "b", "")), causes: map[string]plan.Cause{"value": plan.Pending}},
		"a secret's value there changed":  {base: ptr(service("web", hidden("value", "", "3"))), live: []state.Field{hidden("value", "a", "4")}, want: service("web", hidden("value", "b", "")), causes: map[string]plan.Cause{"value": plan.Drift}},
		"a secret without a version":      {base: ptr(service("web", hidden("env.TOKEN", "", ""))), live: []state.Field{hidden("env.TOKEN", "a", "")}, want: service("web", hidden("env.TOKEN", "b", "")), causes: map[string]plan.Cause{"env.TOKEN": plan.Unknown}},
		"a secret read before it changed": {base: ptr(service("web")), live: []state.Field{field("deployment.secrets", "older than KEY")}, want: service("web", field("deployment.secrets", "current")), causes: map[string]plan.Cause{"deployment.secrets": plan.Drift}},
	} {
		t.Run(name, func(t *testing.T) {
			p, err := plan.Build(desired(tc.want), lives(live(state.Ours, state.Ready, service("web", tc.live...))),
				plan.Options{Bases: map[state.Address]plan.Base{web: {Wanted: tc.base, Attempts: tc.attempts}}})
			require.NoError(t, err)
			got := map[string]plan.Cause{}
			for _, a := range p.Actions {
				for _, c := range a.Changes {
					got[c.Path] = c.Cause
				}
			}
			require.Equal(t, tc.causes, got)
		})
	}
}

func ptr[T any](v T) *T { return &v }

// tried is what a release wanted that failed.
func tried(wanted state.Resource) []plan.Attempt {
	return []plan.Attempt{{Release: 2, Wanted: &wanted}}
}

func TestBuild_saysWhereResourcesComeFrom(t *testing.T) {
	bases := map[state.Address]plan.Base{one: {Wanted: &config1}, two: {}}
	attempted := func(a plan.Attempt) map[state.Address]plan.Base {
		return map[state.Address]plan.Base{one: {Wanted: &config1, Attempts: []plan.Attempt{a}}, two: {Attempts: []plan.Attempt{a}}}
	}
	for name, tc := range map[string]struct {
		want  state.Desired
		have  state.Live
		bases map[state.Address]plan.Base
		cause plan.Cause
	}{
		"new in the manifest":          {want: desired(config2), bases: bases, cause: plan.Pending},
		"deleted by somebody":          {want: desired(config1), bases: bases, cause: plan.Drift},
		"gone from the manifest":       {have: lives(live(state.Ours, state.Ready, config1)), bases: bases, cause: plan.Pending},
		"made by somebody":             {have: lives(live(state.Ours, state.Ready, config2)), bases: bases, cause: plan.Drift},
		"a failed destroy deleted it":  {want: desired(config1), bases: attempted(plan.Attempt{Release: 2, Deleted: true}), cause: plan.Pending},
		"deleted after a failed apply": {want: desired(config1), bases: attempted(plan.Attempt{Release: 2, Wanted: &config1}), cause: plan.Drift},
		"made by a failed apply":       {have: lives(live(state.Ours, state.Ready, config2)), bases: attempted(plan.Attempt{Release: 2, Wanted: &config2}), cause: plan.Pending},
		"made after a failed destroy":  {have: lives(live(state.Ours, state.Ready, config2)), bases: attempted(plan.Attempt{Release: 2, Deleted: true}), cause: plan.Drift},
		"nothing is known of this":     {want: desired(parameter("x")), bases: bases, cause: ""},
	} {
		t.Run(name, func(t *testing.T) {
			p, err := plan.Build(tc.want, tc.have, plan.Options{Bases: tc.bases})
			require.NoError(t, err)
			require.Len(t, p.Actions, 1)
			require.Equal(t, tc.cause, p.Actions[0].Cause)
			if p.Actions[0].Op == plan.Create && tc.cause != "" {
				require.Equal(t, tc.cause, p.Actions[0].Changes[0].Cause)
			}
		})
	}
}

func TestBuild_aRestartHasTheCauseOfWhatIsBehindIt(t *testing.T) {
	old, changed := parameter("old"), parameter("new")
	old.Fields[0].Version = "2"
	kept := service("web", reads)
	was := parameter("")
	was.Fields[0].Version = "2"
	p, err := plan.Build(desired(kept, changed), lives(live(state.Ours, state.Ready, kept), live(state.Ours, state.Ready, old)),
		plan.Options{Bases: map[state.Address]plan.Base{key: {Wanted: &was}, kept.Address: {Wanted: &kept}}})
	require.NoError(t, err)
	require.Len(t, p.Actions, 2)
	for _, a := range p.Actions {
		require.Equal(t, plan.Pending, a.Changes[0].Cause, a.ID)
	}
}

// What a release has left and nobody touched is pending, and what the manifest still
// says is drift, whatever else there is.
func TestProperty_oneSideThatMovedIsTold(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		draw := func(label string) state.Resource {
			var fields []state.Field
			for _, path := range []string{"cpu", "env.A", "env.B", "memory", "port"} {
				if n := rapid.IntRange(0, 3).Draw(t, label+" "+path); n > 0 {
					fields = append(fields, field(path, string(rune('0'+n))))
				}
			}
			return service("web", fields...)
		}
		one, other := draw("one"), draw("other")
		for _, f := range []string{"cpu", "memory", "port"} { // managed by both, or by neither
			_, a := one.Get(f)
			if _, b := other.Get(f); a != b {
				t.SkipNow()
			}
		}
		build := func(want, have, base state.Resource) *plan.Plan {
			p, err := plan.Build(desired(want), lives(live(state.Ours, state.Ready, have)),
				plan.Options{Bases: map[state.Address]plan.Base{base.Address: {Wanted: &base}}})
			require.NoError(t, err)
			return p
		}
		all := func(p *plan.Plan, cause plan.Cause) {
			for _, a := range p.Actions {
				for _, c := range a.Changes {
					require.Equal(t, cause, c.Cause, c.Path)
				}
			}
		}
		all(build(one, other, other), plan.Pending)
		all(build(one, other, one), plan.Drift)
		base := draw("base")
		require.Equal(t, encoded(t, build(one, other, base)), encoded(t, build(one, other, base)), "equal inputs, equal causes")
	})
}

func TestDrifted(t *testing.T) {
	was := service("web", field("cpu", "1"), field("env.A", "1"), hidden("env.TOKEN", "", ""), state.Field{Path: "env.SHA", Value: "1", Provenance: true})
	gone := config1
	kept := parameter("")
	kept.Fields[0].Version = "3"
	have := service("web", field("cpu", "2"), field("env.B", "1"), hidden("env.TOKEN", "x", ""), field("env.SHA", "2"), field("port", "80"))
	param := parameter("y")
	param.Fields[0].Version = "4"
	drifted := plan.Drifted([]state.Resource{was, gone, kept}, nil, lives(live(state.Ours, state.Ready, have), live(state.Ours, state.Ready, param)))
	var got []string
	for _, a := range drifted {
		got = append(got, string(a.ID))
		for _, c := range a.Changes {
			require.Equal(t, plan.Drift, c.Cause)
			got = append(got, c.Path)
		}
	}
	require.Equal(t, []string{"create apprunner/scaling/apron-1-1-100", "update apprunner/service/web", "cpu", "env.A", "env.B",
		"update ssm/parameter//apron/web/KEY", "value"}, got)
	tag := func(image string) state.Resource {
		return state.Resource{Address: at("ecr", "tag", "web:v1"), Fields: []state.Field{{Path: "image", Value: image, Once: true}}}
	}
	require.Empty(t, plan.Drifted([]state.Resource{tag("b")}, nil, lives(live(state.Derived, state.Ready, tag("a")))), "v1 stays what it was")
	require.Empty(t, plan.Drifted([]state.Resource{was}, nil, lives(live(state.Ours, state.Ready, service("web", field("cpu", "1"), field("env.A", "1"), hidden("env.TOKEN", "other", ""), field("env.SHA", "9"))))))
}

// TestDrifted_whatAFailedReleaseLeftIsPending has a service that release 3 changed and
// somebody else changed, too, and a scaling configuration that release 2 deleted.
func TestDrifted_whatAFailedReleaseLeftIsPending(t *testing.T) {
	was := service("web", field("cpu", "1"), field("env.A", "1"), field("memory", "1"))
	second, third := service("web", field("cpu", "1"), field("env.A", "1"), field("memory", "2")), service("web", field("cpu", "2"), field("memory", "3"))
	attempts := map[state.Address][]plan.Attempt{
		was.Address: {{Release: 3, Wanted: &third}, {Release: 2, Wanted: &second}},
		one:         {{Release: 2, Deleted: true}},
		two:         {{Release: 2, Wanted: &config2}},
		key:         {{Release: 2, Deleted: true}},
	}
	emptied := parameter("")
	emptied.Fields = append(emptied.Fields, field("type", "String"))
	have := service("web", field("cpu", "2"), field("env.B", "1"), field("memory", "2"))
	type found struct {
		cause plan.Cause
		left  int
	}
	got := map[string]found{}
	for _, a := range plan.Drifted([]state.Resource{was, config1, config2, emptied}, attempts,
		lives(live(state.Ours, state.Ready, have), live(state.Ours, state.Ready, state.Resource{Address: key, Whole: []string{"type"}}))) {
		if a.Op == plan.Create {
			got[a.Target.String()] = found{a.Cause, a.Left}
		}
		for _, c := range a.Changes {
			got[c.Path] = found{c.Cause, c.Left}
		}
	}
	require.Equal(t, map[string]found{
		"cpu": {plan.Pending, 3}, "memory": {plan.Pending, 2}, "env.A": {plan.Pending, 3}, "env.B": {plan.Drift, 0},
		"type": {plan.Pending, 2}, "value": {plan.Pending, 2},
		one.String(): {plan.Pending, 2}, two.String(): {plan.Drift, 0},
	}, got)
}
