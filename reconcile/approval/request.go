package approval

import (
	"slices"
	"time"
)

// Request is a pull request that was merged, as far as it says who agreed to what. People
// are identities here, not names; an empty one is an account that is gone.
type Request struct {
	Author   string
	Head     string // the commit that was merged
	MergedAt time.Time
	Reviews  []Review
	Comments []Comment // those that claim to show the plan
}

// Review is what somebody said of a pull request.
type Review struct {
	Author  string
	Person  bool // and neither an app nor whoever runs apron
	MayPush bool // to the repository: everybody else may review as well
	Verdict Verdict
	Commit  string // that was reviewed
	At      time.Time
}

// Verdict is how a review ended.
type Verdict string

// Other verdicts, such as a comment, leave that of an earlier review as it was.
const (
	Approves  Verdict = "APPROVED"
	Objects   Verdict = "CHANGES_REQUESTED"
	Dismissed Verdict = "DISMISSED"
)

// Comment is one that claims to show the plan.
type Comment struct {
	Own   bool // whoever runs apron has written it
	Kept  bool // and nobody else has edited it
	Whole bool // and it is all there, as this apron writes it
	At    time.Time
}

// RefusedError says why nobody has agreed to a plan.
type RefusedError struct {
	Why     string
	Fix     string
	Actions []string // IDs of those that are not what was shown
}

var _ error = (*RefusedError)(nil)

func (e *RefusedError) Error() string { return e.Why }
func (e *RefusedError) Hint() string  { return e.Fix }

// Shown returns the index of the comment that can show what was agreed to. Its error is a
// [*RefusedError].
//
//	written by          edited by    it
//	whoever runs apron  nobody else  counts, if it is the only one, and whole
//	whoever runs apron  another      is refused
//	another             -            is no comment of ours
func (r Request) Shown() (int, error) {
	found := -1
	for i, c := range r.Comments {
		switch {
		case !c.Own:
		case found >= 0:
			return 0, &RefusedError{Why: "several comments of the pull request claim to show the plan", Fix: "delete all but the newest"}
		default:
			found = i
		}
	}
	switch {
	case found < 0:
		return 0, &RefusedError{Why: "no comment of the pull request shows the plan, or none that this token's own user wrote",
			Fix: "run apron plan --comment on pull requests, with the same manifests, environment and kind of token"}
	case !r.Comments[found].Kept:
		return 0, &RefusedError{Why: "somebody has edited the comment that shows the plan", Fix: "have the plan approved as it is shown from now on"}
	case !r.Comments[found].Whole:
		return 0, &RefusedError{Why: "the comment that shows the plan is cut, lacks a service that could not be read, says that there is no plan of the newest commit, is not as it was written, or is of another version of apron",
			Fix: "plan and apply by the same version; where the plan is too long for a comment, or not all can be read, some services at a time, by --only"}
	}
	return found, nil
}

// Agreed reports whether somebody has agreed to a plan that was shown as it is since a
// time. Its error is a [*RefusedError].
//
// One review is enough: that of a person, other than the author, who may push, and whose
// last word is to approve the very commit that was merged, given after the plan was shown.
// Without reviews it is the merge that agrees: to what was shown before it.
func (r Request) Agreed(shown time.Time, reviews bool) error {
	if !reviews {
		if !shown.Before(r.MergedAt) {
			return &RefusedError{Why: "the comment has shown this plan only since the merge, to which nobody agreed before it", Fix: "have it reviewed, and leave out --no-review"}
		}
		return nil
	}
	ordered := slices.SortedStableFunc(slices.Values(r.Reviews), func(a, b Review) int { return a.At.Compare(b.At) })
	last := map[string]Review{}
	for _, v := range ordered {
		if v.Verdict == Approves || v.Verdict == Objects || v.Verdict == Dismissed {
			last[v.Author] = v
		}
	}
	why := "nobody other than the author has approved the pull request"
	rank := 0
	closer := func(n int, reason string) {
		if n > rank {
			rank, why = n, reason
		}
	}
	for _, v := range last {
		switch {
		case v.Author == "" || v.Author == r.Author || !v.Person:
		case v.Verdict == Dismissed:
			closer(1, "the approval was dismissed")
		case v.Verdict != Approves:
			closer(2, "who reviewed the pull request last asked for changes")
		case !v.MayPush:
			closer(3, "whoever approved the pull request may not push to the repository")
		case v.Commit != r.Head || r.Head == "":
			closer(4, "the approval is of an older commit than the one that was merged")
		case !v.At.After(shown):
			closer(5, "the approval is older than the plan: the comment has shown this one only since "+shown.UTC().Format("2006-01-02 15:04:05 UTC"))
		default:
			return nil
		}
	}
	return &RefusedError{Why: why, Fix: "have somebody who may push look at the plan in the comment and approve the pull request, after the merge by gh pr review NUMBER --approve; then run this again"}
}
