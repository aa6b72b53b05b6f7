package iam

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/apron-deploy/apron/reconcile"
	"github.com/apron-deploy/apron/reconcile/apply"
	"github.com/apron-deploy/apron/reconcile/plan"
	"github.com/apron-deploy/apron/reconcile/state"
)

const region = "us-east-1"

func spec(permissions ...string) state.Spec {
	s := state.Spec{Service: "web", Roles: state.Roles{Access: "auto", Instance: "auto"}, Tags: map[string]string{"team": "ai"}}
	for _, p := range permissions {
		action, resource, _ := strings.Cut(p, " ")
		s.Permissions = append(s.Permissions, state.Permission{Action: action, Resource: resource})
	}
	return s
}

func observe(t *testing.T, f *fake, s state.Spec) state.Live {
	t.Helper()
	live, notes, err := New(f).Observe(t.Context(), reconcile.Query{Account: "123456789012", Region: region, Specs: []state.Spec{s}})
	require.NoError(t, err)
	require.Empty(t, notes)
	return live
}

func desired(t *testing.T, s state.Spec) state.Desired {
	t.Helper()
	roles, _, err := Desired(s, in())
	require.NoError(t, err)
	want := state.Desired{}
	for _, r := range roles {
		want[r.Address] = r
	}
	return want
}

// actions is a planner for one type: what is missing, what differs, what is not wanted.
func actions(want state.Desired, live state.Live) []plan.Action {
	var steps []plan.Action
	for _, a := range slices.SortedFunc(maps.Keys(want), state.Address.Compare) {
		have, ok := live[a]
		switch {
		case !ok:
			steps = append(steps, plan.Action{Op: plan.Create, Target: a, Want: want[a]})
		case !satisfied(want[a], have):
			steps = append(steps, plan.Action{Op: plan.Update, Target: a, Want: want[a], Have: have})
		}
	}
	for _, a := range slices.SortedFunc(maps.Keys(live), state.Address.Compare) {
		if _, ok := want[a]; !ok && live[a].Owner == state.Ours {
			steps = append(steps, plan.Action{Op: plan.Delete, Target: a, Have: live[a]})
		}
	}
	return steps
}

func satisfied(want state.Resource, have state.Observed) bool {
	for _, f := range want.Fields {
		if got, ok := have.Get(f.Path); !ok || got.Value != f.Value {
			return false
		}
	}
	for _, f := range have.Fields {
		for _, prefix := range want.Whole {
			if _, ok := want.Get(f.Path); !ok && strings.HasPrefix(f.Path, prefix) {
				return false
			}
		}
	}
	return true
}

// converge observes, plans and executes once.
func converge(ctx context.Context, f *fake, s state.Spec) error {
	p := New(f)
	live, _, err := p.Observe(ctx, reconcile.Query{Region: region, Specs: []state.Spec{s}})
	if err != nil {
		return err
	}
	want := state.Desired{}
	if s.Service != "" {
		roles, _, err := Desired(s, in())
		if err != nil {
			return err
		}
		for _, r := range roles {
			want[r.Address] = r
		}
	}
	for _, a := range actions(want, live) {
		if _, err := p.Execute(ctx, a, apply.Env{}); err != nil {
			return err
		}
	}
	return nil
}

func TestProvider_createsUpdatesAndDeletes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake()
		for _, s := range []state.Spec{
			spec("s3:GetObject a", "s3:PutObject a"),
			spec("s3:GetObject b"),
			spec("s3:GetObject b", "sqs:SendMessage q"),
			spec(),
		} {
			require.NoError(t, converge(t.Context(), f, s))
			require.Empty(t, actions(desired(t, s), observe(t, f, s)), "one run is enough")
		}
		require.Len(t, f.roles, 1, "an application that needs nothing has no instance role")

		s := spec()
		for _, a := range actions(nil, observe(t, f, s)) {
			_, err := New(f).Execute(t.Context(), a, apply.Env{})
			require.NoError(t, err)
			_, err = New(f).Execute(t.Context(), a, apply.Env{})
			require.NoError(t, err, "already gone is fine")
		}
		require.Empty(t, f.roles)
		require.Empty(t, observe(t, f, s))
	})
}

func TestProvider_showsTheRoleAsPlanned(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, s := newFake(), spec("s3:GetObject a")
		require.NoError(t, converge(t.Context(), f, s))
		live := observe(t, f, s)
		for a, want := range desired(t, s) {
			require.Equal(t, want.Fields, live[a].Fields)
			require.Equal(t, state.Ours, live[a].Owner)
			require.Equal(t, state.Ready, live[a].Phase)
			require.Equal(t, ARN("123456789012", a.Name), live[a].ID)
		}
	})
}

// The process may die at any call, before or after the call took effect. Running again
// must end in the same state as a run that nothing disturbed.
func TestProvider_convergesAfterACrashAnywhere(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		small, large, none := spec("s3:GetObject a"), spec("s3:GetObject b", "s3:PutObject b"), spec()
		none.Roles = state.Roles{}
		stories := map[string][2]state.Spec{"create": {none, small}, "update": {small, large}, "shrink": {large, spec()}, "delete": {large, none}}
		for name, story := range stories {
			for n := 1; ; n++ {
				reached := false
				for _, after := range []bool{false, true} {
					f := newFake()
					require.NoError(t, converge(t.Context(), f, story[0]))
					spoil(f)
					f.calls, f.crashAt, f.after = nil, n, after
					if err := converge(t.Context(), f, story[1]); err != nil {
						require.ErrorIs(t, err, errCrash)
						reached = true
					}
					f.crashAt = 0
					at := fmt.Sprintf("%s, call %d, after its effect %v", name, n, after)
					require.NoError(t, converge(t.Context(), f, story[1]), at)
					require.Empty(t, actions(desired(t, story[1]), observe(t, f, story[1])), at)
					require.Len(t, f.roles, len(desired(t, story[1])), at)
				}
				if !reached {
					require.Greater(t, n, 6, "the sweep went through the writes")
					break
				}
			}
		}
	})
}

// spoil adds to every role what apron did not put there.
func spoil(f *fake) {
	for _, r := range f.roles {
		r.attached = append(r.attached, "arn:aws:iam::aws:policy/AdministratorAccess")
		r.inline["else"] = `{"Statement":[]}`
	}
}

func TestProvider_showsAndRemovesWhatOthersAdded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, s := newFake(), spec("s3:GetObject a")
		require.NoError(t, converge(t.Context(), f, s))
		a := Address(region, "web", Instance)
		r := f.roles[a.Name]
		r.attached = []string{"arn:aws:iam::aws:policy/AdministratorAccess", "arn:aws:iam::aws:policy/ReadOnlyAccess"}
		r.inline["backdoor"] = `{"Statement":{"Effect":"Allow","Action":"iam:*","Resource":"*"}}`
		r.inline["more"] = `{"Statement":{"Effect":"Allow","Action":"s3:*","Resource":"*"}}`
		r.inline[policyName] = `{"Statement":[{"Effect":"Allow","Action":"s3:GetObject","Resource":"a"},{"Effect":"Deny","Action":"s3:*","Resource":"b"}]}`
		r.trust = `{"Statement":[{"Effect":"Allow","Principal":{"AWS":"999999999999"},"Action":"sts:AssumeRole"}]}`

		live := observe(t, f, s)[a]
		require.Equal(t, attached, live.Value("policy.arn:aws:iam::aws:policy/AdministratorAccess"))
		require.Equal(t, attached, live.Value("policy.arn:aws:iam::aws:policy/ReadOnlyAccess"))
		require.Equal(t, "iam:* *", live.Value("permission.policy backdoor"))
		require.Equal(t, "s3:* *", live.Value("permission.policy more"))
		require.Contains(t, live.Value("trust"), "999999999999")
		require.True(t, slices.ContainsFunc(live.Fields, func(f state.Field) bool {
			return strings.HasPrefix(f.Path, "permission.statement ") && strings.Contains(f.Value, "Deny")
		}))

		require.NoError(t, converge(t.Context(), f, s))
		require.Empty(t, actions(desired(t, s), observe(t, f, s)))
		require.Empty(t, r.attached)
		require.Len(t, r.inline, 1)
	})
}

func TestExecute_leavesRolesOfOthersAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, s := newFake(), spec()
		a := Address(region, "web", Access)
		f.roles[a.Name] = &fakeRole{path: "/", trust: `{"Statement":[]}`, tags: map[string]string{tagService: "other"}, inline: map[string]string{}}
		have := observe(t, f, s)[a]
		require.Equal(t, state.Theirs, have.Owner)

		var owner *OwnerError
		for _, action := range []plan.Action{
			{Op: plan.Create, Target: a, Want: desired(t, s)[a]},
			{Op: plan.Update, Target: a, Want: desired(t, s)[a]},
			{Op: plan.Delete, Target: a},
			{Op: plan.Delete, Target: a, Have: state.Observed{Resource: desired(t, s)[a]}},
		} {
			_, err := New(f).Execute(t.Context(), action, apply.Env{})
			require.ErrorAs(t, err, &owner)
			require.Contains(t, owner.Hint(), "--adopt")
		}
		require.Equal(t, "other", f.roles[a.Name].tags[tagService])

		out, err := New(f).Execute(t.Context(), plan.Action{Op: plan.Update, Target: a, Want: desired(t, s)[a], Have: have}, apply.Env{})
		require.NoError(t, err, "adopted when the plan says so")
		require.Equal(t, "arn:aws:iam::123456789012:role/"+a.Name, out.ID, "with the path it has")
		require.Empty(t, actions(desired(t, s), observe(t, f, s)))
	})
}

func TestExecute_waitsUntilIAMShowsTheRole(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, s := newFake(), spec()
		f.lag = 12
		a := Address(region, "web", Access)
		start := time.Now()
		var phases []string
		out, err := New(f).Execute(t.Context(), plan.Action{ID: "create", Op: plan.Create, Target: a, Want: desired(t, s)[a]},
			apply.Env{Progress: func(p apply.Progress) { phases = append(phases, p.Phase) }})
		require.NoError(t, err)
		require.Equal(t, ARN("123456789012", a.Name), out.ID)
		require.NotZero(t, time.Since(start))
		require.Equal(t, "writing policies", phases[len(phases)-1])
	})
}

func TestExecute_givesUpWithTheReason(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, s := newFake(), spec()
		require.NoError(t, converge(t.Context(), f, s))
		a := Address(region, "web", Access)
		f.roles[a.Name].profile = true
		start := time.Now()
		_, err := New(f).Execute(t.Context(), plan.Action{Op: plan.Delete, Target: a, Have: observe(t, f, s)[a]}, apply.Env{})
		require.ErrorIs(t, err, consistency.Never)
		require.ErrorContains(t, err, "instance profile")
		require.Equal(t, consistency.Patience, time.Since(start))
	})
}

func TestExecute_stopsWhenInterrupted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, s := newFake(), spec()
		f.lag = 1 << 20
		ctx, cancel := context.WithCancelCause(t.Context())
		time.AfterFunc(3*time.Second, func() { cancel(fmt.Errorf("interrupted")) })
		a := Address(region, "web", Access)
		_, err := New(f).Execute(ctx, plan.Action{Op: plan.Create, Target: a, Want: desired(t, s)[a]}, apply.Env{})
		require.ErrorContains(t, err, "interrupted")
	})
}

func TestExecute_reportsADenialAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, s := newFake(), spec()
		f.deny = map[string]string{"CreateRole": "AccessDenied"}
		require.ErrorContains(t, converge(t.Context(), f, s), `role "apron-us-east-1-web-access"`)
		f.deny = map[string]string{"GetRolePolicy": "AccessDenied"}
		require.ErrorContains(t, converge(t.Context(), f, s), `read role "apron-us-east-1-web-`)
	})
}

func TestExecute_refusesWhatItDoesNotKnow(t *testing.T) {
	a := Address(region, "web", Access)
	_, err := New(newFake()).Execute(t.Context(), plan.Action{Op: plan.Resume, Target: a}, apply.Env{})
	require.ErrorContains(t, err, "cannot resume")
	_, err = New(newFake()).Execute(t.Context(), plan.Action{Op: plan.Create, Target: a, Want: state.Resource{Address: a, Fields: []state.Field{{Path: "shape"}}}}, apply.Env{})
	require.ErrorContains(t, err, `unknown setting "shape"`)
}

func TestResolve(t *testing.T) {
	f := newFake()
	f.roles["puller"] = &fakeRole{path: "/team/", trust: trustText([]string{"build.apprunner.amazonaws.com"})}
	f.roles["lambda"] = &fakeRole{path: "/", trust: trustText([]string{"lambda.amazonaws.com"})}
	p := New(f)

	r, err := p.Resolve(t.Context(), "puller", Access)
	require.NoError(t, err)
	require.Equal(t, "arn:aws:iam::123456789012:role/team/puller", r.ARN)
	require.Empty(t, r.Notes())
	require.Equal(t, "build.apprunner.amazonaws.com may take it on", r.Text())
	arn := r.ARN

	r, err = p.Resolve(t.Context(), arn, Instance)
	require.NoError(t, err)
	require.Contains(t, r.Notes()[0].Text, "tasks.apprunner.amazonaws.com")

	r, err = p.Resolve(t.Context(), "lambda", Access)
	require.NoError(t, err)
	require.Equal(t, state.Broken, r.Trust)
	require.True(t, r.Notes()[0].Warning)
	require.Contains(t, r.Text(), "build.apprunner.amazonaws.com")

	var missing *NotFoundError
	_, err = p.Resolve(t.Context(), "nobody", Access)
	require.ErrorAs(t, err, &missing)
	require.Contains(t, missing.Hint(), "roles.access: auto")
	_, err = p.Resolve(t.Context(), "arn:aws:iam::999999999999:role/puller", Access)
	require.ErrorAs(t, err, &missing)
	require.ErrorContains(t, err, "the role of that name is arn:aws:iam::123456789012:role/team/puller")

	f.deny = map[string]string{"GetRole": "AccessDenied"}
	r, err = p.Resolve(t.Context(), arn, Access)
	require.NoError(t, err)
	require.Equal(t, arn, r.ARN)
	require.Equal(t, state.Unchecked, r.Trust)
	require.Len(t, r.Notes(), 1)
	_, err = p.Resolve(t.Context(), "puller", Access)
	require.Error(t, err, "a name alone needs the look-up")
}
