package push_test

import (
	"archive/tar"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/stretchr/testify/require"

	"github.com/apron-deploy/apron/providers/image/store"
)

// noise is a layer with a file that does not compress.
func noise(seed byte, n int) []byte {
	text := make([]byte, n)
	_, _ = rand.NewChaCha8([32]byte{seed}).Read(text)
	return layerOf(text)
}

// layerOf is a layer with a file.
func layerOf(text []byte) []byte {
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	err := w.WriteHeader(&tar.Header{Name: "file", Typeflag: tar.TypeReg, Mode: 0o600, Size: int64(len(text))})
	if _, writeErr := w.Write(text); err != nil || writeErr != nil || w.Close() != nil {
		panic("a buffer takes everything")
	}
	return b.Bytes()
}

// saved writes an archive of docker's format with layers of this content.
func saved(t *testing.T, layers ...[]byte) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "image.tar")
	f, err := os.Create(file)
	require.NoError(t, err)
	w := tar.NewWriter(f)
	add := func(name string, text []byte) {
		require.NoError(t, w.WriteHeader(&tar.Header{Name: name, Typeflag: tar.TypeReg, Mode: 0o600, Size: int64(len(text))}))
		_, err := w.Write(text)
		require.NoError(t, err)
	}
	config := v1.ConfigFile{OS: "linux", Architecture: "amd64", RootFS: v1.RootFS{Type: "layers"}}
	var names []string
	for i, l := range layers {
		h, _, err := v1.SHA256(bytes.NewReader(l))
		require.NoError(t, err)
		config.RootFS.DiffIDs = append(config.RootFS.DiffIDs, h)
		names = append(names, fmt.Sprintf("%d/layer.tar", i))
		add(names[i], l)
	}
	text, err := json.Marshal(config)
	require.NoError(t, err)
	add("config.json", text)
	text, err = json.Marshal([]map[string]any{{"Config": "config.json", "Layers": names}})
	require.NoError(t, err)
	add("manifest.json", text)
	require.NoError(t, w.Close())
	require.NoError(t, f.Close())
	return file
}

// opened opens an archive, and closes it at the end of the test.
func opened(t *testing.T, file string, known *store.Known) *store.Image {
	t.Helper()
	img, err := store.Open(file, store.Options{Known: known})
	require.NoError(t, err)
	t.Cleanup(func() { _ = img.Close() })
	return img
}

// sessions keeps uploads that break, as distribution's registry does, in front of a gate.
type sessions struct {
	// tells is false for a registry that does not know how far an upload has come.
	tells bool
	// lies is what it says instead, if it is not 0: ECR's answer sticks at a chunk.
	lies int
	// cut ends the connection of the first body when so much of it has come; 0 never.
	cut int

	mu       sync.Mutex
	parts    map[string][]byte
	received int // bytes of bodies
	refused  int
}

// again is a registry of the same kind, without uploads.
func (s *sessions) again() *sessions { return &sessions{tells: s.tells, lies: s.lies, cut: s.cut} }

func (s *sessions) serve(g *gate) func(http.ResponseWriter, *http.Request) bool {
	s.parts = map[string][]byte{}
	return func(w http.ResponseWriter, r *http.Request) bool {
		id, ok := strings.CutPrefix(r.URL.Path, "/v2/web/blobs/uploads/")
		if !ok || id == "" {
			return false
		}
		s.mu.Lock()
		defer s.mu.Unlock()
		switch r.Method {
		case http.MethodGet:
			if !s.tells {
				return status(404, "BLOB_UPLOAD_UNKNOWN")(w, r)
			}
			last := len(s.parts[id]) - 1
			if s.lies > 0 {
				last = s.lies
			}
			w.Header().Set("Range", "0-"+strconv.Itoa(max(last, 0)))
			w.WriteHeader(http.StatusNoContent)
			return true
		case http.MethodPut, http.MethodPatch:
		default:
			return false
		}
		at := len(s.parts[id])
		if from, _, ok := strings.Cut(r.Header.Get("Content-Range"), "-"); ok && from != strconv.Itoa(at) {
			s.refused++
			return status(416, "")(w, r)
		}
		if s.cut > 0 && r.ContentLength != 0 {
			text, _ := io.ReadAll(io.LimitReader(r.Body, int64(s.cut)))
			s.parts[id] = append(s.parts[id], text...)
			s.received += len(text)
			s.cut = 0
			return reset(w, r)
		}
		text, err := io.ReadAll(r.Body)
		s.parts[id] = append(s.parts[id], text...)
		s.received += len(text)
		if err != nil {
			return true
		}
		if r.Method == http.MethodPatch {
			w.Header().Set("Location", r.URL.Path)
			w.WriteHeader(http.StatusCreated) // as ECR has it
			return true
		}
		r.Body = io.NopCloser(bytes.NewReader(s.parts[id]))
		r.ContentLength = int64(len(s.parts[id]))
		r.Header.Del("Content-Range")
		return false
	}
}
