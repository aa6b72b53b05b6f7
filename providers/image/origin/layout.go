package origin

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"sync"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/partial"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

// refName is the annotation that names an image of a layout.
// https://github.com/opencontainers/image-spec/blob/main/annotations.md
const refName = "org.opencontainers.image.ref.name"

// layout opens an OCI layout. One whose entries are all of different platforms, without
// a choice among them, is an index itself.
// https://github.com/opencontainers/image-spec/blob/main/image-layout.md
func layout(files contents, p place) (root, error) {
	raw, err := read(files, "index.json")
	if err != nil {
		return root{}, err
	}
	var m v1.IndexManifest
	if err := json.Unmarshal(raw, &m); err != nil {
		return root{}, fmt.Errorf("index.json: %w", err)
	}
	r := root{name: p.path}
	platforms := map[string]bool{}
	var names [][]string
	for _, d := range m.Manifests {
		names = append(names, []string{d.Annotations[refName], d.Annotations["io.containerd.image.name"]})
		if d.Platform != nil {
			platforms[d.Platform.String()] = true
		}
	}
	if p.choice == "" && len(names) > 1 && len(platforms) == len(names) {
		r.index = &index{files: files, raw: raw, media: types.OCIImageIndex}
		return r, nil
	}
	at, err := p.pick(trim(names))
	if err != nil {
		return root{}, err
	}
	d := m.Manifests[at]
	raw, err = blob(files, d.Digest)
	switch {
	case err != nil:
		return root{}, err
	case d.MediaType.IsIndex():
		r.index = &index{files: files, raw: raw, media: d.MediaType}
	case d.MediaType.IsImage():
		r.image, err = newImage(files, raw, d.MediaType)
	default:
		err = p.wrong("is not a container image but something of type "+string(d.MediaType), "name an image")
	}
	return r, err
}

// trim drops names that are empty.
func trim(names [][]string) [][]string {
	for i, own := range names {
		var some []string
		for _, n := range own {
			if n != "" {
				some = append(some, n)
			}
		}
		names[i] = some
	}
	return names
}

func blobName(h v1.Hash) string { return path.Join("blobs", h.Algorithm, h.Hex) }

// blob reads a small blob and holds it to its digest.
func blob(files contents, h v1.Hash) ([]byte, error) {
	raw, err := read(files, blobName(h))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%s is missing", blobName(h))
	}
	if err != nil {
		return nil, err
	}
	if got, _, err := v1.SHA256(bytes.NewReader(raw)); err != nil || got != h {
		return nil, fmt.Errorf("%s is not what its name says", blobName(h))
	}
	return raw, nil
}

// index is an index in a layout.
type index struct {
	files contents
	raw   []byte
	media types.MediaType
}

var _ v1.ImageIndex = (*index)(nil)

func (x *index) MediaType() (types.MediaType, error) { return x.media, nil }
func (x *index) Digest() (v1.Hash, error)            { return partial.Digest(x) }
func (x *index) Size() (int64, error)                { return int64(len(x.raw)), nil }
func (x *index) RawManifest() ([]byte, error)        { return x.raw, nil }
func (x *index) IndexManifest() (*v1.IndexManifest, error) {
	return v1.ParseIndexManifest(bytes.NewReader(x.raw))
}

func (x *index) Image(h v1.Hash) (v1.Image, error) {
	raw, media, err := x.member(h)
	if err != nil {
		return nil, err
	}
	return newImage(x.files, raw, media)
}

func (x *index) ImageIndex(h v1.Hash) (v1.ImageIndex, error) {
	raw, media, err := x.member(h)
	if err != nil {
		return nil, err
	}
	return &index{files: x.files, raw: raw, media: media}, nil
}

func (x *index) member(h v1.Hash) ([]byte, types.MediaType, error) {
	m, err := x.IndexManifest()
	if err != nil {
		return nil, "", err
	}
	for _, d := range m.Manifests {
		if d.Digest == h {
			raw, err := blob(x.files, h)
			return raw, d.MediaType, err
		}
	}
	return nil, "", fmt.Errorf("%s is not in the index", h)
}

// image is an image in a layout. Manifest, configuration and layers are parsed once: package
// partial parses at each call, which is most of what an unchanged push of many layers does.
type image struct {
	v1.Image // what partial makes of core
	core     *imageCore
	config   func() (*v1.ConfigFile, error)
}

// imageCore is what partial makes an image of.
type imageCore struct {
	files    contents
	raw      []byte
	media    types.MediaType
	manifest *v1.Manifest
	config   func() ([]byte, error)
}

var _ partial.CompressedImageCore = (*imageCore)(nil)

func newImage(files contents, raw []byte, media types.MediaType) (v1.Image, error) {
	m, err := v1.ParseManifest(bytes.NewReader(raw))
	if err != nil {
		return nil, err
	}
	core := &imageCore{files, raw, media, m, sync.OnceValues(func() ([]byte, error) { return blob(files, m.Config.Digest) })}
	full, err := partial.CompressedToImage(core)
	if err != nil {
		return nil, err
	}
	return &image{full, core, sync.OnceValues(full.ConfigFile)}, nil
}

func (i *image) Manifest() (*v1.Manifest, error) { return i.core.manifest.DeepCopy(), nil }

func (i *image) ConfigFile() (*v1.ConfigFile, error) {
	c, err := i.config()
	return c.DeepCopy(), err
}

func (i *image) Layers() ([]v1.Layer, error) {
	var all []v1.Layer
	for _, d := range i.core.manifest.Layers {
		l, err := partial.CompressedToLayer(&layer{i.core.files, d})
		if err != nil {
			return nil, err
		}
		all = append(all, l)
	}
	return all, nil
}

func (i *imageCore) MediaType() (types.MediaType, error) { return i.media, nil }
func (i *imageCore) RawManifest() ([]byte, error)        { return i.raw, nil }
func (i *imageCore) RawConfigFile() ([]byte, error)      { return i.config() }

func (i *imageCore) LayerByDigest(h v1.Hash) (partial.CompressedLayer, error) {
	for _, d := range i.manifest.Layers {
		if d.Digest == h {
			return &layer{i.files, d}, nil
		}
	}
	return nil, fmt.Errorf("the image has no layer %s", h)
}

// layer is a layer in a layout. The registry compares what it gets with the digest.
type layer struct {
	files contents
	desc  v1.Descriptor
}

func (l *layer) Digest() (v1.Hash, error)            { return l.desc.Digest, nil }
func (l *layer) Size() (int64, error)                { return l.desc.Size, nil }
func (l *layer) MediaType() (types.MediaType, error) { return l.desc.MediaType, nil }
func (l *layer) Descriptor() (*v1.Descriptor, error) { return &l.desc, nil }
func (l *layer) Compressed() (io.ReadCloser, error) {
	r, size, err := l.files.open(blobName(l.desc.Digest))
	if err != nil {
		return nil, err
	}
	if size != l.desc.Size {
		r.Close()
		return nil, fmt.Errorf("%s has %d bytes, not %d", blobName(l.desc.Digest), size, l.desc.Size)
	}
	return r, nil
}
