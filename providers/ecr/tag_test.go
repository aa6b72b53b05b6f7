package ecr

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	sdk "github.com/aws/aws-sdk-go-v2/service/ecr"
	"github.com/aws/aws-sdk-go-v2/service/ecr/types"
	"github.com/google/go-containerregistry/pkg/v1/random"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/stretchr/testify/require"

	"github.com/apron-deploy/apron/reconcile/apply"
	"github.com/apron-deploy/apron/reconcile/plan"
	"github.com/apron-deploy/apron/reconcile/state"
)

func tagged(version string) state.Spec {
	return shop(func(s *state.Spec) { s.Image.Version, s.Image.Tags = version, []string{"latest"} })
}

func TestTags_areMovedOnlyAfterTheRollout(t *testing.T) {
	r := newRig(t, 1)
	done, err := r.apply(desired(tagged("v1"), "src-1"), plan.Options{})
	require.NoError(t, err)
	require.Equal(t, []string{
		"create ecr/repository/team/web", "create ecr/image/team/web:src-1", "create apprunner/service/web",
		"create ecr/tag/team/web:live-web", "create ecr/tag/team/web:latest", "create ecr/tag/team/web:v1",
	}, done)
	old := r.digest("team/web", "src-1")
	for _, tag := range []string{"live-web", "latest", "v1"} {
		require.Equal(t, old, r.digest("team/web", tag), tag)
	}

	r.refuses = errors.New("rolled back")
	next := desired(tagged("v2"), "src-2")
	_, err = r.apply(next, plan.Options{})
	require.ErrorContains(t, err, "rolled back")
	require.NotEmpty(t, r.digest("team/web", "src-2"), "the image itself is pushed before")
	require.Equal(t, old, r.digest("team/web", "latest"), "a failed deployment moves no tag")
	require.Equal(t, old, r.digest("team/web", "live-web"))
	require.Empty(t, r.digest("team/web", "v2"), "and burns no version")

	r.refuses = nil
	_, err = r.apply(next, plan.Options{})
	require.NoError(t, err)
	fresh := r.digest("team/web", "src-2")
	require.NotEqual(t, old, fresh)
	for _, tag := range []string{"live-web", "latest", "v2"} {
		require.Equal(t, fresh, r.digest("team/web", tag), tag)
	}
	require.Equal(t, old, r.digest("team/web", "v1"))
}

func TestTags_waitForTheServiceToBeVerified(t *testing.T) {
	r := newRig(t, 1)
	sick := errors.New("GET /health should answer 200 and gave 503")
	var asked []string
	r.Verify = func(_ context.Context, service string, _ apply.Env) error {
		asked = append(asked, service)
		return sick
	}
	d := desired(tagged("v1"), "src-1")
	_, err := r.apply(d, plan.Options{})
	require.ErrorIs(t, err, sick)
	require.Equal(t, []string{"web"}, asked, "one tag asks, and the others wait for it")
	for _, tag := range []string{"live-web", "latest", "v1"} {
		require.Empty(t, r.digest("team/web", tag), tag)
	}
	sick = nil
	done, err := r.apply(d, plan.Options{})
	require.NoError(t, err)
	require.Equal(t, []string{"create ecr/tag/team/web:live-web", "create ecr/tag/team/web:latest", "create ecr/tag/team/web:v1"}, done,
		"the rollout itself was over")
	require.Empty(t, r.settled(d))
}

// Somebody may take the version between the plan and the put.
func TestVersion_takenMeanwhileIsAnErrorAndIsNotMoved(t *testing.T) {
	r := newRig(t, 1)
	d := desired(tagged(""), "src-1")
	_, err := r.apply(d, plan.Options{})
	require.NoError(t, err)
	theirs := r.push("team/web", "v1", nil)
	a := desired(tagged("v1"), "src-1")[Tag("team/web", "v1")]
	_, err = r.Execute(t.Context(), plan.Action{Op: plan.Create, Target: a.Address, Want: a}, apply.Env{})
	require.EqualError(t, err, "rolled out, but v1 names another image, "+theirs+", and is never moved")
	require.Equal(t, theirs, r.digest("team/web", "v1"))
}

func TestPutTag_againIsNoError(t *testing.T) {
	r := newRig(t, 1)
	d := desired(tagged("v1"), "src-1")
	_, err := r.apply(d, plan.Options{})
	require.NoError(t, err)
	for _, tag := range []string{"live-web", "latest", "v1"} {
		a := d[Tag("team/web", tag)]
		out, err := r.Execute(t.Context(), plan.Action{Op: plan.Create, Target: a.Address, Want: a}, apply.Env{})
		require.NoError(t, err)
		require.Equal(t, r.digest("team/web", "src-1"), out.ID)
	}
}

// altered is the real client, but for some of its answers.
type altered struct {
	api
	put func(*sdk.PutImageInput) (*sdk.PutImageOutput, error)
	get func(*sdk.BatchGetImageInput) (*sdk.BatchGetImageOutput, error)
}

func (a altered) PutImage(ctx context.Context, in *sdk.PutImageInput, o ...func(*sdk.Options)) (*sdk.PutImageOutput, error) {
	if a.put == nil {
		return a.api.PutImage(ctx, in, o...)
	}
	return a.put(in)
}

func (a altered) BatchGetImage(ctx context.Context, in *sdk.BatchGetImageInput, o ...func(*sdk.Options)) (*sdk.BatchGetImageOutput, error) {
	if a.get == nil {
		return a.api.BatchGetImage(ctx, in, o...)
	}
	return a.get(in)
}

// A registry that refuses every put to a frozen tag, even of what the tag stands for.
func TestPutTag_againIsNoErrorWhereFrozenTagsAreAlwaysRefused(t *testing.T) {
	r := newRig(t, 1)
	d := desired(tagged("v1"), "src-1")
	_, err := r.apply(d, plan.Options{})
	require.NoError(t, err)
	r.api = altered{api: r.api, put: func(*sdk.PutImageInput) (*sdk.PutImageOutput, error) {
		return nil, &types.ImageTagAlreadyExistsException{Message: aws.String("immutable")}
	}}
	a := d[Tag("team/web", "v1")]
	_, err = r.Execute(t.Context(), plan.Action{Op: plan.Create, Target: a.Address, Want: a}, apply.Env{})
	require.NoError(t, err)
}

func TestPutTag_looksThatTheTagStandsForTheImage(t *testing.T) {
	r := newRig(t, 1)
	d := desired(tagged("v1"), "src-1")
	_, err := r.apply(d, plan.Options{})
	require.NoError(t, err)
	old := r.digest("team/web", "latest")
	fresh := r.push("team/web", "src-2", nil)
	r.api = altered{api: r.api, put: func(*sdk.PutImageInput) (*sdk.PutImageOutput, error) { return &sdk.PutImageOutput{}, nil }}
	a := desired(tagged("v1"), "src-2")[Tag("team/web", "latest")]
	_, err = r.Execute(t.Context(), plan.Action{Op: plan.Update, Target: a.Address, Want: a}, apply.Env{})
	require.EqualError(t, err, fmt.Sprintf(`repository "team/web": tag latest stands for %s after it was put on %s`, old, fresh))
}

func TestObserve_anImageThatCannotBeReadIsNoImageThatIsMissing(t *testing.T) {
	r := newRig(t, 1)
	r.api = altered{api: r.api, get: func(in *sdk.BatchGetImageInput) (*sdk.BatchGetImageOutput, error) {
		return &sdk.BatchGetImageOutput{Failures: []types.ImageFailure{{ImageId: &in.ImageIds[0],
			FailureCode: types.ImageFailureCodeImageInaccessible, FailureReason: aws.String("Requested image is archived")}}}, nil
	}}
	_, _, err := r.plan(t.Context(), desired(tagged("v1"), "src-1"), plan.Options{})
	require.ErrorContains(t, err, `repository "team/web": tag`)
	require.ErrorContains(t, err, "Requested image is archived")
}

func TestPutTag_saysWhenTheImageIsGone(t *testing.T) {
	r := newRig(t, 1)
	_, err := r.apply(desired(tagged(""), "src-1"), plan.Options{})
	require.NoError(t, err)
	a := desired(tagged(""), "src-gone")[Tag("team/web", "latest")]
	_, err = r.Execute(t.Context(), plan.Action{Op: plan.Update, Target: a.Address, Want: a}, apply.Env{})
	require.EqualError(t, err, `repository "team/web": image src-gone is gone; apply again to build it`)
}

// An index that is asked for as an image would come back as one of its members.
func TestPutTag_tagsAnIndexAsItIs(t *testing.T) {
	r := newRig(t, 1)
	d := desired(tagged("v1"), "src-1")
	_, err := r.client.CreateRepository(t.Context(), &sdk.CreateRepositoryInput{RepositoryName: aws.String("team/web"),
		Tags: []types.Tag{{Key: aws.String(tagManaged), Value: aws.String("true")}}})
	require.NoError(t, err)
	index, err := random.Index(128, 1, 2)
	require.NoError(t, err)
	require.NoError(t, remote.WriteIndex(r.ref("team/web", "src-1"), index, r.auth()))
	_, err = r.apply(d, plan.Options{})
	require.NoError(t, err)
	want, err := index.Digest()
	require.NoError(t, err)
	require.Equal(t, want.String(), r.digest("team/web", "latest"))
	require.Empty(t, r.settled(d))
}

func TestObserve_namesTheWantedOfTwoTagsOnOneImage(t *testing.T) {
	r := newRig(t, 1)
	_, err := r.apply(desired(tagged("v1"), "src-2"), plan.Options{})
	require.NoError(t, err)
	img, err := remote.Image(r.ref("team/web", "src-2"), r.auth())
	require.NoError(t, err)
	for _, other := range []string{"src-1", "src-3"} { // before and after it in the alphabet
		r.push("team/web", other, img)
		d := desired(tagged("v1"), other)
		d[state.Address{Target: "apprunner", Kind: "service", Name: "web"}] = r.service[state.Address{Target: "apprunner", Kind: "service", Name: "web"}].Resource
		require.Empty(t, r.settled(d), "%s is the same image", other)
	}
	require.Empty(t, r.settled(desired(tagged("v1"), "src-2")))
}

func TestObserve_showsTheDigestOfATagThatApronDidNotBuild(t *testing.T) {
	r := newRig(t, 1)
	_, err := r.apply(desired(tagged(""), "src-1"), plan.Options{})
	require.NoError(t, err)
	theirs := r.push("team/web", "latest", nil)
	d := desired(tagged(""), "src-1")
	p, live, err := r.plan(t.Context(), d, plan.Options{})
	require.NoError(t, err)
	require.Equal(t, []state.Field{{Path: "image", Value: theirs}}, live[Tag("team/web", "latest")].Fields)
	require.Len(t, p.Actions, 1)
	require.EqualValues(t, "update ecr/tag/team/web:latest", p.Actions[0].ID)
}

// One call takes a hundred images at most, and reports misses one by one.
func TestObserve_asksForManyTagsInBatches(t *testing.T) {
	r := newRig(t, 1)
	_, err := r.apply(desired(shop(), "src-1"), plan.Options{})
	require.NoError(t, err)
	img, err := random.Image(64, 1)
	require.NoError(t, err)
	var tags []string
	for i := range 130 {
		tags = append(tags, fmt.Sprintf("src-x%03d", i))
	}
	for _, tag := range []string{tags[0], tags[99], tags[100], tags[129]} {
		r.push("team/web", tag, img)
	}
	found, err := r.images(t.Context(), "team/web", tags)
	require.NoError(t, err)
	require.Len(t, found, 4)
	require.Contains(t, found, tags[129])
}

func TestObserve_aRepositoryThatIsMissingHasNothing(t *testing.T) {
	r := newRig(t, 1)
	_, live, err := r.plan(t.Context(), desired(tagged("v1"), "src-1"), plan.Options{})
	require.NoError(t, err)
	require.Empty(t, live)
}
