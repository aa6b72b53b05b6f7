package ssm

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/time/rate"

	"github.com/apron-deploy/apron/reconcile"
	"github.com/apron-deploy/apron/reconcile/apply"
	"github.com/apron-deploy/apron/reconcile/plan"
	"github.com/apron-deploy/apron/reconcile/state"
)

func provider(f *fake) *Provider {
	return New(f, Options{Region: "us-east-1", Account: "123456789012", Writes: rate.NewLimiter(rate.Inf, 0)})
}

func query(s state.Spec) reconcile.Query { return reconcile.Query{Specs: []state.Spec{s}} }

// spec has a secret for every pair of name and value.
func spec(pairs ...string) state.Spec {
	s := state.Spec{Service: "web", Secrets: map[string]state.SecretRef{}, Tags: map[string]string{"team": "ai"}}
	for pair := range slices.Chunk(pairs, 2) {
		s.Secrets[pair[0]] = env(pair[1], true)
	}
	return s
}

// actionsOf plans for one type: what is missing, what differs, what is not wanted.
func actionsOf(ctx context.Context, p *Provider, s state.Spec, apply bool) ([]plan.Action, error) {
	live, _, err := p.Observe(ctx, query(s))
	if err != nil {
		return nil, err
	}
	w, err := Desired(s, Inputs{Live: live, Apply: apply})
	if err != nil {
		return nil, err
	}
	var actions []plan.Action
	unwanted := maps.Clone(live)
	for _, want := range w.Resources {
		have, ok := live[want.Address]
		delete(unwanted, want.Address)
		differs := slices.ContainsFunc(want.Fields, func(f state.Field) bool {
			got, ok := have.Get(f.Path)
			return !ok || got.Value != f.Value
		})
		switch {
		case !ok:
			actions = append(actions, plan.Action{Op: plan.Create, Target: want.Address, Want: want})
		case differs:
			actions = append(actions, plan.Action{Op: plan.Update, Target: want.Address, Want: want, Have: have})
		}
	}
	for _, a := range slices.SortedFunc(maps.Keys(unwanted), state.Address.Compare) {
		if unwanted[a].Owner == state.Ours {
			actions = append(actions, plan.Action{Op: plan.Delete, Target: a, Have: unwanted[a]})
		}
	}
	return actions, nil
}

func converge(ctx context.Context, f *fake, s state.Spec) error {
	actions, err := actionsOf(ctx, provider(f), s, true)
	if err != nil {
		return err
	}
	for _, a := range actions {
		out, err := provider(f).Execute(ctx, a, apply.Env{})
		if err != nil {
			return err
		}
		if want := ARN("aws", "us-east-1", "123456789012", a.Target.Name); a.Op != plan.Delete && out.ID != want {
			return fmt.Errorf("outcome %q, want %q", out.ID, want)
		}
	}
	return nil
}

func settled(t *testing.T, f *fake, s state.Spec, at string) {
	t.Helper()
	actions, err := actionsOf(t.Context(), provider(f), s, true)
	require.NoError(t, err, at)
	require.Empty(t, actions, at)
	require.Len(t, f.params, len(s.Secrets), at)
}

func TestProvider_createsUpdatesAndDeletes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake()
		for i, s := range []state.Spec{
			spec("A", "one", "B", "two", "C", "three", "D", "four", "E", "five"),
			spec("A", "one", "B", "changed"),
			spec("B", "changed", "F", "six"),
			spec(),
		} {
			require.NoError(t, converge(t.Context(), f, s))
			settled(t, f, s, fmt.Sprint("story ", i))
		}
		a := Address("web", "GONE")
		_, err := provider(f).Execute(t.Context(), plan.Action{Op: plan.Delete, Target: a}, apply.Env{})
		require.NoError(t, err, "already gone is fine")
	})
}

// The process may die at any call, before or after the call took effect. Running again
// must end in the same state as a run that nothing disturbed.
func TestProvider_convergesAfterACrashAnywhere(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for name, story := range map[string][2]state.Spec{
			"create": {spec(), spec("A", "one", "B", "two")},
			"update": {spec("A", "one", "B", "two"), spec("A", "changed", "B", "two")},
			"swap":   {spec("A", "one"), spec("B", "one")},
			"delete": {spec("A", "one"), spec()},
		} {
			for n := 1; ; n++ {
				reached := false
				for _, after := range []bool{false, true} {
					f := newFake()
					require.NoError(t, converge(t.Context(), f, story[0]))
					f.calls, f.crashAt, f.after = nil, n, after
					if err := converge(t.Context(), f, story[1]); err != nil {
						require.ErrorIs(t, err, errCrash)
						reached = true
					}
					f.crashAt = 0
					at := fmt.Sprintf("%s, call %d, after its effect %v", name, n, after)
					require.NoError(t, converge(t.Context(), f, story[1]), at)
					settled(t, f, story[1], at)
				}
				if !reached {
					require.Greater(t, n, 4, "the sweep went through the writes")
					break
				}
			}
		}
	})
}

func TestProvider_showsTheParameterAsPlanned(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, s := newFake(), spec("TOKEN", topSecret)
		require.NoError(t, converge(t.Context(), f, s))
		live, notes, err := provider(f).Observe(t.Context(), query(s))
		require.NoError(t, err)
		require.Empty(t, notes)
		w, err := Desired(s, Inputs{Live: live})
		require.NoError(t, err)
		got := live[Address("web", "TOKEN")]
		want := w.Resources[0].Fields
		for i := range want {
			if want[i].Secret {
				want[i].Version = "1" // which only Parameter Store knows
			}
		}
		require.Equal(t, want, got.Fields)
		require.Equal(t, state.Ours, got.Owner)
		require.Equal(t, Parameter{
			ARN:     "arn:aws:ssm:us-east-1:123456789012:parameter/apron/web/TOKEN",
			Version: 1, LastModified: time.Unix(1_700_000_001, 0), Readable: true,
		}, got.Detail)
		require.NotContains(t, fmt.Sprintf("%v %+v", got, got), topSecret)
	})
}

func TestProvider_keepsWhatIsNotSetHere(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake()
		require.NoError(t, converge(t.Context(), f, spec("TOKEN", topSecret)))
		unset := spec()
		unset.Secrets["TOKEN"] = env("", false)
		settled(t, f, unset, "unset")

		unset.Tags["team"] = "web"
		require.NoError(t, converge(t.Context(), f, unset))
		settled(t, f, unset, "retagged")
		p := f.params["/apron/web/TOKEN"]
		require.Equal(t, "web", p.tags["team"])
		require.Equal(t, topSecret, p.value)
		require.EqualValues(t, 1, p.version)
	})
}

func TestProvider_writesWhatItCannotRead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, s := newFake(), spec("TOKEN", "old")
		require.NoError(t, converge(t.Context(), f, s))
		f.locked = true

		actions, err := actionsOf(t.Context(), provider(f), s, false)
		require.NoError(t, err)
		require.Empty(t, actions, "a plan only says so")

		require.NoError(t, converge(t.Context(), f, spec("TOKEN", "new")))
		require.Equal(t, "new", f.params["/apron/web/TOKEN"].value)
		require.EqualValues(t, 2, f.params["/apron/web/TOKEN"].version, "once a run")
		require.NoError(t, converge(t.Context(), f, spec("TOKEN", "new", "OTHER", "x")), "a create needs no reading")
	})
}

func TestExecute_leavesParametersOfOthersAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, s := newFake(), spec("TOKEN", "new")
		f.params["/apron/web/TOKEN"] = &fakeParameter{kind: secure, value: "theirs", version: 3, tags: map[string]string{}}
		actions, err := actionsOf(t.Context(), provider(f), s, true)
		require.NoError(t, err)
		require.Len(t, actions, 1)
		update := actions[0]
		require.Equal(t, state.Theirs, update.Have.Owner)

		blind := update
		blind.Have = state.Observed{}
		var owner *OwnerError
		for _, a := range []plan.Action{
			{Op: plan.Create, Target: update.Target, Want: update.Want},
			blind,
			{Op: plan.Delete, Target: update.Target, Have: update.Have},
			{Op: plan.Delete, Target: update.Target, Have: state.Observed{Resource: update.Want}},
		} {
			_, err := provider(f).Execute(t.Context(), a, apply.Env{})
			require.ErrorAs(t, err, &owner)
			require.Contains(t, owner.Hint(), "--adopt")
		}
		require.Equal(t, "theirs", f.params["/apron/web/TOKEN"].value)

		_, err = provider(f).Execute(t.Context(), update, apply.Env{})
		require.NoError(t, err, "adopted when the plan says so")
		settled(t, f, s, "adopted")
	})
}

func TestExecute_refusesToChangeTheType(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, s := newFake(), spec("TOKEN", topSecret)
		f.params["/apron/web/TOKEN"] = &fakeParameter{kind: "String", value: "open", version: 1, tags: map[string]string{tagService: "web"}}
		require.ErrorContains(t, converge(t.Context(), f, s), "it is a String, and Parameter Store cannot make it a SecureString")
	})
}

func TestExecute_refusesACreateWithoutAValue(t *testing.T) {
	a := Address("web", "TOKEN")
	want := state.Resource{Address: a, Fields: []state.Field{{Path: "type", Value: secure}}}
	_, err := provider(newFake()).Execute(t.Context(), plan.Action{Op: plan.Create, Target: a, Want: want}, apply.Env{})
	require.ErrorContains(t, err, "no value to create it with")
	want.Fields = []state.Field{{Path: "shape"}}
	_, err = provider(newFake()).Execute(t.Context(), plan.Action{Op: plan.Create, Target: a, Want: want}, apply.Env{})
	require.ErrorContains(t, err, `unknown setting "shape"`)
	_, err = provider(newFake()).Execute(t.Context(), plan.Action{Op: plan.Resume, Target: a}, apply.Env{})
	require.ErrorContains(t, err, "cannot resume")
}

func TestExecute_waitsUntilTheParameterIsSeen(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, s := newFake(), spec("TOKEN", topSecret)
		f.lag = 4
		start := time.Now()
		require.NoError(t, converge(t.Context(), f, s))
		require.NotZero(t, time.Since(start))
		require.EqualValues(t, 1, f.params["/apron/web/TOKEN"].version, "written once")

		f.lag = 1 << 20
		err := converge(t.Context(), f, spec("TOKEN", topSecret, "LATE", topSecret))
		require.ErrorIs(t, err, consistency.Never)
	})
}

func TestExecute_staysBelowTheQuotaOfWrites(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake()
		s := spec()
		for i := range 12 {
			s.Secrets[fmt.Sprintf("KEY_%d", i)] = env(topSecret, true)
		}
		actions, err := actionsOf(t.Context(), provider(f), s, true)
		require.NoError(t, err)
		p := New(f, Options{Region: "us-east-1"})
		errs := make(chan error)
		for _, a := range actions {
			go func() {
				_, err := p.Execute(t.Context(), a, apply.Env{})
				errs <- err
			}()
		}
		for range actions {
			require.NoError(t, <-errs)
		}
		slices.SortFunc(f.at, time.Time.Compare)
		for i := 6; i < len(f.at); i++ {
			require.GreaterOrEqual(t, f.at[i].Sub(f.at[i-6]), time.Second-time.Millisecond, "the burst and three a second")
		}
	})
}

func TestErrors_neverQuoteAValue(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, s := newFake(), spec("TOKEN", topSecret)
		f.message = "1 validation error detected: Value '" + topSecret + "' at 'value' failed"
		f.deny = map[string]string{"PutParameter": "ValidationException"}
		err := converge(t.Context(), f, s)
		require.ErrorContains(t, err, "ValidationException")
		require.NotContains(t, fmt.Sprintf("%v %+v %#v", err, err, err), topSecret)

		f.message = "you may not"
		require.ErrorContains(t, converge(t.Context(), f, s), "you may not", "other texts stay")
	})
}

func TestObserve_reportsWhatItMayNotDo(t *testing.T) {
	for _, op := range []string{"GetParametersByPath", "ListTagsForResource"} {
		f := newFake()
		f.params["/apron/web/TOKEN"] = &fakeParameter{kind: secure, value: topSecret}
		f.deny, f.message = map[string]string{op: "AccessDeniedException"}, "denied"
		_, _, err := provider(f).Observe(t.Context(), query(spec()))
		require.ErrorContains(t, err, "/apron/web/")
	}
}

func TestResolve(t *testing.T) {
	f := newFake()
	names := []string{"/missing", "arn:aws:ssm:eu-west-1:123456789012:parameter/far", "arn:aws:ssm:us-east-1:123456789012:parameter/deep/p01", "arn:aws:ssm:us-east-1:123456789012:parameter/flat", "flat", "/deep/p01:2"}
	f.params["flat"] = &fakeParameter{kind: "String", value: "x", version: 5}
	for i := range 23 {
		name := fmt.Sprintf("/deep/p%02d", i)
		f.params[name] = &fakeParameter{kind: secure, value: topSecret, version: int64(i)}
		names = append(names, name, name)
	}
	f.locked = true // references are never decrypted
	elsewhere := "arn:aws:ssm:us-east-1:999999999999:parameter/flat"
	names = append(names, elsewhere)
	refs, err := provider(f).Resolve(t.Context(), names)
	require.NoError(t, err)
	require.Len(t, f.calls, 3, "ten to a call")

	one := Reference{ARN: "arn:aws:ssm:us-east-1:123456789012:parameter/deep/p01", LastModified: time.Unix(1_700_000_001, 0), Version: "1", Exists: true}
	require.Equal(t, one, refs["/deep/p01"])
	require.Equal(t, one, refs["/deep/p01:2"])
	require.Equal(t, one, refs["arn:aws:ssm:us-east-1:123456789012:parameter/deep/p01"])
	require.True(t, refs["flat"].Exists)
	require.Equal(t, refs["flat"], refs["arn:aws:ssm:us-east-1:123456789012:parameter/flat"])
	require.Equal(t, Reference{}, refs["/missing"])
	require.Equal(t, Reference{ARN: names[1], Exists: true, Unchecked: true}, refs[names[1]])
	require.Equal(t, Reference{ARN: elsewhere, Exists: true, Unchecked: true}, refs[elsewhere])
	require.Len(t, refs, 7+23)

	none, err := provider(newFake()).Resolve(t.Context(), nil)
	require.NoError(t, err)
	require.Empty(t, none)

	f.secret = "/deep/p07" // one of ten denies the call for all of them
	_, err = provider(f).Resolve(t.Context(), append(names, "arn:aws:ssm:us-east-1:123456789012:parameter/deep/p07"))
	unread, ok := reconcile.Unread(err)
	require.True(t, ok, "%v", err)
	require.Len(t, unread, 2)
	require.Equal(t, Named("/deep/p07"), unread[0].Target)
	require.Equal(t, Named("arn:aws:ssm:us-east-1:123456789012:parameter/deep/p07"), unread[1].Target)
	require.EqualError(t, unread[0], "look up parameters /deep/p07: AccessDeniedException: not this one")

	f.deny = map[string]string{"GetParameters": "ExpiredTokenException"}
	_, err = provider(f).Resolve(t.Context(), names)
	require.ErrorContains(t, err, "look up parameters")
	_, ok = reconcile.Unread(err)
	require.False(t, ok)
}
