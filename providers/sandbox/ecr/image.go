package ecr

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/partial"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

// Answers of [Service.Image] that its callers tell apart.
var (
	ErrRepositoryNotFound = errors.New("repository not found")
	ErrImageNotFound      = errors.New("image not found")
	ErrNoPlatform         = errors.New("no image for linux/amd64")
)

// Image pulls an image as App Runner does: by an identifier of this registry such as
// "123456789012.dkr.ecr.us-east-1.amazonaws.com/web:v1" or "…/web@sha256:…", without a
// tag "latest". Of an index it takes the image for linux/amd64. digest is that of the
// manifest which the identifier names, so an index's own. The image reads from disk
// for as long as the service lives, even once it is deleted here: its callers may keep
// it. Errors wrap one of the sentinels above, or are failures to read.
func (s *Service) Image(identifier string) (img v1.Image, digest string, err error) {
	name, id, err := s.parseIdentifier(identifier)
	if err != nil {
		return nil, "", err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	r, err := s.find("", name)
	if err != nil {
		return nil, "", fmt.Errorf("image %q: %w: %s", identifier, ErrRepositoryNotFound, message(err))
	}
	i, f := r.lookup(id)
	if f != nil || !i.ArchivedAt.IsZero() {
		return nil, "", fmt.Errorf("image %q: %w", identifier, ErrImageNotFound)
	}
	own := i
	if isIndex(i.MediaType) {
		if own, err = s.pick(r, i); err != nil {
			return nil, "", fmt.Errorf("image %q: %w", identifier, err)
		}
	}
	if !own.runnable() {
		return nil, "", fmt.Errorf("image %q: %w: its content is of type %q", identifier, ErrNoPlatform, own.ArtifactType)
	}
	if s.pulled(i) {
		if err := s.disk.save(r); err != nil {
			return nil, "", fmt.Errorf("image %q: %w", identifier, err)
		}
	}
	raw, err := s.blobs.Read(own.Digest)
	if err != nil {
		return nil, "", fmt.Errorf("image %q: %w", identifier, err)
	}
	img, err = partial.CompressedToImage(&stored{s, raw, types.MediaType(own.MediaType)})
	if err != nil {
		return nil, "", fmt.Errorf("image %q: %w", identifier, err)
	}
	return img, i.Digest, nil
}

// pick finds an index's image for App Runner's one platform.
func (s *Service) pick(r *repository, index *image) (*image, error) {
	content, err := s.blobs.Read(index.Digest)
	if err != nil {
		return nil, err
	}
	m, err := parseManifest(content, index.MediaType)
	if err != nil {
		return nil, err
	}
	if i := r.Images[m.member("linux", "amd64")]; i != nil {
		return i, nil
	}
	return nil, ErrNoPlatform
}

func (s *Service) parseIdentifier(identifier string) (name string, id imageID, err error) {
	rest, ok := strings.CutPrefix(identifier, s.uri(""))
	if !ok {
		return "", id, fmt.Errorf("image %q: %w: not in the registry %s", identifier, ErrRepositoryNotFound, host(s.account, s.region))
	}
	rest, id.Digest, _ = strings.Cut(rest, "@")
	name, id.Tag, _ = strings.Cut(rest, ":")
	if id == (imageID{}) {
		id.Tag = "latest"
	}
	return name, id, nil
}

// stored is an image whose blobs are in the service's store.
type stored struct {
	service   *Service
	manifest  []byte
	mediaType types.MediaType
}

var _ partial.CompressedImageCore = (*stored)(nil)

func (i *stored) RawManifest() ([]byte, error) { return i.manifest, nil }

func (i *stored) MediaType() (types.MediaType, error) { return i.mediaType, nil }

func (i *stored) RawConfigFile() ([]byte, error) {
	var m manifest
	if err := json.Unmarshal(i.manifest, &m); err != nil {
		return nil, err
	}
	return i.service.blobs.Read(m.Config.Digest)
}

func (i *stored) LayerByDigest(h v1.Hash) (partial.CompressedLayer, error) {
	d, err := partial.BlobDescriptor(manifestOf{i}, h)
	if err != nil {
		return nil, err
	}
	return &storedLayer{i.service, *d}, nil
}

// manifestOf gives a stored image the parsed manifest that partial asks for.
type manifestOf struct{ *stored }

func (m manifestOf) Manifest() (*v1.Manifest, error) { return partial.Manifest(m.stored) }

type storedLayer struct {
	service    *Service
	descriptor v1.Descriptor
}

var _ partial.CompressedLayer = (*storedLayer)(nil)

func (l *storedLayer) Digest() (v1.Hash, error)            { return l.descriptor.Digest, nil }
func (l *storedLayer) Size() (int64, error)                { return l.descriptor.Size, nil }
func (l *storedLayer) MediaType() (types.MediaType, error) { return l.descriptor.MediaType, nil }
func (l *storedLayer) Compressed() (io.ReadCloser, error) {
	f, _, err := l.service.blobs.Open(l.descriptor.Digest.String())
	if err != nil {
		return nil, err
	}
	return f, nil
}
