// Package origin finds images that exist already, pins them, and copies them.
//
//	nginx:1.27                     any registry, Docker Hub if no host is named
//	ghcr.io/org/app@sha256:…
//	docker://oci:1.0               the same; for names that look like the next ones
//	./layout, oci:layout           an OCI layout, relative to the manifest
//	./app.tar, docker-archive:…    what docker save wrote, or an OCI layout in an archive
//	./app.tar:web:1.0              one image of several
//
// [Resolve] says what a reference stands for now: it reads manifests and one
// configuration, never a layer. [Open] opens exactly that, and [Copy] streams its blobs
// into another registry without keeping them; those of an archive that are not compressed
// are so on the way, and only if the registry turns out to lack them. Nothing is ever run, and nothing is read
// from outside the repository that the manifest is in, not even through a symlink.
//
// Of an index, the image for one platform is taken, or all of it if asked.
package origin

import (
	"cmp"
	"context"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/google/go-containerregistry/pkg/authn"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"github.com/apron-deploy/apron/providers/image/store"
)

// Options steer [Resolve] and [Open], and must be the same for both. The zero value is
// sensible for registries.
type Options struct {
	// Dir is the manifest's directory, which local sources are relative to.
	Dir string
	// Platform is which image of an index is wanted; empty is linux/amd64.
	Platform string
	// Whole takes all images of an index. One for Platform must be among them.
	Whole bool
	// Keychain has the credentials for registries; nil is what docker login stored.
	Keychain authn.Keychain
	// Transport is for tests and proxies; nil is one of the package's own.
	Transport http.RoundTripper
	// Known remembers what layers of an archive became when they were compressed; nil
	// remembers nothing. Only Open asks it.
	Known *store.Known
	// Temp is where Open unpacks an archive that is compressed as a whole; empty is the
	// system's directory.
	Temp string
	// Backoff is the wait before the first repetition of a request, tripled for the
	// second and last; 0 means 1 second.
	Backoff time.Duration
}

// Pin is what a reference stood for when it was resolved.
type Pin struct {
	From string // as the manifest has it
	// Reference is From with its digest: "docker.io/library/nginx@sha256:…".
	Reference string
	// Digest is that of the manifest to be copied. A docker archive has no manifest before
	// it is copied: there it is the image's ID, which is the digest of the configuration.
	Digest string
	// Manifest is the digest that the copy will have: Digest, or empty of a docker archive.
	Manifest  string
	MediaType types.MediaType
	Whole     bool // Digest is an index, of which all is copied
	// What follows is about the image for the platform.
	Image      string // digest; Digest itself unless Whole
	Platform   string // "linux/amd64", by its configuration
	Compressed int64  // bytes in a registry, or 0 if not known
	Unpacked   int64  // bytes on a disk, or 0 if not known
	Config     *v1.ConfigFile
}

// Tag names the copy: "src-" and twelve digits of the digest.
func (p *Pin) Tag() string {
	_, hex, _ := strings.Cut(p.Digest, ":")
	return "src-" + hex[:min(12, len(hex))]
}

// Source is an opened image. Either Image or Index is set.
type Source struct {
	Pin   *Pin
	Image v1.Image
	Index v1.ImageIndex
	// late makes Image, where that may take the time of reading layers.
	late  func(context.Context, Options) (v1.Image, error)
	close func() error
	local bool // on this machine
}

// Close lets go of files. The images cannot be read after it.
func (s *Source) Close() error { return s.close() }

// Archived is Image for use on this machine, where nothing need be compressed. It ends with
// the source.
func (s *Source) Archived() (v1.Image, error) {
	if img, ok := s.Image.(*store.Image); ok {
		return img.Archived()
	}
	return s.Image, nil
}

// Resolve pins what from stands for. Its errors are of type [*Error], but for the
// context's own cause.
func Resolve(ctx context.Context, from string, o Options) (*Pin, error) {
	s, err := open(ctx, from, "", o)
	if err != nil {
		return nil, err
	}
	defer s.Close()
	return s.Pin, nil
}

// Open opens what was pinned, wherever the reference points by now; a local source must
// not have changed since. Layers are read as long as ctx lives.
func Open(ctx context.Context, p *Pin, o Options) (*Source, error) {
	return open(ctx, p.From, p.Digest, o)
}

// open opens the source, at a digest unless that is empty.
func open(ctx context.Context, from, digest string, o Options) (*Source, error) {
	want, err := v1.ParsePlatform(cmp.Or(o.Platform, "linux/amd64"))
	if err != nil {
		return nil, fmt.Errorf("platform %q: %w", o.Platform, err)
	}
	p, err := parse(from)
	if err != nil {
		return nil, err
	}
	if p.local {
		return openLocal(ctx, p, digest, *want, o)
	}
	return openRegistry(ctx, p, digest, *want, o)
}

// place is a reference, taken apart.
type place struct {
	from   string
	local  bool
	path   string // in a registry, the reference
	choice string // of several images in a local source
}

var archives = []string{".tar", ".tar.gz", ".tgz"}

// parse tells registries and local sources apart by how a reference is written, never by
// what happens to be on disk.
func parse(from string) (place, error) {
	p := place{from: from, path: from}
	if rest, ok := strings.CutPrefix(from, "docker://"); ok {
		p.path = rest
		return p, nil
	}
	for _, prefix := range []string{"oci:", "oci-archive:", "docker-archive:"} {
		if rest, ok := strings.CutPrefix(from, prefix); ok {
			p.local, p.path = true, rest
		}
	}
	if from == "." || strings.HasPrefix(from, "./") || strings.HasPrefix(from, "../") || strings.HasPrefix(from, "/") {
		p.local = true
	}
	for _, suffix := range archives {
		if strings.HasSuffix(from, suffix) && !strings.Contains(from, ":") {
			p.local = true
		}
	}
	if p.local {
		p.path, p.choice, _ = strings.Cut(p.path, ":")
	}
	switch scheme, _, ok := strings.Cut(from, "://"); {
	case ok:
		return p, p.wrong("a reference has no "+scheme+"://", "write host/repository:tag")
	case p.path == "":
		return p, p.wrong("names no image", "write host/repository:tag, or ./path of an OCI layout or an archive")
	case p.local && strings.HasPrefix(p.path, "/"):
		return p, p.wrong("the path is absolute", "write it relative to the manifest's directory")
	}
	return p, nil
}

// root is what a reference leads to: an image or an index.
type root struct {
	image v1.Image
	index v1.ImageIndex
	name  string // without a digest
}

// source describes what is taken of a root.
func (r root) source(p place, want v1.Platform, o Options) (*Source, error) {
	s := &Source{Image: r.image, Pin: &Pin{From: p.from}, close: func() error { return nil }}
	img := r.image
	if r.index != nil {
		var err error
		if img, err = choose(p, r.index, want); err != nil {
			return nil, err
		}
		if s.Image = img; o.Whole {
			s.Image, s.Index, s.Pin.Whole = nil, r.index, true
		}
	}
	if err := s.Pin.describe(p, img); err != nil {
		return nil, err
	}
	s.Pin.Digest = s.Pin.Image
	if s.Index != nil {
		digest, err := s.Index.Digest()
		if err != nil {
			return nil, err
		}
		if s.Pin.MediaType, err = s.Index.MediaType(); err != nil {
			return nil, err
		}
		s.Pin.Digest = digest.String()
	}
	s.Pin.Manifest = s.Pin.Digest
	s.Pin.Reference = r.name + "@" + s.Pin.Digest
	return s, nil
}

// describe fills in what is about the image.
func (p *Pin) describe(at place, img v1.Image) error {
	m, err := img.Manifest()
	if err != nil {
		return err
	}
	if t := m.Config.MediaType; t != "" && t != types.DockerConfigJSON && t != types.OCIConfigJSON {
		return at.wrong(fmt.Sprintf("is not a container image but something of type %s", t), "name an image")
	}
	digest, err := img.Digest()
	if err != nil {
		return err
	}
	if p.MediaType, err = img.MediaType(); err != nil {
		return err
	}
	if p.Config, err = img.ConfigFile(); err != nil {
		return err
	}
	p.Image, p.Compressed = digest.String(), m.Config.Size
	for _, l := range m.Layers {
		p.Compressed += l.Size
	}
	p.Platform = platformOf(p.Config)
	return nil
}

func platformOf(c *v1.ConfigFile) string {
	return v1.Platform{OS: c.OS, Architecture: c.Architecture, Variant: c.Variant}.String()
}
