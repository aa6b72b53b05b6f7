package ecr

import (
	"fmt"
	"net/http"
	"strconv"
	"time"

	"github.com/apron-deploy/apron/providers/sandbox/ecr/blob"
)

// getBlob answers HEAD itself and sends GET elsewhere, to a URL that needs no token,
// as ECR sends clients to S3.
func (s *Service) getBlob(w http.ResponseWriter, r *http.Request, to route) error {
	if !blob.Valid(to.rest) {
		deny(w, http.StatusBadRequest, "DIGEST_INVALID", "The provided digest is not a sha256 digest")
		return nil
	}
	visible, err := view(s, to.target, func(r *repository) (bool, error) {
		_, ok := r.Layers[to.rest]
		return ok, nil
	})
	if err != nil {
		return err
	}
	if !visible {
		return refuse("LayerInaccessibleException", "Requested layer not found")
	}
	w.Header().Set("Docker-Content-Digest", to.rest)
	if r.Method == http.MethodGet && !s.presigned(r) {
		w.Header().Set("Location", s.presign(to.RepositoryName, to.rest))
		w.WriteHeader(http.StatusTemporaryRedirect)
		return nil
	}
	f, _, err := s.blobs.Open(to.rest)
	if err != nil {
		return err
	}
	defer f.Close()
	w.Header().Set("Content-Type", "application/octet-stream")
	w.Header().Set("ETag", strconv.Quote(to.rest))
	http.ServeContent(w, r, "", time.Time{}, f)
	return nil
}

// startUpload begins an upload, takes a whole blob at once (?digest=), or mounts one
// from another repository (?mount=&from=). A mount that may not be becomes an upload.
func (s *Service) startUpload(w http.ResponseWriter, r *http.Request, to route) error {
	q := r.URL.Query()
	if digest := q.Get("mount"); blob.Valid(digest) {
		mounted, err := s.mount(to.target, digest, q.Get("from"))
		if err != nil {
			return err
		}
		if mounted {
			created(w, to, digest)
			return nil
		}
	}
	digest := q.Get("digest")
	if digest != "" && !blob.Valid(digest) {
		deny(w, http.StatusBadRequest, "DIGEST_INVALID", "The provided digest is not a sha256 digest")
		return nil
	}
	u, err := s.begin(to.target)
	if err != nil {
		return err
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	if digest == "" {
		s.progress(w, to, u, http.StatusAccepted)
		return nil
	}
	if err := s.complete(w, r, to, u, digest); err != nil {
		s.abandon(u) // nobody knows its id
		return err
	}
	return nil
}

// patchUpload takes a chunk. ECR answers 201 where the specification wants 202.
// https://github.com/aws/containers-roadmap/issues/2831
func (s *Service) patchUpload(w http.ResponseWriter, r *http.Request, to route) error {
	u, release, err := s.hold(to.target, to.rest)
	if err != nil {
		return err
	}
	defer release()
	if !s.fits(w, r, to, u) {
		return nil
	}
	if err := u.append(r.Body); err != nil {
		return err
	}
	s.progress(w, to, u, http.StatusCreated)
	return nil
}

func (s *Service) putUpload(w http.ResponseWriter, r *http.Request, to route) error {
	digest := r.URL.Query().Get("digest")
	if !blob.Valid(digest) {
		deny(w, http.StatusBadRequest, "DIGEST_INVALID", "The provided digest is not a sha256 digest")
		return nil
	}
	u, release, err := s.hold(to.target, to.rest)
	if err != nil {
		return err
	}
	defer release()
	if !s.fits(w, r, to, u) {
		return nil
	}
	return s.complete(w, r, to, u, digest)
}

// complete takes the last bytes and ends the upload. The caller holds u.mu.
func (s *Service) complete(w http.ResponseWriter, r *http.Request, to route, u *upload, digest string) error {
	if err := u.append(r.Body); err != nil {
		return err
	}
	if err := s.finish(to.target, u, digest); err != nil {
		return err
	}
	created(w, to, digest)
	return nil
}

func (s *Service) uploadStatus(w http.ResponseWriter, to route) error {
	u, release, err := s.hold(to.target, to.rest)
	if err != nil {
		return err
	}
	defer release()
	s.progress(w, to, u, http.StatusNoContent)
	return nil
}

func (s *Service) cancelUpload(w http.ResponseWriter, to route) error {
	u, release, err := s.hold(to.target, to.rest)
	if err != nil {
		return err
	}
	defer release()
	s.abandon(u)
	w.WriteHeader(http.StatusNoContent)
	return nil
}

// fits refuses a chunk that does not start where the last one ended.
func (s *Service) fits(w http.ResponseWriter, r *http.Request, to route, u *upload) bool {
	var first, last int64
	_, err := fmt.Sscanf(r.Header.Get("Content-Range"), "%d-%d", &first, &last)
	if r.Header.Get("Content-Range") == "" || err == nil && first == u.writer.Size() {
		return true
	}
	s.progress(w, to, u, http.StatusRequestedRangeNotSatisfiable)
	return false
}

// progress tells how far an upload is. The caller holds u.mu.
func (s *Service) progress(w http.ResponseWriter, to route, u *upload, status int) {
	end := u.writer.Size()
	if s.stickyRange && u.parts > 1 {
		end = u.first
	}
	h := w.Header()
	h.Set("Location", "/v2/"+to.RepositoryName+"/blobs/uploads/"+u.id)
	h.Set("Docker-Upload-Uuid", u.id)
	h.Set("Range", "0-"+strconv.FormatInt(max(end-1, 0), 10))
	w.WriteHeader(status)
}

func created(w http.ResponseWriter, to route, digest string) {
	w.Header().Set("Location", "/v2/"+to.RepositoryName+"/blobs/"+digest)
	w.Header().Set("Docker-Content-Digest", digest)
	w.WriteHeader(http.StatusCreated)
}
