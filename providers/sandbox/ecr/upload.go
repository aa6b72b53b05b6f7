package ecr

import (
	"errors"
	"fmt"
	"io"
	"sync"

	"github.com/apron-deploy/apron/providers/sandbox/ecr/blob"
	"github.com/apron-deploy/apron/providers/sandbox/wire"
)

// upload is a blob on its way in, through the API's parts or the registry's chunks.
// It does not outlive a restart.
type upload struct {
	id, repository string

	mu     sync.Mutex // held while bytes come in; never taken under Service.mu
	writer *blob.Writer
	first  int64 // end of the first chunk
	parts  int
	short  bool // the last part was under the minimum, so nothing may follow
	ended  bool
}

// begin opens an upload into an existing repository.
func (s *Service) begin(t target) (*upload, error) {
	return view(s, t, func(r *repository) (*upload, error) {
		w, err := s.blobs.Create()
		if err != nil {
			return nil, err
		}
		u := &upload{id: wire.NewID(), repository: r.Name, writer: w}
		s.uploads[u.id] = u
		return u, nil
	})
}

// hold finds an upload under way and locks it. The caller calls release.
func (s *Service) hold(t target, id string) (u *upload, release func(), err error) {
	u, err = view(s, t, func(r *repository) (*upload, error) {
		u := s.uploads[id]
		if u == nil || u.repository != r.Name {
			return nil, s.noUpload(r.Name, id)
		}
		return u, nil
	})
	if err != nil {
		return nil, nil, err
	}
	u.mu.Lock()
	if u.ended { // by another request, while this one waited
		u.mu.Unlock()
		return nil, nil, s.noUpload(t.RepositoryName, id)
	}
	return u, u.mu.Unlock, nil
}

// append adds to the blob. The caller holds u.mu.
func (u *upload) append(body io.Reader) error {
	_, err := u.writer.ReadFrom(body)
	if u.parts++; u.parts == 1 {
		u.first = u.writer.Size()
	}
	return err
}

const noDigestFits = "None of the provided layer digests match the calculated layer digest"

// finish ends an upload, either way, and links the blob to the repository. The caller
// holds u.mu.
func (s *Service) finish(t target, u *upload, digest string) error {
	defer s.abandon(u)
	size := u.writer.Size()
	if err := u.writer.Commit(digest); errors.Is(err, blob.ErrDigest) {
		return refuse("InvalidLayerException", noDigestFits)
	} else if err != nil {
		return failed(err)
	}
	_, err := change(s, t, func(r *repository) (empty, error) {
		r.Layers[digest] = layer{Size: size, MediaType: r.Layers[digest].MediaType, LinkedAt: s.now()}
		return empty{}, nil
	})
	return err
}

// abandon forgets an upload. The caller holds u.mu.
func (s *Service) abandon(u *upload) {
	s.mu.Lock()
	delete(s.uploads, u.id)
	s.mu.Unlock()
	u.ended = true
	u.writer.Abort()
}

// mount links a blob of another repository, if this registry may: blob mounting is
// turned on, both are encrypted alike, and a manifest over there names the blob.
// https://docs.aws.amazon.com/AmazonECR/latest/userguide/blob-mounting.html
func (s *Service) mount(t target, digest, from string) (bool, error) {
	return view(s, t, func(r *repository) (bool, error) {
		source := s.repositories[from]
		if source == nil || s.registry.Settings["BLOB_MOUNTING"] != "ENABLED" ||
			source.Encryption != r.Encryption || !source.uses(digest) {
			return false, nil
		}
		l := source.Layers[digest]
		l.LinkedAt = s.now()
		r.Layers[digest] = l
		if err := s.disk.save(r); err != nil {
			return false, fmt.Errorf("mount blob: %w", err)
		}
		return true, nil
	})
}
