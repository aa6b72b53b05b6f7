package records

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/apron-deploy/apron/reconcile/release"
)

const (
	// mediaType is that of a record, and the type of its artifact.
	mediaType = "application/vnd.apron.release.v1+json"
	// inputsType is what an image was made of, compressed. It is not in the manifest itself.
	inputsType = "application/vnd.apron.inputs.v1+gzip"
	// emptyType and empty are the configuration of an artifact that has none.
	// https://github.com/opencontainers/image-spec/blob/main/manifest.md#guidance-for-an-empty-descriptor
	emptyType    = "application/vnd.oci.empty.v1+json"
	empty        = "{}"
	manifestType = "application/vnd.oci.image.manifest.v1+json"
)

// manifest is an OCI image manifest, as far as records have it.
type manifest struct {
	SchemaVersion int               `json:"schemaVersion"`
	MediaType     string            `json:"mediaType"`
	ArtifactType  string            `json:"artifactType"`
	Config        descriptor        `json:"config"`
	Layers        []descriptor      `json:"layers"`
	Annotations   map[string]string `json:"annotations,omitempty"`
}

type descriptor struct {
	MediaType string `json:"mediaType"`
	Digest    string `json:"digest"`
	Size      int64  `json:"size"`
	Data      []byte `json:"data,omitempty"` // the content itself
}

func describe(mediaType string, content []byte) descriptor {
	return descriptor{MediaType: mediaType, Digest: digest(content), Size: int64(len(content)), Data: content}
}

func digest(content []byte) string {
	sum := sha256.Sum256(content)
	return "sha256:" + hex.EncodeToString(sum[:])
}

// pack makes the artifact of a record, with the inputs of its image, of that size, if it
// names them.
func pack(r release.Record, inputs int64) (text, record []byte, err error) {
	if record, err = r.Encode(); err != nil {
		return nil, nil, err
	}
	layers := []descriptor{describe(mediaType, record)}
	if r.Image.Inputs != "" {
		layers = append(layers, descriptor{MediaType: inputsType, Digest: r.Image.Inputs, Size: inputs})
	}
	text, err = json.Marshal(manifest{SchemaVersion: 2, MediaType: manifestType, ArtifactType: mediaType,
		Config: describe(emptyType, []byte(empty)), Layers: layers,
		Annotations: map[string]string{"org.opencontainers.image.created": r.StartedAt.UTC().Format("2006-01-02T15:04:05Z07:00")}})
	return text, record, err
}

// unpack reads the record of an artifact, which must be what it says it is.
func unpack(text string) (release.Record, error) {
	var m manifest
	if err := json.Unmarshal([]byte(text), &m); err != nil {
		return release.Record{}, fmt.Errorf("manifest: %w", err)
	}
	if m.ArtifactType != mediaType || len(m.Layers) == 0 {
		return release.Record{}, errors.New("it is no release record")
	}
	if l := m.Layers[0]; digest(l.Data) != l.Digest {
		return release.Record{}, errors.New("its data is not what its digest says")
	}
	return release.Decode(m.Layers[0].Data)
}
