//go:build linux

package main

import (
	"crypto/sha256"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"time"
)

// registry takes everything, and keeps manifests and configurations only. It does not
// check digests: that would measure the registry.
type registry struct {
	server *http.Server
	addr   string

	mu        sync.Mutex
	requests  int
	uploads   int
	blobs     map[string][]byte // nil for what is large
	pending   map[string][]byte
	manifests map[string]manifest
}

type manifest struct {
	media string
	text  []byte
}

const keptBytes = 64 << 10

func serve() (*registry, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	r := &registry{addr: l.Addr().String(), blobs: map[string][]byte{}, pending: map[string][]byte{}, manifests: map[string]manifest{}}
	r.server = &http.Server{Handler: r, ReadHeaderTimeout: time.Minute}
	go func() { _ = r.server.Serve(l) }()
	return r, nil
}

func (r *registry) close() { r.server.Close() }

// count returns the requests since the last time, without those that look for an API.
func (r *registry) count() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	n := r.requests
	r.requests = 0
	return n
}

func (r *registry) ServeHTTP(w http.ResponseWriter, q *http.Request) {
	kept, _ := io.ReadAll(io.LimitReader(q.Body, keptBytes))
	size := int64(len(kept))
	if more, _ := io.Copy(io.Discard, q.Body); more > 0 {
		size, kept = size+more, nil
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.requests++
	repository, what, _ := strings.Cut(strings.TrimPrefix(q.URL.Path, "/v2/"), "/")
	kind, id, _ := strings.Cut(what, "/")
	switch {
	case repository == "":
		w.WriteHeader(http.StatusOK)
	case kind == "manifests":
		r.manifest(w, q, id, kept)
	case strings.HasPrefix(id, "uploads"):
		r.upload(w, q, kept, size)
	default:
		text, ok := r.blobs[id]
		if !ok {
			w.WriteHeader(http.StatusNotFound)
			return
		}
		w.Header().Set("Docker-Content-Digest", id)
		w.Header().Set("Content-Length", fmt.Sprint(len(text)))
		if q.Method == http.MethodGet {
			_, _ = w.Write(text)
		}
	}
}

func (r *registry) manifest(w http.ResponseWriter, q *http.Request, id string, text []byte) {
	if q.Method == http.MethodPut {
		m := manifest{q.Header.Get("Content-Type"), text}
		digest := fmt.Sprintf("sha256:%x", sha256.Sum256(text))
		r.manifests[id], r.manifests[digest] = m, m
		w.Header().Set("Docker-Content-Digest", digest)
		w.WriteHeader(http.StatusCreated)
		return
	}
	m, ok := r.manifests[id]
	if !ok {
		w.WriteHeader(http.StatusNotFound)
		return
	}
	w.Header().Set("Content-Type", m.media)
	w.Header().Set("Content-Length", fmt.Sprint(len(m.text)))
	w.Header().Set("Docker-Content-Digest", fmt.Sprintf("sha256:%x", sha256.Sum256(m.text)))
	if q.Method == http.MethodGet {
		_, _ = w.Write(m.text)
	}
}

func (r *registry) upload(w http.ResponseWriter, q *http.Request, text []byte, size int64) {
	switch q.Method {
	case http.MethodPost:
		r.uploads++
		w.Header().Set("Location", fmt.Sprintf("http://%s/v2/web/blobs/uploads/%d", q.Host, r.uploads))
		w.Header().Set("Docker-Upload-UUID", fmt.Sprint(r.uploads))
		w.Header().Set("Range", "0-0")
		w.WriteHeader(http.StatusAccepted)
	case http.MethodPatch:
		r.pending[q.URL.Path] = text
		w.Header().Set("Location", fmt.Sprintf("http://%s%s", q.Host, q.URL.Path))
		w.Header().Set("Range", fmt.Sprintf("0-%d", size-1)) // every tool sends one PATCH
		w.WriteHeader(http.StatusAccepted)
	case http.MethodPut:
		if len(text) == 0 {
			text = r.pending[q.URL.Path]
		}
		digest := q.URL.Query().Get("digest")
		r.blobs[digest] = text
		w.Header().Set("Docker-Content-Digest", digest)
		w.WriteHeader(http.StatusCreated)
	default:
		w.WriteHeader(http.StatusNotFound)
	}
}
