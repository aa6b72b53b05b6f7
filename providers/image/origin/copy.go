package origin

import (
	"context"
	"fmt"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"github.com/apron-deploy/apron/providers/image/push"
)

// Copy streams a source into another registry and returns the digest that the tag then
// names. Of an index, the images go first, by digest; o.Progress is told of each by
// itself.
func Copy(ctx context.Context, s *Source, to push.Destination, auth push.Credentials, o push.Options) (string, push.Stats, error) {
	if s.Index == nil {
		return push.Push(ctx, s.Image, to, auth, o)
	}
	if there, err := push.Lookup(ctx, to, auth, o); err != nil {
		return "", push.Stats{}, err
	} else if there != "" && (o.FirstWins || there == s.Pin.Digest) {
		return there, push.Stats{Existed: true, Requests: 1}, nil
	}
	c := copier{to, auth, o, push.Stats{Requests: 1}}
	digest, _, err := c.index(ctx, s.Index, to.Tag, depth)
	return digest, c.stats, err
}

type copier struct {
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
	c.stats.Bytes += stats.Bytes
	c.stats.Requests += stats.Requests
	return digest, err
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
