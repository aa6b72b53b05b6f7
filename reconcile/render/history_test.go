package render

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/apron-deploy/apron/reconcile/plan"
	"github.com/apron-deploy/apron/reconcile/release"
	"github.com/apron-deploy/apron/reconcile/state"
)

func releases() []release.Record {
	at := time.Date(2026, 11, 27, 8, 30, 0, 0, time.UTC)
	text := func(s string) *string { return &s }
	return []release.Record{
		{FormatVersion: "1", Number: 12, Service: "web", Environment: "production", Kind: release.Rollback, Of: 10, Result: release.Succeeded, Success: 10, StartedAt: at.Add(2 * time.Hour), TookMS: 184_000,
			Actor:  release.Actor{ARN: "arn:aws:sts::123456789012:assumed-role/deploy/ci-42", CI: "ana", Run: "https://github.com/acme/web/actions/runs/42"},
			Commit: &release.Commit{SHA: "0123456789abcdef0123456789abcdef01234567", Branch: "main", Dirty: true}, Apron: "v1.2.0", Account: "123456789012", Region: "us-east-1", Target: "apprunner",
			Image: release.Image{Repository: "web", Tag: "src-0123456789abcdef0123", Digest: "sha256:aa", Version: "v1.0.0"},
			Actions: []release.Action{
				{ID: "update apprunner/service/web", Op: "update", Address: "apprunner/service/web", Status: "done", TookMS: 180_000, Changes: []release.Change{
					{Path: "cpu", Old: text("2048"), New: text("1024"), Cause: "pending"},
					{Path: "env.LOG", Old: text("debug"), Cause: "drift"},
					{Path: "env.TOKEN", Secret: true, Cause: "unknown"},
					{Path: "image", Old: text("ecr/image/web:src-1"), New: text("ecr/image/web:src-0"), Cause: "pending"},
					{Path: "memory", Old: text("4096"), New: text("2048"), Cause: "pending"}}},
				{ID: "update ecr/tag/web:live-web", Op: "update", Address: "ecr/tag/web:live-web", Status: "done"},
			},
			Manifest: "version: 1\nservice: web\nenv:\n  TOKEN: (sensitive)\n"},
		{FormatVersion: "1", Number: 11, Service: "web", Environment: "production", Kind: release.Apply, Result: release.Failed, StartedAt: at.Add(time.Hour), TookMS: 61_000,
			Error: "update apprunner/service/web: rolled back\x1b[31m: health checks | failed", Actor: release.Actor{ARN: "arn:aws:iam::123456789012:user/bob"},
			Image: release.Image{Repository: "web", Tag: "src-1"}, Apron: "v1.2.0", Account: "123456789012", Region: "us-east-1", Target: "apprunner",
			Actions: []release.Action{{ID: "update apprunner/service/web", Op: "update", Address: "apprunner/service/web", Status: "failed", Error: "rolled back"},
				{ID: "create ssm/parameter//apron/web/KEY", Op: "create", Address: "ssm/parameter//apron/web/KEY", Status: "done"}}},
		{FormatVersion: "1", Number: 10, Service: "web", Kind: release.Promote, From: "web-staging release 7", Result: release.Succeeded, StartedAt: at, Actor: release.Actor{ARN: "arn:aws:iam::123456789012:user/bob"}},
	}
}

func TestHistory(t *testing.T) {
	everyFormat(t, "history", NewHistory("web", "shop", releases(), 9))
	everyFormat(t, "history-none", NewHistory("web", "shop", nil, 0))
}

func TestRecord(t *testing.T) {
	everyFormat(t, "record", NewRecord(releases()[0]))
	everyFormat(t, "record-failed", NewRecord(releases()[1]))
}

func TestDrift(t *testing.T) {
	success := release.Recent{Success: &releases()[0]}
	wanted := []state.Resource{
		resource("apprunner/service/web", field("cpu", "1024"), field("env.LOG", "info"), field("env.GONE", "1")),
		resource("apprunner/scaling/apron-1-2-50", field("max", "2")),
		resource("ecr/repository/web", field("lifecycle", "live-*: keep 1000")),
	}
	have := live(
		state.Observed{Resource: resource("apprunner/service/web", field("cpu", "2048"), field("env.LOG", "in|fo\x1b[0m"), field("env.NEW", "x")), ID: "arn:web"},
		state.Observed{Resource: wanted[2]},
	)
	v := NewDrift(header(), []state.Note{{Target: address("apprunner/service/web"), Text: "has an operation under way", Warning: true}})
	v.Add("web", success, plan.Drifted(wanted, nil, have), len(wanted))
	v.Add("api", success, nil, 4)
	everyFormat(t, "drift", v)

	clean := NewDrift(header(), nil)
	clean.Add("web", success, nil, 3)
	clean.Add("api", release.Recent{}, nil, 2)
	everyFormat(t, "drift-none", clean)

	clean.LeaveOut("b|d", Unread, hinted{"repository \"b|d\": describe: AccessDeniedException: no", "let the identity do this"})
	everyFormat(t, "drift-unread", clean)
	v.LeaveOut("b|d", Unread, hinted{"no", ""})
	require.Equal(t, "Drift: 4 settings changed, 1 resource gone. 1 service is left out: `\"b\\x7cd\"`.", v.Headline())
}

// TestDrift_ofAFailedRelease has what nobody else did beside what somebody did, and alone.
func TestDrift_ofAFailedRelease(t *testing.T) {
	web, role, log := address("apprunner/service/web"), address("iam/role/web"), address("logs/group/web")
	recent := release.Recent{Success: &releases()[0], Attempts: []release.Record{
		{Number: 14, Kind: release.Destroy, Result: release.Interrupted}, {Number: 13, Kind: release.Apply, Result: release.Failed}}}
	wanted := []state.Resource{
		resource(web.String(), field("cpu", "1024"), field("memory", "2048")), resource(role.String(), field("trust", "all")), resource(log.String(), field("days", "7")),
	}
	tried := resource(web.String(), field("cpu", "2048"))
	attempts := map[state.Address][]plan.Attempt{web: {{Release: 13, Wanted: &tried}}, role: {{Release: 14, Deleted: true}}}
	have := live(state.Observed{Resource: resource(web.String(), field("cpu", "2048"), field("memory", "4096"))})
	v := NewDrift(header(), nil)
	v.Add("web", recent, plan.Drifted(wanted, attempts, have), len(wanted))
	everyFormat(t, "drift-left", v)
	require.Equal(t, []string{web.String(), log.String()}, v.Touched(), "nobody else is asked for about the role")

	have = live(state.Observed{Resource: resource(web.String(), field("cpu", "2048"), field("memory", "2048"))})
	v = NewDrift(header(), nil)
	v.Add("web", recent, plan.Drifted(wanted[:2], attempts, have), 2)
	require.Equal(t, "Left by a release that did not succeed: 1 setting changed, 1 resource gone.", v.Headline())
	require.Empty(t, v.Touched())
}

func TestPlan_saysWhatSomebodyElseDid(t *testing.T) {
	gone, made := resource("ssm/parameter//apron/web/KEY", field("type", "SecureString")), resource("iam/role/web", field("trust", "all"))
	web := resource("apprunner/service/web", field("cpu", "1024"), field("memory", "2048"), field("port", "80"))
	was := resource("apprunner/service/web", field("cpu", "1024"), field("memory", "1024"), field("port", "8000"))
	p, err := plan.Build(desired(gone, web), live(
		state.Observed{Resource: made, Owner: state.Ours, Phase: state.Ready},
		state.Observed{Resource: resource("apprunner/service/web", field("cpu", "256"), field("memory", "512"), field("port", "8000")), Owner: state.Ours, Phase: state.Ready},
	), plan.Options{Bases: map[state.Address]plan.Base{gone.Address: {Wanted: &gone}, made.Address: {}, web.Address: {Wanted: &was}}})
	if err != nil {
		t.Fatal(err)
	}
	v := NewPlan(p, header())
	everyFormat(t, "causes", v)

	at := time.Date(2026, 11, 27, 8, 30, 0, 0, time.UTC)
	require.Equal(t, []string{"apprunner/service/web", "iam/role/web", "ssm/parameter//apron/web/KEY"}, v.Touched())
	v.Blame("apprunner/service/web", Blame{Events: []Event{{"UpdateService", "arn:aws:iam::123456789012:user/bob", at, "192.0.2.7", true}, {"UpdateService", "bo|b\x1b[0m", at, "", false},
		{"TagResource", "ana", at, "", false}, {"TagResource", "ana", at, "", false}}})
	v.Blame("iam/role/web", Blame{Note: "not yet in CloudTrail"})
	everyFormat(t, "who", v)
}

func field(path, value string) state.Field { return state.Field{Path: path, Value: value} }
