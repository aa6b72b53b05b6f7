package approval_test

import (
	"os/exec"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/apron-deploy/apron/reconcile/approval"
	"github.com/apron-deploy/apron/reconcile/plan"
	"github.com/apron-deploy/apron/reconcile/state"
)

const account, region = "123456789012", "us-east-1"

var (
	service = state.Address{Target: "apprunner", Kind: "service", Name: "web"}
	role    = state.Address{Target: "iam", Kind: "role", Name: "web"}
	key     = state.Address{Target: "ssm", Kind: "parameter", Name: "/apron/web/KEY"}
)

func field(path, value string) state.Field { return state.Field{Path: path, Value: value} }

func resource(at state.Address, fields ...state.Field) state.Resource {
	return state.Resource{Address: at, Fields: state.Sort(fields), Whole: []string{"env."}}
}

func owned(r state.Resource) state.Observed {
	return state.Observed{Resource: r, ID: "arn:" + r.Address.Name, Owner: state.Ours, Phase: state.Ready}
}

// world is both sides of a plan.
type world struct {
	desired state.Desired
	live    state.Live
}

func of(want []state.Resource, have ...state.Resource) world {
	w := world{state.Desired{}, state.Live{}}
	for _, r := range want {
		w.desired[r.Address] = r
	}
	for _, r := range have {
		w.live[r.Address] = owned(r)
	}
	return w
}

func (w world) plan(t *testing.T) *plan.Plan {
	t.Helper()
	p, err := plan.Build(w.desired, w.live, plan.Options{})
	require.NoError(t, err)
	return p
}

func secret(value string) state.Field { return state.Field{Path: "value", Value: value, Secret: true} }

func commit(sha string) state.Field {
	return state.Field{Path: "env.SHA", Value: sha, Provenance: true}
}

// made is a variable that the manifest makes from the commit and other text.
func made(value, source string) state.Field {
	return state.Field{Path: "env.SHA", Value: value, Provenance: true, Source: source}
}

// tag says where the manifest of a service is.
var tag = state.Field{Path: "tags.apron:manifest", Value: "github.com/acme/shop:deploy.yaml", Provenance: true}

// right is a role with rights, and has a service that has it.
func right(names ...string) state.Resource {
	r := state.Resource{Address: role, Whole: []string{"permission."}}
	for _, n := range names {
		r.Fields = append(r.Fields, state.Field{Path: "permission." + n, Value: "allow", Grant: true})
	}
	return r
}

func has(cpu string) state.Resource {
	return resource(service, field("cpu", cpu), state.Field{Path: "role", Value: role.String(), Ref: true})
}

func TestCheck(t *testing.T) {
	web := func(cpu, memory string) state.Resource {
		return resource(service, field("cpu", cpu), field("memory", memory))
	}
	both := []state.Resource{web("1024", "2048"), resource(key, secret("new"))}
	narrowing := of([]state.Resource{has("2"), right("b")}, has("1"), right("a"))
	then := of(both, web("256", "512"), resource(key, secret("old")))
	for name, tc := range map[string]struct {
		then, now                 world
		added, changed, forgotten []string
	}{
		"the same":                              {then: then, now: then},
		"a part is done already":                {then: then, now: of(both, web("1024", "2048"), resource(key, secret("old")))},
		"all is done already":                   {then: then, now: of(both, both...)},
		"somebody changed what is to change":    {then: then, now: of(both, web("512", "512"), resource(key, secret("old"))), changed: []string{"update apprunner/service/web"}},
		"somebody did half of a change":         {then: then, now: of(both, web("1024", "512"), resource(key, secret("old"))), changed: []string{"update apprunner/service/web"}},
		"the manifest wants something else":     {then: then, now: of([]state.Resource{web("2048", "4096"), both[1]}, web("256", "512"), resource(key, secret("old"))), changed: []string{"update apprunner/service/web"}},
		"another value of the secret":           {then: then, now: of([]state.Resource{both[0], resource(key, secret("newer"))}, web("256", "512"), resource(key, secret("old")))},
		"a right that goes last":                {then: narrowing, now: of([]state.Resource{has("2"), right("b")}, has("2"), right("a", "b"))},
		"a right that is gone":                  {then: narrowing, now: of([]state.Resource{has("2"), right("b")}, has("2"), right("b"))},
		"a right that is given back":            {then: narrowing, now: of([]state.Resource{has("2"), right("a", "b")}, has("2"), right("a", "b")), forgotten: []string{"update iam/role/web (second pass)"}},
		"who plans has no value of a secret":    {then: of([]state.Resource{both[0], resource(key, field("type", "SecureString"))}, web("256", "512")), now: of([]state.Resource{both[0], resource(key, field("type", "SecureString"), secret("new"))}, web("256", "512"))},
		"a secret that nobody has seen change":  {then: of([]state.Resource{both[0], resource(key)}, web("256", "512"), resource(key, secret("old"))), now: then, added: []string{"update ssm/parameter//apron/web/KEY"}},
		"something else has to be done":         {then: of(both, web("256", "512"), both[1]), now: then, added: []string{"update ssm/parameter//apron/web/KEY"}},
		"the manifest does not want it now":     {then: of(both, web("1024", "2048")), now: of(both[:1], web("1024", "2048")), forgotten: []string{"create ssm/parameter//apron/web/KEY"}},
		"a deletion that is done":               {then: of(both[:1], both...), now: of(both[:1], both[0])},
		"a deletion that is not wanted now":     {then: of(both[:1], both...), now: of(both, both...), forgotten: []string{"delete ssm/parameter//apron/web/KEY"}},
		"another commit with the same changes":  {then: of([]state.Resource{resource(service, commit("a"), field("cpu", "1"))}, resource(service, commit("0"), field("cpu", "2"))), now: of([]state.Resource{resource(service, commit("b"), field("cpu", "1"))}, resource(service, commit("0"), field("cpu", "2")))},
		"a checkout without a remote":           {then: of([]state.Resource{resource(service, tag, field("cpu", "1"))}), now: of([]state.Resource{resource(service, field("cpu", "1"))})},
		"a variable more that names the commit": {then: of([]state.Resource{resource(service, field("cpu", "1"))}), now: of([]state.Resource{resource(service, commit("a"), field("cpu", "1"))}), changed: []string{"create apprunner/service/web"}},
		"another commit in the same text":       {then: of([]state.Resource{resource(service, made("--v a", "--v ${git.sha}"))}), now: of([]state.Resource{resource(service, made("--v b", "--v ${git.sha}"))})},
		"another text around the commit":        {then: of([]state.Resource{resource(service, made("--v a", "--v ${git.sha}"))}), now: of([]state.Resource{resource(service, made("--x a", "--x ${git.sha}"))}), changed: []string{"create apprunner/service/web"}},
		"another text around it, in an update": {then: of([]state.Resource{resource(service, made("a", "${git.sha}"), field("cpu", "1"))}, resource(service, made("0", ""), field("cpu", "2"))),
			now: of([]state.Resource{resource(service, made("x a", "x ${git.sha}"), field("cpu", "1"))}, resource(service, made("0", ""), field("cpu", "2"))), changed: []string{"update apprunner/service/web"}},
	} {
		t.Run(name, func(t *testing.T) {
			approved := approval.Of(tc.then.plan(t), account, region)
			err := approval.Check(approved, tc.now.plan(t), account, region, tc.now.desired, tc.now.live)
			if tc.added == nil && tc.changed == nil && tc.forgotten == nil {
				require.NoError(t, err)
				return
			}
			var different *approval.DifferentError
			require.ErrorAs(t, err, &different)
			require.Equal(t, approval.DifferentError{New: tc.added, Changed: tc.changed, Missing: tc.forgotten}, *different)
		})
	}
}

func TestCheck_isForOneAccountAndRegion(t *testing.T) {
	w := of([]state.Resource{resource(service, field("cpu", "1"))})
	approved := approval.Of(w.plan(t), account, region)
	require.ErrorContains(t, approval.Check(approved, w.plan(t), "000000000000", region, w.desired, w.live), "for account 123456789012, and this is 000000000000")
	require.ErrorContains(t, approval.Check(approved, w.plan(t), account, "eu-west-1", w.desired, w.live), "for Region us-east-1, and this is eu-west-1")
	approved.Version++
	require.ErrorContains(t, approval.Check(approved, w.plan(t), account, region, w.desired, w.live), "of version 3 of the format, and this apron has 2")
}

func TestOf_holdsNothingOfASecret(t *testing.T) {
	one := of([]state.Resource{resource(key, secret("canary"))}).plan(t)
	two := of([]state.Resource{resource(key, secret("other"))}).plan(t)
	require.Equal(t, approval.Of(one, account, region), approval.Of(two, account, region))
	require.Equal(t, approval.Of(one, account, region).String(), approval.Of(two, account, region).String())
	require.NotEqual(t, approval.Of(one, account, region).String(), approval.Of(one, account, "eu-west-1").String())
}

func TestPackage_isPure(t *testing.T) {
	out, err := exec.CommandContext(t.Context(), "go", "list", "-deps", "-f", "{{.ImportPath}}", ".").Output()
	require.NoError(t, err)
	require.NotContains(t, string(out), "apron/providers")
	require.NotContains(t, string(out), "aws-sdk-go")
	require.NotContains(t, string(out), "net/http\n")
}

func TestFingerprint_Since(t *testing.T) {
	was := approval.Fingerprint{Steps: []approval.Step{{ID: "a", Hash: "1"}, {ID: "b", Hash: "1"}, {ID: "c", Hash: "1"}}}
	now := approval.Fingerprint{Steps: []approval.Step{{ID: "b", Hash: "2"}, {ID: "c", Hash: "1"}, {ID: "d", Hash: "1"}}}
	added, changed, gone := now.Since(was)
	require.Equal(t, [][]string{{"d"}, {"b"}, {"a"}}, [][]string{added, changed, gone})
}
