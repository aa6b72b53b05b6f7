package push

import (
	"bytes"
	"context"
	"io"
	"maps"
	"net/http"
	"sync"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/partial"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/types"
	"golang.org/x/sync/errgroup"
)

// deferred is an image some of whose layers are not compressed yet. Its Digest would
// compress them, only to learn what an upload learns on the way.
type deferred interface {
	v1.Image
	Config() v1.Descriptor
	Assemble(layers []v1.Descriptor) ([]byte, error)
}

// packable is such a layer. Compressed makes the same bytes each time.
type packable interface {
	v1.Layer
	Plain() int64                      // bytes before compression
	Recorded() (v1.Hash, int64, bool)  // what it became the last time
	Record(digest v1.Hash, size int64) // what it has become
}

// part is a blob of the image: a layer or the configuration.
type part struct {
	desc   v1.Descriptor // without digest if it must be compressed first
	diff   v1.Hash       // of a layer to compress
	from   string        // a repository of the same registry that may have it
	open   func() (io.ReadCloser, error)
	layer  packable // nil if the digest is certain
	config bool     // it is the image's configuration
}

func (p *part) known() bool { return p.desc.Digest.Hex != "" }

// name is what the blob is called before it has a digest, too.
func (p *part) name() string {
	if p.layer != nil {
		return p.diff.String()
	}
	return p.desc.Digest.String()
}

// weight is the size as far as it is known: an upper estimate otherwise.
func (p *part) weight() int64 {
	if p.known() || p.layer == nil {
		return p.desc.Size
	}
	return p.layer.Plain()
}

// parts are the blobs of an image, and how its manifest is made of them.
type parts struct {
	media    types.MediaType
	assemble func(layers []v1.Descriptor) ([]byte, error)
	layers   []*part // in the image's order, with repetitions
	all      []*part // each once, and the configuration
}

func partsOf(img v1.Image) (*parts, error) {
	media, err := img.MediaType()
	if err != nil {
		return nil, err
	}
	layers, err := img.Layers()
	if err != nil {
		return nil, err
	}
	p := &parts{media: media, assemble: func([]v1.Descriptor) ([]byte, error) { return img.RawManifest() }}
	if d, ok := img.(deferred); ok {
		p.assemble = d.Assemble
	}
	seen := map[string]*part{}
	add := func(l v1.Layer) error {
		b, err := partOf(l)
		if err != nil {
			return err
		}
		if old := seen[b.name()]; old != nil {
			b = old
		} else if seen[b.name()] = b; b.desc.MediaType.IsDistributable() {
			p.all = append(p.all, b)
		}
		p.layers = append(p.layers, b)
		return nil
	}
	for _, l := range layers {
		if err := add(l); err != nil {
			return nil, err
		}
	}
	config, err := configOf(img)
	if err != nil {
		return nil, err
	}
	if seen[config.name()] == nil {
		p.all = append(p.all, config)
	}
	return p, nil
}

func partOf(l v1.Layer) (*part, error) {
	media, err := l.MediaType()
	if err != nil {
		return nil, err
	}
	b := &part{desc: v1.Descriptor{MediaType: media}, open: l.Compressed}
	if m, ok := l.(*remote.MountableLayer); ok {
		b.from = m.Reference.Context().Name()
	}
	if later, ok := l.(packable); ok {
		b.layer = later
		if b.diff, err = l.DiffID(); err != nil {
			return nil, err
		}
		b.desc.Digest, b.desc.Size, _ = later.Recorded()
		return b, nil
	}
	desc, err := partial.Descriptor(l)
	if err != nil {
		return nil, err
	}
	b.desc = *desc
	return b, nil
}

func configOf(img v1.Image) (*part, error) {
	if d, ok := img.(deferred); ok {
		return &part{desc: d.Config(), config: true, open: func() (io.ReadCloser, error) {
			text, err := img.RawConfigFile()
			return io.NopCloser(bytes.NewReader(text)), err
		}}, nil
	}
	l, err := partial.ConfigLayer(img)
	if err != nil {
		return nil, err
	}
	config, err := partOf(l)
	if err != nil {
		return nil, err
	}
	config.config = true
	return config, nil
}

// unknown reports whether a digest is missing.
func (p *parts) unknown() bool {
	for _, b := range p.layers {
		if !b.known() {
			return true
		}
	}
	return false
}

// manifest returns the manifest and its digest, or nothing while a digest is missing.
func (p *parts) manifest() (string, []byte, error) {
	if p.unknown() {
		return "", nil, nil
	}
	var descs []v1.Descriptor
	for _, b := range p.layers {
		descs = append(descs, b.desc)
	}
	raw, err := p.assemble(descs)
	if err != nil {
		return "", nil, err
	}
	digest, _, err := v1.SHA256(bytes.NewReader(raw))
	return digest.String(), raw, err
}

func (p *parts) size() (total int64) {
	for _, b := range p.all {
		if b.known() {
			total += b.desc.Size
		}
	}
	return total
}

// learn finds digests of layers in the image that the tag names now, by what they are
// before compression. What goes wrong costs a compression, and is not an error.
func (c *client) learn(ctx context.Context, there manifest, p *parts) {
	m, err := v1.ParseManifest(bytes.NewReader(there.raw))
	if err != nil || m.Config.MediaType == "" {
		return
	}
	text, err := c.text(ctx, m.Config)
	if err != nil {
		return
	}
	config, err := v1.ParseConfigFile(bytes.NewReader(text))
	if err != nil || len(config.RootFS.DiffIDs) != len(m.Layers) {
		return
	}
	for _, b := range p.layers {
		for i, diff := range config.RootFS.DiffIDs {
			l := m.Layers[i]
			if !b.known() && diff == b.diff && (l.MediaType == types.DockerLayer || l.MediaType == types.OCILayer) {
				b.desc.Digest, b.desc.Size = l.Digest, l.Size
				b.layer.Record(l.Digest, l.Size)
			}
		}
	}
}

// look learns of layers from other tags of the repository, whose blobs it adds to has,
// until everything is known. What goes wrong is no error here, either.
func (c *client) look(ctx context.Context, tags []string, p *parts, has map[string]bool) {
	for _, tag := range tags {
		if !p.unknown() {
			return
		}
		there, err := c.named(ctx, http.MethodGet, tag)
		if err != nil {
			return
		}
		c.learn(ctx, there, p)
		maps.Copy(has, there.lists())
	}
}

// blobs brings all blobs into the registry, but for those that are known to be there, and
// returns the manifest that names them.
func (c *client) blobs(ctx context.Context, p *parts, there map[string]bool, o Options, stats *Stats) (string, []byte, error) {
	meter := newMeter(o, p.all)
	packing := make(chan struct{}, packers)
	var mu sync.Mutex
	group, gctx := errgroup.WithContext(ctx)
	group.SetLimit(jobs(o))
	for _, b := range p.all {
		group.Go(func() error {
			t := &transfer{c: c, part: b, track: meter.track(b), packing: packing, memory: o.Memory}
			state, err := t.run(gctx, there)
			if err != nil {
				return err
			}
			mu.Lock()
			defer mu.Unlock()
			stats.Blobs++
			switch state {
			case Uploaded:
				stats.Uploaded++
				stats.Bytes += b.desc.Size
			case Mounted:
				stats.Mounted++
				stats.Saved += b.desc.Size
			default:
				stats.Saved += b.desc.Size
			}
			return nil
		})
	}
	if err := group.Wait(); err != nil {
		return "", nil, err
	}
	return p.manifest()
}
