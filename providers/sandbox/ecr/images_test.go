package ecr_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	sdk "github.com/aws/aws-sdk-go-v2/service/ecr"
	"github.com/aws/aws-sdk-go-v2/service/ecr/types"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	mediatypes "github.com/google/go-containerregistry/pkg/v1/types"
	"github.com/stretchr/testify/require"
)

func byTag(tags ...string) []types.ImageIdentifier {
	var ids []types.ImageIdentifier
	for _, t := range tags {
		ids = append(ids, types.ImageIdentifier{ImageTag: &t})
	}
	return ids
}

func byDigest(digests ...string) []types.ImageIdentifier {
	var ids []types.ImageIdentifier
	for _, d := range digests {
		ids = append(ids, types.ImageIdentifier{ImageDigest: &d})
	}
	return ids
}

func TestImages_areDescribedOncePerDigest(t *testing.T) {
	w := newWorld(t)
	w.create("web")
	img := randomImage(t, 2)
	d := w.push("web:v1", img)
	pushed := w.now
	w.pass(time.Hour)
	_, err := w.client.PutImage(w.ctx, w.retag("web", "v1", "latest"))
	require.NoError(t, err)

	m, err := img.Manifest()
	require.NoError(t, err)
	size := m.Config.Size
	for _, l := range m.Layers {
		size += l.Size
	}
	require.Equal(t, map[string]types.ImageDetail{d: {
		RegistryId: aws.String(account), RepositoryName: aws.String("web"), ImageDigest: &d,
		ImageTags: []string{"latest", "v1"}, ImagePushedAt: &pushed, ImageSizeInBytes: &size,
		ImageManifestMediaType: aws.String(string(mediatypes.DockerManifestSchema2)),
		ArtifactMediaType:      aws.String(string(mediatypes.DockerConfigJSON)),
		ImageStatus:            types.ImageStatusActive,
		LastRecordedPullTime:   aws.Time(w.now), // reading the manifest was a pull
	}}, w.details("web"))
}

func TestImages_ofAnIndexCountTheLargestMember(t *testing.T) {
	w := newWorld(t)
	w.create("web")
	index, members := w.pushIndex("web:list", "linux/amd64", "linux/arm64")
	details := w.details("web")
	require.Len(t, details, 3)
	var largest int64
	for _, m := range members {
		largest = max(largest, *details[m].ImageSizeInBytes)
	}
	got := details[digestOf(t, index)]
	require.Equal(t, largest, *got.ImageSizeInBytes)
	require.Equal(t, string(mediatypes.OCIImageIndex), *got.ImageManifestMediaType)
}

func TestImages_missFailsDescribeWhollyAndBatchGetSingly(t *testing.T) {
	w := newWorld(t)
	web := aws.String("web")
	w.create("web")
	d := w.push("web:v1", randomImage(t, 1))
	other := w.push("web:v2", randomImage(t, 1))
	ids := append(byTag("v1", "nope"), byDigest(otherDigest, "sha256:xyz")...)
	ids = append(ids, types.ImageIdentifier{}, types.ImageIdentifier{ImageTag: aws.String("v1"), ImageDigest: &other},
		types.ImageIdentifier{ImageTag: aws.String("v1"), ImageDigest: &d})

	_, err := w.client.DescribeImages(w.ctx, &sdk.DescribeImagesInput{RepositoryName: web, ImageIds: ids[:2]})
	refused(t, err, "ImageNotFoundException", "The image with imageId {imageDigest:'null', imageTag:'nope'} does not exist "+
		"within the repository with name 'web' in the registry with id '123456789012'")
	_, err = w.client.DescribeImages(w.ctx, &sdk.DescribeImagesInput{RepositoryName: web, ImageIds: ids[:1], MaxResults: aws.Int32(1)})
	refused(t, err, "InvalidParameterException", "imageIds")
	_, err = w.client.DescribeImages(w.ctx, &sdk.DescribeImagesInput{RepositoryName: web, ImageIds: byTag(make([]string, 101)...)})
	refused(t, err, "InvalidParameterException", "less than or equal to 100")

	got, err := w.client.BatchGetImage(w.ctx, &sdk.BatchGetImageInput{RepositoryName: web, ImageIds: ids})
	require.NoError(t, err)
	require.Len(t, got.Images, 2)
	require.Equal(t, d, *got.Images[0].ImageId.ImageDigest)
	var codes []types.ImageFailureCode
	for _, f := range got.Failures {
		codes = append(codes, f.FailureCode)
	}
	require.Equal(t, []types.ImageFailureCode{
		types.ImageFailureCodeImageNotFound, types.ImageFailureCodeImageNotFound, types.ImageFailureCodeInvalidImageDigest,
		types.ImageFailureCodeMissingDigestAndTag, types.ImageFailureCodeImageTagDoesNotMatchDigest,
	}, codes)
	got, err = w.client.BatchGetImage(w.ctx, &sdk.BatchGetImageInput{
		RepositoryName: web, ImageIds: byTag("v1"), AcceptedMediaTypes: []string{string(mediatypes.OCIImageIndex)},
	})
	require.NoError(t, err)
	require.Empty(t, got.Images)
	require.Equal(t, types.ImageFailureCodeImageNotFound, got.Failures[0].FailureCode)
}

func TestImages_pageAndFilter(t *testing.T) {
	w := newWorld(t)
	w.create("web")
	w.push("web:moving", randomImage(t, 1))
	w.push("web:moving", randomImage(t, 1)) // leaves the first untagged
	for n := range 3 {
		w.push(fmt.Sprint("web:v", n), randomImage(t, 1))
	}
	seen := map[string]bool{}
	pages := sdk.NewDescribeImagesPaginator(w.client, &sdk.DescribeImagesInput{RepositoryName: aws.String("web"), MaxResults: aws.Int32(2)})
	for n := 0; pages.HasMorePages(); n++ {
		out, err := pages.NextPage(w.ctx)
		require.NoError(t, err)
		require.LessOrEqual(t, len(out.ImageDetails), 2)
		for _, d := range out.ImageDetails {
			seen[*d.ImageDigest] = true
		}
	}
	require.Len(t, seen, 5)
	for status, want := range map[types.TagStatus]int{types.TagStatusTagged: 4, types.TagStatusUntagged: 1, types.TagStatusAny: 5} {
		out, err := w.client.ListImages(w.ctx, &sdk.ListImagesInput{
			RepositoryName: aws.String("web"), Filter: &types.ListImagesFilter{TagStatus: status},
		})
		require.NoError(t, err)
		require.Len(t, out.ImageIds, want, status)
	}
}

func TestPutImage_refusesWhatECRRefuses(t *testing.T) {
	w := newWorld(t)
	w.create("web")
	w.create("frozen", func(in *sdk.CreateRepositoryInput) {
		in.ImageTagMutability = types.ImageTagMutabilityImmutableWithExclusion
		in.ImageTagMutabilityExclusionFilters = exclusions("live-*", "*latest")
	})
	one, two := randomImage(t, 1), randomImage(t, 1)
	d := w.push("web:v1", one)
	w.push("frozen:v1", one)
	w.push("frozen:live-web", one)
	w.push("frozen:v2", two)
	bare := strings.Replace(*w.retag("web", "v1", "x").ImageManifest,
		`"mediaType":"application/vnd.docker.distribution.manifest.v2+json",`, "", 1)

	for name, tc := range map[string]struct {
		in         *sdk.PutImageInput
		code, text string
	}{
		"same manifest and tag": {w.retag("web", "v1", "v1"), "ImageAlreadyExistsException",
			"Image with digest '" + d + "' and tag 'v1' already exists in the repository with name 'web' in registry with id '123456789012'"},
		"frozen tag": {w.retag("frozen", "v1", "v2"), "ImageTagAlreadyExistsException",
			"The image tag 'v2' already exists in the 'frozen' repository and cannot be overwritten because the tag is immutable."},
		"no JSON": {&sdk.PutImageInput{ImageManifest: aws.String("[]")}, "InvalidParameterException",
			"Invalid parameter at 'ImageManifest' failed to satisfy constraint: 'Invalid JSON syntax'"},
		"no media type": {&sdk.PutImageInput{ImageManifest: &bare}, "InvalidParameterException", "imageManifestMediaType"},
		"no layers": {&sdk.PutImageInput{ImageManifest: aws.String(missingLayer)}, "LayersNotFoundException",
			"Layers with digests '[" + otherDigest + "]' required for pushing image"},
		"no members": {&sdk.PutImageInput{ImageManifest: aws.String(missingMember)}, "ReferencedImagesNotFoundException", otherDigest},
		"another digest": {&sdk.PutImageInput{ImageManifest: &bare, ImageDigest: aws.String(otherDigest),
			ImageManifestMediaType: aws.String(string(mediatypes.DockerManifestSchema2))}, "ImageDigestDoesNotMatchException", otherDigest},
		"a bad tag": {&sdk.PutImageInput{ImageManifest: &bare, ImageTag: aws.String("a+b")}, "InvalidParameterException", "imageTag"},
	} {
		t.Run(name, func(t *testing.T) {
			if tc.in.RepositoryName == nil {
				tc.in.RepositoryName = aws.String("web")
			}
			_, err := w.client.PutImage(w.ctx, tc.in)
			refused(t, err, tc.code, tc.text)
		})
	}

	for _, tag := range []string{"live-web", "latest", "my-latest", "v3"} {
		_, err := w.client.PutImage(w.ctx, w.retag("frozen", "v2", tag))
		require.NoError(t, err, tag)
	}
	three := randomImage(t, 1)
	require.ErrorContains(t, remote.Write(w.ref("frozen:v3"), three, w.options()...), "TAG_INVALID")
	require.NoError(t, remote.Write(w.ref("frozen:latest"), three, w.options()...))
	named, err := w.client.PutImage(w.ctx, &sdk.PutImageInput{RepositoryName: aws.String("web"), ImageManifest: &bare,
		ImageManifestMediaType: aws.String(string(mediatypes.DockerManifestSchema2))})
	require.NoError(t, err)
	require.NotEqual(t, d, *named.Image.ImageId.ImageDigest)
}

func TestBatchDeleteImage_takesTagsBeforeImages(t *testing.T) {
	w := newWorld(t)
	web := aws.String("web")
	w.create("web")
	d := w.push("web:v1", randomImage(t, 1))
	_, err := w.client.PutImage(w.ctx, w.retag("web", "v1", "v2"))
	require.NoError(t, err)
	index, members := w.pushIndex("web:list", "linux/amd64")
	list, member := digestOf(t, index), members["linux/amd64"]
	del := func(ids ...types.ImageIdentifier) *sdk.BatchDeleteImageOutput {
		t.Helper()
		out, err := w.client.BatchDeleteImage(w.ctx, &sdk.BatchDeleteImageInput{RepositoryName: web, ImageIds: ids})
		require.NoError(t, err)
		return out
	}

	del(byTag("v1")...)
	require.Equal(t, []string{"v2"}, w.details("web")[d].ImageTags)
	del(byTag("v2")...) // the last tag takes the image along
	require.NotContains(t, w.details("web"), d)

	out := del(byDigest(list, member, otherDigest)...)
	require.Equal(t, []types.ImageIdentifier{{ImageDigest: &list, ImageTag: aws.String("list")}}, out.ImageIds)
	require.Equal(t, types.ImageFailureCodeImageReferencedByManifestList, out.Failures[0].FailureCode)
	require.Equal(t, "Requested image referenced by manifest list: ["+list+"]", *out.Failures[0].FailureReason)
	require.Equal(t, types.ImageFailureCodeImageNotFound, out.Failures[1].FailureCode)
	require.Empty(t, del(byDigest(member)...).Failures)
	require.Empty(t, w.details("web"))
}

func TestLayers_comeThroughTheAPI(t *testing.T) {
	w := newWorld(t)
	web := aws.String("web")
	w.create("web")
	part := func(id *string, first int64, data string) error {
		_, err := w.client.UploadLayerPart(w.ctx, &sdk.UploadLayerPartInput{RepositoryName: web, UploadId: id,
			PartFirstByte: &first, PartLastByte: aws.Int64(first + int64(len(data)) - 1), LayerPartBlob: []byte(data)})
		return err
	}
	complete := func(id *string, digests ...string) error {
		_, err := w.client.CompleteLayerUpload(w.ctx, &sdk.CompleteLayerUploadInput{RepositoryName: web, UploadId: id, LayerDigests: digests})
		return err
	}
	start := func() *string {
		out, err := w.client.InitiateLayerUpload(w.ctx, &sdk.InitiateLayerUploadInput{RepositoryName: web})
		require.NoError(t, err)
		return out.UploadId
	}

	id := start()
	refused(t, complete(id, helloDigest), "EmptyUploadException", "does not contain any layer parts")
	require.NoError(t, part(id, 0, "hello"))
	refused(t, part(id, 9, "x"), "InvalidLayerPartException", "last valid byte received is 4")
	refused(t, part(id, 5, "x"), "LayerPartTooSmallException", "5242880")
	refused(t, complete(id, otherDigest), "InvalidLayerException", "None of the provided layer digests match")
	require.NoError(t, complete(id, otherDigest, helloDigest))
	refused(t, complete(id, helloDigest), "UploadNotFoundException", *id)
	id = start()
	require.NoError(t, part(id, 0, "hello"))
	refused(t, complete(id, helloDigest), "LayerAlreadyExistsException", helloDigest)

	layers, err := w.client.BatchCheckLayerAvailability(w.ctx, &sdk.BatchCheckLayerAvailabilityInput{
		RepositoryName: web, LayerDigests: []string{helloDigest, otherDigest, "nonsense"},
	})
	require.NoError(t, err)
	require.Equal(t, types.LayerAvailabilityAvailable, layers.Layers[0].LayerAvailability)
	require.Equal(t, int64(5), *layers.Layers[0].LayerSize)
	require.Equal(t, types.LayerAvailabilityUnavailable, layers.Layers[1].LayerAvailability)
	require.Equal(t, types.LayerFailureCodeInvalidLayerDigest, layers.Failures[0].FailureCode)

	got, err := w.client.GetDownloadUrlForLayer(w.ctx, &sdk.GetDownloadUrlForLayerInput{RepositoryName: web, LayerDigest: aws.String(helloDigest)})
	require.NoError(t, err)
	resp, body := w.do(anonymous, "GET", strings.TrimPrefix(*got.DownloadUrl, w.server.URL), nil, "")
	require.Equal(t, 200, resp.StatusCode)
	require.Equal(t, "hello", body)
	_, err = w.client.GetDownloadUrlForLayer(w.ctx, &sdk.GetDownloadUrlForLayerInput{RepositoryName: web, LayerDigest: aws.String(otherDigest)})
	refused(t, err, "LayersNotFoundException", otherDigest)
}
