package origin

import (
	"net/http"
	"net/url"

	"github.com/google/go-containerregistry/pkg/name"
)

// At returns a transport that finds the private registries of ECR, and nothing else, at
// endpoint: a sandbox has them under AWS's names and on this machine.
func At(endpoint string) http.RoundTripper { return at(endpoint) }

type at string

// RoundTrip implements [http.RoundTripper].
func (a at) RoundTrip(r *http.Request) (*http.Response, error) {
	if private().MatchString(r.URL.Hostname()) {
		to, err := url.Parse(string(a))
		if err != nil {
			return nil, err
		}
		r = r.Clone(r.Context())
		r.URL.Scheme, r.URL.Host, r.Host = to.Scheme, to.Host, to.Host
	}
	return transport().RoundTrip(r)
}

// reached names a repository by where its registry is found.
func (a at) reached(ref name.Reference) name.Reference {
	to, err := url.Parse(string(a))
	if err != nil || !private().MatchString(ref.Context().RegistryStr()) {
		return ref
	}
	repository, err := name.NewRepository(to.Host + "/" + ref.Context().RepositoryStr())
	if err != nil {
		return ref
	}
	return repository.Tag("latest") // which is not asked for
}
