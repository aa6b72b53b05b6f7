//go:build linux

package main

import (
	"archive/tar"
	"bufio"
	"context"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/layout"

	"github.com/apron-deploy/apron/providers/image/store"
)

// shapeOf is what an image looks like.
type shapeOf struct {
	layers, mib int
	random      bool
}

func (s shapeOf) String() string {
	kind := "compressible"
	if s.random {
		kind = "random"
	}
	return fmt.Sprintf("%d x %d MiB %s", s.layers, s.mib, kind)
}

var shapes = []shapeOf{{1, 1024, false}, {1, 1024, true}, {10, 100, false}, {10, 100, true}, {100, 5, false}, {100, 5, true}}

// version is an image in the forms that tools read.
type version struct {
	archive, layout, name string
	id                    string // by which a build hands over what it made
}

// create writes two versions of an image; they differ in the last layer. Another process
// does it: what this one ever took is counted as memory of those that it starts.
func create(ctx context.Context, dir string, shape, scale int) ([2]version, error) {
	out, err := exec.CommandContext(ctx, os.Args[0], "create", dir, strconv.Itoa(shape), strconv.Itoa(scale)).CombinedOutput()
	if err != nil {
		return [2]version{}, fmt.Errorf("create images: %w: %s", err, out)
	}
	all := versions(dir)
	for n, v := range all {
		id, err := os.ReadFile(v.archive + ".id")
		if err != nil {
			return all, err
		}
		all[n].id = string(id)
	}
	return all, nil
}

func versions(dir string) (all [2]version) {
	for n := range all {
		all[n] = version{
			archive: filepath.Join(dir, fmt.Sprintf("%d.tar", n)),
			layout:  filepath.Join(dir, fmt.Sprintf("layout%d", n)),
			name:    fmt.Sprintf("apron-measure:v%d", n),
		}
	}
	return all
}

func createOne(dir, shape, scale string) error {
	s, err := strconv.Atoi(shape)
	if err != nil {
		return err
	}
	by, err := strconv.Atoi(scale)
	if err != nil {
		return err
	}
	for n, v := range versions(dir) {
		if err := writeArchive(v, shapes[s], n, by); err != nil {
			return err
		}
		if err := writeLayout(v); err != nil {
			return err
		}
	}
	return nil
}

func writeArchive(v version, s shapeOf, n, scale int) error {
	f, err := os.Create(v.archive)
	if err != nil {
		return err
	}
	defer f.Close()
	out := bufio.NewWriterSize(f, 1<<20)
	w := tar.NewWriter(out)
	config := v1.ConfigFile{OS: "linux", Architecture: "amd64", RootFS: v1.RootFS{Type: "layers"}}
	var names []string
	for i := range s.layers {
		seed := [32]byte{byte(i), byte(s.mib), byte(s.layers)}
		if i == s.layers-1 {
			seed[3] = byte(n)
		}
		size := int64(s.mib) << 20 / int64(scale)
		name := fmt.Sprintf("%d/layer.tar", i)
		names = append(names, name)
		if err := w.WriteHeader(&tar.Header{Name: name, Typeflag: tar.TypeReg, Mode: 0o644, Size: size + 1536 + (512-size%512)%512}); err != nil {
			return err
		}
		sum := sha256.New()
		if err := writeLayer(io.MultiWriter(w, sum), seed, size, s.random, i); err != nil {
			return err
		}
		config.RootFS.DiffIDs = append(config.RootFS.DiffIDs, v1.Hash{Algorithm: "sha256", Hex: fmt.Sprintf("%x", sum.Sum(nil))})
		config.History = append(config.History, v1.History{CreatedBy: "measure"})
	}
	text, err := json.Marshal(config)
	if err != nil {
		return err
	}
	id := fmt.Sprintf("%x", sha256.Sum256(text))
	if err := os.WriteFile(v.archive+".id", []byte("sha256:"+id), 0o600); err != nil {
		return err
	}
	index, err := json.Marshal([]map[string]any{{"Config": id + ".json", "Layers": names, "RepoTags": []string{v.name}}})
	if err != nil {
		return err
	}
	for _, file := range []struct {
		name string
		text []byte
	}{{id + ".json", text}, {"manifest.json", index}} {
		if err := w.WriteHeader(&tar.Header{Name: file.name, Typeflag: tar.TypeReg, Mode: 0o644, Size: int64(len(file.text))}); err != nil {
			return err
		}
		if _, err := w.Write(file.text); err != nil {
			return err
		}
	}
	if err := w.Close(); err != nil {
		return err
	}
	return out.Flush()
}

// writeLayer writes a layer with one file. Of what compresses, half is random.
func writeLayer(to io.Writer, seed [32]byte, size int64, random bool, n int) error {
	w := tar.NewWriter(to)
	if err := w.WriteHeader(&tar.Header{Name: fmt.Sprintf("file%d", n), Typeflag: tar.TypeReg, Mode: 0o644, Size: size}); err != nil {
		return err
	}
	r := rand.NewChaCha8(seed)
	block := make([]byte, 64<<10)
	for left := size; left > 0; left -= int64(len(block)) {
		_, _ = r.Read(block)
		if !random {
			for i := 0; i < len(block); i += 64 {
				clear(block[i+32 : i+64])
			}
		}
		if _, err := w.Write(block[:min(left, int64(len(block)))]); err != nil {
			return err
		}
	}
	return w.Close()
}

func writeLayout(v version) error {
	img, err := store.Open(v.archive, store.Options{})
	if err != nil {
		return err
	}
	defer img.Close()
	p, err := layout.Write(v.layout, empty.Index)
	if err != nil {
		return err
	}
	return p.AppendImage(img)
}
