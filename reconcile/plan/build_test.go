package plan_test

import (
	"fmt"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/apron-deploy/apron/reconcile/plan"
	"github.com/apron-deploy/apron/reconcile/state"
)

func service(name string, fields ...state.Field) state.Resource {
	return state.Resource{Address: at("apprunner", "service", name), Fields: state.Sort(fields), Whole: []string{"env.", "secrets."}}
}

func field(path, value string) state.Field { return state.Field{Path: path, Value: value} }

func ref(path string, to state.Address) state.Field {
	return state.Field{Path: path, Value: to.String(), Ref: true}
}

func live(owner state.Owner, phase state.Phase, r state.Resource) state.Observed {
	return state.Observed{Resource: r, ID: "arn:" + r.Address.String(), Owner: owner, Phase: phase}
}

func desired(rs ...state.Resource) state.Desired {
	d := state.Desired{}
	for _, r := range rs {
		d[r.Address] = r
	}
	return d
}

func lives(os ...state.Observed) state.Live {
	l := state.Live{}
	for _, o := range os {
		l[o.Address] = o
	}
	return l
}

var (
	one       = at("apprunner", "scaling", "apron-1-1-100")
	two       = at("apprunner", "scaling", "apron-1-2-100")
	roleOf    = at("iam", "role", "web")
	key       = at("ssm", "parameter", "/apron/web/KEY")
	config1   = state.Resource{Address: one, Fields: []state.Field{{Path: "max", Value: "1", Immutable: true}}}
	config2   = state.Resource{Address: two, Fields: []state.Field{{Path: "max", Value: "2", Immutable: true}}}
	parameter = func(value string) state.Resource {
		return state.Resource{Address: key, Fields: []state.Field{{Path: "value", Value: value, Secret: true}}}
	}
	reads = state.Field{Path: "secrets.KEY", Value: key.String(), Ref: true, Restart: true}
)

func lasting(path, value string) state.Field {
	return state.Field{Path: path, Value: value, Lasting: true}
}

// without is a resource that must not have a setting.
func without(path string, r state.Resource) state.Resource {
	r.Whole = append(slices.Clone(r.Whole), path)
	return r
}

// role is one that a service has.
func role(rights ...string) state.Resource {
	r := state.Resource{Address: roleOf, Whole: []string{"permission."}}
	for _, right := range rights {
		r.Fields = append(r.Fields, state.Field{Path: "permission." + right, Value: "allow", Grant: true})
	}
	return r
}

// domain is a resource that belongs to a service, which makes its target.
func domain(of, target string) state.Resource {
	return state.Resource{Address: at("apprunner", "domain", of+".example.com"), Fields: []state.Field{
		{Path: "service", Value: "apprunner/service/" + of, Ref: true, Immutable: true},
		{Path: "target", Value: target, Later: true}}}
}

// belongs is a resource that is a part of another one.
func belongs(name string, to state.Address) state.Resource {
	return state.Resource{Address: at("route53", "records", name), Fields: []state.Field{{Path: "of", Value: to.String(), Ref: true, Immutable: true}}}
}

func TestBuild(t *testing.T) {
	for name, tc := range map[string]struct {
		want    state.Desired
		have    state.Live
		options plan.Options
		actions []string // "op address path,path"
		notes   []string
		refused []string // part of the reason
	}{
		"creates what is absent": {
			want:    desired(service("web", field("cpu", "1024"))),
			actions: []string{"create apprunner/service/web cpu"},
		},
		"changes what differs and nothing else": {
			want:    desired(service("web", field("cpu", "1024"), field("memory", "2048"), field("port", "80"))),
			have:    lives(live(state.Ours, state.Ready, service("web", field("cpu", "256"), field("memory", "512"), field("port", "80"), field("health.path", "/")))),
			actions: []string{"update apprunner/service/web cpu,memory"},
		},
		"removes a variable that the whole map lacks": {
			want:    desired(service("web", field("env.A", "1"))),
			have:    lives(live(state.Ours, state.Ready, service("web", field("env.A", "1"), field("env.B", "2")))),
			actions: []string{"update apprunner/service/web env.B"},
		},
		"leaves a map alone that is not managed": {
			want: desired(state.Resource{Address: at("apprunner", "service", "web"), Fields: []state.Field{field("cpu", "256")}}),
			have: lives(live(state.Ours, state.Ready, service("web", field("cpu", "256"), field("env.B", "2")))),
		},
		"moves to another scaling configuration before the old one goes": {
			want:    desired(config2, service("web", ref("scaling", two))),
			have:    lives(live(state.Shared, state.Ready, config1), live(state.Ours, state.Ready, service("web", ref("scaling", one)))),
			actions: []string{"create apprunner/scaling/apron-1-2-100 max", "update apprunner/service/web scaling", "delete apprunner/scaling/apron-1-1-100 "},
		},
		"keeps a shared resource that somebody else uses": {
			want: desired(service("web")),
			have: lives(state.Observed{Resource: config1, Owner: state.Shared, Phase: state.Ready, Users: []string{"service other"}},
				live(state.Ours, state.Ready, service("web"))),
			notes: []string{"apprunner/scaling/apron-1-1-100 is kept: service other uses it"},
		},
		"keeps what a kept setting refers to": {
			want:  desired(service("web")),
			have:  lives(live(state.Shared, state.Ready, config1), live(state.Ours, state.Ready, service("web", ref("scaling", one)))),
			notes: []string{"apprunner/scaling/apron-1-1-100 is kept: apprunner/service/web uses it"},
		},
		"takes away a single field that must not be, and no other of that beginning": {
			want:    desired(state.Resource{Address: at("apprunner", "service", "web"), Whole: []string{"secrets.KEY"}, Fields: []state.Field{field("env.KEY", "plain")}}),
			have:    lives(live(state.Ours, state.Ready, service("web", field("secrets.KEY", "a"), field("secrets.KEY_2", "b")))),
			actions: []string{"update apprunner/service/web env.KEY!,secrets.KEY"},
		},
		"refuses what somebody else made": {
			want:    desired(service("web", field("cpu", "256"))),
			have:    lives(live(state.Theirs, state.Ready, service("web", field("cpu", "256")))),
			refused: []string{"exists already and was not made by apron"},
		},
		"adopts it when asked": {
			want:    desired(service("web", field("tags.apron:service", "web"))),
			have:    lives(live(state.Theirs, state.Ready, service("web"))),
			options: plan.Options{Adopt: true},
			actions: []string{"update apprunner/service/web tags.apron:service"},
		},
		"never deletes what somebody else made": {
			have: lives(live(state.Theirs, state.Ready, service("web"))),
		},
		"never takes from somebody else's what belongs to it": {
			have: lives(live(state.Theirs, state.Ready, service("web")), live(state.Ours, state.Ready, domain("web", "x")), live(state.Ours, state.Ready, belongs("app", domain("web", "x").Address))),
		},
		"takes it over with what it belongs to": {
			want:    desired(service("web", field("tags.apron:service", "web"))),
			have:    lives(live(state.Theirs, state.Ready, service("web")), live(state.Ours, state.Ready, domain("web", "x"))),
			options: plan.Options{Adopt: true},
			actions: []string{"delete apprunner/domain/web.example.com ", "update apprunner/service/web tags.apron:service"},
		},
		"rebuilds a failed creation though nothing differs": {
			want:    desired(service("web", field("cpu", "256"))),
			have:    lives(live(state.Ours, state.Failed, service("web", field("cpu", "256")))),
			actions: []string{"update apprunner/service/web "},
		},
		"rebuilds a failed creation without its URL, which a second pass sets": {
			want: desired(service("web", field("cpu", "256"), state.Field{Path: "env.URL", Template: "${services.web.url}", Value: "none"},
				state.Field{Path: "env.X", Template: "${services.web.url}/x", Omit: true})),
			have:    lives(live(state.Ours, state.Failed, service("web", field("cpu", "1024"), field("env.URL", "old")))),
			actions: []string{"update apprunner/service/web cpu,env.URL", "update apprunner/service/web (second pass) env.URL?,env.X?"},
		},
		"has what refers to a rebuilt service wait for it": {
			want: desired(service("api", state.Field{Path: "env.URL", Template: "${services.web.url}", Omit: true}),
				service("web", state.Field{Path: "env.API", Template: "${services.api.url}", Omit: true})),
			have: lives(state.Observed{Resource: service("api", field("env.URL", "old")), Owner: state.Ours, Phase: state.Ready, URL: "https://api"},
				live(state.Ours, state.Failed, service("web"))),
			actions: []string{"update apprunner/service/web env.API", "update apprunner/service/api env.URL?"},
		},
		"two failed creations may name each other": {
			want: desired(service("a", state.Field{Path: "env.URL", Template: "${services.b.url}", Omit: true}),
				service("b", state.Field{Path: "env.URL", Template: "${services.a.url}", Omit: true})),
			have: lives(live(state.Ours, state.Failed, service("a")), live(state.Ours, state.Failed, service("b"))),
			actions: []string{"update apprunner/service/a ", "update apprunner/service/b ",
				"update apprunner/service/a (second pass) env.URL?", "update apprunner/service/b (second pass) env.URL?"},
		},
		"creates anew without the URL that goes with the old one": {
			want:    desired(service("web", state.Field{Path: "env.URL", Template: "${services.web.url}", Omit: true})),
			have:    lives(state.Observed{Resource: service("web", field("env.URL", "https://old")), Owner: state.Ours, Phase: state.Stuck, URL: "https://old"}),
			actions: []string{"delete apprunner/service/web ", "create apprunner/service/web ", "update apprunner/service/web (second pass) env.URL?"},
		},
		"refuses the URL of a service whose creation failed and that it does not rebuild": {
			want:    desired(service("a", state.Field{Path: "env.URL", Template: "${services.b.url}", Omit: true})),
			have:    lives(live(state.Theirs, state.Failed, service("b"))),
			refused: []string{`service "b", whose creation failed`},
		},
		"deletes again what is stuck, then creates": {
			want:    desired(service("web", field("cpu", "256"))),
			have:    lives(live(state.Ours, state.Stuck, service("web"))),
			actions: []string{"delete apprunner/service/web ", "create apprunner/service/web cpu"},
		},
		"refuses to change a paused service": {
			want:    desired(service("web", field("cpu", "256"))),
			have:    lives(live(state.Ours, state.Paused, service("web", field("cpu", "1024")))),
			refused: []string{"is paused"},
		},
		"resumes it first when allowed": {
			want:    desired(service("web", field("cpu", "256"))),
			have:    lives(live(state.Ours, state.Paused, service("web", field("cpu", "1024")))),
			options: plan.Options{Resume: true},
			actions: []string{"resume apprunner/service/web ", "update apprunner/service/web cpu"},
		},
		"changes the tags of a paused service": {
			want:    desired(service("web", field("cpu", "256"), field("tags.team", "ai"))),
			have:    lives(live(state.Ours, state.Paused, service("web", field("cpu", "256")))),
			actions: []string{"update apprunner/service/web tags.team"},
		},
		"leaves a paused service paused when nothing changes": {
			want:  desired(service("web", field("cpu", "256"))),
			have:  lives(live(state.Ours, state.Paused, service("web", field("cpu", "256")))),
			notes: []string{"apprunner/service/web is paused"},
		},
		"refuses an immutable change": {
			want:    desired(service("web", state.Field{Path: "kms", Value: "b", Immutable: true})),
			have:    lives(live(state.Ours, state.Ready, service("web", field("kms", "a")))),
			refused: []string{"kms cannot be changed once it exists"},
		},
		"replaces when told to": {
			want:    desired(service("web", state.Field{Path: "kms", Value: "b", Immutable: true})),
			have:    lives(live(state.Ours, state.Ready, service("web", field("kms", "a")))),
			options: plan.Options{Replace: true},
			actions: []string{"delete apprunner/service/web ", "create apprunner/service/web kms"},
		},
		"changes what lasts": {
			want:    desired(service("web", field("command", "b"))),
			have:    lives(live(state.Ours, state.Ready, service("web", lasting("command", "a")))),
			actions: []string{"update apprunner/service/web command"},
		},
		"leaves what lasts alone when the manifest does, and says so": {
			want:  desired(service("web")),
			have:  lives(live(state.Ours, state.Ready, service("web", lasting("command", "a")))),
			notes: []string{"apprunner/service/web command stays a: the manifest leaves it out, and nothing but a delete and create takes it away"},
		},
		"refuses to take away what lasts": {
			want:    desired(without("command", service("web"))),
			have:    lives(live(state.Ours, state.Ready, service("web", lasting("command", "a")))),
			refused: []string{"command cannot be taken away once it is set"},
		},
		"replaces to take away what lasts": {
			want:    desired(without("command", service("web"))),
			have:    lives(live(state.Ours, state.Ready, service("web", lasting("command", "a")))),
			options: plan.Options{Replace: true},
			actions: []string{"delete apprunner/service/web ", "create apprunner/service/web "},
		},
		"has nothing to take away": {
			want: desired(without("command", service("web", field("port", "80")))),
			have: lives(live(state.Ours, state.Ready, service("web", field("port", "80")))),
		},
		"replaces what belongs to a replaced service with it": {
			want:    desired(service("web", state.Field{Path: "kms", Value: "b", Immutable: true}), domain("web", "")),
			have:    lives(live(state.Ours, state.Ready, service("web", field("kms", "a"))), live(state.Ours, state.Ready, domain("web", "x.localhost"))),
			options: plan.Options{Replace: true},
			actions: []string{"delete apprunner/domain/web.example.com ", "delete apprunner/service/web ", "create apprunner/service/web kms",
				"create apprunner/domain/web.example.com service,target?"},
		},
		"does not know yet what another resource makes": {
			want:    desired(service("web"), domain("web", "")),
			actions: []string{"create apprunner/service/web ", "create apprunner/domain/web.example.com service,target?"},
		},
		"does not compare what it does not know": {
			want: desired(service("web"), domain("web", "")),
			have: lives(live(state.Ours, state.Ready, service("web")), live(state.Ours, state.Ready, domain("web", "x.localhost"))),
		},
		"compares what it knows by now": {
			want:    desired(service("web"), domain("web", "y.localhost")),
			have:    lives(live(state.Ours, state.Ready, service("web")), live(state.Ours, state.Ready, domain("web", "x.localhost"))),
			actions: []string{"update apprunner/domain/web.example.com target"},
		},
		"writes again what comes from a resource that is made anew": {
			want:    desired(service("web"), domain("web", "")),
			have:    lives(live(state.Ours, state.Ready, domain("web", "x.localhost"))),
			actions: []string{"create apprunner/service/web ", "update apprunner/domain/web.example.com target?"},
		},
		"says all refusals at once": {
			want: desired(service("a"), service("b")),
			have: lives(live(state.Theirs, state.Ready, service("a")), live(state.Theirs, state.Ready, service("b"))),
			refused: []string{
				"apprunner/service/a: exists already", "apprunner/service/b: exists already"},
		},
		"redeploys when a secret's value changes": {
			want:    desired(parameter("new"), service("web", reads)),
			have:    lives(live(state.Ours, state.Ready, parameter("old")), live(state.Ours, state.Ready, service("web", ref("secrets.KEY", key)))),
			actions: []string{"update ssm/parameter//apron/web/KEY value", "update apprunner/service/web secrets.KEY"},
		},
		"takes a right from a role once the version that has it is replaced": {
			want:    desired(role("s3:Get"), service("web", field("cpu", "512"), ref("role", roleOf))),
			have:    lives(live(state.Ours, state.Ready, role("sqs:Send")), live(state.Ours, state.Ready, service("web", field("cpu", "256"), ref("role", roleOf)))),
			actions: []string{"update iam/role/web permission.s3:Get", "update apprunner/service/web cpu", "update iam/role/web (second pass) permission.sqs:Send"},
		},
		"gives a role no pass that has nothing to do": {
			want:    desired(role(), service("web", field("cpu", "512"), ref("role", roleOf))),
			have:    lives(live(state.Ours, state.Ready, role("sqs:Send")), live(state.Ours, state.Ready, service("web", field("cpu", "256"), ref("role", roleOf)))),
			actions: []string{"update apprunner/service/web cpu", "update iam/role/web (second pass) permission.sqs:Send"},
		},
		"takes a right at once where nothing is rolled out": {
			want:    desired(role("s3:Get"), service("web", field("tags.team", "ai"), ref("role", roleOf))),
			have:    lives(live(state.Ours, state.Ready, role("sqs:Send")), live(state.Ours, state.Ready, service("web", ref("role", roleOf)))),
			actions: []string{"update iam/role/web permission.s3:Get,permission.sqs:Send", "update apprunner/service/web tags.team"},
		},
		"redeploys when a secret's value changes along with no more than the service's tags": {
			want:    desired(parameter("new"), service("web", reads, field("tags.team", "ai"))),
			have:    lives(live(state.Ours, state.Ready, parameter("old")), live(state.Ours, state.Ready, service("web", ref("secrets.KEY", key)))),
			actions: []string{"update ssm/parameter//apron/web/KEY value", "update apprunner/service/web secrets.KEY,tags.team"},
		},
		"deploys once when a secret's value changes along with a setting": {
			want:    desired(parameter("new"), service("web", reads, field("cpu", "512"))),
			have:    lives(live(state.Ours, state.Ready, parameter("old")), live(state.Ours, state.Ready, service("web", ref("secrets.KEY", key), field("cpu", "256")))),
			actions: []string{"update ssm/parameter//apron/web/KEY value", "update apprunner/service/web cpu"},
		},
		"changes the tags of a paused service though a secret's value changes": {
			want:    desired(parameter("new"), service("web", reads, field("tags.team", "ai"))),
			have:    lives(live(state.Ours, state.Ready, parameter("old")), live(state.Ours, state.Paused, service("web", ref("secrets.KEY", key)))),
			actions: []string{"update ssm/parameter//apron/web/KEY value", "update apprunner/service/web tags.team"},
			notes:   []string{"apprunner/service/web is paused: what it refers to changes, and takes effect once it runs again"},
		},
		"resumes it when it may, and deploys the new value": {
			want:    desired(parameter("new"), service("web", reads, field("tags.team", "ai"))),
			have:    lives(live(state.Ours, state.Ready, parameter("old")), live(state.Ours, state.Paused, service("web", ref("secrets.KEY", key)))),
			options: plan.Options{Resume: true},
			actions: []string{"resume apprunner/service/web ", "update ssm/parameter//apron/web/KEY value", "update apprunner/service/web secrets.KEY,tags.team"},
		},
		"deploys nothing when the tags of a secret change": {
			want:    desired(state.Resource{Address: key, Fields: state.Sort([]state.Field{{Path: "value", Value: "same", Secret: true}, field("tags.team", "ai")})}, service("web", reads)),
			have:    lives(live(state.Ours, state.Ready, parameter("same")), live(state.Ours, state.Ready, service("web", ref("secrets.KEY", key)))),
			actions: []string{"update ssm/parameter//apron/web/KEY tags.team"},
		},
		"deletes a secret only after its service has let go of it": {
			want:    desired(service("web", field("env.KEY", "plain"))),
			have:    lives(live(state.Ours, state.Ready, parameter("old")), live(state.Ours, state.Ready, service("web", ref("secrets.KEY", key)))),
			actions: []string{"update apprunner/service/web env.KEY!,secrets.KEY", "delete ssm/parameter//apron/web/KEY "},
		},
		"sends a commit only with something else": {
			want: desired(service("web", state.Field{Path: "env.SHA", Value: "b", Provenance: true})),
			have: lives(live(state.Ours, state.Ready, service("web", field("env.SHA", "a")))),
		},
		"knows the URL of a live service": {
			want: desired(service("web", state.Field{Path: "env.URL", Template: "${services.web.url}/x", Omit: true})),
			have: lives(state.Observed{Resource: service("web", field("env.URL", "https://old/x")), Owner: state.Ours, Phase: state.Ready, URL: "https://new"}),

			actions: []string{"update apprunner/service/web env.URL"},
		},
		"sets its own URL in a second pass": {
			want:    desired(service("web", field("cpu", "256"), state.Field{Path: "env.URL", Template: "${services.web.url}", Omit: true})),
			actions: []string{"create apprunner/service/web cpu", "update apprunner/service/web (second pass) env.URL?"},
		},
		"two new services may name each other": {
			want: desired(service("a", state.Field{Path: "env.URL", Template: "${services.b.url}", Omit: true}),
				service("b", state.Field{Path: "env.URL", Template: "${services.a.url}", Value: "none"})),
			actions: []string{"create apprunner/service/a ", "create apprunner/service/b env.URL",
				"update apprunner/service/a (second pass) env.URL?", "update apprunner/service/b (second pass) env.URL?"},
		},
		"refuses the URL of a service that nobody knows": {
			want:    desired(service("a", state.Field{Path: "env.URL", Template: "${services.b.url}", Omit: true})),
			refused: []string{`service "b", which neither exists nor is planned`},
		},
		"refuses a wildcard": {
			want:    desired(state.Resource{Address: one, Fields: []state.Field{{Path: "permission.s3:* *", Value: "allow", Grant: true, Wildcard: true}}}),
			refused: []string{"grants every action or every resource"},
		},
		"destroys users before what they use, and keeps what it is told to": {
			have: lives(live(state.Shared, state.Ready, config1), live(state.Ours, state.Ready, service("web", ref("scaling", one))),
				live(state.Shared, state.Ready, state.Resource{Address: at("ecr", "repository", "web")})),
			options: plan.Options{Keep: func(a state.Address) string {
				if a.Target == "ecr" {
					return "--images deletes it"
				}
				return ""
			}},
			actions: []string{"delete apprunner/service/web ", "delete apprunner/scaling/apron-1-1-100 "},
			notes:   []string{"ecr/repository/web is kept: --images deletes it"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			p, err := plan.Build(tc.want, tc.have, tc.options)
			if len(tc.refused) > 0 {
				require.Error(t, err)
				for _, part := range tc.refused {
					require.ErrorContains(t, err, part)
				}
				return
			}
			require.NoError(t, err)
			var actions []string
			for _, a := range p.Actions {
				var paths []string
				for _, c := range a.Changes {
					path := c.Path
					if c.Unknown {
						path += "?"
					}
					if c.Widening && c.New != nil && !c.New.Grant {
						path += "!"
					}
					paths = append(paths, path)
				}
				actions = append(actions, string(a.ID)+" "+strings.Join(paths, ","))
			}
			require.Equal(t, tc.actions, actions)
			var notes []string
			for _, n := range p.Notes {
				notes = append(notes, n.Target.String()+" "+n.Text)
			}
			require.Equal(t, tc.notes, notes)
		})
	}
}

func TestBuild_refusesACycleWithItsPath(t *testing.T) {
	a, b := service("a"), service("b")
	a.Fields = []state.Field{ref("x", b.Address)}
	b.Fields = []state.Field{ref("x", a.Address)}
	_, err := plan.Build(desired(a, b), nil, plan.Options{})
	var cycle *plan.CycleError
	require.ErrorAs(t, err, &cycle)
	require.Equal(t, []plan.ID{"create apprunner/service/a", "create apprunner/service/b", "create apprunner/service/a"}, cycle.IDs)
}

func TestPlan_countsASecondPassOnce(t *testing.T) {
	p, err := plan.Build(desired(service("web", state.Field{Path: "env.URL", Template: "${services.web.url}", Omit: true})), nil, plan.Options{})
	require.NoError(t, err)
	creates, updates, deletes := p.Counts()
	require.Equal(t, [3]int{1, 0, 0}, [3]int{creates, updates, deletes})
}

func TestDependencies(t *testing.T) {
	out, err := exec.Command("go", "list", "-deps", "-f", "{{if not .Standard}}{{.ImportPath}}{{end}}", ".").Output()
	require.NoError(t, err)
	require.Equal(t, []string{
		"github.com/apron-deploy/apron/reconcile/state",
		"github.com/hashicorp/errwrap",
		"github.com/hashicorp/go-multierror",
		"github.com/apron-deploy/apron/reconcile/plan",
	}, strings.Fields(string(out)), "the planner is pure: think twice before it knows more")
}

func BenchmarkBuild(b *testing.B) {
	for _, n := range []int{1, 1000} {
		want, have := state.Desired{}, state.Live{}
		for i := range n {
			name := fmt.Sprintf("web-%d", i)
			s := service(name, field("cpu", "1024"), field("memory", "2048"), field("port", "8000"), ref("scaling", one), field("env.A", "1"))
			want[s.Address] = s
			have[s.Address] = live(state.Ours, state.Ready, service(name, field("cpu", "256"), field("memory", "2048"), field("port", "8000"), ref("scaling", one)))
		}
		want[one], have[one] = config1, live(state.Shared, state.Ready, config1)
		b.Run(map[int]string{1: "1 service", 1000: "1000 services"}[n], func(b *testing.B) {
			for b.Loop() {
				if _, err := plan.Build(want, have, plan.Options{}); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
