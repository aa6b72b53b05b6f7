package ecr

import (
	"encoding/json"
	"slices"

	"github.com/apron-deploy/apron/providers/sandbox/ecr/blob"
)

const (
	dockerImage = "application/vnd.docker.distribution.manifest.v2+json"
	dockerList  = "application/vnd.docker.distribution.manifest.list.v2+json"
	ociImage    = "application/vnd.oci.image.manifest.v1+json"
	ociIndex    = "application/vnd.oci.image.index.v1+json"
)

// configTypes are the configurations of images that can run, as against artifacts.
var configTypes = []string{
	"application/vnd.docker.container.image.v1+json",
	"application/vnd.oci.image.config.v1+json",
}

// maxManifest is in bytes.
// https://docs.aws.amazon.com/AmazonECR/latest/APIReference/API_PutImage.html
const maxManifest = 4 << 20

type platform struct {
	OS           string `json:"os"`
	Architecture string `json:"architecture"`
}

type descriptor struct {
	MediaType    string            `json:"mediaType"`
	Digest       string            `json:"digest"`
	Size         int64             `json:"size"`
	URLs         []string          `json:"urls,omitempty"`
	Annotations  map[string]string `json:"annotations,omitempty"`
	Platform     *platform         `json:"platform,omitempty"`
	ArtifactType string            `json:"artifactType,omitempty"`
}

// manifest is the union of the image manifests and indexes of docker and OCI.
type manifest struct {
	SchemaVersion int               `json:"schemaVersion"`
	MediaType     string            `json:"mediaType,omitempty"`
	ArtifactType  string            `json:"artifactType,omitempty"`
	Config        *descriptor       `json:"config,omitempty"`
	Layers        []descriptor      `json:"layers,omitempty"`
	Manifests     []descriptor      `json:"manifests,omitempty"`
	Subject       *descriptor       `json:"subject,omitempty"`
	Annotations   map[string]string `json:"annotations,omitempty"`
}

func isIndex(mediaType string) bool { return mediaType == dockerList || mediaType == ociIndex }

// parseManifest reads a manifest that was declared to be of a media type, or of none.
// The result's MediaType is always set.
func parseManifest(content []byte, declared string) (*manifest, error) {
	invalid := func(why string) error { return constraint("ImageManifest", "%s", why) }
	if len(content) == 0 || len(content) > maxManifest {
		return nil, checkLength("imageManifest", string(content), 1, maxManifest)
	}
	m := &manifest{}
	if err := json.Unmarshal(content, m); err != nil {
		return nil, invalid("Invalid JSON syntax")
	}
	switch {
	case m.MediaType == "" && declared == "":
		return nil, constraint("imageManifestMediaType", "the manifest has no mediaType, so the request must name it")
	case m.MediaType == "":
		m.MediaType = declared
	case declared != "" && declared != m.MediaType:
		return nil, constraint("imageManifestMediaType", "'%s' does not match the manifest's mediaType '%s'", declared, m.MediaType)
	}
	referred := m.Manifests
	switch m.MediaType {
	case dockerImage, ociImage:
		if m.Config == nil || m.Manifests != nil {
			return nil, invalid("Invalid JSON syntax")
		}
		referred = append([]descriptor{*m.Config}, m.Layers...)
	case dockerList, ociIndex:
		if m.Manifests == nil || m.Config != nil || m.Layers != nil {
			return nil, invalid("Invalid JSON syntax")
		}
	default: // schema 1 and OCI's short-lived artifact manifest included
		return nil, invalid("Invalid JSON syntax")
	}
	if m.Subject != nil {
		referred = append(referred, *m.Subject)
	}
	for _, d := range referred {
		if !blob.Valid(d.Digest) || d.Size < 0 {
			return nil, invalid("Invalid JSON syntax")
		}
	}
	return m, nil
}

// blobs lists the content that must be in the repository: all but layers that are to
// be fetched from elsewhere.
func (m *manifest) blobs() []descriptor {
	if m.Config == nil {
		return nil
	}
	return append([]descriptor{*m.Config}, slices.DeleteFunc(slices.Clone(m.Layers), func(d descriptor) bool {
		return len(d.URLs) > 0
	})...)
}

// artifact is the type by which listings know the content.
func (m *manifest) artifact() string {
	if m.ArtifactType == "" && m.Config != nil {
		return m.Config.MediaType
	}
	return m.ArtifactType
}
