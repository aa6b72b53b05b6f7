package main

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	ecrsdk "github.com/aws/aws-sdk-go-v2/service/ecr"
	"github.com/aws/aws-sdk-go-v2/service/ecr/types"
	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/random"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/stretchr/testify/require"

	"github.com/apron-deploy/apron/providers/awsapi"
	"github.com/apron-deploy/apron/providers/ecr"
	"github.com/apron-deploy/apron/reconcile/release"
)

// library is a repository that others push to.
type library struct {
	t         *testing.T
	client    *ecrsdk.Client
	host      string
	auth      authn.Authenticator
	name      string
	inAWSName string
}

func newLibrary(t *testing.T, w *world, repository string) *library {
	t.Helper()
	info := w.Info()
	cfg := aws.Config{Region: info.Region, BaseEndpoint: aws.String(info.Endpoint()),
		Credentials: credentials.NewStaticCredentialsProvider(info.AccessKey, info.SecretKey, "")}
	endpoint, user, password, err := ecr.New(cfg, awsapi.Identity{}).Registry(t.Context())
	require.NoError(t, err)
	_, host, _ := strings.Cut(endpoint, "://")
	return &library{t, ecrsdk.NewFromConfig(cfg), host, &authn.Basic{Username: user, Password: password}, repository,
		sandboxAccount + ".dkr.ecr." + sandboxRegion + ".amazonaws.com/" + repository}
}

// ref is what a tag is pushed to.
func (l *library) ref(tag string) name.Reference {
	ref, err := name.NewTag(l.host+"/"+l.name+":"+tag, name.Insecure)
	require.NoError(l.t, err)
	return ref
}

// push pushes an image for a platform, changed as asked, and returns it.
func (l *library) push(tag, architecture string, change func(*v1.Config)) v1.Image {
	l.t.Helper()
	img, err := random.Image(64, 1)
	require.NoError(l.t, err)
	c, err := img.ConfigFile()
	require.NoError(l.t, err)
	c = c.DeepCopy()
	c.OS, c.Architecture, c.Config.Cmd, c.Config.User = "linux", architecture, []string{"/app"}, "app"
	if change != nil {
		change(&c.Config)
	}
	img, err = mutate.ConfigFile(img, c)
	require.NoError(l.t, err)
	require.NoError(l.t, remote.Write(l.ref(tag), img, remote.WithAuth(l.auth)))
	return img
}

func (l *library) index(tag string, img v1.Image, architecture string) {
	l.t.Helper()
	both := mutate.AppendManifests(empty.Index, mutate.IndexAddendum{Add: img, Descriptor: v1.Descriptor{Platform: &v1.Platform{OS: "linux", Architecture: architecture}}})
	require.NoError(l.t, remote.WriteIndex(l.ref(tag), both, remote.WithAuth(l.auth)))
}

// TestInPlace_isCheckedBeforeAnythingIsWritten has images of ECR that a service is to run
// where they are. What cannot run there is refused by the plan as one that is copied is.
func TestInPlace_isCheckedBeforeAnythingIsWritten(t *testing.T) {
	t.Parallel()
	c := newCheckout(t, small, built.tiny)
	w := newWorld(t, c, filepath.Join(t.TempDir(), "state"), 0)
	l := newLibrary(t, w, "base")
	_, err := l.client.CreateRepository(t.Context(), &ecrsdk.CreateRepositoryInput{RepositoryName: &l.name})
	require.NoError(t, err)
	arm := l.push("arm", "arm64", nil)
	l.index("none", arm, "arm64")
	l.index("some", l.push("good", "amd64", nil), "amd64")
	l.push("empty", "amd64", func(c *v1.Config) { c.Cmd = nil })
	l.push("odd", "amd64", func(c *v1.Config) {
		c.User, c.ExposedPorts, c.Env = "", map[string]struct{}{"3000/tcp": {}}, []string{"API_TOKEN=" + canary}
	})
	digest, err := arm.Digest()
	require.NoError(t, err)

	before := w.inventory()
	for name, tc := range map[string]struct {
		ref  string
		code int
		want []string // in what plan says, and apply where it refuses
		rest []string // in what verify says
	}{
		"another architecture":  {":arm", exitUsage, []string{`deploy.yaml:4: image.from: the image is for linux/arm64, and App Runner runs linux/amd64`}, nil},
		"by its digest":         {"@" + digest.String(), exitUsage, []string{`deploy.yaml:4: image.from: the image is for linux/arm64, and App Runner runs linux/amd64`}, nil},
		"an index":              {":none", exitUsage, []string{`deploy.yaml:4: image.from: ".*/base:none" has no image for linux/amd64: it has linux/arm64`}, nil},
		"nothing to run":        {":empty", exitUsage, []string{`deploy.yaml:4: image.from: the image has neither ENTRYPOINT nor CMD`}, nil},
		"no such image":         {":absent", exitUsage, []string{`there is no image base:absent in ECR`}, nil},
		"one that runs":         {":good", exitOK, nil, []string{`ok +image.from +.*/base:good is for linux/amd64`}},
		"an index that has one": {":some", exitOK, nil, []string{`ok +image.from +.*/base:some is for linux/amd64`}},
		"what is noteworthy": {":odd", exitOK, []string{
			`warning: .*deploy.yaml:4:\d+: image.from: API_TOKEN in the image's environment seems to hold a secret`,
			`warning: .*deploy.yaml: port: the image exposes 3000, and port is left out, which is 8080 to App Runner`,
			`note: .*deploy.yaml:4:\d+: image.from: the image names no user, so that the application runs as root`,
		}, []string{
			`not checked +image.from +API_TOKEN in the image's environment seems to hold a secret`,
			`not checked +port +the image exposes 3000, and port is left out, which is 8080 to App Runner, though EXPOSE binds nobody`,
			`ok +image.from +the image names no user, so that the application runs as root`,
		}},
	} {
		c.write("deploy.yaml", "version: 1\nservice: shop\nregion: us-east-1\nimage: {from: \""+l.inAWSName+tc.ref+"\", copy: false}\n")
		code, out := w.run(t.Context(), "plan")
		require.Equal(t, tc.code, code, "%s: %s", name, out)
		require.NotContains(t, out, canary)
		for _, want := range tc.want {
			require.Regexp(t, want, out, name)
		}
		calls := map[string]int{}
		for _, call := range w.calls {
			calls[call]++
		}
		if tc.ref != ":absent" {
			require.Equal(t, 1, calls["ecr GetAuthorizationToken"], "%s: the registry is asked with one token", name)
		}
		require.LessOrEqual(t, calls["ecr BatchGetImage"], 1, "%s: of the tag", name)

		if code != exitOK {
			code, out = w.run(t.Context(), "apply", "--yes")
			require.Equal(t, exitUsage, code, "%s: %s", name, out)
			require.Equal(t, before, w.inventory(), "%s: nothing was written", name)
		}
		code, out = w.run(t.Context(), "verify")
		require.Equal(t, tc.code, code, "%s: %s", name, out)
		for _, want := range tc.rest {
			require.Regexp(t, want, out, name)
		}
	}
	code, _ := w.run(t.Context(), "plan", "--no-verify")
	require.Equal(t, exitOK, code)
	require.NotContains(t, w.calls, "ecr GetAuthorizationToken")
}

// TestImages_sayWhichRecordsCannotBeRead has something else under the tag of a record.
func TestImages_sayWhichRecordsCannotBeRead(t *testing.T) {
	t.Parallel()
	c := newCheckout(t, small, built.tiny)
	w := newWorld(t, c, filepath.Join(t.TempDir(), "state"), 0)
	code, out := w.run(t.Context(), "apply", "--yes")
	require.Equal(t, exitOK, code, out)
	l := newLibrary(t, w, "shop")
	tag := release.Tag("shop", 1)
	_, err := l.client.BatchDeleteImage(t.Context(), &ecrsdk.BatchDeleteImageInput{RepositoryName: &l.name, ImageIds: []types.ImageIdentifier{{ImageTag: &tag}}})
	require.NoError(t, err)
	l.push(tag, "amd64", nil)
	for _, args := range [][]string{{"images"}, {"images", "prune", "--yes"}} {
		code, out = w.run(t.Context(), args...)
		require.Equal(t, exitOK, code, out)
		require.Contains(t, out, "warning: ecr/repository/shop: the release record release-shop-000001 cannot be read: ")
	}
}
