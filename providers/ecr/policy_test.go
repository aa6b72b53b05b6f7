package ecr

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/apron-deploy/apron/reconcile/state"
)

func TestPolicy_readsBackWhatItWrote(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var keep, days *int
		if n := rapid.IntRange(0, 500).Draw(t, "keep"); n > 0 {
			keep = &n
		}
		if n := rapid.IntRange(0, 90).Draw(t, "days"); n > 0 {
			days = &n
		}
		p := retention(keep, days)
		require.Equal(t, p.String(), parse(p.text()))
		again, err := parseCanonical(p.String())
		require.NoError(t, err)
		require.Equal(t, p.text(), again.text())
	})
}

func TestPolicy_shieldsWhatRunsFirst(t *testing.T) {
	keep, days := 10, 7
	require.Equal(t, "live-*: keep 1000; release-*: keep 200; src-*: keep 10; untagged: 7 days", retention(&keep, &days).String())
}

func TestParse_keepsAForeignPolicyAsItIs(t *testing.T) {
	require.Equal(t, `{"rules":[{"rulePriority":1,"selection":{"tagStatus":"any"}}]}`,
		parse(`{"rules": [ {"rulePriority": 1, "selection": {"tagStatus": "any"}} ]}`))
	require.Equal(t, "no JSON", parse("no JSON"))
}

func TestDesired(t *testing.T) {
	on := true
	spec := state.Spec{Service: "web", Image: state.Image{Repository: "team/web", Version: "v1", Tags: []string{"latest", "stable"}, ScanOnPush: &on}}
	image, service := Image("team/web", "src-1"), state.Address{Target: "apprunner", Kind: "service", Name: "web"}
	var got []string
	for _, r := range Desired(spec, image, service, nil) {
		for _, f := range r.Fields {
			text := r.Address.String() + " " + fmt.Sprint(f)
			if f.Once {
				text += " once"
			}
			got = append(got, text)
		}
	}
	require.Equal(t, []string{
		"ecr/repository/team/web scan_on_push=true",
		"ecr/repository/team/web tag_mutability=IMMUTABLE_WITH_EXCLUSION",
		"ecr/repository/team/web tag_mutability.exclude.latest=true",
		"ecr/repository/team/web tag_mutability.exclude.live-*=true",
		"ecr/repository/team/web tag_mutability.exclude.stable=true",
		"ecr/repository/team/web tags.apron:managed=true",
		"ecr/tag/team/web:live-web after.apprunner/service/web=apprunner/service/web",
		"ecr/tag/team/web:live-web image=ecr/image/team/web:src-1",
		"ecr/tag/team/web:v1 after.ecr/tag/team/web:live-web=ecr/tag/team/web:live-web",
		"ecr/tag/team/web:v1 image=ecr/image/team/web:src-1 once",
		"ecr/tag/team/web:latest after.ecr/tag/team/web:live-web=ecr/tag/team/web:live-web",
		"ecr/tag/team/web:latest image=ecr/image/team/web:src-1",
		"ecr/tag/team/web:stable after.ecr/tag/team/web:live-web=ecr/tag/team/web:live-web",
		"ecr/tag/team/web:stable image=ecr/image/team/web:src-1",
	}, got)
}

func TestMerge_refusesWhatTwoManifestsDisagreeOn(t *testing.T) {
	a := state.Resource{Address: Repository("web"), Fields: []state.Field{{Path: "scan_on_push", Value: "true"}}}
	b := state.Resource{Address: Repository("web"), Fields: []state.Field{{Path: "scan_on_push", Value: "false"}}}
	_, err := Merge(a, b)
	require.EqualError(t, err, "ecr/repository/web: two manifests disagree on scan_on_push: true and false")
	c := state.Resource{Address: Repository("web"), Fields: []state.Field{{Path: "lifecycle", Value: "x"}}}
	m, err := Merge(a, c)
	require.NoError(t, err)
	require.Len(t, m.Fields, 2)
}
