// Package push writes images to a registry over the OCI distribution protocol, asking
// as few questions as it can.
//
//	the tag names this image      1 request: GET manifest
//	the tag names another one     what that manifest lists is there: not asked about
//	otherwise, each layer         HEAD blob; if it is missing POST, PUT
//	  that another repository has HEAD blob; POST, which mounts it
//	  like one of another tag     GET that tag's manifest and configuration, once for all layers
//	  not compressed yet, small   compressed; HEAD blob; POST, PUT
//	  not compressed yet, larger  POST, PATCH while it is compressed, PUT
//	at last                       PUT manifest
//
// Blobs go up several at once, over a connection each. One whose connection broke goes on
// where the registry says that it has come to, or else starts again: ECR does not tell
// in every case. Until the manifest is put, which comes last, no tag has changed.
// Credentials come from a function and are asked for again when the registry refuses
// them: ECR answers an expired token with 403 and no challenge.
//
// https://github.com/opencontainers/distribution-spec/blob/main/spec.md
// https://docs.aws.amazon.com/AmazonECR/latest/userguide/registry_auth.html
package push

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
)

// Destination is where an image goes.
type Destination struct {
	// Endpoint is the registry: a scheme and a host. Plain http is for loopback only.
	Endpoint   string
	Repository string
	Tag        string
}

// Credentials returns the user name and password for the registry. It is called once by
// each push or look-up, and again whenever the registry refuses what it returned; calls
// of one push come one at a time.
type Credentials func(ctx context.Context) (username, password string, err error)

// Memory remembers which repositories of a registry have which blobs, so that another
// one can mount them. What it says need not be true.
type Memory interface {
	Repositories(registry, digest string) []string
	Found(registry, repository, digest string)
	Save() error
}

// Options steer a push. The zero value is sensible.
type Options struct {
	// FirstWins keeps what the tag names already, whatever it is.
	FirstWins bool
	// Progress is told how many bytes of the blobs are in the registry, and how many
	// there are: the latter shrinks when a layer turns out to compress well. Calls come
	// one at a time and must not block for long.
	Progress func(done, total int64)
	// Layer is told the same about each blob, under the same terms, before Progress is.
	Layer func(Layer)
	// Like names tags of the repository whose images probably share layers with this one.
	// They are looked at if a layer is not compressed, and nothing is remembered of it.
	Like     []string
	Memory   Memory // nil remembers nothing
	Jobs     int    // blobs at once; 0 means 16
	Attempts int    // of one request or upload; 0 means 5
	// Backoff is the wait before the first repetition, doubled each time; 0 means 500 ms.
	// A registry that asks for a longer one gets it.
	Backoff time.Duration
	// Transport is for tests; nil is one of the push's own.
	Transport http.RoundTripper
}

// Stats says what a push took.
type Stats struct {
	Existed  bool  // the tag was there: nothing was sent
	Blobs    int   // layers and config, each digest once
	Uploaded int   // of them
	Mounted  int   // of them, from another repository
	Bytes    int64 // that were uploaded
	Saved    int64 // bytes of blobs that were there, or mounted
	Requests int
}

// Push writes img to the destination and returns the digest that the tag then names.
func Push(ctx context.Context, img v1.Image, to Destination, auth Credentials, o Options) (string, Stats, error) {
	c, err := dial(to, auth, o)
	if err != nil {
		return "", Stats{}, err
	}
	defer c.close()
	digest, stats, err := c.push(ctx, img, o)
	stats.Requests = int(c.requests.Load())
	if o.Memory != nil {
		_ = o.Memory.Save() // what is forgotten costs time, and nothing else
	}
	if err != nil {
		return "", stats, fmt.Errorf("push to %s: %w", to, err)
	}
	return digest, stats, nil
}

// Lookup returns the digest that the tag names, or an empty text if there is no such tag.
func Lookup(ctx context.Context, to Destination, auth Credentials, o Options) (string, error) {
	c, err := dial(to, auth, o)
	if err != nil {
		return "", err
	}
	defer c.close()
	there, err := c.manifest(ctx, http.MethodHead)
	if err != nil {
		return "", fmt.Errorf("look for %s: %w", to, err)
	}
	return there.digest, nil
}

// String names the destination for people, without the scheme.
func (d Destination) String() string {
	return d.host() + "/" + d.Repository + ":" + d.Tag
}

func (d Destination) host() string {
	if u, err := url.Parse(d.Endpoint); err == nil && u.Host != "" {
		return u.Host
	}
	return d.Endpoint
}

func (c *client) push(ctx context.Context, img v1.Image, o Options) (string, Stats, error) {
	var stats Stats
	p, err := partsOf(img)
	if err != nil {
		return "", stats, err
	}
	ask := http.MethodGet
	if o.FirstWins {
		ask = http.MethodHead // what it names does not matter
	}
	there, err := c.manifest(ctx, ask)
	if err != nil {
		return "", stats, err
	}
	same := func() (bool, error) {
		digest, _, err := p.manifest()
		return digest != "" && digest == there.digest, err
	}
	existed := there.digest != "" && o.FirstWins
	if !existed && there.digest != "" {
		if existed, err = same(); err == nil && !existed && p.unknown() {
			c.learn(ctx, there, p)
			existed, err = same()
		}
		if err != nil {
			return "", stats, err
		}
	}
	if existed {
		stats.Existed, stats.Saved = true, p.size()
		return there.digest, stats, nil
	}
	has := there.lists()
	c.look(ctx, o.Like, p, has)
	digest, raw, err := c.blobs(ctx, p, has, o, &stats)
	if err != nil {
		return "", stats, err
	}
	err = c.put(ctx, raw, string(p.media))
	if e, ok := errors.AsType[*Error](err); ok && e.unfounded() && len(has) > 0 {
		// The registry kept a manifest and lost what it lists: ask about each blob.
		stats = Stats{}
		if digest, raw, err = c.blobs(ctx, p, nil, o, &stats); err != nil {
			return "", stats, err
		}
		err = c.put(ctx, raw, string(p.media))
	}
	if refused, ok := errors.AsType[*Error](err); ok && refused.taken() {
		// Somebody else was faster. An immutable tag refuses even the same image.
		there, lookErr := c.manifest(ctx, http.MethodHead)
		if lookErr == nil && there.digest != "" && (o.FirstWins || there.digest == digest) {
			return there.digest, stats, nil
		}
	}
	if err != nil {
		return "", stats, err
	}
	return digest, stats, nil
}
