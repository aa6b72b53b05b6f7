package origin

import (
	"cmp"
	"context"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"github.com/apron-deploy/apron/reconcile/pattern"
)

// transport does not wait for ever for a registry that says nothing.
var transport = sync.OnceValue(func() http.RoundTripper {
	t := http.DefaultTransport.(*http.Transport).Clone()
	t.MaxIdleConnsPerHost = 16
	t.ResponseHeaderTimeout = time.Minute
	return t
})

// repeated are the answers after which a request is sent again. That of a rate limit is
// not among them: it does not pass in seconds.
var repeated = []int{http.StatusRequestTimeout, http.StatusInternalServerError, http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout}

func (o Options) puller(more ...remote.Option) (*remote.Puller, error) {
	keychain := o.Keychain
	if keychain == nil {
		keychain = authn.DefaultKeychain
	}
	rt := o.Transport
	if rt == nil {
		rt = transport()
	}
	return remote.NewPuller(append(more,
		remote.WithAuthFromKeychain(keychain), remote.WithTransport(rt), remote.WithUserAgent("apron"),
		remote.WithRetryBackoff(remote.Backoff{Duration: cmp.Or(o.Backoff, time.Second), Factor: 3, Jitter: 0.1, Steps: 3}),
		remote.WithRetryStatusCodes(repeated...))...)
}

func openRegistry(ctx context.Context, p place, digest string, want v1.Platform, o Options) (*Source, error) {
	ref, err := name.ParseReference(p.path)
	if err != nil {
		return nil, p.wrong("is not a reference to an image", "write host/repository:tag, or ./path of an OCI layout or an archive")
	}
	if digest != "" {
		ref = ref.Context().Digest(digest)
	}
	puller, err := o.puller()
	if err != nil {
		return nil, err
	}
	s, err := fetch(ctx, puller, ref, p, want, o)
	if err != nil {
		return nil, explain(ctx, err, asked{place: p, ref: ref, puller: puller, dir: o.Dir})
	}
	from := ref
	if a, ok := o.Transport.(at); ok {
		from = a.reached(ref)
	}
	s.explain(ctx, asked{place: p, ref: ref}, from)
	return s, nil
}

func fetch(ctx context.Context, puller *remote.Puller, ref name.Reference, p place, want v1.Platform, o Options) (*Source, error) {
	d, err := puller.Get(ctx, ref)
	if err != nil {
		return nil, err
	}
	r := root{name: shown(ref.Context())}
	switch {
	case d.MediaType.IsIndex():
		r.index, err = d.ImageIndex()
	case d.MediaType.IsImage():
		r.image, err = d.Image()
	case d.MediaType == types.DockerManifestSchema1, d.MediaType == types.DockerManifestSchema1Signed:
		return nil, p.wrong("is in Docker's schema 1 format, which registries no longer take", "pull it and push it again with a current docker")
	default:
		return nil, p.wrong("is not a container image but something of type "+string(d.MediaType), "name an image")
	}
	if err != nil {
		return nil, err
	}
	return r.source(p, want, o)
}

// shown is how people name a repository.
func shown(r name.Repository) string {
	return strings.Replace(r.Name(), name.DefaultRegistry+"/", "docker.io/", 1)
}

// Login returns a user name and a password for the private ECR of an account and Region.
// https://docs.aws.amazon.com/AmazonECR/latest/userguide/registry_auth.html
type Login func(ctx context.Context, account, region string) (username, password string, err error)

// Keychain asks login for the registries of ECR, whosever account they are in, and other
// for all the rest; nil is what docker login stored.
func Keychain(login Login, other authn.Keychain) authn.Keychain {
	if other == nil {
		other = authn.DefaultKeychain
	}
	return keychain{login, other}
}

type keychain struct {
	login Login
	other authn.Keychain
}

var _ authn.ContextKeychain = keychain{}

// private are the hosts of ECR, by account and Region.
// https://docs.aws.amazon.com/general/latest/gr/ecr.html
var private = pattern.Lazy(`^([0-9]{12})\.dkr[.-]ecr(?:-fips)?\.([a-z0-9-]+)\.(?:amazonaws\.com(?:\.cn)?|on\.aws|on\.amazonwebservices\.com\.cn)$`)

// InECR reports whether a reference leads to a private repository of ECR, which is read with
// credentials of AWS.
func InECR(from string) bool {
	p, err := parse(from)
	if err != nil || p.local {
		return false
	}
	ref, err := name.ParseReference(p.path)
	return err == nil && private().MatchString(ref.Context().RegistryStr())
}

func (k keychain) Resolve(r authn.Resource) (authn.Authenticator, error) {
	return k.ResolveContext(context.Background(), r)
}

func (k keychain) ResolveContext(ctx context.Context, r authn.Resource) (authn.Authenticator, error) {
	m := private().FindStringSubmatch(r.RegistryStr())
	if m == nil {
		return authn.Resolve(ctx, k.other, r)
	}
	user, pass, err := k.login(ctx, m[1], m[2])
	if err != nil {
		return nil, &loginError{r.RegistryStr(), err}
	}
	return &authn.Basic{Username: user, Password: pass}, nil
}

// loginError says that ECR gave no credentials.
type loginError struct {
	host string
	err  error
}

var _ error = (*loginError)(nil)

func (e *loginError) Error() string { return "log in to " + e.host + ": " + e.err.Error() }

func (e *loginError) Unwrap() error { return e.err }

// Image returns the image that a reference leads to in its registry now, or the one of several
// that is for a platform. Its layers are read under ctx when they are asked for. Errors are of
// type [*Error], but for the context's own cause.
func Image(ctx context.Context, reference string, platform v1.Platform, o Options) (v1.Image, error) {
	p := place{from: reference, path: reference}
	ref, err := name.ParseReference(reference)
	if err != nil {
		return nil, p.wrong("is not a reference to an image", "write host/repository:tag")
	}
	puller, err := o.puller(remote.WithPlatform(platform))
	if err != nil {
		return nil, err
	}
	d, err := puller.Get(ctx, ref)
	if err != nil {
		return nil, explain(ctx, err, asked{place: p, ref: ref, puller: puller})
	}
	img, err := d.Image()
	if err != nil {
		return nil, explain(ctx, err, asked{place: p, ref: ref, puller: puller})
	}
	return img, nil
}

// Digest returns the digest that a reference leads to in its registry now: that of an
// index, where there is one. It asks for nothing but that, which counts towards no pull
// limit. Its errors are of type [*Error], but for the context's own cause.
// https://docs.docker.com/docker-hub/usage/pulls/
func Digest(ctx context.Context, reference string, o Options) (string, error) {
	p := place{from: reference, path: reference}
	ref, err := name.ParseReference(reference)
	if err != nil {
		return "", p.wrong("is not a reference to an image", "write host/repository:tag")
	}
	if d, ok := ref.(name.Digest); ok {
		return d.DigestStr(), nil
	}
	puller, err := o.puller()
	if err != nil {
		return "", err
	}
	d, err := puller.Head(ctx, ref)
	if err != nil {
		return "", explain(ctx, err, asked{place: p, ref: ref, puller: puller})
	}
	return d.Digest.String(), nil
}
