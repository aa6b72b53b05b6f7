package store

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"strings"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"github.com/apron-deploy/apron/reconcile/pattern"
)

// Open opens an OCI layout, in a directory or an archive, or an archive of docker's. The
// archive may be compressed as a whole, and is then spooled.
func Open(name string, o Options) (*Image, error) {
	info, err := os.Stat(name)
	if err != nil {
		return nil, err
	}
	if info.IsDir() {
		root, err := os.OpenRoot(name)
		if err != nil {
			return nil, err
		}
		img, err := fromLayout(folder{root}, o)
		if err != nil {
			root.Close()
			return nil, fmt.Errorf("OCI layout %s: %w", name, err)
		}
		img.close = root.Close
		return img, nil
	}
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	kind, err := sniff(blob{info.Size(), func() (io.ReadCloser, error) {
		return io.NopCloser(io.NewSectionReader(f, 0, info.Size())), nil
	}})
	if err == nil && kind != plain {
		defer f.Close()
		return Spool(f, o)
	}
	return fromArchive(f, o, f.Close)
}

// Spool keeps what `docker save` or `podman save` writes, compressed or not, in one
// temporary file and opens that. On failure nothing stays behind.
func Spool(r io.Reader, o Options) (*Image, error) {
	f, err := os.CreateTemp(o.Temp, "image-*.tar")
	if err != nil {
		return nil, err
	}
	remove := func() error { return errors.Join(f.Close(), os.Remove(f.Name())) }
	stream, err := unpack(io.NopCloser(r), nil)
	if err == nil {
		_, err = io.CopyBuffer(f, struct{ io.Reader }{stream}, make([]byte, 256<<10))
		stream.Close()
	}
	if err == nil {
		_, err = f.Seek(0, io.SeekStart)
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("keep the image in a temporary file: %w", err), remove())
	}
	return fromArchive(f, o, remove)
}

// fromArchive takes over f, which closing closes.
func fromArchive(f *os.File, o Options, closing func() error) (*Image, error) {
	t, err := scan(f)
	if err != nil {
		return nil, errors.Join(err, closing())
	}
	var img *Image
	if _, noLayout := t.find("index.json"); noLayout == nil {
		img, err = fromLayout(t, o)
	} else {
		img, err = fromDocker(t, o)
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("archive %s: %w", f.Name(), err), closing())
	}
	img.close = closing
	return img, nil
}

// fromDocker reads an archive by its manifest.json.
// https://github.com/moby/docker-image-spec/blob/main/spec.md#combined-image-json--filesystem-changeset-format
func fromDocker(from files, o Options) (*Image, error) {
	text, err := small(from, "manifest.json")
	if errors.Is(err, fs.ErrNotExist) {
		return nil, &DamagedError{What: "it", Got: "neither index.json nor manifest.json is in it"}
	}
	if err != nil {
		return nil, err
	}
	var images []struct {
		Config string
		Layers []string
	}
	if err := json.Unmarshal(text, &images); err != nil {
		return nil, &DamagedError{What: "manifest.json", Got: err.Error()}
	}
	if len(images) != 1 {
		return nil, fmt.Errorf("there are %d images in it; save one alone", len(images))
	}
	if text, err = small(from, images[0].Config); err != nil {
		return nil, err
	}
	var layers []File
	for _, name := range images[0].Layers {
		b, err := from.find(name)
		if err != nil {
			return nil, err
		}
		layers = append(layers, File{name, b.size, b.open})
	}
	return Saved(text, layers, o)
}

// File is a file somewhere in a source.
type File struct {
	Name string
	Size int64 // bytes
	// Open may be called several times, and at once.
	Open func() (io.ReadCloser, error)
}

// Saved is the image of a configuration and of layers, the base first, as `docker save` and
// `podman save` write them; it reads no more than their beginnings, unless one is compressed
// and does not say by its name what its digest is. Closing the image closes nothing.
func Saved(text []byte, layers []File, o Options) (*Image, error) {
	img := &Image{media: types.DockerManifestSchema2}
	config, err := img.setConfig(text, types.DockerConfigJSON)
	if err != nil {
		return nil, err
	}
	if len(config.RootFS.DiffIDs) != len(layers) {
		return nil, &DamagedError{What: "manifest.json", Got: fmt.Sprintf("%d layers, and the configuration has %d", len(layers), len(config.RootFS.DiffIDs))}
	}
	for i, f := range layers {
		l, err := archived(f, config.RootFS.DiffIDs[i], o)
		if err != nil {
			return nil, err
		}
		if later, ok := l.(*Layer); ok {
			img.plain += later.Plain()
		}
		img.layers = append(img.layers, l)
	}
	return img, nil
}

var digestName = pattern.Lazy(`^(?:sha256:)?([0-9a-f]{64})(?:\.tar\.gz)?$`)

// archived is a layer of an archive. A compressed one is named by its digest, as crane
// does it; otherwise it is read for it.
func archived(f File, diff v1.Hash, o Options) (v1.Layer, error) {
	b := blob{f.Size, f.Open}
	kind, err := sniff(b)
	if err != nil {
		return nil, err
	}
	if kind == plain {
		return plainLayer(b, diff, types.DockerLayer, o), nil
	}
	media := types.DockerLayer
	if kind == zstandard {
		media = types.OCILayerZStd
	}
	digest := v1.Hash{Algorithm: "sha256"}
	if m := digestName().FindStringSubmatch(path.Base(f.Name)); m != nil {
		digest.Hex = m[1]
	} else {
		r, err := b.open()
		if err != nil {
			return nil, err
		}
		digest, _, err = v1.SHA256(r)
		r.Close()
		if err != nil {
			return nil, err
		}
	}
	return &packed{v1.Descriptor{MediaType: media, Digest: digest, Size: b.size}, diff, b}, nil
}

func plainLayer(b blob, diff v1.Hash, media types.MediaType, o Options) *Layer {
	return &Layer{diff: diff, media: media, known: o.Known, packing: o.Packing, from: func() (blob, error) { return b, nil }}
}

// fromLayout reads an OCI layout.
// https://github.com/opencontainers/image-spec/blob/main/image-layout.md
func fromLayout(from files, o Options) (*Image, error) {
	text, err := small(from, "index.json")
	if err != nil {
		return nil, err
	}
	raw, m, media, err := choose(from, text, cmp.Or(o.Platform, "linux/amd64"), 0)
	if err != nil {
		return nil, err
	}
	config, err := small(from, blobName(m.Config.Digest))
	if err != nil {
		return nil, err
	}
	img := &Image{media: media, raw: raw, desc: *m}
	c, err := img.setConfig(config, m.Config.MediaType)
	if err != nil {
		return nil, err
	}
	if img.config.Digest != m.Config.Digest {
		return nil, &DamagedError{What: "configuration " + m.Config.Digest.String(), Got: img.config.Digest.String()}
	}
	img.config = m.Config
	if len(c.RootFS.DiffIDs) != len(m.Layers) {
		return nil, &DamagedError{What: "the manifest", Got: fmt.Sprintf("%d layers, and the configuration has %d", len(m.Layers), len(c.RootFS.DiffIDs))}
	}
	for i, d := range m.Layers {
		b, err := from.find(blobName(d.Digest))
		if errors.Is(err, fs.ErrNotExist) && !d.MediaType.IsDistributable() {
			b, err = blob{open: func() (io.ReadCloser, error) { return nil, fs.ErrNotExist }}, nil
		}
		if err != nil {
			return nil, err
		}
		if isPlain(d.MediaType) {
			img.raw = nil
			img.plain += b.size
			img.layers = append(img.layers, plainLayer(b, c.RootFS.DiffIDs[i], compressedAs(media), o))
			continue
		}
		if b.size != d.Size && d.MediaType.IsDistributable() {
			return nil, &DamagedError{What: "layer " + d.Digest.String(), Got: fmt.Sprintf("%d bytes instead of %d", b.size, d.Size)}
		}
		img.layers = append(img.layers, &packed{d, c.RootFS.DiffIDs[i], b})
	}
	return img, nil
}

func blobName(h v1.Hash) string { return "blobs/" + h.Algorithm + "/" + h.Hex }

// choose finds the one manifest for a platform in an index and those within it.
func choose(from files, index []byte, platform string, depth int) ([]byte, *v1.Manifest, types.MediaType, error) {
	var list v1.IndexManifest
	if err := json.Unmarshal(index, &list); err != nil {
		return nil, nil, "", &DamagedError{What: "index.json", Got: err.Error()}
	}
	var fit []v1.Descriptor
	var others []string
	for _, d := range list.Manifests {
		if d.Platform != nil && !fits(*d.Platform, platform) {
			others = append(others, d.Platform.String())
			continue
		}
		fit = append(fit, d)
	}
	switch {
	case len(fit) == 0:
		return nil, nil, "", fmt.Errorf("it has no image for %s, but %s", platform, cmp.Or(strings.Join(others, ", "), "none at all"))
	case len(fit) > 1 && fit[0].Digest != fit[len(fit)-1].Digest:
		return nil, nil, "", fmt.Errorf("it has %d images for %s; save one alone", len(fit), platform)
	}
	d := fit[0]
	text, err := small(from, blobName(d.Digest))
	if err != nil {
		return nil, nil, "", err
	}
	if got, _, _ := v1.SHA256(strings.NewReader(string(text))); got != d.Digest {
		return nil, nil, "", &DamagedError{What: "manifest " + d.Digest.String(), Got: got.String()}
	}
	if d.MediaType.IsIndex() {
		if depth > 3 {
			return nil, nil, "", &DamagedError{What: "index.json", Got: "indexes within indexes"}
		}
		return choose(from, text, platform, depth+1)
	}
	m, err := v1.ParseManifest(strings.NewReader(string(text)))
	if err != nil {
		return nil, nil, "", &DamagedError{What: "manifest " + d.Digest.String(), Got: err.Error()}
	}
	return text, m, d.MediaType, nil
}

// fits compares system and architecture; attestations have the platform unknown/unknown.
func fits(p v1.Platform, want string) bool {
	w, err := v1.ParsePlatform(want)
	return err == nil && p.OS == w.OS && p.Architecture == w.Architecture && (w.Variant == "" || w.Variant == p.Variant)
}
