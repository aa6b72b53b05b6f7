package origin

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"net/http"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"github.com/apron-deploy/apron/providers/image/push"
	"github.com/apron-deploy/apron/providers/image/store"
)

// Copy streams a source into another registry and returns the digest that the tag then
// names. Of an index, the images go first, by digest; o.Progress is told of each by
// itself.
func Copy(ctx context.Context, s *Source, to push.Destination, auth push.Credentials, o push.Options) (string, push.Stats, error) {
	if s.Index == nil {
		digest, stats, err := push.Push(ctx, s.Image, to, auth, o)
		return digest, stats, s.blame(ctx, s.Image, err)
	}
	if there, err := push.Lookup(ctx, to, auth, o); err != nil {
		return "", push.Stats{}, err
	} else if there != "" && (o.FirstWins || there == s.Pin.Digest) {
		return there, push.Stats{Existed: true, Requests: 1}, nil
	}
	c := copier{s, to, auth, o, push.Stats{Requests: 1}}
	digest, _, err := c.index(ctx, s.Index, to.Tag, depth)
	return digest, c.stats, err
}

type copier struct {
	from  *Source
	to    push.Destination
	auth  push.Credentials
	o     push.Options
	stats push.Stats
}

// index writes an index under a tag or its digest, and returns one of its images.
func (c *copier) index(ctx context.Context, index v1.ImageIndex, tag string, depth int) (string, v1.Image, error) {
	m, err := index.IndexManifest()
	if err != nil {
		return "", nil, err
	}
	var some v1.Image
	for _, d := range m.Manifests {
		var img v1.Image
		switch {
		case d.MediaType.IsIndex() && depth == 0:
			return "", nil, fmt.Errorf("indexes are nested too deeply")
		case d.MediaType.IsIndex():
			inner, err := index.ImageIndex(d.Digest)
			if err != nil {
				return "", nil, err
			}
			if _, img, err = c.index(ctx, inner, d.Digest.String(), depth-1); err != nil {
				return "", nil, err
			}
		default:
			if img, err = index.Image(d.Digest); err != nil {
				return "", nil, err
			}
			if _, err := c.push(ctx, img, d.Digest.String()); err != nil {
				return "", nil, err
			}
		}
		if some == nil {
			some = img
		}
	}
	if some == nil {
		return "", nil, fmt.Errorf("the index is empty")
	}
	digest, err := c.push(ctx, listed{some, index}, tag)
	return digest, some, err
}

func (c *copier) push(ctx context.Context, img v1.Image, tag string) (string, error) {
	to := c.to
	to.Tag = tag
	digest, stats, err := push.Push(ctx, img, to, c.auth, c.o)
	c.stats.Blobs += stats.Blobs
	c.stats.Uploaded += stats.Uploaded
	c.stats.Mounted += stats.Mounted
	c.stats.Bytes += stats.Bytes
	c.stats.Saved += stats.Saved
	c.stats.Requests += stats.Requests
	return digest, c.from.blame(ctx, img, err)
}

// blame looks for the layer on this machine that is not what it is called, if that can be why
// a registry refused it. Registries compare in any case: to do so before would take as long as
// sending does.
func (s *Source) blame(ctx context.Context, img v1.Image, err error) error {
	refused, ok := errors.AsType[*push.Error](err)
	if !ok || !s.local || refused.Status != http.StatusBadRequest {
		return err
	}
	layers, listErr := img.Layers()
	if listErr != nil {
		return err
	}
	for _, l := range layers {
		if _, later := l.(*store.Layer); later { // those are compared when they are compressed
			continue
		}
		want, wantErr := l.Digest()
		r, openErr := l.Compressed()
		if wantErr != nil || openErr != nil {
			return err
		}
		got, readErr := sum(ctx, r)
		r.Close()
		if readErr == nil && got != want.Hex {
			return fmt.Errorf("layer %s is not what its name says: %w", want, err)
		}
	}
	return err
}

// sum reads all of a layer.
func sum(ctx context.Context, r io.Reader) (hex string, err error) {
	h, part := sha256.New(), make([]byte, 256<<10)
	for err == nil {
		if ctx.Err() != nil {
			return "", context.Cause(ctx)
		}
		var n int
		n, err = r.Read(part)
		h.Write(part[:n])
	}
	if !errors.Is(err, io.EOF) {
		return "", err
	}
	return fmt.Sprintf("%x", h.Sum(nil)), nil
}

// listed is an index as a push takes it: its manifest, and blobs of an image in it, which
// are in the registry by then.
type listed struct {
	v1.Image
	index v1.ImageIndex
}

func (l listed) RawManifest() ([]byte, error)        { return l.index.RawManifest() }
func (l listed) MediaType() (types.MediaType, error) { return l.index.MediaType() }
func (l listed) Digest() (v1.Hash, error)            { return l.index.Digest() }
