package approval_test

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/apron-deploy/apron/reconcile/approval"
	"github.com/apron-deploy/apron/reconcile/state"
)

// minute is a moment of a pull request's life.
func minute(n int) time.Time { return time.Date(2026, 11, 26, 12, n, 0, 0, time.UTC) }

func refusal(t *testing.T, err error) string {
	t.Helper()
	if err == nil {
		return ""
	}
	var refused *approval.RefusedError
	require.ErrorAs(t, err, &refused)
	require.NotEmpty(t, refused.Hint())
	return refused.Error()
}

func TestRequest_Shown(t *testing.T) {
	good := approval.Comment{Own: true, Kept: true, Whole: true}
	forged := approval.Comment{Kept: true, Whole: true}
	for name, tc := range map[string]struct {
		comments []approval.Comment
		index    int
		refused  string
	}{
		"the only one":                    {comments: []approval.Comment{good}},
		"one besides somebody else's":     {comments: []approval.Comment{forged, good, forged}, index: 1},
		"none":                            {refused: "no comment"},
		"somebody else's with its text":   {comments: []approval.Comment{forged}, refused: "none that this token's own user wrote"},
		"edited by somebody else":         {comments: []approval.Comment{{Own: true, Whole: true}}, refused: "has edited"},
		"cut":                             {comments: []approval.Comment{{Own: true, Kept: true}}, refused: "is cut"},
		"two":                             {comments: []approval.Comment{good, good}, refused: "several comments"},
		"two, of which one cannot either": {comments: []approval.Comment{good, {Own: true}}, refused: "several comments"},
	} {
		t.Run(name, func(t *testing.T) {
			index, err := approval.Request{Comments: tc.comments}.Shown()
			require.Equal(t, tc.index, index)
			if tc.refused == "" {
				require.NoError(t, err)
				return
			}
			require.Contains(t, refusal(t, err), tc.refused)
		})
	}
}

func TestRequest_Agreed(t *testing.T) {
	by := func(author string, v approval.Verdict, at int) approval.Review {
		return approval.Review{Author: author, Person: true, MayPush: true, Verdict: v, Commit: "head", At: minute(at)}
	}
	but := func(v approval.Review, change func(*approval.Review)) approval.Review { change(&v); return v }
	yes := by("bob", approval.Approves, 2)
	for name, tc := range map[string]struct {
		reviews []approval.Review
		refused string
	}{
		"somebody approved":                      {reviews: []approval.Review{yes}},
		"and commented since":                    {reviews: []approval.Review{yes, by("bob", "COMMENTED", 3), by("bob", "PENDING", 0)}},
		"another objects":                        {reviews: []approval.Review{yes, by("eve", approval.Objects, 3)}},
		"they objected before":                   {reviews: []approval.Review{by("bob", approval.Objects, 1), yes}},
		"in whatever order they are listed":      {reviews: []approval.Review{yes, by("bob", approval.Objects, 1)}},
		"nobody":                                 {refused: "nobody other than the author"},
		"the author":                             {reviews: []approval.Review{by("ann", approval.Approves, 2)}, refused: "nobody other than the author"},
		"an account that is gone":                {reviews: []approval.Review{by("", approval.Approves, 2)}, refused: "nobody other than the author"},
		"an app":                                 {reviews: []approval.Review{but(yes, func(v *approval.Review) { v.Person = false })}, refused: "nobody other than the author"},
		"who may not push":                       {reviews: []approval.Review{but(yes, func(v *approval.Review) { v.MayPush = false })}, refused: "may not push"},
		"an older commit":                        {reviews: []approval.Review{but(yes, func(v *approval.Review) { v.Commit = "before" })}, refused: "of an older commit"},
		"they object since":                      {reviews: []approval.Review{yes, by("bob", approval.Objects, 3)}, refused: "asked for changes"},
		"it was dismissed":                       {reviews: []approval.Review{by("bob", approval.Dismissed, 2)}, refused: "was dismissed"},
		"before the plan was shown":              {reviews: []approval.Review{by("bob", approval.Approves, 0)}, refused: "older than the plan"},
		"in the second in which it was shown":    {reviews: []approval.Review{by("bob", approval.Approves, 1)}, refused: "since 2026-11-26 12:01:00 UTC"},
		"once more, and what is older is nought": {reviews: []approval.Review{by("bob", approval.Approves, 0), by("bob", approval.Approves, 2)}},
	} {
		t.Run(name, func(t *testing.T) {
			got := refusal(t, approval.Request{Author: "ann", Head: "head", MergedAt: minute(9), Reviews: tc.reviews}.Agreed(minute(1), true))
			if tc.refused == "" {
				require.Empty(t, got)
				return
			}
			require.Contains(t, got, tc.refused)
		})
	}
}

func TestRequest_Agreed_byTheMergeAlone(t *testing.T) {
	r := approval.Request{Author: "ann", Head: "head", MergedAt: minute(5)}
	require.NoError(t, r.Agreed(minute(4), false))
	for _, shown := range []int{5, 6} {
		require.Contains(t, refusal(t, r.Agreed(minute(shown), false)), "only since the merge")
	}
	require.Contains(t, refusal(t, approval.Request{}.Agreed(minute(1), false)), "only since the merge", "what is not merged agrees to nothing")
}

// Whoever is said to have agreed has: a person, not the author, who may push, approved what
// was merged, after it was shown, and said nothing else since.
func TestRequest_Agreed_isSomebodysLastWord(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		r := approval.Request{Author: "ann", Head: "head", MergedAt: minute(9)}
		for range rapid.IntRange(0, 6).Draw(t, "reviews") {
			r.Reviews = append(r.Reviews, approval.Review{
				Author:  rapid.SampledFrom([]string{"ann", "bob", "eve", ""}).Draw(t, "author"),
				Person:  rapid.Bool().Draw(t, "person"),
				MayPush: rapid.Bool().Draw(t, "may push"),
				Verdict: approval.Verdict(rapid.SampledFrom([]string{"APPROVED", "CHANGES_REQUESTED", "DISMISSED", "COMMENTED", "PENDING", "?"}).Draw(t, "verdict")),
				Commit:  rapid.SampledFrom([]string{"head", "before", ""}).Draw(t, "commit"),
				At:      minute(rapid.IntRange(0, 20).Draw(t, "at")),
			})
		}
		if r.Agreed(minute(3), true) != nil {
			return
		}
		for i, v := range r.Reviews {
			good := v.Author != "" && v.Author != "ann" && v.Person && v.MayPush && v.Verdict == approval.Approves && v.Commit == "head" && v.At.After(minute(3))
			for j, other := range r.Reviews {
				decides := other.Verdict == approval.Objects || other.Verdict == approval.Dismissed
				good = good && !(decides && other.Author == v.Author && (other.At.After(v.At) || other.At.Equal(v.At) && j > i))
			}
			if good {
				return
			}
		}
		t.Fatalf("nobody has agreed: %+v", r.Reviews)
	})
}

func TestFingerprint_Unnamed(t *testing.T) {
	hide := strings.NewReplacer("web", "${NAME}", account, "${ACCOUNT}").Replace
	w := of([]state.Resource{resource(service, field("cpu", "2")), resource(key, secret("a"))}, resource(service, field("cpu", "1")))
	p := w.plan(t)
	shown := approval.Of(p, account, region).Named(hide)
	require.Equal(t, "update apprunner/service/${NAME}", shown.Steps[1].ID)
	require.Equal(t, "${ACCOUNT}", shown.Account)
	got := shown.Unnamed(hide, p, account, region, w.desired, w.live)
	require.Equal(t, approval.Of(p, account, region), got)

	done := of([]state.Resource{resource(service, field("cpu", "2")), resource(key, secret("a"))}, resource(service, field("cpu", "1")), resource(key, secret("a")))
	got = shown.Unnamed(hide, done.plan(t), account, region, done.desired, done.live)
	require.NoError(t, approval.Check(got, done.plan(t), account, region, done.desired, done.live), "what was done already is known by its name, too")

	other := state.Address{Target: "apprunner", Kind: "service", Name: "${NAME}"}
	both := of([]state.Resource{resource(service, field("cpu", "2")), resource(key, secret("a"))}, resource(service, field("cpu", "1")), resource(other, field("cpu", "1")))
	got = shown.Unnamed(hide, both.plan(t), account, region, both.desired, both.live)
	require.Equal(t, "one of several: apprunner/service/${NAME}", got.Steps[1].Target)
}
