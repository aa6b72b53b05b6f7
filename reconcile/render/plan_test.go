package render

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/apron-deploy/apron/reconcile/plan"
	"github.com/apron-deploy/apron/reconcile/state"
)

var update = flag.Bool("update", false, "rewrite the golden files")

func golden(t *testing.T, name, got string) {
	t.Helper()
	file := filepath.Join("testdata", name)
	if *update {
		require.NoError(t, os.MkdirAll(filepath.Dir(file), 0o755))
		require.NoError(t, os.WriteFile(file, []byte(got), 0o644))
	}
	want, err := os.ReadFile(file)
	require.NoError(t, err)
	require.Equal(t, string(want), got)
}

func written(t *testing.T, v View, o Options) string {
	t.Helper()
	var b bytes.Buffer
	require.NoError(t, Write(&b, v, o))
	return b.String()
}

// everyFormat compares all outputs of a view with its golden files.
func everyFormat(t *testing.T, name string, v View) {
	t.Helper()
	golden(t, name+".txt", written(t, v, Options{}))
	golden(t, name+".md", written(t, v, Options{Format: Markdown}))
	golden(t, name+".json", written(t, v, Options{Format: JSON}))
	golden(t, name+".ansi", written(t, v, Options{Color: true}))
}

func address(s string) state.Address {
	a, err := state.ParseAddress(s)
	if err != nil {
		panic(err)
	}
	return a
}

func resource(name string, fields ...state.Field) state.Resource {
	return state.Resource{Address: address(name), Fields: state.Sort(fields), Whole: []string{"env.", "secrets."}}
}

func desired(resources ...state.Resource) state.Desired {
	d := state.Desired{}
	for _, r := range resources {
		d[r.Address] = r
	}
	return d
}

func live(observed ...state.Observed) state.Live {
	l := state.Live{}
	for _, o := range observed {
		l[o.Address] = o
	}
	return l
}

func header() Header {
	return Header{
		Manifests: []string{"deploy.yaml"}, Environment: "production", Account: "123456789012", Region: "us-east-1",
		Identity: "arn:aws:iam::123456789012:user/ana", Target: "apprunner", Sandbox: true, Compared: 7,
		Services: []Service{{Name: "web", URL: "https://abc.us-east-1.awsapprunner.com"}, {Name: "api"}},
	}
}

func built(t *testing.T, d state.Desired, l state.Live, o plan.Options) *plan.Plan {
	t.Helper()
	p, err := plan.Build(d, l, o)
	require.NoError(t, err)
	return p
}

// first is a deployment of two services that name each other, from nothing.
func first(t *testing.T) *plan.Plan {
	return built(t, desired(
		resource("ecr/repository/web", state.Field{Path: "keep", Value: "10"}, state.Field{Path: "scan", Value: "true"}),
		resource("iam/role/apron-web", state.Field{Path: "permissions.s3:GetObject", Value: "arn:aws:s3:::assets/*", Grant: true}),
		resource("ssm/parameter/web.KEY", state.Field{Path: "value", Value: "hunter2!", Secret: true}),
		resource("ssm/parameter/web.OTHER", state.Field{Path: "value", Value: "another one", Secret: true}),
		resource("ssm/parameter/web.SAME", state.Field{Path: "value", Value: "hunter2!", Secret: true}),
		resource("apprunner/service/api",
			state.Field{Path: "env.WEB_URL", Value: "http://localhost", Template: "${services.web.url}"},
			state.Field{Path: "port", Value: "9000"}),
		resource("apprunner/service/web",
			state.Field{Path: "cpu", Value: "1024"},
			state.Field{Path: "env.API_URL", Template: "${services.api.url}", Omit: true},
			state.Field{Path: "env.EMPTY", Value: ""},
			state.Field{Path: "env.GREETING", Value: "Grüße, welt"},
			state.Field{Path: "env.PEM", Value: "-----BEGIN-----\nabc\n-----END-----\n"},
			state.Field{Path: "image", Value: "ecr/image/web", Ref: true, Order: true},
			state.Field{Path: "role", Value: "iam/role/apron-web", Ref: true},
			state.Field{Path: "secrets.KEY", Value: "ssm/parameter/web.KEY", Ref: true, Restart: true}),
	), live(), plan.Options{})
}

// second changes, adds and removes settings of what is live.
func second(t *testing.T) *plan.Plan {
	long := "https://example.com/" + strings.Repeat("path/", 60)
	web := state.Observed{Owner: state.Ours, Phase: state.Ready, ID: "arn:aws:apprunner:us-east-1:123456789012:service/web/1", URL: "https://abc.awsapprunner.com",
		Resource: resource("apprunner/service/web",
			state.Field{Path: "cpu", Value: "1024"},
			state.Field{Path: "env.CATALOG", Value: long + "old" + long},
			state.Field{Path: "env.LOG_LEVEL", Value: "info"},
			state.Field{Path: "env.OLD", Value: "gone"},
			state.Field{Path: "env.PEM", Value: "a\nb\nc\n"},
			state.Field{Path: "env.TITLE", Value: ""},
			state.Field{Path: "health.path", Value: "/"},
			state.Field{Path: "secrets.KEY", Value: "ssm/parameter/web.KEY", Ref: true})}
	key := state.Observed{Owner: state.Ours, Phase: state.Ready, Resource: resource("ssm/parameter/web.KEY", state.Field{Path: "value", Value: "before", Secret: true})}
	kept := state.Observed{Owner: state.Ours, Phase: state.Ready, Note: "it holds images", Resource: resource("ecr/repository/old")}
	gone := state.Observed{Owner: state.Ours, Phase: state.Ready, ID: "arn:aws:iam::123456789012:role/old", Resource: resource("iam/role/old")}
	tag := state.Observed{Owner: state.Derived, Phase: state.Ready, ID: "sha256:aaa", Resource: resource("ecr/tag/v1", state.Field{Path: "image", Value: "sha256:aaa"})}
	runs := state.Observed{Owner: state.Derived, Phase: state.Ready, ID: "sha256:aaa", Resource: resource("ecr/tag/live-web")}
	role := state.Observed{Owner: state.Ours, Phase: state.Ready, Resource: resource("iam/role/web")}
	p := built(t, desired(
		resource("ssm/parameter/web.KEY", state.Field{Path: "value", Value: "after", Secret: true}),
		resource("ecr/tag/v1", state.Field{Path: "after", Value: "ecr/tag/live-web", Ref: true, Order: true},
			state.Field{Path: "image", Value: "ecr/image/web:src-2", Ref: true, Once: true, Fix: "set image.version: v2"}),
		resource("iam/role/web", state.Field{Path: "permissions.s3:GetObject", Value: "arn:aws:s3:::assets/*", Grant: true}),
		resource("apprunner/service/web",
			state.Field{Path: "cpu", Value: "2048"},
			state.Field{Path: "env.CATALOG", Value: long + "new" + long},
			state.Field{Path: "env.LOG_LEVEL", Value: "debug|trace"},
			state.Field{Path: "env.NEW", Value: "\x1b[31mred\x1b[0m"},
			state.Field{Path: "env.PEM", Value: "a\nB\nc\n"},
			state.Field{Path: "env.TITLE", Value: "(sensitive #1)"},
			state.Field{Path: "health.path", Value: "/" + strings.Repeat("x", 300)},
			state.Field{Path: "secrets.KEY", Value: "ssm/parameter/web.KEY", Ref: true, Restart: true}),
	), live(web, key, kept, gone, tag, runs, role), plan.Options{Keep: func(a state.Address) string {
		if a.Name == "old" && a.Target == "ecr" {
			return "--images deletes it"
		}
		return ""
	}})
	for i, a := range p.Actions {
		for j, c := range a.Changes {
			if c.Path == "env.LOG_LEVEL" {
				p.Actions[i].Changes[j].Cause = "drift"
			}
		}
	}
	return p
}

// third replaces a service, resumes another and redeploys one for its parameter.
func third(t *testing.T) *plan.Plan {
	observed := func(phase state.Phase, r state.Resource) state.Observed {
		return state.Observed{Resource: r, Owner: state.Ours, Phase: phase, ID: "arn of " + r.Address.Name, URL: "https://" + r.Address.Name + ".example"}
	}
	return built(t, desired(
		resource("apprunner/service/web", state.Field{Path: "encryption", Value: "key-2", Immutable: true}, state.Field{Path: "port", Value: "8000"}, state.Field{Path: "secret", Value: "s3cret two", Secret: true}),
		resource("apprunner/service/idle", state.Field{Path: "port", Value: "8001"}),
		resource("apprunner/service/broken", state.Field{Path: "port", Value: "8002"}),
		resource("apprunner/service/reader", state.Field{Path: "secrets.KEY", Value: "ssm/parameter/KEY", Ref: true, Restart: true}),
		resource("ssm/parameter/KEY", state.Field{Path: "value", Value: "after", Secret: true}),
	), live(
		observed(state.Ready, resource("apprunner/service/web", state.Field{Path: "encryption", Value: "key-1", Immutable: true}, state.Field{Path: "port", Value: "8000"}, state.Field{Path: "secret", Value: "s3cret one", Secret: true}, state.Field{Path: "tracing", Value: "xray"})),
		observed(state.Paused, resource("apprunner/service/idle", state.Field{Path: "port", Value: "8000"})),
		observed(state.Failed, resource("apprunner/service/broken", state.Field{Path: "port", Value: "8002"})),
		observed(state.Ready, resource("apprunner/service/reader", state.Field{Path: "secrets.KEY", Value: "ssm/parameter/KEY", Ref: true})),
		observed(state.Ready, resource("ssm/parameter/KEY", state.Field{Path: "value", Value: "before", Secret: true})),
	), plan.Options{Replace: true, Resume: true})
}

func TestPlan_isReadByPeopleAndMachines(t *testing.T) {
	everyFormat(t, "create", NewPlan(first(t), header()))
	everyFormat(t, "update", NewPlan(second(t), header()))
	everyFormat(t, "replace", NewPlan(third(t), Header{Manifests: []string{"a.yaml", "b.yaml", "c.yaml"}}))
	everyFormat(t, "empty", NewPlan(&plan.Plan{}, header()))
	everyFormat(t, "empty-with-notes", NewPlan(&plan.Plan{Notes: []state.Note{
		{Target: address("apprunner/service/web"), Text: "is paused"},
		{Target: address("ecr/tag/v1"), Text: "stays where it is", Warning: true},
	}}, Header{}))
}

func TestPlan_saysTheSameInEveryFormat(t *testing.T) {
	for name, p := range map[string]*plan.Plan{"first": first(t), "second": second(t), "third": third(t)} {
		t.Run(name, func(t *testing.T) {
			v := NewPlan(p, header())
			text, md := written(t, v, Options{}), written(t, v, Options{Format: Markdown})
			for _, a := range v.Actions {
				require.Contains(t, text, a.Address)
				require.Contains(t, md, a.Address)
			}
			var back Plan
			require.NoError(t, json.Unmarshal([]byte(written(t, v, Options{Format: JSON})), &back))
			require.Equal(t, text, written(t, &back, Options{}), "the JSON holds all that the text says")
			require.Equal(t, md, written(t, &back, Options{Format: Markdown}))
		})
	}
}

func TestPlan_keepsWithinAHundredColumns(t *testing.T) {
	for _, p := range []*plan.Plan{first(t), second(t), third(t)} {
		for line := range strings.Lines(written(t, NewPlan(p, Header{}), Options{})) {
			if !strings.Contains(line, "#") && !strings.HasPrefix(line, "Warning: ") { // sentences
				require.LessOrEqual(t, len([]rune(strings.TrimRight(line, "\n"))), width, line)
			}
		}
	}
}

func TestPlan_masksBothSidesWhenOneIsSecret(t *testing.T) {
	secret, plain := state.Field{Path: "a", Value: "the same", Secret: true}, state.Field{Path: "a", Value: "the same"}
	for _, c := range []plan.Change{{Path: "a", Old: &secret, New: &plain}, {Path: "a", Old: &plain, New: &secret}} {
		v := NewPlan(&plan.Plan{Actions: []plan.Action{{Target: address("a/b/c"), Op: plan.Update, Changes: []plan.Change{c}}}}, Header{})
		for _, f := range []Format{Text, Markdown, JSON} {
			require.NotContains(t, written(t, v, Options{Format: f}), "the same")
		}
		require.Contains(t, written(t, v, Options{}), "(sensitive #1) → (sensitive #1)")
	}
}

func TestWrite_refusesAnUnknownFormat(t *testing.T) {
	require.ErrorContains(t, Write(&bytes.Buffer{}, NewPlan(&plan.Plan{}, Header{}), Options{Format: "yaml"}), "none of text, markdown, json")
}
