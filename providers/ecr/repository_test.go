package ecr

import (
	"context"
	"encoding/json"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	sdk "github.com/aws/aws-sdk-go-v2/service/ecr"
	"github.com/aws/aws-sdk-go-v2/service/ecr/types"
	"github.com/stretchr/testify/require"

	"github.com/apron-deploy/apron/reconcile"
	"github.com/apron-deploy/apron/reconcile/apply"
	"github.com/apron-deploy/apron/reconcile/plan"
	"github.com/apron-deploy/apron/reconcile/release"
	"github.com/apron-deploy/apron/reconcile/state"
)

func TestDesired_leftOutMeansUnmanaged(t *testing.T) {
	image, service := Image("web", "src-1"), state.Address{Target: "apprunner", Kind: "service", Name: "web"}
	s := state.Spec{Service: "web", Image: state.Image{Repository: "web"}}
	all := Desired(s, image, service, nil)
	require.Len(t, all, 2, "the repository and the live tag")
	repository := all[0]
	for _, path := range []string{"scan_on_push", "lifecycle"} {
		_, managed := repository.Get(path)
		require.False(t, managed, path)
	}
	require.Empty(t, repository.Whole, "the tags and filters of others stay")
	require.Equal(t, Tag("web", "live-web"), all[1].Address)
}

func TestDesired_managesEachSetting(t *testing.T) {
	yes, no, keep, days := true, false, 10, 7
	for name, tc := range map[string]struct {
		image state.Image
		path  string
		want  string
	}{
		"scanning on":      {state.Image{ScanOnPush: &yes}, "scan_on_push", "true"},
		"scanning off":     {state.Image{ScanOnPush: &no}, "scan_on_push", "false"},
		"images kept":      {state.Image{Keep: &keep}, "lifecycle", "live-*: keep 1000; release-*: keep 200; src-*: keep 10"},
		"days of untagged": {state.Image{Untagged: &days}, "lifecycle", "live-*: keep 1000; release-*: keep 200; untagged: 7 days"},
		"a moving tag":     {state.Image{Tags: []string{"edge"}}, "tag_mutability.exclude.edge", "true"},
	} {
		t.Run(name, func(t *testing.T) {
			tc.image.Repository = "web"
			r := Desired(state.Spec{Service: "web", Image: tc.image}, Image("web", "src-1"), state.Address{}, nil)[0]
			require.Equal(t, tc.want, r.Value(tc.path))
		})
	}
}

// theirs makes a repository as somebody else would.
func theirs(t *testing.T, r *rig, in sdk.CreateRepositoryInput) {
	t.Helper()
	in.RepositoryName = aws.String("team/web")
	_, err := r.client.CreateRepository(t.Context(), &in)
	require.NoError(t, err)
}

func TestRepository_ofSomebodyElseIsAdoptedOnlyWhenAsked(t *testing.T) {
	r := newRig(t, 1)
	theirs(t, r, sdk.CreateRepositoryInput{
		Tags:               []types.Tag{{Key: aws.String("team"), Value: aws.String("shop")}},
		ImageTagMutability: types.ImageTagMutabilityImmutableWithExclusion,
		ImageTagMutabilityExclusionFilters: []types.ImageTagMutabilityExclusionFilter{
			{Filter: aws.String("nightly-*"), FilterType: types.ImageTagMutabilityExclusionFilterTypeWildcard}},
	})
	r.called()
	d := desired(tagged("v1"), "src-1")
	_, err := r.apply(d, plan.Options{})
	require.ErrorContains(t, err, "exists already and was not made by apron")
	require.Empty(t, r.called())

	_, err = r.apply(d, plan.Options{Adopt: true})
	require.NoError(t, err)
	require.Empty(t, r.settled(d))
	_, live, err := r.plan(t.Context(), d, plan.Options{})
	require.NoError(t, err)
	o := live[Repository("team/web")]
	require.Equal(t, state.Shared, o.Owner)
	require.Equal(t, "shop", o.Value("tags.team"), "their tags stay")
	require.Equal(t, "true", o.Value("tag_mutability.exclude.nightly-*"), "and so do the tags that they move")
}

func TestRepository_thatCameUpSinceThePlan(t *testing.T) {
	create := func(r *rig) error {
		want := desired(tagged(""), "src-1")[Repository("team/web")]
		p, err := plan.Build(state.Desired{want.Address: want}, state.Live{}, plan.Options{})
		require.NoError(t, err)
		_, err = r.Execute(t.Context(), p.Actions[0], apply.Env{})
		return err
	}
	t.Run("is not taken from somebody else", func(t *testing.T) {
		r := newRig(t, 1)
		theirs(t, r, sdk.CreateRepositoryInput{})
		r.called()
		require.EqualError(t, create(r), `repository "team/web": somebody else made it since the plan; plan again`)
		require.Equal(t, []string{"CreateRepository"}, r.called(), "nothing was changed")
	})
	t.Run("is brought to what is wanted when it is apron's", func(t *testing.T) {
		r := newRig(t, 1)
		theirs(t, r, sdk.CreateRepositoryInput{Tags: []types.Tag{{Key: aws.String(tagManaged), Value: aws.String("true")}}})
		require.NoError(t, create(r))
		d := desired(tagged(""), "src-1")
		_, live, err := r.plan(t.Context(), d, plan.Options{})
		require.NoError(t, err)
		require.Equal(t, "IMMUTABLE_WITH_EXCLUSION", live[Repository("team/web")].Value("tag_mutability"))
	})
}

// A repository takes five filters. What another manifest needs stays as long as there is
// room for it; a tag that is wanted goes before.
func TestRepository_keepsAtMostFiveMovingTags(t *testing.T) {
	r := newRig(t, 1)
	for _, tags := range [][]string{{"a", "b", "c", "d"}, {"a", "b", "c", "e"}, {"f", "g"}} {
		d := desired(shop(func(s *state.Spec) { s.Image.Tags = tags }), "src-1")
		_, err := r.apply(d, plan.Options{})
		require.NoError(t, err)
		require.Empty(t, r.settled(d))
	}
}

func TestLifecycle_driftIsSeenAndRepaired(t *testing.T) {
	keep, days := 10, 7
	d := desired(shop(func(s *state.Spec) { s.Image.Keep, s.Image.Untagged = &keep, &days }), "src-1")
	ours := retention(&keep, &days).text()
	for name, tc := range map[string]struct {
		text  string
		drift string // the live value that a plan shows; empty for none
	}{
		"other spacing and descriptions are the same policy": {
			text: strings.NewReplacer(`"apron"`, `"by hand"`, ",", ",\n  ", ":", ": ").Replace(ours)},
		"rules in another order, with the same priorities, too": {
			text: `{"rules":[` + rules(ours)[2] + "," + rules(ours)[0] + "," + rules(ours)[3] + "," + rules(ours)[1] + `]}`},
		"another number is drift": {
			text:  strings.Replace(ours, `"countNumber":10}`, `"countNumber":1}`, 1),
			drift: "live-*: keep 1000; release-*: keep 200; src-*: keep 1; untagged: 7 days"},
		"other priorities are drift": {
			text:  strings.NewReplacer(`"rulePriority":1,`, `"rulePriority":30,`).Replace(ours),
			drift: "release-*: keep 200; src-*: keep 10; untagged: 7 days; live-*: keep 1000"},
		"a rule of another kind is drift": {
			text:  `{"rules": [{"rulePriority": 1, "selection": {"tagStatus": "any", "countType": "imageCountMoreThan", "countNumber": 3}, "action": {"type": "expire"}}]}`,
			drift: `{"rules":[{"rulePriority":1,"selection":{"tagStatus":"any","countType":"imageCountMoreThan","countNumber":3},"action":{"type":"expire"}}]}`},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, 1)
			_, err := r.apply(d, plan.Options{})
			require.NoError(t, err)
			_, err = r.client.PutLifecyclePolicy(t.Context(), &sdk.PutLifecyclePolicyInput{
				RepositoryName: aws.String("team/web"), LifecyclePolicyText: &tc.text})
			require.NoError(t, err)
			r.called()
			if tc.drift == "" {
				require.Empty(t, r.settled(d))
				return
			}
			p, _, err := r.plan(t.Context(), d, plan.Options{})
			require.NoError(t, err)
			require.Len(t, p.Actions, 1)
			require.Len(t, p.Actions[0].Changes, 1)
			require.Equal(t, tc.drift, p.Actions[0].Changes[0].Old.Value)
			_, err = r.apply(d, plan.Options{})
			require.NoError(t, err)
			require.Equal(t, []string{"PutLifecyclePolicy"}, r.called(), "nothing else is touched")
			require.Empty(t, r.settled(d))
		})
	}
}

// rules cuts a policy of apron's into its four rules.
func rules(text string) []string {
	text = strings.TrimSuffix(strings.TrimPrefix(text, `{"rules":[`), `]}`)
	return strings.Split(strings.ReplaceAll(text, "},{", "}\x00{"), "\x00")
}

func TestUpdate_sendsOnlyWhatChanged(t *testing.T) {
	on, keep := true, 4
	base := desired(shop(), "src-1")
	for name, tc := range map[string]struct {
		change func(*state.Spec)
		calls  []string
	}{
		"scanning":  {func(s *state.Spec) { s.Image.ScanOnPush = &on }, []string{"PutImageScanningConfiguration"}},
		"retention": {func(s *state.Spec) { s.Image.Keep = &keep }, []string{"PutLifecyclePolicy"}},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, 1)
			_, err := r.apply(base, plan.Options{})
			require.NoError(t, err)
			r.called()
			_, err = r.apply(desired(shop(tc.change), "src-1"), plan.Options{})
			require.NoError(t, err)
			require.Equal(t, tc.calls, r.called())
		})
	}
}

func TestObserve_listsTheServicesThatUseARepositoryWhenAsked(t *testing.T) {
	r := newRig(t, 1)
	for _, service := range []string{"web", "admin"} {
		_, err := r.apply(desired(shop(func(s *state.Spec) { s.Service = service }), "src-1"), plan.Options{})
		require.NoError(t, err)
	}
	for users, want := range map[bool][]string{true: {"admin", "web"}, false: nil} {
		live, _, err := r.Observe(t.Context(), reconcile.Query{Want: []state.Address{Repository("team/web")}, Users: users})
		require.NoError(t, err)
		require.Equal(t, want, live[Repository("team/web")].Users)
	}
	live, _, err := r.Observe(t.Context(), reconcile.Query{Want: []state.Address{Repository("none")}, Users: true})
	require.NoError(t, err)
	require.Empty(t, live)
}

// kept is a repository with tags and, of some of them, manifests.
type kept struct {
	api
	tags      []string
	manifests map[string]string
}

func (k kept) ListImages(context.Context, *sdk.ListImagesInput, ...func(*sdk.Options)) (*sdk.ListImagesOutput, error) {
	out := &sdk.ListImagesOutput{}
	for _, tag := range k.tags {
		out.ImageIds = append(out.ImageIds, types.ImageIdentifier{ImageTag: &tag})
	}
	return out, nil
}

func (k kept) BatchGetImage(_ context.Context, in *sdk.BatchGetImageInput, _ ...func(*sdk.Options)) (*sdk.BatchGetImageOutput, error) {
	out := &sdk.BatchGetImageOutput{}
	for _, id := range in.ImageIds {
		if text, ok := k.manifests[*id.ImageTag]; ok {
			out.Images = append(out.Images, types.Image{ImageId: &id, ImageManifest: &text})
		}
	}
	return out, nil
}

func TestUsers(t *testing.T) {
	record := func(kind release.Kind, result release.Result) string {
		data, err := release.Record{FormatVersion: release.FormatVersion, Number: 1, Service: "web", Kind: kind, Result: result}.Encode()
		require.NoError(t, err)
		text, err := json.Marshal(map[string]any{"layers": []map[string]any{{"data": data}}})
		require.NoError(t, err)
		return string(text)
	}
	for name, tc := range map[string]struct {
		tags      []string
		manifests map[string]string
		want      []string
	}{
		"a service that runs": {tags: []string{"src-1", "live-web", "live-web.release", "release-web-000001"}, want: []string{"web"}},
		"one whose first rollout passed and then failed to verify": {tags: []string{"src-1", "release-web-000001"}, want: []string{"web"}},
		"two": {tags: []string{"live-web", "release-api-000001", "release-api-000002"}, want: []string{"api", "web"}},
		"one that was destroyed": {tags: []string{"release-web-000001", "release-web-000002"},
			manifests: map[string]string{"release-web-000001": record(release.Apply, release.Succeeded), "release-web-000002": record(release.Destroy, release.Succeeded)}},
		"one whose destruction failed": {tags: []string{"release-web-000001"},
			manifests: map[string]string{"release-web-000001": record(release.Destroy, release.Failed)}, want: []string{"web"}},
		"one that was made again": {tags: []string{"release-web-000001", "release-web-000002"},
			manifests: map[string]string{"release-web-000001": record(release.Destroy, release.Succeeded), "release-web-000002": record(release.Apply, release.Failed)}, want: []string{"web"}},
		"one whose record says nothing": {tags: []string{"release-web-000001"}, manifests: map[string]string{"release-web-000001": "{}"}, want: []string{"web"}},
	} {
		t.Run(name, func(t *testing.T) {
			users, err := (&Provider{api: kept{tags: tc.tags, manifests: tc.manifests}}).users(t.Context(), "team/web")
			require.NoError(t, err)
			require.Equal(t, tc.want, users)
		})
	}
}
