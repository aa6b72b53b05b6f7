package ecr_test

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	sdk "github.com/aws/aws-sdk-go-v2/service/ecr"
	"github.com/aws/aws-sdk-go-v2/service/ecr/types"
	"github.com/google/go-containerregistry/pkg/authn"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/remote/transport"
	mediatypes "github.com/google/go-containerregistry/pkg/v1/types"
	"github.com/google/go-containerregistry/pkg/v1/validate"
	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

	"github.com/apron-deploy/apron/providers/sandbox/ecr"
)

func indexOf(t mediatypes.MediaType) v1.ImageIndex { return mutate.IndexMediaType(empty.Index, t) }

func TestRegistry_takesAndGivesTwentyLayers(t *testing.T) {
	w := newWorld(t)
	w.create("web")
	pushed := w.push("web:v1", randomImage(t, 20))

	img, err := remote.Image(w.ref("web:v1"), w.options()...)
	require.NoError(t, err)
	require.Equal(t, pushed, digestOf(t, img))
	require.NoError(t, validate.Image(img))
}

func TestRegistry_survivesPushesAtOnce(t *testing.T) {
	w := newWorld(t)
	w.create("web")
	shared := randomImage(t, 3)
	options := w.options()
	var g errgroup.Group
	for n := range 8 {
		g.Go(func() error {
			if err := remote.Write(w.ref("web:same"), shared, options...); err != nil {
				return err
			}
			own, err := mutate.Config(shared, v1.Config{Env: []string{fmt.Sprint("N=", n)}})
			if err != nil {
				return err
			}
			return remote.Write(w.ref(fmt.Sprint("web:own-", n)), own, options...)
		})
	}
	require.NoError(t, g.Wait())
	require.Len(t, w.details("web"), 9)
}

func TestRegistry_authenticates(t *testing.T) {
	w := newWorld(t)
	w.create("web")
	get := func(a authn.Authenticator) (*http.Response, string) {
		return w.do(a, "GET", "/v2/web/tags/list", nil, "")
	}

	none, body := get(anonymous)
	require.Equal(t, 401, none.StatusCode)
	require.Equal(t, "Not Authorized\n", body)
	require.Equal(t, `Basic realm="`+w.server.URL+`/",service="ecr.amazonaws.com"`, none.Header.Get("WWW-Authenticate"))
	wrong, _ := get(&authn.Basic{Username: "AWS", Password: "guess"})
	require.Equal(t, 401, wrong.StatusCode)

	token := w.login()
	fine, _ := get(token)
	require.Equal(t, 200, fine.StatusCode)
	w.open() // a token outlives a restart
	fine, _ = get(token)
	require.Equal(t, 200, fine.StatusCode)

	w.pass(12 * time.Hour)
	late, body := get(token)
	require.Equal(t, 403, late.StatusCode)
	require.Empty(t, late.Header.Get("WWW-Authenticate"))
	require.Contains(t, body, "Your authorization token has expired. Reauthenticate and try again.")
	require.Contains(t, body, `"DENIED"`)
}

// do sends one request and returns the answer with its body read.
func (w *world) do(a authn.Authenticator, method, path string, header map[string]string, body string) (*http.Response, string) {
	w.Helper()
	r, err := http.NewRequestWithContext(w.ctx, method, w.server.URL+path, strings.NewReader(body))
	require.NoError(w, err)
	c, err := a.Authorization()
	require.NoError(w, err)
	if *c != (authn.AuthConfig{}) {
		r.SetBasicAuth(c.Username, c.Password)
		if c.Auth != "" {
			r.Header.Set("Authorization", "Basic "+c.Auth)
		}
	}
	for k, v := range header {
		r.Header.Set(k, v)
	}
	client := http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	resp, err := client.Do(r)
	require.NoError(w, err)
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	require.NoError(w, err)
	return resp, string(b)
}

const (
	helloDigest = "sha256:2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824" // "hello"
	otherDigest = "sha256:0000000000000000000000000000000000000000000000000000000000000000"
)

func TestRegistry_answersAsECRDoes(t *testing.T) {
	w := newWorld(t)
	w.create("web")
	w.create("frozen", func(in *sdk.CreateRepositoryInput) { in.ImageTagMutability = types.ImageTagMutabilityImmutable })
	img := randomImage(t, 1)
	digest := w.push("web:v1", img)
	w.push("frozen:v1", img)
	raw, err := img.RawManifest()
	require.NoError(t, err)
	manifest := string(raw)
	kind := map[string]string{"Content-Type": string(mediatypes.DockerManifestSchema2)}
	oci := map[string]string{"Content-Type": string(mediatypes.OCIManifestSchema1)}
	token := w.login()

	for _, tc := range []struct {
		name, method, path string
		header             map[string]string
		body               string
		status             int
		contains           string
	}{
		{"ping", "GET", "/v2/", nil, "", 200, ""},
		{"no such path", "GET", "/v2/web/nothing", nil, "", 404, ""},
		{"no such repository, manifest", "GET", "/v2/nope/manifests/v1", nil, "", 404, "NAME_UNKNOWN"},
		{"no such repository, upload", "POST", "/v2/nope/blobs/uploads/", nil, "", 404,
			"The repository with name 'nope' does not exist in the registry with id '123456789012'"},
		{"invalid repository", "GET", "/v2/Web/tags/list", nil, "", 400, "NAME_INVALID"},
		{"blob missing", "HEAD", "/v2/web/blobs/" + helloDigest, nil, "", 404, ""},
		{"blob of a bad digest", "GET", "/v2/web/blobs/md5:1", nil, "", 400, "DIGEST_INVALID"},
		{"blob deletion", "DELETE", "/v2/web/blobs/" + helloDigest, nil, "", 405, "UNSUPPORTED"},
		{"upload whole", "POST", "/v2/web/blobs/uploads/?digest=" + helloDigest, nil, "hello", 201, ""},
		{"upload whole, wrong", "POST", "/v2/web/blobs/uploads/?digest=" + otherDigest, nil, "hello", 400,
			"None of the provided layer digests match the calculated layer digest"},
		{"upload in steps", "POST", "/v2/web/blobs/uploads/", nil, "", 202, ""},
		{"upload unknown", "PATCH", "/v2/web/blobs/uploads/nope", nil, "x", 404, "BLOB_UPLOAD_UNKNOWN"},
		{"mount is an upload", "POST", "/v2/frozen/blobs/uploads/?mount=" + helloDigest + "&from=web", nil, "", 202, ""},
		{"manifest", "HEAD", "/v2/web/manifests/v1", nil, "", 200, ""},
		{"manifest by digest", "GET", "/v2/web/manifests/" + digest, nil, "", 200, "schemaVersion"},
		{"manifest missing", "GET", "/v2/web/manifests/v2", nil, "", 404, "MANIFEST_UNKNOWN"},
		{"manifest of another repository", "GET", "/v2/frozen/manifests/" + otherDigest, nil, "", 404, "MANIFEST_UNKNOWN"},
		{"plus in a tag", "HEAD", "/v2/web/manifests/1.0+a", nil, "", 400, ""},
		{"no JSON", "PUT", "/v2/web/manifests/v2", kind, "{", 405, "Invalid JSON syntax"},
		{"the wrong type", "PUT", "/v2/web/manifests/v2", oci, manifest, 405, "UNSUPPORTED"},
		{"the wrong digest", "PUT", "/v2/web/manifests/" + otherDigest, kind, manifest, 400, "DIGEST_INVALID"},
		{"layers missing", "PUT", "/v2/web/manifests/v2", kind, missingLayer, 400, "MANIFEST_BLOB_UNKNOWN"},
		{"members missing", "PUT", "/v2/web/manifests/v2", nil, missingMember, 400,
			"Images with digests '[" + otherDigest + "]' required for pushing image into repository with name 'web'"},
		{"too large", "PUT", "/v2/web/manifests/v2", kind, strings.Repeat(" ", 4<<20+1), 413, "SIZE_INVALID"},
		{"the same again", "PUT", "/v2/web/manifests/v1", kind, manifest, 201, ""},
		{"the same again, immutable", "PUT", "/v2/frozen/manifests/v1", kind, manifest, 400,
			"The image tag 'v1' already exists in the 'frozen' repository and cannot be overwritten because the tag is immutable."},
		{"a new tag, immutable", "PUT", "/v2/frozen/manifests/v2", kind, manifest, 201, ""},
		{"tags beyond the most", "GET", "/v2/web/tags/list?n=1001", nil, "", 405,
			"Invalid parameter at 'maxResults' failed to satisfy constraint: 'Member must have value less than or equal to 1000'"},
		{"tags after nonsense", "GET", "/v2/web/tags/list?last=v1", nil, "", 405, "UNSUPPORTED"},
		{"tags", "GET", "/v2/web/tags/list", nil, "", 200, `{"name":"web","tags":["v1"]}`},
		{"referrers of nothing", "GET", "/v2/web/referrers/" + otherDigest, nil, "", 200, `"manifests":[]`},
		{"delete a tag", "DELETE", "/v2/frozen/manifests/v2", nil, "", 202, ""},
		{"delete a tag twice", "DELETE", "/v2/frozen/manifests/v2", nil, "", 404, "MANIFEST_UNKNOWN"},
		{"delete by digest", "DELETE", "/v2/frozen/manifests/" + digest, nil, "", 202, ""},
	} {
		resp, body := w.do(token, tc.method, tc.path, tc.header, tc.body)
		require.Equal(t, tc.status, resp.StatusCode, "%s: %s", tc.name, body)
		require.Contains(t, body, tc.contains, tc.name)
		require.Equal(t, "registry/2.0", resp.Header.Get("Docker-Distribution-Api-Version"), tc.name)
	}
}

const (
	missingLayer = `{"schemaVersion":2,"mediaType":"application/vnd.docker.distribution.manifest.v2+json",
"config":{"mediaType":"application/vnd.docker.container.image.v1+json","size":1,"digest":"` + otherDigest + `"},"layers":[]}`
	missingMember = `{"schemaVersion":2,"mediaType":"application/vnd.oci.image.index.v1+json",
"manifests":[{"mediaType":"application/vnd.oci.image.manifest.v1+json","size":1,"digest":"` + otherDigest + `"}]}`
)

func TestRegistry_takesABlobInChunks(t *testing.T) {
	for name, tc := range map[string]struct {
		sticky bool
		second string
	}{
		"as specified":        {false, "0-3"},
		"with a sticky range": {true, "0-1"},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.open(func(o *ecr.Options) { o.StickyRange = tc.sticky })
			w.create("web")
			token := w.login()
			start, _ := w.do(token, "POST", "/v2/web/blobs/uploads/", nil, "")
			at := start.Header.Get("Location")
			require.Equal(t, "0-0", start.Header.Get("Range"))

			first, _ := w.do(token, "PATCH", at, map[string]string{"Content-Range": "0-1"}, "he")
			require.Equal(t, 201, first.StatusCode) // not 202
			require.Equal(t, "0-1", first.Header.Get("Range"))
			second, _ := w.do(token, "PATCH", at, map[string]string{"Content-Range": "2-3"}, "ll")
			require.Equal(t, tc.second, second.Header.Get("Range"))
			again, _ := w.do(token, "PATCH", at, map[string]string{"Content-Range": "2-3"}, "ll")
			require.Equal(t, 416, again.StatusCode)

			end, _ := w.do(token, "PUT", at+"?digest="+helloDigest, nil, "o")
			require.Equal(t, 201, end.StatusCode)
			gone, _ := w.do(token, "PUT", at+"?digest="+helloDigest, nil, "")
			require.Equal(t, 404, gone.StatusCode)

			head, _ := w.do(token, "HEAD", "/v2/web/blobs/"+helloDigest, nil, "")
			require.Equal(t, int64(5), head.ContentLength)
			away, _ := w.do(token, "GET", "/v2/web/blobs/"+helloDigest, nil, "")
			require.Equal(t, 307, away.StatusCode)
			part, body := w.do(anonymous, "GET", away.Header.Get("Location"), map[string]string{"Range": "bytes=1-2"}, "")
			require.Equal(t, 206, part.StatusCode)
			require.Equal(t, "el", body)
			w.pass(time.Hour)
			old, _ := w.do(anonymous, "GET", away.Header.Get("Location"), nil, "")
			require.Equal(t, 401, old.StatusCode)
		})
	}
}

func TestRegistry_mountsOnlyWhatAManifestNames(t *testing.T) {
	w := newWorld(t)
	w.create("base")
	w.create("web")
	w.create("other", func(in *sdk.CreateRepositoryInput) {
		in.EncryptionConfiguration = &types.EncryptionConfiguration{EncryptionType: types.EncryptionTypeKms}
	})
	img := randomImage(t, 1)
	w.push("base:v1", img)
	layers, err := img.Layers()
	require.NoError(t, err)
	layer := digestOf(t, layers[0])
	token := w.login()
	w.do(token, "POST", "/v2/base/blobs/uploads/?digest="+helloDigest, nil, "hello") // no manifest names it
	mount := func(into, digest string) int {
		resp, _ := w.do(token, "POST", "/v2/"+into+"/blobs/uploads/?mount="+digest+"&from=base", nil, "")
		return resp.StatusCode
	}

	require.Equal(t, 202, mount("web", layer), "mounting is off by default")
	_, err = w.client.PutAccountSetting(w.ctx, &sdk.PutAccountSettingInput{Name: aws.String("BLOB_MOUNTING"), Value: aws.String("ENABLED")})
	require.NoError(t, err)
	require.Equal(t, 202, mount("web", helloDigest), "no manifest names it")
	require.Equal(t, 202, mount("other", layer), "encrypted otherwise")
	require.Equal(t, 201, mount("web", layer))
	head, _ := w.do(token, "HEAD", "/v2/web/blobs/"+layer, nil, "")
	require.Equal(t, 200, head.StatusCode)
}

func TestRegistry_hidesOtherRepositoriesBlobs(t *testing.T) {
	w := newWorld(t)
	w.create("one")
	w.create("two")
	token := w.login()
	w.do(token, "POST", "/v2/one/blobs/uploads/?digest="+helloDigest, nil, "hello")
	resp, _ := w.do(token, "HEAD", "/v2/two/blobs/"+helloDigest, nil, "")
	require.Equal(t, 404, resp.StatusCode)
}

func TestRegistry_pagesTagsWithAnOpaqueCursor(t *testing.T) {
	w := newWorld(t)
	w.create("web")
	img := randomImage(t, 1)
	w.push("web:t0", img)
	options := w.options()
	want := []string{"t0"}
	for n := 1; n < 25; n++ {
		tag := fmt.Sprint("t", n)
		want = append(want, tag)
		_, err := w.client.PutImage(w.ctx, w.retag("web", "t0", tag))
		require.NoError(t, err)
	}
	tags, err := remote.List(w.ref("web").Context(), append(options, remote.WithPageSize(10))...)
	require.NoError(t, err)
	require.ElementsMatch(t, want, tags)

	resp, _ := w.do(w.login(), "GET", "/v2/web/tags/list?n=10", nil, "")
	require.Contains(t, resp.Header.Get("Content-Type"), "text/plain")
	require.Contains(t, resp.Header.Get("Link"), `>; rel="next"`)
}

// retag prepares the request that puts a tag on an image that has one.
func (w *world) retag(repository, from, to string) *sdk.PutImageInput {
	w.Helper()
	got, err := w.client.BatchGetImage(w.ctx, &sdk.BatchGetImageInput{
		RepositoryName: &repository, ImageIds: []types.ImageIdentifier{{ImageTag: &from}},
		AcceptedMediaTypes: []string{
			string(mediatypes.DockerManifestSchema2), string(mediatypes.DockerManifestList),
			string(mediatypes.OCIManifestSchema1), string(mediatypes.OCIImageIndex),
		},
	})
	require.NoError(w, err)
	require.Len(w, got.Images, 1)
	return &sdk.PutImageInput{
		RepositoryName: &repository, ImageTag: &to,
		ImageManifest: got.Images[0].ImageManifest, ImageManifestMediaType: got.Images[0].ImageManifestMediaType,
	}
}

func TestRegistry_listsReferrers(t *testing.T) {
	w := newWorld(t)
	w.create("web")
	img := randomImage(t, 1)
	subject := w.push("web:v1", img)
	d, err := remote.Get(w.ref("web:v1"), w.options()...)
	require.NoError(t, err)
	signature := mutate.Subject(mutate.MediaType(mutate.ConfigMediaType(randomImage(t, 1), "application/x.signature"),
		mediatypes.OCIManifestSchema1), d.Descriptor).(v1.Image)
	signed := digestOf(t, signature)
	require.NoError(t, remote.Write(w.ref("web@"+signed), signature, w.options()...))

	index, err := remote.Referrers(w.ref("web@"+subject).Context().Digest(subject), w.options()...)
	require.NoError(t, err)
	m, err := index.IndexManifest()
	require.NoError(t, err)
	require.Len(t, m.Manifests, 1)
	require.Equal(t, signed, m.Manifests[0].Digest.String())
	require.Equal(t, "application/x.signature", m.Manifests[0].ArtifactType)
	require.Equal(t, subject, *w.details("web")[signed].SubjectManifestDigest)

	resp, body := w.do(w.login(), "GET", "/v2/web/referrers/"+subject+"?artifactType=x", nil, "")
	require.Equal(t, "artifactType", resp.Header.Get("OCI-Filters-Applied"))
	require.Contains(t, body, `"manifests":[]`)
}

func TestRegistry_convertsOnlyByTag(t *testing.T) {
	w := newWorld(t)
	w.create("web")
	docker := w.push("web:docker", randomImage(t, 1))
	index, members := w.pushIndex("web:list", "linux/arm64", "linux/amd64")
	token := w.login()
	get := func(reference string, accept mediatypes.MediaType) (int, string, string) {
		resp, _ := w.do(token, "GET", "/v2/web/manifests/"+reference, map[string]string{"Accept": string(accept)}, "")
		return resp.StatusCode, resp.Header.Get("Content-Type"), resp.Header.Get("Docker-Content-Digest")
	}

	status, kind, digest := get("docker", mediatypes.OCIManifestSchema1)
	require.Equal(t, []any{200, string(mediatypes.OCIManifestSchema1)}, []any{status, kind})
	require.NotEqual(t, docker, digest)
	_, kind, digest = get(docker, mediatypes.OCIManifestSchema1)
	require.Equal(t, []any{string(mediatypes.DockerManifestSchema2), docker}, []any{kind, digest})
	_, _, digest = get("list", mediatypes.DockerManifestSchema2)
	require.Equal(t, members["linux/amd64"], digest)
	_, _, digest = get("list", mediatypes.OCIImageIndex)
	require.Equal(t, digestOf(t, index), digest)
	status, _, _ = get("docker", mediatypes.OCIImageIndex)
	require.Equal(t, 404, status)
}

func TestRegistry_namesTheErrorToClients(t *testing.T) {
	w := newWorld(t)
	err := remote.Write(w.ref("nope:v1"), randomImage(t, 1), w.options()...)
	var e *transport.Error
	require.True(t, errors.As(err, &e))
	require.Equal(t, transport.NameUnknownErrorCode, e.Errors[0].Code)
}
