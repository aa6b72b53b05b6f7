package apprunner

import (
	"fmt"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/apprunner/types"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/apron-deploy/apron/reconcile/state"
)

func TestDesired_leftOutMeansUnmanaged(t *testing.T) {
	resources := Desired(state.Spec{Service: "web"}, Inputs{Image: state.Address{Target: "ecr", Kind: "image", Name: "web:src-1"}})
	require.Equal(t, []state.Resource{{
		Address: Service("web"),
		Fields: []state.Field{
			{Path: "auto_deploy", Value: "false"}, // AWS's default is on
			{Path: "image", Value: "ecr/image/web:src-1", Ref: true},
			{Path: "tags.apron:service", Value: "web"},
		},
	}}, resources)
}

func TestDesired_managesEachSettingThatIsGiven(t *testing.T) {
	base := Desired(state.Spec{Service: "web"}, Inputs{})[0]
	for name, tc := range map[string]struct {
		spec state.Spec
		in   Inputs
		want []state.Field // beside those of the least manifest
	}{
		"command":                 {spec: state.Spec{Command: ptr("serve --fast")}, want: []state.Field{{Path: "command", Value: "serve --fast"}}},
		"the image's own command": {spec: state.Spec{Command: ptr("")}},
		"port":                    {spec: state.Spec{Port: ptr(8000)}, want: []state.Field{{Path: "port", Value: "8000"}}},
		"cpu":                     {spec: state.Spec{CPU: ptr(1024)}, want: []state.Field{{Path: "cpu", Value: "1024"}}},
		"memory":                  {spec: state.Spec{Memory: ptr(2048)}, want: []state.Field{{Path: "memory", Value: "2048"}}},
		"tags":                    {spec: state.Spec{Tags: map[string]string{"b": "2", "a": ""}}, want: []state.Field{{Path: "tags.a"}, {Path: "tags.b", Value: "2"}}},
		"env": {spec: state.Spec{Env: map[string]state.EnvValue{
			"PLAIN": {Value: "x"}, "TOKEN": {Value: "y", Hidden: true}, "SHA": {Value: "z", Provenance: true, Source: "${git.sha}"},
			"URL": {Template: "${services.api.url}/v1", Omit: true}}},
			want: []state.Field{
				{Path: "env.PLAIN", Value: "x"}, {Path: "env.SHA", Value: "z", Provenance: true, Source: "${git.sha}"},
				{Path: "env.TOKEN", Value: "y", Secret: true}, {Path: "env.URL", Template: "${services.api.url}/v1", Omit: true}}},
		"a secret that apron keeps": {
			spec: state.Spec{Secrets: map[string]state.SecretRef{"KEY": {}}}, in: Inputs{Secrets: map[string]string{"KEY": "ssm/parameter//apron/web/KEY"}},
			want: []state.Field{{Path: "secrets.KEY", Value: "ssm/parameter//apron/web/KEY", Ref: true, Restart: true}}},
		"a secret that is referred to": {
			spec: state.Spec{Secrets: map[string]state.SecretRef{"KEY": {}}}, in: Inputs{Secrets: map[string]string{"KEY": "arn:aws:ssm:us-east-1:123456789012:parameter/x"}},
			want: []state.Field{{Path: "secrets.KEY", Value: "arn:aws:ssm:us-east-1:123456789012:parameter/x", Restart: true}}},
		"roles": {in: Inputs{Access: "iam/role/apron-x", Instance: "arn:aws:iam::123456789012:role/own"},
			want: []state.Field{{Path: "access_role", Value: "iam/role/apron-x", Ref: true}, {Path: "instance_role", Value: "arn:aws:iam::123456789012:role/own"}}},
		"where the manifest is": {spec: state.Spec{Origin: "github.com/acme/shop:deploy.yaml", Tags: map[string]string{"a": "1"}}, want: []state.Field{
			{Path: "tags.a", Value: "1"}, {Path: "tags.apron:manifest", Value: "github.com/acme/shop:deploy.yaml", Provenance: true}}},
		"secrets that changed since": {in: Inputs{Stale: "KEY"}, want: []state.Field{{Path: "deployment.secrets", Value: "current"}}},
		"health, whole": {spec: state.Spec{Health: whole.Health}, want: []state.Field{
			{Path: "health.healthy", Value: "2"}, {Path: "health.interval", Value: "20s"}, {Path: "health.path", Value: "/health"},
			{Path: "health.protocol", Value: "HTTP"}, {Path: "health.timeout", Value: "5s"}, {Path: "health.unhealthy", Value: "5"}}},
		"health, in part": {spec: state.Spec{Health: &state.Health{Interval: ptr(7 * time.Second)}}, want: []state.Field{{Path: "health.interval", Value: "7s"}}},
		"health, empty":   {spec: state.Spec{Health: &state.Health{}}},
	} {
		t.Run(name, func(t *testing.T) {
			tc.spec.Service = "web"
			got := Desired(tc.spec, tc.in)
			require.Len(t, got, 1)
			require.Equal(t, state.Sort(append(tc.want, base.Fields...)), got[0].Fields)
		})
	}
	on := Desired(state.Spec{Service: "web", AutoDeploy: true}, Inputs{})[0]
	require.Equal(t, "true", on.Value("auto_deploy"))
}

// env and secrets, when present, are whole maps, even when they are empty.
func TestDesired_managesMapsAsAWhole(t *testing.T) {
	for name, tc := range map[string]struct {
		spec state.Spec
		want []string
	}{
		"neither":       {state.Spec{}, nil},
		"no command":    {state.Spec{Command: ptr("")}, []string{"command"}},
		"no role":       {state.Spec{Roles: state.Roles{Instance: None}}, []string{"instance_role"}},
		"env":           {state.Spec{Env: map[string]state.EnvValue{}}, []string{"env."}},
		"secrets":       {state.Spec{Secrets: map[string]state.SecretRef{}}, []string{"secrets."}},
		"both":          {state.Spec{Env: map[string]state.EnvValue{}, Secrets: map[string]state.SecretRef{}}, []string{"env.", "secrets."}},
		"tags never do": {state.Spec{Tags: map[string]string{"a": "b"}}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			require.Equal(t, tc.want, Desired(tc.spec, Inputs{})[0].Whole)
		})
	}
}

func TestDesired_namesScalingByItsContent(t *testing.T) {
	for name, scaling := range map[string]state.Scaling{
		"apron-1-25-100":  {},
		"apron-2-25-100":  {Min: ptr(2)},
		"apron-1-3-100":   {Max: ptr(3)},
		"apron-1-25-7":    {Concurrency: ptr(7)},
		"apron-2-10-80":   {Min: ptr(2), Max: ptr(10), Concurrency: ptr(80)},
		"apron-30-30-100": {Min: ptr(30)}, // never above its own maximum
	} {
		t.Run(name, func(t *testing.T) {
			got := Desired(state.Spec{Service: "web", Scaling: &scaling}, Inputs{})
			require.Len(t, got, 2)
			require.Equal(t, Scaling(name), got[0].Address)
			for _, f := range got[0].Fields {
				require.Equal(t, f.Path != "tags.apron:managed", f.Immutable, f.Path)
			}
			link, _ := got[1].Get("scaling")
			require.Equal(t, state.Field{Path: "scaling", Value: "apprunner/scaling/" + name, Ref: true}, link)
			require.LessOrEqual(t, len(name), 32, "the API's limit")
		})
	}
}

// What is sent comes back the same, whatever the manifest gives and leaves out.
func TestDesired_isWhatIsLiveOnceItWasSent(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		some := func(name string) bool { return rapid.Bool().Draw(t, name) }
		count := func(name string) *int {
			if !some(name + "?") {
				return nil
			}
			return ptr(rapid.IntRange(1, 20).Draw(t, name))
		}
		s := state.Spec{Service: "web", AutoDeploy: some("auto"), Port: count("port"), CPU: count("cpu"), Memory: count("memory")}
		if some("health") {
			s.Health = &state.Health{Healthy: count("healthy"), Unhealthy: count("unhealthy")}
			if n := count("interval"); n != nil {
				s.Health.Interval = ptr(time.Duration(*n) * time.Second)
			}
			if n := count("timeout"); n != nil {
				s.Health.Timeout = ptr(time.Duration(*n) * time.Second)
			}
			if some("http") {
				s.Health.Protocol, s.Health.Path = ptr("HTTP"), ptr("/"+rapid.StringMatching(`[a-z]{0,5}`).Draw(t, "path"))
			}
		}
		if some("env") {
			s.Env = map[string]state.EnvValue{}
			for i := range rapid.IntRange(0, 3).Draw(t, "variables") {
				s.Env[fmt.Sprint("V.", i)] = state.EnvValue{Value: rapid.String().Draw(t, "value"), Hidden: some("hidden")}
			}
		}
		in := inputs
		if some("secrets") {
			s.Secrets = map[string]state.SecretRef{"KEY": {}}
		}
		resources := Desired(s, in)
		want := resources[len(resources)-1]
		d, err := define(want, nil, scope)
		if err != nil {
			t.Fatal(err)
		}
		sent := d.create("web")
		live := observed(&types.Service{ServiceName: sent.ServiceName, SourceConfiguration: sent.SourceConfiguration,
			InstanceConfiguration: sent.InstanceConfiguration, HealthCheckConfiguration: sent.HealthCheckConfiguration},
			sent.Tags, nil, scope, func(_, _ string) bool { return false })
		if differs := differences(want, live); len(differs) > 0 {
			t.Fatalf("%v differ", differs)
		}
	})
}

func TestDefine_refusesWhatIsNoNumberOrDuration(t *testing.T) {
	for path, text := range map[string]string{
		"health.interval":  `health.interval: time: invalid duration "x"`,
		"health.unhealthy": `health.unhealthy: strconv.ParseInt: parsing "x": invalid syntax`,
	} {
		_, err := define(state.Resource{Fields: []state.Field{{Path: path, Value: "x"}}}, nil, scope)
		require.EqualError(t, err, text)
	}
}

// A create leaves out what has no default, and the second pass sends what is known then.
func TestWanted_resolvesSoftReferences(t *testing.T) {
	p := provider(newFake(), Options{})
	want := Desired(state.Spec{Service: "web", Env: map[string]state.EnvValue{
		"API": {Template: "${services.api.url}/v1 and ${services.web.url}", Omit: true}}}, Inputs{})[0]
	r := run{p: p}
	r.a.Want = want
	urls := map[state.Address]string{}
	r.env.Lookup = func(a state.Address) (state.Outcome, bool) { return state.Outcome{URL: urls[a]}, urls[a] != "" }
	_, err := r.wanted()
	require.EqualError(t, err, `env.API needs the URL of service "web", which is not known`)
	urls[Service("web")] = "https://web"
	_, err = r.wanted()
	require.EqualError(t, err, `env.API needs the URL of service "api", which is not known`)
	urls[Service("api")] = "https://api"
	got, err := r.wanted()
	require.NoError(t, err)
	require.Equal(t, "https://api/v1 and https://web", got.Value("env.API"))
	api, _ := got.Get("env.API")
	require.False(t, api.Omit)
	before, _ := want.Get("env.API")
	require.True(t, before.Omit, "the action itself is not changed")
}
