package ecr

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
)

const (
	maxImages       = 100_000
	maxTagsPerImage = 1000
)

// push is one manifest on its way in, from the API or the registry.
type push struct {
	content   []byte
	mediaType string // as declared; may be empty if the content says it
	tag       string // may be empty
	digest    string // if not empty, what the content must have
	// again lets the same content come again under its tag, as the registry does.
	again bool
}

// put takes a manifest into the repository, or refuses it and changes nothing.
func (s *Service) put(r *repository, p push) (*image, error) {
	m, err := parseManifest(p.content, p.mediaType)
	if err != nil {
		return nil, err
	}
	sum := sha256.Sum256(p.content)
	digest := "sha256:" + hex.EncodeToString(sum[:])
	if p.digest != "" && p.digest != digest {
		return nil, refuse("ImageDigestDoesNotMatchException",
			"The calculated image digest '%s' does not match the provided digest '%s'", digest, p.digest)
	}
	if err := s.mayPut(r, p, m, digest); err != nil {
		return nil, err
	}
	if _, err := s.blobs.Put(p.content); err != nil {
		return nil, err
	}

	now := s.now()
	i := r.Images[digest]
	if i == nil {
		i = newImage(r, m, digest, int64(len(p.content)))
		i.PushedAt = now
		r.Images[digest] = i
		if r.ScanOnPush && i.runnable() {
			i.ScannedAt = now
		}
	}
	i.MediaType, i.ArchivedAt = m.MediaType, zero
	for _, d := range m.blobs() {
		l := r.Layers[d.Digest]
		l.MediaType = d.MediaType
		r.Layers[d.Digest] = l
	}
	for _, other := range r.Images {
		if other.Subject == digest {
			other.OrphanedAt = zero
		}
	}
	if p.tag != "" {
		r.Named[p.tag] = digest
	}
	return i, nil
}

func (s *Service) mayPut(r *repository, p push, m *manifest, digest string) error {
	held, taken := r.Named[p.tag]
	known := r.Images[digest] != nil
	same := taken && held == digest || p.tag == "" && known
	switch {
	case same && !p.again:
		return refuse("ImageAlreadyExistsException",
			"Image with digest '%s' and tag '%s' already exists in the repository with name '%s' in registry with id '%s'",
			digest, orNull(p.tag), r.Name, s.account)
	case taken && r.frozen(p.tag): // even if nothing would change
		return tagFrozen(r, p.tag)
	case !known && len(r.Images) >= maxImages:
		return refuse("LimitExceededException", "A repository has at most %d images", maxImages)
	case p.tag != "" && !same && r.countTags(digest) >= maxTagsPerImage:
		return refuse("LimitExceededException", "An image has at most %d tags", maxTagsPerImage)
	}
	var absent []string
	for _, d := range m.blobs() {
		if _, ok := r.Layers[d.Digest]; !ok {
			absent = append(absent, d.Digest)
		}
	}
	if absent != nil {
		return s.noLayers(r, absent)
	}
	for _, d := range m.Manifests {
		if r.Images[d.Digest] == nil {
			absent = append(absent, d.Digest)
		}
	}
	if absent != nil {
		return s.noMembers(r, absent)
	}
	return nil
}

// newImage notes what listings need. An image's size is that of its compressed blobs,
// an index's that of its largest member.
func newImage(r *repository, m *manifest, digest string, size int64) *image {
	i := &image{
		Digest: digest, MediaType: m.MediaType, ArtifactType: m.artifact(), Annotations: m.Annotations, ManifestSize: size,
	}
	if m.Subject != nil {
		i.Subject = m.Subject.Digest
	}
	for _, d := range m.blobs() {
		i.Blobs = append(i.Blobs, d.Digest)
		i.Size += r.Layers[d.Digest].Size
	}
	for _, d := range m.Manifests {
		i.Members = append(i.Members, d.Digest)
		i.Size = max(i.Size, r.Images[d.Digest].Size)
	}
	return i
}

type putImageIn struct {
	target
	Manifest  string `json:"imageManifest"`
	MediaType string `json:"imageManifestMediaType"`
	Tag       string `json:"imageTag"`
	Digest    string `json:"imageDigest"`
}

type imageOut struct {
	target
	ID        imageID `json:"imageId"`
	Manifest  string  `json:"imageManifest"`
	MediaType string  `json:"imageManifestMediaType"`
}

type oneImage struct {
	Image imageOut `json:"image"`
}

func (s *Service) putImage(_ context.Context, in putImageIn) (*oneImage, error) {
	if in.Tag != "" {
		if err := checkTag(in.Tag, maxAPITag); err != nil {
			return nil, err
		}
	}
	if in.Digest != "" {
		if err := checkDigest("imageDigest", in.Digest); err != nil {
			return nil, err
		}
	}
	out, err := change(s, in.target, func(r *repository) (*oneImage, error) {
		i, err := s.put(r, push{content: []byte(in.Manifest), mediaType: in.MediaType, tag: in.Tag, digest: in.Digest})
		if err != nil {
			return nil, err
		}
		return &oneImage{imageOut{target{s.account, r.Name}, imageID{i.Digest, in.Tag}, in.Manifest, i.MediaType}}, nil
	})
	if err == nil && in.Tag != "" {
		s.pushed(out.Image.RepositoryName, in.Tag)
	}
	return out, err
}
