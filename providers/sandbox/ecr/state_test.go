package ecr_test

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	sdk "github.com/aws/aws-sdk-go-v2/service/ecr"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	mediatypes "github.com/google/go-containerregistry/pkg/v1/types"
	"github.com/google/go-containerregistry/pkg/v1/validate"
	"github.com/stretchr/testify/require"

	"github.com/apron-deploy/apron/providers/sandbox/ecr"
)

const uri = account + ".dkr.ecr." + region + ".amazonaws.com/"

func TestImage_isWhatWasPushed(t *testing.T) {
	w := newWorld(t)
	w.create("team/web")
	d := w.push("team/web:v1", randomImage(t, 20))
	w.push("team/web:latest", randomImage(t, 1))
	for _, identifier := range []string{"team/web:v1", "team/web@" + d, "team/web:v1@" + d} {
		img, digest, err := w.service.Image(uri + identifier)
		require.NoError(t, err, identifier)
		require.Equal(t, d, digest)
		require.Equal(t, d, digestOf(t, img))
		require.NoError(t, validate.Image(img))
	}
	require.True(t, w.details("team/web")[d].LastRecordedPullTime.Equal(w.now))
	_, digest, err := w.service.Image(uri + "team/web")
	require.NoError(t, err)
	require.NotEqual(t, d, digest)
}

func TestImage_picksLinuxAMD64OfAnIndex(t *testing.T) {
	w := newWorld(t)
	w.create("web")
	index, members := w.pushIndex("web:list", "unknown/unknown", "linux/arm64", "linux/amd64")
	w.pushIndex("web:arm", "linux/arm64")
	img, digest, err := w.service.Image(uri + "web:list")
	require.NoError(t, err)
	require.Equal(t, digestOf(t, index), digest)
	require.Equal(t, members["linux/amd64"], digestOf(t, img))

	artifact := mutate.ConfigMediaType(mutate.MediaType(randomImage(t, 1), mediatypes.OCIManifestSchema1), "application/x.record")
	w.push("web:record", artifact)
	for identifier, want := range map[string]error{
		uri + "web:arm":                        ecr.ErrNoPlatform,
		uri + "web:record":                     ecr.ErrNoPlatform,
		uri + "web:nope":                       ecr.ErrImageNotFound,
		uri + "web@sha256:12":                  ecr.ErrImageNotFound,
		uri + "nope:v1":                        ecr.ErrRepositoryNotFound,
		"public.ecr.aws/docker/library/web:v1": ecr.ErrRepositoryNotFound,
	} {
		_, _, err := w.service.Image(identifier)
		require.ErrorIs(t, err, want, identifier)
		require.ErrorContains(t, err, identifier)
	}
}

func TestState_outlivesARestart(t *testing.T) {
	w := newWorld(t)
	w.create("web")
	d := w.push("web:v1", randomImage(t, 2))
	before := w.details("web")
	w.open()
	require.Equal(t, before, w.details("web"))
	img, err := remote.Image(w.ref("web@"+d), w.options()...)
	require.NoError(t, err)
	require.NoError(t, validate.Image(img))
}

func (w *world) blobs() int {
	w.Helper()
	n := 0
	require.NoError(w, filepath.WalkDir(filepath.Join(w.dir, "blobs"), func(_ string, e fs.DirEntry, err error) error {
		if err == nil && !e.IsDir() {
			n++
		}
		return err
	}))
	return n
}

func TestState_reclaimsBlobsAtStart(t *testing.T) {
	w := newWorld(t)
	w.create("web")
	w.create("other")
	kept := randomImage(t, 1)
	w.push("web:v1", kept)
	w.push("other:v1", kept)
	gone := w.push("web:v2", randomImage(t, 1))
	token := w.login()
	w.do(token, "POST", "/v2/web/blobs/uploads/?digest="+helloDigest, nil, "hello") // a push under way
	start, _ := w.do(token, "POST", "/v2/web/blobs/uploads/", nil, "")
	w.do(token, "PATCH", start.Header.Get("Location"), nil, "half")
	require.Equal(t, 3+3+1+1, w.blobs())

	_, err := w.client.BatchDeleteImage(w.ctx, &sdk.BatchDeleteImageInput{RepositoryName: aws.String("web"), ImageIds: byDigest(gone)})
	require.NoError(t, err)
	w.open()
	require.Equal(t, 3+2+1, w.blobs(), "the manifest and the upload went, recent layers stay")
	w.pass(25 * time.Hour)
	w.open()
	require.Equal(t, 3, w.blobs())
	_, err = w.client.DeleteRepository(w.ctx, &sdk.DeleteRepositoryInput{RepositoryName: aws.String("web"), Force: true})
	require.NoError(t, err)
	w.open()
	require.Equal(t, 3, w.blobs(), "another repository has them")
}

func TestLifecycle_actsWithinADay(t *testing.T) {
	w := newWorld(t)
	web := aws.String("web")
	w.create("web")
	policy := aws.String(`{"rules":[
{"rulePriority":1,"selection":{"tagStatus":"tagged","tagPatternList":["live-*"],"countType":"imageCountMoreThan","countNumber":1000},"action":{"type":"expire"}},
{"rulePriority":2,"selection":{"tagStatus":"tagged","tagPatternList":["src-*"],"countType":"imageCountMoreThan","countNumber":2},"action":{"type":"expire"}},
{"rulePriority":3,"selection":{"tagStatus":"untagged","countType":"sinceImagePushed","countUnit":"days","countNumber":7},"action":{"type":"expire"}}]}`)
	_, err := w.client.GetLifecyclePolicy(w.ctx, &sdk.GetLifecyclePolicyInput{RepositoryName: web})
	refused(t, err, "LifecyclePolicyNotFoundException", "Lifecycle policy does not exist for the repository with name 'web'")
	_, err = w.client.PutLifecyclePolicy(w.ctx, &sdk.PutLifecyclePolicyInput{RepositoryName: web, LifecyclePolicyText: aws.String("{}")})
	refused(t, err, "InvalidParameterException", "Member must have length greater than or equal to 100")
	broken := aws.String(fmt.Sprintf(`{"rules":[],"x":"%0100d"}`, 0))
	_, err = w.client.PutLifecyclePolicy(w.ctx, &sdk.PutLifecyclePolicyInput{RepositoryName: web, LifecyclePolicyText: broken})
	refused(t, err, "InvalidParameterException", "Invalid parameter at 'LifecyclePolicyText' failed to satisfy constraint: 'Lifecycle policy validation failure: ")
	_, err = w.client.PutLifecyclePolicy(w.ctx, &sdk.PutLifecyclePolicyInput{RepositoryName: web, LifecyclePolicyText: policy})
	require.NoError(t, err)

	var pushed []string
	for n := range 4 {
		pushed = append(pushed, w.push(fmt.Sprint("web:src-", n), randomImage(t, 1)))
		w.pass(time.Minute)
	}
	_, err = w.client.PutImage(w.ctx, w.retag("web", "src-0", "live-web"))
	require.NoError(t, err)
	index, members := w.pushIndex("web:list", "linux/amd64")

	evaluated := func() time.Time {
		got, err := w.client.GetLifecyclePolicy(w.ctx, &sdk.GetLifecyclePolicyInput{RepositoryName: web})
		require.NoError(t, err)
		require.Equal(t, policy, got.LifecyclePolicyText)
		return *got.LastEvaluatedAt
	}
	require.Equal(t, int64(0), evaluated().Unix())
	require.Len(t, w.details("web"), 6)

	w.pass(24 * time.Hour)
	details := w.details("web")
	require.Equal(t, w.now, evaluated())
	require.NotContains(t, details, pushed[1])
	require.Contains(t, details, pushed[0], "what is live is another rule's")
	require.Len(t, details, 5)

	w.pass(8 * 24 * time.Hour)
	require.NoError(t, w.service.Expire(w.ctx))
	require.Contains(t, w.details("web"), members["linux/amd64"], "untagged, but of a list that stays")
	_, err = w.client.BatchDeleteImage(w.ctx, &sdk.BatchDeleteImageInput{RepositoryName: web, ImageIds: byDigest(digestOf(t, index))})
	require.NoError(t, err)
	require.NoError(t, w.service.Expire(w.ctx))
	require.NotContains(t, w.details("web"), members["linux/amd64"])

	require.Equal(t, w.now, evaluated())
	_, err = w.client.PutLifecyclePolicy(w.ctx, &sdk.PutLifecyclePolicyInput{RepositoryName: web, LifecyclePolicyText: policy})
	require.NoError(t, err)
	require.Equal(t, int64(0), evaluated().Unix(), "it has not acted since it was set")
	require.NoError(t, w.service.Expire(w.ctx))
	require.Equal(t, w.now, evaluated(), "even within the instant")

	_, err = w.client.DeleteLifecyclePolicy(w.ctx, &sdk.DeleteLifecyclePolicyInput{RepositoryName: web})
	require.NoError(t, err)
}

func TestLifecycle_takesReferrersWithTheirSubject(t *testing.T) {
	w := newWorld(t)
	w.create("web")
	subject := w.push("web:v1", randomImage(t, 1))
	d, err := remote.Get(w.ref("web:v1"), w.options()...)
	require.NoError(t, err)
	signature := mutate.Subject(mutate.MediaType(randomImage(t, 1), mediatypes.OCIManifestSchema1), d.Descriptor).(v1.Image)
	require.NoError(t, remote.Write(w.ref("web@"+digestOf(t, signature)), signature, w.options()...))

	require.NoError(t, w.service.Expire(w.ctx))
	require.Len(t, w.details("web"), 2)
	_, err = w.client.BatchDeleteImage(w.ctx, &sdk.BatchDeleteImageInput{RepositoryName: aws.String("web"), ImageIds: byDigest(subject)})
	require.NoError(t, err)
	require.Len(t, w.details("web"), 1)
	w.pass(24 * time.Hour)
	require.Empty(t, w.details("web"))
}

func TestLifecycle_archivesOutOfReach(t *testing.T) {
	w := newWorld(t)
	web := aws.String("web")
	w.create("web")
	img := randomImage(t, 1)
	d := w.push("web:v1", img)
	_, err := w.client.PutLifecyclePolicy(w.ctx, &sdk.PutLifecyclePolicyInput{RepositoryName: web, LifecyclePolicyText: aws.String(`{"rules":[
{"rulePriority":1,"selection":{"tagStatus":"any","countType":"sinceImagePulled","countUnit":"days","countNumber":30},"action":{"type":"transition","targetStorageClass":"archive"}}]}`)})
	require.NoError(t, err)
	w.pass(31 * 24 * time.Hour)
	require.Equal(t, "ARCHIVED", string(w.details("web")[d].ImageStatus))
	_, err = remote.Image(w.ref("web:v1"), w.options()...)
	require.ErrorContains(t, err, "MANIFEST_UNKNOWN")
	_, _, err = w.service.Image(uri + "web:v1")
	require.True(t, errors.Is(err, ecr.ErrImageNotFound))
	w.push("web:again", img) // pushing brings it back
	require.Equal(t, "ACTIVE", string(w.details("web")[d].ImageStatus))
}
