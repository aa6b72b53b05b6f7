package ecr

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"slices"
)

// presented is a manifest as a client gets to see it.
type presented struct {
	content           []byte
	mediaType, digest string
}

// present returns an image's manifest in a form that the client accepts, or nil if
// there is none. By digest it is always what was pushed. By tag, an index may stand
// for its linux/amd64 member, and docker's and OCI's image formats for each other:
// then the digest is another one than that of the push.
// https://docs.aws.amazon.com/AmazonECR/latest/userguide/image-manifest-formats.html
func (s *Service) present(r *repository, i *image, byTag bool, accepted []string) (*presented, error) {
	content, err := s.blobs.Read(i.Digest)
	if err != nil {
		return nil, err
	}
	if !byTag || len(accepted) == 0 || slices.Contains(accepted, i.MediaType) {
		return &presented{content, i.MediaType, i.Digest}, nil
	}
	m, err := parseManifest(content, i.MediaType)
	if err != nil {
		return nil, err
	}
	if isIndex(i.MediaType) {
		member := r.Images[m.member("linux", "amd64")]
		if member == nil {
			return nil, nil
		}
		return s.present(r, member, true, accepted)
	}
	for _, other := range []string{dockerImage, ociImage} {
		if slices.Contains(accepted, other) && m.convert(other) {
			return encode(m)
		}
	}
	return nil, nil
}

// member returns the digest of an index's image for a platform, or "".
func (m *manifest) member(os, architecture string) string {
	for _, d := range m.Manifests {
		if p := d.Platform; p != nil && p.OS == os && p.Architecture == architecture {
			return d.Digest
		}
	}
	return ""
}

// twins are media types that mean the same in docker's and in OCI's words.
var twins = [][2]string{
	{dockerImage, ociImage},
	{configTypes[0], configTypes[1]},
	{"application/vnd.docker.image.rootfs.diff.tar.gzip", "application/vnd.oci.image.layer.v1.tar+gzip"},
	{"application/vnd.docker.image.rootfs.diff.tar", "application/vnd.oci.image.layer.v1.tar"},
}

// convert rewrites an image's media types to those of the other format, if all of them
// have a counterpart there.
func (m *manifest) convert(to string) bool {
	from, into := 0, 1
	if to == dockerImage {
		from, into = 1, 0
	}
	names := map[string]string{}
	for _, t := range twins {
		names[t[from]] = t[into]
	}
	types := []*string{&m.MediaType, &m.Config.MediaType}
	for i := range m.Layers {
		types = append(types, &m.Layers[i].MediaType)
	}
	if slices.ContainsFunc(types, func(t *string) bool { return names[*t] == "" }) {
		return false
	}
	for _, t := range types {
		*t = names[*t]
	}
	return true
}

func encode(m *manifest) (*presented, error) {
	content, err := json.Marshal(m)
	if err != nil {
		return nil, err
	}
	sum := sha256.Sum256(content)
	return &presented{content, m.MediaType, "sha256:" + hex.EncodeToString(sum[:])}, nil
}
