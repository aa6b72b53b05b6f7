package release

import (
	"errors"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/apron-deploy/apron/reconcile/apply"
	"github.com/apron-deploy/apron/reconcile/plan"
	"github.com/apron-deploy/apron/reconcile/state"
)

func TestPackage_importsOnlyWhatItKeeps(t *testing.T) {
	out, err := exec.CommandContext(t.Context(), "go", "list", "-deps", "-f", "{{if not .Standard}}{{.ImportPath}}{{end}}", ".").Output()
	require.NoError(t, err)
	require.ElementsMatch(t, []string{
		"github.com/hashicorp/errwrap",
		"github.com/hashicorp/go-multierror",
		"github.com/apron-deploy/apron/reconcile/state",
		"github.com/apron-deploy/apron/reconcile/plan",
		"github.com/apron-deploy/apron/reconcile/apply",
		"github.com/apron-deploy/apron/reconcile/release",
	}, strings.Fields(string(out)))
}

var (
	web   = state.Address{Target: "apprunner", Kind: "service", Name: "web"}
	key   = state.Address{Target: "ssm", Kind: "parameter", Name: "/apron/web/KEY"}
	image = state.Address{Target: "ecr", Kind: "image", Name: "web:src-1"}
)

const hush = "hush-4711"

func run() Run {
	service := state.Resource{Address: web, Whole: []string{"env."}, Fields: state.Sort([]state.Field{
		{Path: "image", Value: image.String(), Ref: true},
		{Path: "command", Value: "serve --key " + hush},
		{Path: "deployment.secrets", Value: "current"},
		{Path: "env.SELF", Template: "${services.web.url}/", Omit: true},
		{Path: "env.TOKEN", Value: "t-" + hush, Secret: true},
		{Path: "cpu", Value: "512"},
	})}
	parameter := state.Resource{Address: key, Fields: []state.Field{{Path: "value", Value: hush, Secret: true}}}
	failure := errors.New("the application said: " + hush)
	cpu, was := service.Fields[1], state.Field{Path: "cpu", Value: "256"}
	return Run{
		Wanted: []state.Resource{parameter, service},
		Live:   state.Live{web: {Resource: service, URL: "https://web.example.com"}},
		Report: &apply.Report{Results: []apply.Result{
			{Action: plan.Action{ID: "create image", Op: plan.Create, Target: image}, Status: apply.Done, Outcome: state.Outcome{ID: "sha256:1"}, Took: time.Second},
			{Action: plan.Action{ID: "update key", Op: plan.Update, Target: key, Changes: []plan.Change{{Path: "value", New: &parameter.Fields[0], Cause: plan.Pending}}}, Status: apply.Done, Outcome: state.Outcome{Version: "7"}},
			{Action: plan.Action{ID: "update web", Op: plan.Update, Target: web, Changes: []plan.Change{{Path: "cpu", Old: &was, New: &cpu, Cause: plan.Drift}}}, Status: apply.Failed, Err: failure},
		}},
		Image:  image,
		Redact: func(s string) string { return strings.ReplaceAll(s, hush, Mask) },
	}
}

func TestNew(t *testing.T) {
	r := New(Record{Number: 3, Service: "web", Error: "it failed: " + hush, Secrets: map[string]Secret{"KEY": {Source: "env", Name: key.String()}}}, run())
	require.Equal(t, "sha256:1", r.Image.Digest)
	require.Equal(t, "7", r.Secrets["KEY"].Version)
	require.Equal(t, Summary{Add: 1, Change: 2, Done: 2, Failed: 1}, r.Summary)
	require.Equal(t, "it failed: "+Mask, r.Error)

	data, err := r.Encode()
	require.NoError(t, err)
	require.NotContains(t, string(data), hush)
	back, err := Decode(data)
	require.NoError(t, err)
	require.Equal(t, r, back)

	wanted, err := back.Wanted()
	require.NoError(t, err)
	require.Equal(t, web, wanted[0].Address)
	require.Equal(t, "https://web.example.com/", wanted[0].Value("env.SELF"), "what came of a template")
	require.Equal(t, "512", wanted[0].Value("cpu"))
	for _, path := range []string{"command", "env.TOKEN"} {
		f, ok := wanted[0].Get(path)
		require.True(t, ok)
		require.True(t, f.Secret, path)
		require.Empty(t, f.Value, path)
	}
	_, ok := wanted[0].Get("deployment.secrets")
	require.False(t, ok, "what a deployment has read is no setting")
	f, _ := wanted[1].Get("value")
	require.Equal(t, "7", f.Version)
	require.True(t, r.Same(New(Record{}, run()).Resources))
	changed := run()
	changed.Wanted[1].Fields[1].Value = "1024"
	require.False(t, r.Same(New(Record{}, changed).Resources))
}

// TestProperty_noSecretIsKept: whatever is secret in a run, by its field or by what a text
// holds, is nowhere in the record.
func TestProperty_noSecretIsKept(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		secret := rapid.StringMatching(`[a-z"\\<é]{12}`).Draw(t, "secret")
		around := func(label string) string {
			return rapid.StringMatching(`[A-Z ]{0,5}`).Draw(t, label+" before") + secret + rapid.StringMatching(`[A-Z ]{0,5}`).Draw(t, label+" after")
		}
		of := run()
		of.Redact = func(s string) string { return strings.ReplaceAll(s, secret, Mask) }
		of.Wanted[1].Fields[0].Value = around("setting")
		of.Wanted[1].Fields[3] = state.Field{Path: "env.X", Value: around("variable"), Secret: rapid.Bool().Draw(t, "marked")}
		of.Report.Results[2].Err = errors.New(around("error"))
		of.Report.Results[2].Action.Changes[0].New = &state.Field{Path: "cpu", Value: around("change")}
		data, err := New(Record{Number: 1, Service: "web", Error: around("run")}, of).Encode()
		require.NoError(t, err)
		back, err := Decode(data)
		require.NoError(t, err)
		walk(t, back, secret)
	})
}

func walk(t require.TestingT, r Record, secret string) {
	texts := []string{r.Error}
	for _, a := range r.Actions {
		texts = append(texts, a.Error)
		for _, c := range a.Changes {
			for _, v := range []*string{c.Old, c.New} {
				if v != nil {
					texts = append(texts, *v)
				}
			}
		}
	}
	for _, res := range r.Resources {
		for _, f := range res.Fields {
			texts = append(texts, f.Value, f.Template)
		}
	}
	for _, text := range texts {
		require.NotContains(t, text, secret)
	}
}

func TestBases(t *testing.T) {
	service := func(cpu string) []Resource {
		return []Resource{{Address: web.String(), Fields: []Field{{Path: "cpu", Value: cpu}}}}
	}
	success := Record{Number: 1, Result: Succeeded, Resources: service("1")}
	bases, err := Bases(Known{Addresses: []state.Address{web}})
	require.NoError(t, err)
	require.Empty(t, bases, "nothing is known without a success")
	bases, err = Bases(Known{Recent{Success: &success, Attempts: []Record{{Number: 2, Result: Failed, Resources: service("2")}}}, []state.Address{web, key}})
	require.NoError(t, err)
	require.Equal(t, "1", bases[web].Wanted.Value("cpu"))
	require.Equal(t, 2, bases[web].Attempts[0].Release)
	require.Equal(t, "2", bases[web].Attempts[0].Wanted.Value("cpu"))
	require.Equal(t, plan.Base{}, bases[key], "new since")
}

// TestRecent_Attempted follows a resource through deletes and creates.
func TestRecent_Attempted(t *testing.T) {
	action := func(op, status string) Action { return Action{Op: op, Address: key.String(), Status: status} }
	wanted := []Resource{{Address: key.String(), Fields: []Field{{Path: "type", Value: "String"}}}}
	for name, tc := range map[string]struct {
		attempts []Record // the newest first
		deleted  []int    // the releases that have deleted it
	}{
		"a destroy that deleted it":      {[]Record{{Number: 2, Kind: Destroy, Actions: []Action{action("delete", "done")}}}, []int{2}},
		"one that began to":              {[]Record{{Number: 2, Kind: Destroy, Actions: []Action{action("delete", "failed")}}}, []int{2}},
		"one that never came to it":      {[]Record{{Number: 2, Kind: Destroy, Actions: []Action{action("delete", "skipped")}}}, nil},
		"it was made again":              {[]Record{{Number: 3, Resources: wanted, Actions: []Action{action("create", "done")}}, {Number: 2, Actions: []Action{action("delete", "done")}}}, nil},
		"it was to be made again":        {[]Record{{Number: 3, Resources: wanted, Actions: []Action{action("create", "failed")}}, {Number: 2, Actions: []Action{action("delete", "done")}}}, []int{2}},
		"it was replaced":                {[]Record{{Number: 2, Resources: wanted, Actions: []Action{action("delete", "done"), action("create", "done")}}}, nil},
		"it was deleted to be replaced":  {[]Record{{Number: 2, Resources: wanted, Actions: []Action{action("delete", "done"), action("create", "skipped")}}}, []int{2}},
		"it was made and then destroyed": {[]Record{{Number: 3, Kind: Destroy, Actions: []Action{action("delete", "done")}}, {Number: 2, Resources: wanted, Actions: []Action{action("create", "done")}}}, []int{3}},
	} {
		t.Run(name, func(t *testing.T) {
			all, err := Recent{Attempts: tc.attempts}.Attempted()
			require.NoError(t, err)
			var deleted []int
			for _, a := range all[key] {
				if a.Deleted {
					deleted = append(deleted, a.Release)
				}
			}
			require.Equal(t, tc.deleted, deleted)
		})
	}
}

func TestBases_joinsWhatServicesShare(t *testing.T) {
	shared := func(at int64, fields ...Field) Known {
		return Known{Recent: Recent{Success: &Record{StartedAt: time.Unix(at, 0), Resources: []Resource{{Address: "ecr/repository/web", Fields: fields}}}}}
	}
	for _, services := range [][]Known{
		{shared(1, Field{Path: "keep", Value: "5"}, Field{Path: "tag.a"}), shared(2, Field{Path: "keep", Value: "10"}, Field{Path: "tag.b"})},
		{shared(2, Field{Path: "keep", Value: "10"}, Field{Path: "tag.b"}), shared(1, Field{Path: "keep", Value: "5"}, Field{Path: "tag.a"})},
	} {
		bases, err := Bases(services...)
		require.NoError(t, err)
		w := bases[state.Address{Target: "ecr", Kind: "repository", Name: "web"}].Wanted
		require.Equal(t, "10", w.Value("keep"), "the later release has set it")
		require.Len(t, w.Fields, 3)
	}
}

func FuzzDecode(f *testing.F) {
	data, err := New(Record{Number: 3, Service: "web"}, run()).Encode()
	require.NoError(f, err)
	f.Add(data)
	f.Fuzz(func(t *testing.T, data []byte) {
		r, err := Decode(data)
		if err != nil {
			return
		}
		_, _ = r.Wanted()
		_, _ = Bases(Known{Recent: Recent{Success: &r}})
	})
}

func TestRecord_Encode_keepsToItsLimit(t *testing.T) {
	long := strings.Repeat("x", maxValue)
	r := Record{FormatVersion: FormatVersion, Number: 1, Service: "web"}
	for range MaxBytes / maxValue {
		r.Actions = append(r.Actions, Action{Changes: []Change{{Path: "env.X", New: &long}}, Error: long})
	}
	data, err := r.Encode()
	require.NoError(t, err)
	require.LessOrEqual(t, len(data), MaxBytes)
	back, err := Decode(data)
	require.NoError(t, err)
	require.True(t, back.Cut)
	require.Len(t, back.Actions, len(r.Actions))
	r.Manifest = strings.Repeat("x", MaxBytes)
	_, err = r.Encode()
	require.ErrorContains(t, err, "at most 1048576")
}

func TestTag(t *testing.T) {
	require.Equal(t, "release-web-000042", Tag("web", 42))
	for tag, want := range map[string]int{"release-web-000042": 42, "release-web-1234567": 1234567, "release-web-42": 0,
		"release-web-2-000042": 0, "release-web-": 0, "release-web-00004x": 0, "release-web--00042": 0, "v1": 0} {
		n, ok := Number("web", tag)
		require.Equal(t, want > 0, ok, tag)
		if ok {
			require.Equal(t, want, n)
		}
	}
	service, n, ok := ParseTag("release-web-2-000042")
	require.True(t, ok)
	require.Equal(t, "web-2", service)
	require.Equal(t, 42, n)
	for _, tag := range []string{"release-000042", "release--000042", "release-web-42", "v1", ""} {
		_, _, ok := ParseTag(tag)
		require.False(t, ok, tag)
	}
	require.True(t, IsTag(NewestTag("web")))
	require.False(t, IsTag("live-web"))
}

func TestDecode_refuses(t *testing.T) {
	for _, text := range []string{"", "{", `{"format_version": "2", "number": 1, "service": "web"}`, `{"format_version": "1", "service": "web"}`} {
		_, err := Decode([]byte(text))
		require.Error(t, err, text)
	}
}
