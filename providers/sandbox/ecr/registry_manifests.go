package ecr

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io"
	"maps"
	"mime"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
)

// resolve checks the reference of a route. It answers itself what it refuses.
func resolve(w http.ResponseWriter, to route) (imageID, bool) {
	id, err := reference(to.rest)
	if err != nil {
		code := "TAG_INVALID"
		if id.Digest != "" {
			code = "DIGEST_INVALID"
		}
		deny(w, http.StatusBadRequest, code, message(err))
		return id, false
	}
	return id, true
}

func (s *Service) getManifest(w http.ResponseWriter, r *http.Request, to route) error {
	id, ok := resolve(w, to)
	if !ok {
		return nil
	}
	got, err := view(s, to.target, func(repo *repository) (*presented, error) {
		missing := refuse("ImageNotFoundException", "Requested image not found")
		i, f := repo.lookup(id)
		if f != nil || !i.ArchivedAt.IsZero() {
			return nil, missing
		}
		got, err := s.present(repo, i, id.Tag != "", accepted(r))
		if err != nil {
			return nil, err
		}
		if got == nil {
			return nil, missing
		}
		if r.Method == http.MethodGet && s.pulled(i) {
			return got, s.disk.save(repo)
		}
		return got, nil
	})
	if err != nil {
		return err
	}
	h := w.Header()
	h.Set("Content-Type", got.mediaType)
	h.Set("Docker-Content-Digest", got.digest)
	h.Set("Content-Length", strconv.Itoa(len(got.content)))
	_, _ = w.Write(got.content) // the client went away
	return nil
}

// accepted lists the media types a client wants; nil means any.
func accepted(r *http.Request) []string {
	var types []string
	for _, header := range r.Header.Values("Accept") {
		for _, part := range strings.Split(header, ",") {
			t, _, err := mime.ParseMediaType(part)
			if t == "*/*" {
				return nil
			}
			if err == nil {
				types = append(types, t)
			}
		}
	}
	return types
}

func (s *Service) putManifest(w http.ResponseWriter, r *http.Request, to route) error {
	id, ok := resolve(w, to)
	if !ok {
		return nil
	}
	content, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxManifest))
	if tooLarge := (*http.MaxBytesError)(nil); errors.As(err, &tooLarge) {
		deny(w, http.StatusRequestEntityTooLarge, "SIZE_INVALID", "A manifest has at most 4194304 bytes")
		return nil
	}
	if err != nil {
		return err
	}
	declared, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type")) // none is no error
	i, err := change(s, to.target, func(repo *repository) (image, error) {
		i, err := s.put(repo, push{content: content, mediaType: declared, tag: id.Tag, digest: id.Digest, again: true})
		if err != nil {
			return image{}, err
		}
		return *i, nil
	})
	if err != nil {
		return err
	}
	if id.Tag != "" {
		s.pushed(to.RepositoryName, id.Tag)
	}
	h := w.Header()
	h.Set("Location", "/v2/"+to.RepositoryName+"/manifests/"+i.Digest)
	h.Set("Docker-Content-Digest", i.Digest)
	if i.Subject != "" {
		h.Set("OCI-Subject", i.Subject)
	}
	w.WriteHeader(http.StatusCreated)
	return nil
}

func (s *Service) deleteManifest(w http.ResponseWriter, to route) error {
	id, ok := resolve(w, to)
	if !ok {
		return nil
	}
	f, err := change(s, to.target, func(r *repository) (*imageFailure, error) {
		lists := map[string][]string{}
		if i, _ := r.lookup(id); i != nil {
			lists[i.Digest] = r.listsThat(i.Digest)
		}
		_, f := s.erase(r, id, lists)
		return f, nil
	})
	switch {
	case err != nil:
		return err
	case f == nil:
		w.WriteHeader(http.StatusAccepted)
	case f.Code == "ImageNotFound":
		deny(w, http.StatusNotFound, "MANIFEST_UNKNOWN", f.Reason)
	default:
		deny(w, http.StatusMethodNotAllowed, "UNSUPPORTED", f.Reason)
	}
	return nil
}

// listTags pages through the tags in an order of its own, with an opaque cursor, and
// calls the JSON text/plain: all three as ECR does.
func (s *Service) listTags(w http.ResponseWriter, r *http.Request, to route) error {
	q := r.URL.Query()
	var size *int
	if q.Has("n") {
		n, err := strconv.Atoi(q.Get("n"))
		if err != nil {
			return constraint("maxResults", "Member must be a number")
		}
		size = &n
	}
	var next string
	tags, err := view(s, to.target, func(repo *repository) ([]string, error) {
		all := slices.Collect(maps.Keys(repo.Named))
		slices.SortFunc(all, func(a, b string) int { return cmp.Compare(scatter(a), scatter(b)) })
		tags, after, err := page("tags "+repo.Name, all, scatter, size, q.Get("last"))
		next = after
		return tags, err
	})
	if err != nil {
		return err
	}
	if next != "" {
		more := url.Values{"last": {next}}
		if size != nil {
			more.Set("n", q.Get("n"))
		}
		w.Header().Set("Link", "</v2/"+to.RepositoryName+"/tags/list?"+more.Encode()+`>; rel="next"`)
	}
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	_ = json.NewEncoder(w).Encode(struct {
		Name string   `json:"name"`
		Tags []string `json:"tags"`
	}{to.RepositoryName, tags}) // the client went away
	return nil
}

// scatter is the key that tags are listed by.
func scatter(tag string) string {
	sum := sha256.Sum256([]byte(tag))
	return hex.EncodeToString(sum[:8]) + " " + tag
}

// listReferrers answers with an index of what names the digest as its subject.
func (s *Service) listReferrers(w http.ResponseWriter, r *http.Request, to route) error {
	id, ok := resolve(w, to)
	if !ok {
		return nil
	}
	wanted := r.URL.Query().Get("artifactType")
	type entry struct {
		MediaType    string            `json:"mediaType"`
		Digest       string            `json:"digest"`
		Size         int64             `json:"size"`
		ArtifactType string            `json:"artifactType,omitempty"`
		Annotations  map[string]string `json:"annotations,omitempty"`
	}
	found, err := view(s, to.target, func(repo *repository) ([]entry, error) {
		found := []entry{}
		for _, d := range slices.Sorted(maps.Keys(repo.Images)) {
			i := repo.Images[d]
			if id.Digest != "" && i.Subject == id.Digest && (wanted == "" || wanted == i.ArtifactType) {
				found = append(found, entry{i.MediaType, d, i.ManifestSize, i.ArtifactType, i.Annotations})
			}
		}
		return found, nil
	})
	if err != nil {
		return err
	}
	if wanted != "" {
		w.Header().Set("OCI-Filters-Applied", "artifactType")
	}
	w.Header().Set("Content-Type", ociIndex)
	_ = json.NewEncoder(w).Encode(struct {
		SchemaVersion int     `json:"schemaVersion"`
		MediaType     string  `json:"mediaType"`
		Manifests     []entry `json:"manifests"`
	}{2, ociIndex, found}) // the client went away
	return nil
}
