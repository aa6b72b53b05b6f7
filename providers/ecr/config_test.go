package ecr

import (
	"encoding/json"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	sdk "github.com/aws/aws-sdk-go-v2/service/ecr"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/partial"
	"github.com/google/go-containerregistry/pkg/v1/random"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/stretchr/testify/require"
)

// The configuration of an image is read through AWS's API, of the part that would run.
func TestLook_isAtTheImageThatWouldRun(t *testing.T) {
	r := newRig(t, 1)
	_, err := r.client.CreateRepository(t.Context(), &sdk.CreateRepositoryInput{RepositoryName: aws.String("web")})
	require.NoError(t, err)
	for _, c := range []struct{ tag, architecture string }{{"amd", "amd64"}, {"arm", "arm64"}} {
		img := imageFor(t, c.architecture)
		require.NoError(t, remote.Write(r.ref("web", c.tag), img, r.auth()))
		got, err := r.Look(t.Context(), "web", c.tag)
		require.NoError(t, err)
		require.Equal(t, c.architecture, got.Config.Architecture)
		require.Equal(t, sizeOf(t, img), got.Compressed)
	}
	both := mutate.AppendManifests(empty.Index,
		mutate.IndexAddendum{Add: imageFor(t, "arm64"), Descriptor: v1.Descriptor{Platform: &v1.Platform{OS: "linux", Architecture: "arm64"}}},
		mutate.IndexAddendum{Add: imageFor(t, "amd64"), Descriptor: v1.Descriptor{Platform: &v1.Platform{OS: "linux", Architecture: "amd64"}}})
	require.NoError(t, remote.WriteIndex(r.ref("web", "both"), both, r.auth()))
	got, err := r.Look(t.Context(), "web", "both")
	require.NoError(t, err)
	require.Equal(t, "amd64", got.Config.Architecture)

	require.NoError(t, remote.WriteIndex(r.ref("web", "untyped"), untyped{both}, r.auth()))
	got, err = r.Look(t.Context(), "web", "untyped")
	require.NoError(t, err)
	require.Equal(t, "amd64", got.Config.Architecture)

	none := mutate.AppendManifests(empty.Index,
		mutate.IndexAddendum{Add: imageFor(t, "arm64"), Descriptor: v1.Descriptor{Platform: &v1.Platform{OS: "linux", Architecture: "arm64", Variant: "v8"}}})
	require.NoError(t, remote.WriteIndex(r.ref("web", "none"), none, r.auth()))
	_, err = r.Look(t.Context(), "web", "none")
	require.EqualError(t, err, "web:none is for linux/arm64/v8, and has no part for linux/amd64")

	for _, repository := range []string{"web", "nowhere"} {
		got, err = r.Look(t.Context(), repository, "absent")
		require.NoError(t, err)
		require.Nil(t, got.Config)
	}
	own, err := r.HasPolicy(t.Context(), "web")
	require.NoError(t, err)
	require.False(t, own)
	_, err = r.client.SetRepositoryPolicy(t.Context(), &sdk.SetRepositoryPolicyInput{RepositoryName: aws.String("web"), PolicyText: aws.String(
		`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":"*","Action":"ecr:BatchGetImage"}]}`)})
	require.NoError(t, err)
	own, err = r.HasPolicy(t.Context(), "web")
	require.NoError(t, err)
	require.True(t, own)
}

// untyped is an index that does not say what it is, which OCI asks of nobody.
// https://github.com/opencontainers/image-spec/blob/main/image-index.md
type untyped struct{ index }

type index = v1.ImageIndex // which has a method of that name

func (u untyped) RawManifest() ([]byte, error) {
	m, err := u.index.IndexManifest()
	if err != nil {
		return nil, err
	}
	m = m.DeepCopy()
	m.MediaType = ""
	return json.Marshal(m)
}

func (u untyped) Digest() (v1.Hash, error) { return partial.Digest(u) }
func (u untyped) Size() (int64, error)     { return partial.Size(u) }

func imageFor(t *testing.T, architecture string) v1.Image {
	t.Helper()
	img, err := random.Image(64, 1)
	require.NoError(t, err)
	c, err := img.ConfigFile()
	require.NoError(t, err)
	c = c.DeepCopy()
	c.OS, c.Architecture = "linux", architecture
	img, err = mutate.ConfigFile(img, c)
	require.NoError(t, err)
	return img
}

// sizeOf is how many bytes a registry has of an image beside its manifest.
func sizeOf(t *testing.T, img v1.Image) int64 {
	t.Helper()
	m, err := img.Manifest()
	require.NoError(t, err)
	size := m.Config.Size
	for _, l := range m.Layers {
		size += l.Size
	}
	return size
}
