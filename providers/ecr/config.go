package ecr

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	sdk "github.com/aws/aws-sdk-go-v2/service/ecr"
	"github.com/aws/aws-sdk-go-v2/service/ecr/types"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	media "github.com/google/go-containerregistry/pkg/v1/types"

	"github.com/apron-deploy/apron/providers/awsapi"
)

// maxBlob is how large a blob may be that is read whole.
const maxBlob = 4 << 20

// NoPlatformError says that an image has no part for linux/amd64.
type NoPlatformError struct {
	Image string
	Has   []string // the platforms that it is for
}

var _ error = (*NoPlatformError)(nil)

func (e *NoPlatformError) Error() string {
	return fmt.Sprintf("%s is for %s, and has no part for linux/amd64", e.Image, strings.Join(e.Has, ", "))
}

// Inside is what an image says of itself.
type Inside struct {
	Config     *v1.ConfigFile // nil if there is no such image
	Compressed int64          // bytes of its layers and its configuration in the repository
}

// Look reads what an image in a repository says of itself, or its linux/amd64 part if it has
// several. It returns a [*NoPlatformError] when none of several is for linux/amd64: the
// platform of a single one is in the configuration.
// https://docs.aws.amazon.com/AmazonECR/latest/APIReference/API_GetDownloadUrlForLayer.html
func (p *Provider) Look(ctx context.Context, repository, tag string) (Inside, error) {
	id := types.ImageIdentifier{ImageTag: &tag}
	for range 2 { // an index, and what it leads to
		text, kind, err := p.manifest(ctx, repository, id)
		if err != nil || text == "" {
			return Inside{}, err
		}
		m, err := v1.ParseManifest(strings.NewReader(text))
		if err != nil {
			return Inside{}, fmt.Errorf("image %s:%s: manifest: %w", repository, tag, err)
		}
		if !cmp.Or(media.MediaType(kind), m.MediaType).IsIndex() {
			in := Inside{Compressed: m.Config.Size}
			for _, l := range m.Layers {
				in.Compressed += l.Size
			}
			in.Config, err = p.config(ctx, repository, m.Config)
			return in, err
		}
		part, err := amd64(repository+":"+tag, text)
		if err != nil {
			return Inside{}, err
		}
		id = types.ImageIdentifier{ImageDigest: &part}
	}
	return Inside{}, fmt.Errorf("image %s:%s: an index within an index", repository, tag)
}

func amd64(image, index string) (digest string, err error) {
	m, err := v1.ParseIndexManifest(strings.NewReader(index))
	if err != nil {
		return "", fmt.Errorf("image %s: index: %w", image, err)
	}
	none := &NoPlatformError{Image: image}
	for _, part := range m.Manifests {
		if part.Platform == nil || part.Platform.OS == "unknown" {
			continue // such as an attestation
		}
		if part.Platform.OS == "linux" && part.Platform.Architecture == "amd64" {
			return part.Digest.String(), nil
		}
		none.Has = append(none.Has, part.Platform.String())
	}
	return "", none
}

// manifest is the text of a manifest and its media type, which need not be in the text; or ""
// if there is none.
func (p *Provider) manifest(ctx context.Context, repository string, id types.ImageIdentifier) (text, kind string, err error) {
	out, err := p.api.BatchGetImage(ctx, &sdk.BatchGetImageInput{RepositoryName: &repository, ImageIds: []types.ImageIdentifier{id},
		AcceptedMediaTypes: []string{string(media.OCIManifestSchema1), string(media.DockerManifestSchema2), string(media.OCIImageIndex), string(media.DockerManifestList)}})
	if awsapi.Is(err, "RepositoryNotFoundException") {
		return "", "", nil
	}
	if err != nil {
		return "", "", fmt.Errorf("repository %q: get image: %w", repository, awsapi.Explain(err))
	}
	if len(out.Images) == 0 {
		return "", "", nil
	}
	return aws.ToString(out.Images[0].ImageManifest), aws.ToString(out.Images[0].ImageManifestMediaType), nil
}

// config downloads a configuration and makes sure that it is the one that the manifest
// names.
func (p *Provider) config(ctx context.Context, repository string, d v1.Descriptor) (*v1.ConfigFile, error) {
	text, err := p.Blob(ctx, repository, d.Digest.String())
	if err != nil {
		return nil, fmt.Errorf("repository %q: the image's configuration: %w", repository, err)
	}
	var c v1.ConfigFile
	if err := json.Unmarshal(text, &c); err != nil {
		return nil, fmt.Errorf("repository %q: the image's configuration: %w", repository, err)
	}
	return &c, nil
}

// Blob downloads a blob of up to 4 MiB, and makes sure that it is the one of that digest.
func (p *Provider) Blob(ctx context.Context, repository, digest string) ([]byte, error) {
	where, err := p.api.GetDownloadUrlForLayer(ctx, &sdk.GetDownloadUrlForLayerInput{RepositoryName: &repository, LayerDigest: &digest})
	if err != nil {
		return nil, fmt.Errorf("find blob %s: %w", digest, awsapi.Explain(err))
	}
	text, err := download(ctx, aws.ToString(where.DownloadUrl))
	if err != nil {
		return nil, fmt.Errorf("read blob %s: %w", digest, err)
	}
	if got, _, err := v1.SHA256(bytes.NewReader(text)); err != nil || got.String() != digest {
		return nil, fmt.Errorf("blob %s is not what its digest says", digest)
	}
	return text, nil
}

// download gets what AWS has signed a URL for. The URL is a credential: no error shows it.
func download(ctx context.Context, where string) ([]byte, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, where, nil)
	if err != nil {
		return nil, fmt.Errorf("AWS answered with a malformed URL")
	}
	res, err := http.DefaultClient.Do(req)
	if err := context.Cause(ctx); err != nil {
		return nil, err
	}
	if err != nil {
		var whole *url.Error // which shows the URL
		if errors.As(err, &whole) {
			err = whole.Err
		}
		return nil, fmt.Errorf("%s does not answer: %w", req.URL.Host, err)
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("%s answers %s", req.URL.Host, res.Status)
	}
	text, err := io.ReadAll(io.LimitReader(res.Body, maxBlob+1))
	if len(text) > maxBlob {
		return nil, fmt.Errorf("it has more than %d bytes", maxBlob)
	}
	return text, err
}
