package image_test

import (
	"archive/tar"
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/stretchr/testify/require"

	"github.com/apron-deploy/apron/providers/image"
	"github.com/apron-deploy/apron/providers/image/origin"
	"github.com/apron-deploy/apron/reconcile/approval"
	"github.com/apron-deploy/apron/reconcile/plan"
	"github.com/apron-deploy/apron/reconcile/state"
)

// TestCopied_isApprovedByItsWholeDigest has two images whose digests begin alike, which takes
// whoever makes images seconds to find: the tag is the same, and an approval of one is none of
// the other.
func TestCopied_isApprovedByItsWholeDigest(t *testing.T) {
	of := func(end string) (state.Address, string) {
		r := image.Copied(state.Spec{Service: "web"}, &origin.Pin{Digest: "sha256:" + strings.Repeat("0", 60) + end, Platform: "linux/amd64"}, origin.Options{})
		p, err := plan.Build(state.Desired{r.Address: r}, state.Live{}, plan.Options{})
		require.NoError(t, err)
		return r.Address, approval.Of(p, "123456789012", "us-east-1").String()
	}
	one, approved := of("beef")
	two, now := of("cafe")
	require.Equal(t, one, two)
	require.NotEqual(t, approved, now)
	_, again := of("beef")
	require.Equal(t, approved, again)
}

// blockOf is a megabyte that layer i repeats, half of which compresses.
func blockOf(i int) []byte {
	block := make([]byte, 1<<20)
	_, _ = rand.NewChaCha8([32]byte{byte(i)}).Read(block[:len(block)/2])
	return block
}

// archiveOf writes what docker save writes: layers of so many megabytes.
func archiveOf(t *testing.T, dir string, layers, mib int) {
	t.Helper()
	f, err := os.Create(filepath.Join(dir, "image.tar"))
	require.NoError(t, err)
	defer f.Close()
	w := tar.NewWriter(f)
	add := func(name string, size int, write func(io.Writer) error) {
		require.NoError(t, w.WriteHeader(&tar.Header{Name: name, Typeflag: tar.TypeReg, Mode: 0o600, Size: int64(size)}))
		require.NoError(t, write(w))
	}
	config := v1.ConfigFile{OS: "linux", Architecture: "amd64", RootFS: v1.RootFS{Type: "layers"}}
	var names []string
	for i := range layers {
		block := blockOf(i)
		names = append(names, fmt.Sprintf("%d/layer.tar", i))
		sum := sha256.New()
		add(names[i], mib<<20, func(w io.Writer) error {
			for range mib {
				if _, err := io.MultiWriter(w, sum).Write(block); err != nil {
					return err
				}
			}
			return nil
		})
		config.RootFS.DiffIDs = append(config.RootFS.DiffIDs, v1.Hash{Algorithm: "sha256", Hex: fmt.Sprintf("%x", sum.Sum(nil))})
	}
	for name, v := range map[string]any{"config.json": config, "manifest.json": []map[string]any{{"Config": "config.json", "Layers": names}}} {
		text, err := json.Marshal(v)
		require.NoError(t, err)
		add(name, len(text), func(w io.Writer) error { _, err := w.Write(text); return err })
	}
	require.NoError(t, w.Close())
}

// TestExecute_learnsOfAnArchiveFromATagLikeIt copies an archive on a machine that remembers
// nothing, where the registry has one with the same first layers. Those are damaged, so that
// reading them would not go unnoticed.
func TestExecute_learnsOfAnArchiveFromATagLikeIt(t *testing.T) {
	j := newJob(t, nil, nil)
	o := origin.Options{Dir: j.root}
	create := func(like ...string) plan.Action {
		pin, err := origin.Resolve(t.Context(), "./image.tar", o)
		require.NoError(t, err)
		want := image.Copied(state.Spec{Service: "web"}, pin, o, like...)
		return plan.Action{ID: "create image", Op: plan.Create, Target: want.Address, Want: want}
	}
	archiveOf(t, j.root, 2, 1)
	first := create()
	_, err := j.run(t, t.Context(), first)
	require.NoError(t, err)
	blobs, manifests := j.shop.put()
	require.Equal(t, []int{3, 1}, []int{blobs, manifests})

	archiveOf(t, j.root, 3, 1)
	file := filepath.Join(j.root, "image.tar")
	text, err := os.ReadFile(file)
	require.NoError(t, err)
	for i := range 2 {
		text[bytes.Index(text, blockOf(i))] ^= 1
	}
	require.NoError(t, os.WriteFile(file, text, 0o600))
	_, err = j.run(t, t.Context(), create())
	require.ErrorContains(t, err, "is damaged")
	blobs, manifests = j.shop.put()
	require.LessOrEqual(t, blobs, 2)
	require.Zero(t, manifests)

	_, tag, _ := strings.Cut(first.Target.Name, ":")
	out, err := j.run(t, t.Context(), create(tag))
	require.NoError(t, err)
	require.Len(t, layersOf(t, j.shop.has(t, out.ID)), 3)
	_, manifests = j.shop.put()
	require.Equal(t, 1, manifests)
}
