package ecr

import (
	"errors"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/apron-deploy/apron/reconcile/apply"
	"github.com/apron-deploy/apron/reconcile/plan"
	"github.com/apron-deploy/apron/reconcile/state"
)

func TestNextVersion(t *testing.T) {
	for version, want := range map[string]string{
		"v1.0.0": "v1.0.1", "1.2": "1.3", "v7": "v8", "7": "8", "v1.9": "v1.10", "v1.0.9": "v1.0.10", "1.09": "1.10",
		"v1.0.0-rc1": "v1.0.0-rc2", "1.0.0-beta.2": "1.0.0-beta.3", "1.0rc9": "1.0rc10", "release-3": "release-4", "web_v2": "web_v3",
		"2026-05-01": "", "2026.05.1": "", "20260501": "", "v2026.5": "", "2026": "2027", "v1.0.0-beta": "", "main": "", "": "",
		"v1.0.0-3-g0a1b2c3": "", "3f9a2c1": "", "1-2-3": "", "99999999999999999999": "",
	} {
		require.Equal(t, want, nextVersion(version), version)
	}
}

func TestRenamed_skipsWhatIsTaken(t *testing.T) {
	s := tagged("v1.0.0")
	s.Image.Tags = []string{"v1.0.2"}
	live := state.Live{}
	require.Equal(t, "set image.version: v1.0.1", renamed(s, live))
	live[Tag("team/web", "v1.0.1")] = state.Observed{}
	require.Equal(t, "set image.version: v1.0.3", renamed(s, live), "v1.0.2 is a moving tag")
	for _, a := range Candidates(s) {
		live[a] = state.Observed{}
	}
	require.Equal(t, "set image.version to a name that is free", renamed(s, live))
	require.Equal(t, "set image.version to a name that is free", renamed(tagged("2026-05-01"), nil))
}

func TestRenamed_saysWhereAVariableIsChanged(t *testing.T) {
	for from, want := range map[string]string{
		"${git.tag}":               "tag the commit with v1.0.1 (image.version is ${git.tag})",
		"${git.tag:-v1.0.0}":       "tag the commit with v1.0.1 (image.version is ${git.tag:-v1.0.0})",
		"${git.sha}":               "commit what has changed (image.version is ${git.sha})",
		"${VERSION}":               "set VERSION to v1.0.1 (image.version is ${VERSION})",
		"$VERSION":                 "set VERSION to v1.0.1 (image.version is $VERSION)",
		"${VERSION:?which}":        "set VERSION to v1.0.1 (image.version is ${VERSION:?which})",
		"v${MAJOR}.0.${MINOR:-0}":  "have image.version be v1.0.1, which is made from v${MAJOR}.0.${MINOR:-0}",
		"${VERSION:-v${OTHER:-1}}": "have image.version be v1.0.1, which is made from ${VERSION:-v${OTHER:-1}}",
		"${A:-v1}.${B}":            "have image.version be v1.0.1, which is made from ${A:-v1}.${B}",
		"v$MAJOR":                  "have image.version be v1.0.1, which is made from v$MAJOR",
		"$A-$B":                    "have image.version be v1.0.1, which is made from $A-$B",
		"${git.branch}":            "have image.version be v1.0.1, which is made from ${git.branch}",
	} {
		s := tagged("v1.0.0")
		s.Image.VersionFrom = from
		require.Equal(t, want, renamed(s, nil))
	}
	s := tagged("v1.0.0-dirty")
	s.Image.VersionFrom = "${git.tag}"
	require.Equal(t, "commit what has changed and tag that commit with a name that is free (image.version is ${git.tag})", renamed(s, nil))
}

// Only the build tells whether a change of the sources gives another image.
func TestVersion_isRefusedOnceItNamesAnotherImage(t *testing.T) {
	r := newRig(t, 1)
	_, err := r.apply(desired(tagged("v1"), "src-1"), plan.Options{})
	require.NoError(t, err)
	old := r.digest("team/web", "v1")

	d := desired(tagged("v1"), "src-2")
	p, _, err := r.plan(t.Context(), d, plan.Options{})
	require.NoError(t, err)
	require.Len(t, p.Notes, 1)
	require.True(t, p.Notes[0].Warning)
	_, err = r.apply(d, plan.Options{})
	var taken *TakenError
	require.ErrorAs(t, err, &taken)
	require.EqualError(t, taken, "rolled out, but v1 names another image, "+old+", and is never moved")
	require.Equal(t, "set image.version: v2 and apply again: nothing is built again", taken.Hint())
	require.True(t, taken.PolicyRefused())
	require.Equal(t, old, r.digest("team/web", "v1"))
	fresh := r.digest("team/web", "src-2")
	require.NotEqual(t, old, fresh)
	require.Equal(t, fresh, r.digest("team/web", "latest"), "the other tags are put as usual")
	require.Equal(t, fresh, r.digest("team/web", "live-web"))

	_, _, err = r.plan(t.Context(), d, plan.Options{})
	var refused *plan.RefusedError
	require.ErrorAs(t, err, &refused)
	require.EqualError(t, refused, "ecr/tag/team/web:v1: names "+old+" already, and the manifest's image is another")
	d = desired(tagged("v2"), "src-2")
	done, err := r.apply(d, plan.Options{})
	require.NoError(t, err)
	require.Equal(t, []string{"create ecr/tag/team/web:v2"}, done)
	require.Empty(t, r.settled(d))
}

func TestVersion_staysFreeWhenTheBuildGivesTheSameImage(t *testing.T) {
	r := newRig(t, 1)
	_, err := r.apply(desired(tagged("v1"), "src-1"), plan.Options{})
	require.NoError(t, err)
	old := r.digest("team/web", "v1")
	same, _, err := r.plan(t.Context(), desired(tagged("v1"), "src-2"), plan.Options{})
	require.NoError(t, err)
	r.same = "src-1"
	_, err = apply.Run(t.Context(), same, nil, r, apply.Options{})
	require.NoError(t, err)
	require.Equal(t, old, r.digest("team/web", "v1"))
	require.Empty(t, r.settled(desired(tagged("v1"), "src-2")))
}

func TestVersion_isNotLostToARolloutThatFailed(t *testing.T) {
	r := newRig(t, 1)
	_, err := r.apply(desired(tagged("v1"), "src-1"), plan.Options{})
	require.NoError(t, err)
	old := r.digest("team/web", "v1")
	r.refuses = errors.New("rolled back")
	_, err = r.apply(desired(tagged("v1"), "src-2"), plan.Options{})
	require.ErrorContains(t, err, "rolled back")
	var taken *TakenError
	require.NotErrorAs(t, err, &taken)
	r.refuses = nil
	require.Equal(t, old, r.digest("team/web", "v1"))
	require.Empty(t, r.settled(desired(tagged("v1"), "src-1")), "the sources as they were are what runs")
}
