package origin

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	registry "github.com/google/go-containerregistry/pkg/v1/remote/transport"
)

// Error says why an image cannot be had.
type Error struct {
	From string // as the manifest has it
	Why  string
	Fix  string
	// Credentials says that the lack of them, or of a permission, may be the cause.
	Credentials bool
	// Mistake says that the reference is: what it names is not there, or is nothing that
	// could run. It is false of what another try may find.
	Mistake bool
	err     error
}

var _ error = (*Error)(nil)

func (e *Error) Error() string { return fmt.Sprintf("image.from: %q: %s", e.From, e.Why) }

// Hint says what would help.
func (e *Error) Hint() string { return e.Fix }

func (e *Error) Unwrap() error { return e.err }

func (p place) wrong(why, fix string) *Error {
	return &Error{From: p.from, Why: why, Fix: fix, Mistake: true}
}

// asked is what was asked of a registry. Without a puller no tags are looked up.
type asked struct {
	place
	ref    name.Reference
	puller *remote.Puller
	dir    string // the manifest's
}

// explain says what went wrong with a registry and what helps.
func explain(ctx context.Context, err error, a asked) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if _, ok := errors.AsType[*Error](err); ok {
		return err
	}
	e := &Error{From: a.from, err: err}
	host := a.ref.Context().RegistryStr()
	if host == name.DefaultRegistry {
		host = "docker.io"
	}
	refused, ok := errors.AsType[*registry.Error](err)
	switch {
	case ok && (refused.StatusCode == http.StatusTooManyRequests || has(refused, registry.TooManyRequestsErrorCode)):
		e.Why, e.Fix = host+" refuses more pulls for now", "wait, or log in: docker login "+host
		if official, ok := strings.CutPrefix(a.ref.Context().Name(), name.DefaultRegistry+"/library/"); ok {
			e.Why = "Docker Hub's pull limit is reached"
			e.Fix = fmt.Sprintf("log in with docker login, or copy the same image from public.ecr.aws/docker/library/%s:%s", official, tagOf(a.ref))
		}
	case ok && (refused.StatusCode == http.StatusUnauthorized || refused.StatusCode == http.StatusForbidden):
		e.Credentials = true
		e.Why, e.Fix = host+" does not let you read it: it is private, or there is no such repository", "check the name, and log in: docker login "+host
		if private().MatchString(host) {
			e.Fix = "check the name; the identity needs ecr:BatchGetImage and ecr:GetDownloadUrlForLayer, in another account by the repository's policy too"
		}
	case ok && refused.StatusCode == http.StatusNotFound:
		e.Mistake = true
		e.Why, e.Fix = "there is no such image in "+host, "check the name and the tag"
		if has(refused, registry.NameUnknownErrorCode) {
			e.Why, e.Fix = "there is no such repository in "+host, "check the name"
		} else if near := a.nearest(ctx); len(near) > 0 {
			e.Fix = "tags there are: " + strings.Join(near, ", ")
		}
	case ok:
		e.Why, e.Fix = fmt.Sprintf("%s answered %d %s", host, refused.StatusCode, http.StatusText(refused.StatusCode)), "try again later"
		if len(refused.Errors) > 0 {
			// Not its detail, which may be a page of anything.
			e.Why += fmt.Sprintf(": %s: %.200s", refused.Errors[0].Code, refused.Errors[0].Message)
		}
	default:
		e.network(host, err)
	}
	if a.beside() && (e.Credentials || ok && refused.StatusCode == http.StatusNotFound) {
		e.Fix += "; for what is beside the manifest write ./" + a.path
	}
	return e
}

// network explains failures below the registry's protocol.
func (e *Error) network(host string, err error) {
	if login, ok := errors.AsType[*loginError](err); ok {
		e.Why, e.Credentials = login.Error(), true
		var h interface{ Hint() string }
		if errors.As(login.err, &h) {
			e.Fix = h.Hint()
		}
		return
	}
	if cert, ok := errors.AsType[*tls.CertificateVerificationError](err); ok {
		e.Why, e.Fix = fmt.Sprintf("the certificate of %s is not trusted: %v", host, cert.Err), "name the certificate of its authority, or of a proxy that looks into TLS, with SSL_CERT_FILE"
		return
	}
	if dns, ok := errors.AsType[*net.DNSError](err); ok {
		e.Why, e.Fix = "cannot look up "+dns.Name, "check the network, and how the registry is spelt"
		return
	}
	if op, ok := errors.AsType[*net.OpError](err); ok && op.Op == "dial" {
		e.Why, e.Fix = fmt.Sprintf("cannot reach %s: %v", host, op.Err), "check the network and a proxy (HTTPS_PROXY)"
		return
	}
	if errors.Is(err, http.ErrSchemeMismatch) {
		e.Why, e.Fix = host+" speaks http, and only https is spoken to registries elsewhere", "give the registry a certificate"
		return
	}
	e.Why = err.Error()
}

func has(e *registry.Error, code registry.ErrorCode) bool {
	return slices.ContainsFunc(e.Errors, func(d registry.Diagnostic) bool { return d.Code == code })
}

func tagOf(ref name.Reference) string {
	if t, ok := ref.(name.Tag); ok {
		return t.TagStr()
	}
	return name.DefaultTag
}

// beside reports whether the reference is also the name of something local.
func (a asked) beside() bool {
	if a.dir == "" || !filepath.IsLocal(filepath.FromSlash(a.path)) {
		return false
	}
	dir, err := os.OpenRoot(a.dir)
	if err != nil {
		return false
	}
	defer dir.Close()
	_, err = dir.Lstat(filepath.FromSlash(a.path))
	return err == nil
}

// pages is how many pages of tags are looked through, a thousand each.
const pages = 3

// nearest returns up to five tags that look like the one that is missing, if the registry
// lets anybody list them.
func (a asked) nearest(ctx context.Context) []string {
	tag, ok := a.ref.(name.Tag)
	if !ok || a.puller == nil {
		return nil
	}
	lister, err := a.puller.Lister(ctx, tag.Context())
	if err != nil {
		return nil
	}
	var tags []string
	for range pages {
		if !lister.HasNext() {
			break
		}
		page, err := lister.Next(ctx)
		if err != nil {
			break
		}
		tags = append(tags, page.Tags...)
	}
	return near(tag.TagStr(), tags)
}

// near sorts by how much the beginnings have in common, then by length and text.
func near(wanted string, tags []string) []string {
	common := func(s string) int {
		n := 0
		for n < len(s) && n < len(wanted) && s[n] == wanted[n] {
			n++
		}
		return n
	}
	tags = slices.Clone(tags)
	slices.SortFunc(tags, func(a, b string) int {
		if d := common(b) - common(a); d != 0 {
			return d
		}
		if d := len(a) - len(b); d != 0 {
			return d
		}
		return strings.Compare(a, b)
	})
	return tags[:min(5, len(tags))]
}
