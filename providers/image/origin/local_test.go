package origin_test

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path"
	"path/filepath"
	"testing"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"github.com/google/go-containerregistry/pkg/v1/types"
	"github.com/google/go-containerregistry/pkg/v1/validate"
	"github.com/stretchr/testify/require"

	"github.com/apron-deploy/apron/providers/image/origin"
	"github.com/apron-deploy/apron/providers/image/push"
)

// checkout is a repository with a manifest's directory in it.
func checkout(t *testing.T) (dir string, o origin.Options) {
	t.Helper()
	root := t.TempDir()
	dir = filepath.Join(root, "repo", "deploy")
	require.NoError(t, os.MkdirAll(dir, 0o755))
	require.NoError(t, os.Mkdir(filepath.Join(root, "repo", ".git"), 0o755))
	o = quick()
	o.Dir = dir
	return dir, o
}

// writeLayout makes an OCI layout of images and indexes by name.
func writeLayout(t *testing.T, dir string, named map[string]any) {
	t.Helper()
	at, err := layout.FromPath(dir)
	if err != nil {
		require.NoError(t, os.MkdirAll(dir, 0o755))
		at, err = layout.Write(dir, several(t, nil))
		require.NoError(t, err)
	}
	for name, what := range named {
		o := layout.WithAnnotations(map[string]string{"org.opencontainers.image.ref.name": name})
		if index, ok := what.(v1.ImageIndex); ok {
			require.NoError(t, at.AppendIndex(index, o))
			continue
		}
		require.NoError(t, at.AppendImage(what.(v1.Image), o))
	}
}

// pack writes files, by name, into an archive.
func pack(t *testing.T, to string, zip bool, dir string) {
	t.Helper()
	f, err := os.Create(to)
	require.NoError(t, err)
	defer f.Close()
	var w io.Writer = f
	if zip {
		z := gzip.NewWriter(f)
		defer z.Close()
		w = z
	}
	out := tar.NewWriter(w)
	defer out.Close()
	require.NoError(t, out.AddFS(os.DirFS(dir)))
}

// save writes what docker save did before version 25: layers that are not compressed.
func save(t *testing.T, to string, zip bool, named map[string]v1.Image) {
	t.Helper()
	dir := t.TempDir()
	type entry struct {
		Config   string
		RepoTags []string
		Layers   []string
	}
	var all []entry
	for tag, img := range named {
		config, err := img.RawConfigFile()
		require.NoError(t, err)
		id, err := img.ConfigName()
		require.NoError(t, err)
		e := entry{Config: id.Hex + ".json", RepoTags: []string{tag}}
		require.NoError(t, os.WriteFile(filepath.Join(dir, e.Config), config, 0o644))
		layers, err := img.Layers()
		require.NoError(t, err)
		for _, l := range layers {
			diff, err := l.DiffID()
			require.NoError(t, err)
			r, err := l.Uncompressed()
			require.NoError(t, err)
			b, err := io.ReadAll(r)
			require.NoError(t, err)
			require.NoError(t, r.Close())
			require.NoError(t, os.MkdirAll(filepath.Join(dir, diff.Hex), 0o755))
			require.NoError(t, os.WriteFile(filepath.Join(dir, diff.Hex, "layer.tar"), b, 0o644))
			e.Layers = append(e.Layers, diff.Hex+"/layer.tar")
		}
		all = append(all, e)
	}
	b, err := json.Marshal(all)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(filepath.Join(dir, "manifest.json"), b, 0o644))
	pack(t, to, zip, dir)
}

// copied copies what from names into a new registry and reads it back with another
// client.
func copied(t *testing.T, from string, o origin.Options) (*origin.Pin, v1.Image) {
	t.Helper()
	p := resolve(t, from, o)
	s, err := origin.Open(t.Context(), p, o)
	require.NoError(t, err)
	defer s.Close()
	to := newHub(t)
	_, _, err = origin.Copy(t.Context(), s, push.Destination{Endpoint: to.URL, Repository: "copy", Tag: p.Tag()}, nil, push.Options{})
	require.NoError(t, err)
	img, err := remote.Image(to.ref("copy:" + p.Tag()))
	require.NoError(t, err)
	require.NoError(t, validate.Image(img))
	return p, img
}

func TestLocal_layouts(t *testing.T) {
	dir, o := checkout(t)
	web, api := runnable(t, "linux/amd64", 2), runnable(t, "linux/amd64", 1)
	writeLayout(t, filepath.Join(dir, "one"), map[string]any{"latest": web})
	writeLayout(t, filepath.Join(dir, "two"), map[string]any{"web": web, "api": api})
	writeLayout(t, filepath.Join(dir, "index"), map[string]any{"web": several(t, map[string]v1.Image{"linux/arm64": runnable(t, "linux/arm64", 1), "linux/amd64": web})})
	writeLayout(t, filepath.Join(dir, "..", "shared"), map[string]any{"web": web})
	_, err := layout.Write(filepath.Join(dir, "top"), several(t, map[string]v1.Image{"linux/amd64": web}))
	require.NoError(t, err)
	pack(t, filepath.Join(dir, "one.tar"), false, filepath.Join(dir, "one"))
	pack(t, filepath.Join(dir, "one.tgz"), true, filepath.Join(dir, "one"))
	for from, want := range map[string]v1.Image{
		"./one": web, "oci:one": web, "./one:latest": web, "./two:web": web, "oci:two:api": api, "./index": web,
		"../shared": web, "one.tar": web, "one.tgz": web, "oci-archive:one.tar": web, "./one.tgz:latest": web, "./top": web,
	} {
		t.Run(from, func(t *testing.T) {
			p, img := copied(t, from, o)
			require.Equal(t, digestOf(t, want), p.Digest)
			require.Equal(t, p.Digest, digestOf(t, img))
			require.Equal(t, "linux/amd64", p.Platform)
			require.Positive(t, p.Compressed)
		})
	}
}

func TestLocal_aWholeIndexOfALayout(t *testing.T) {
	dir, o := checkout(t)
	o.Whole = true
	index := several(t, map[string]v1.Image{"linux/amd64": runnable(t, "linux/amd64", 2)})
	writeLayout(t, filepath.Join(dir, "index"), map[string]any{"web": index})
	p := resolve(t, "./index", o)
	s, err := origin.Open(t.Context(), p, o)
	require.NoError(t, err)
	defer s.Close()
	to := newHub(t)
	digest, _, err := origin.Copy(t.Context(), s, push.Destination{Endpoint: to.URL, Repository: "copy", Tag: p.Tag()}, nil, push.Options{})
	require.NoError(t, err)
	require.Equal(t, digestOf(t, index), digest)
	got, err := remote.Index(to.ref("copy:" + p.Tag()))
	require.NoError(t, err)
	require.NoError(t, validate.Index(got))
}

func TestLocal_oneImageOfALayoutIsNoIndex(t *testing.T) {
	dir, o := checkout(t)
	o.Whole = true
	web := runnable(t, "linux/amd64", 1)
	at, err := layout.Write(filepath.Join(dir, "one"), several(t, nil))
	require.NoError(t, err)
	require.NoError(t, at.AppendImage(web, layout.WithPlatform(v1.Platform{OS: "linux", Architecture: "amd64"})))
	p := resolve(t, "./one", o)
	require.False(t, p.Whole)
	require.Equal(t, digestOf(t, web), p.Digest)
}

func TestLocal_dockerArchives(t *testing.T) {
	dir, o := checkout(t)
	web, api := runnable(t, "linux/amd64", 2), runnable(t, "linux/amd64", 1)
	save(t, filepath.Join(dir, "web.tar"), false, map[string]v1.Image{"web:1.0": web})
	save(t, filepath.Join(dir, "web.tar.gz"), true, map[string]v1.Image{"web:1.0": web})
	save(t, filepath.Join(dir, "both.tar"), false, map[string]v1.Image{"web:1.0": web, "api:1.0": api})
	tag, err := name.NewTag("web:1.0")
	require.NoError(t, err)
	require.NoError(t, tarball.WriteToFile(filepath.Join(dir, "packed.tar"), tag, web)) // its layers are compressed
	for from, want := range map[string]v1.Image{"./web.tar": web, "docker-archive:web.tar": web, "web.tar.gz": web, "./both.tar:api:1.0": api, "packed.tar": web} {
		t.Run(from, func(t *testing.T) {
			p, img := copied(t, from, o)
			id, err := want.ConfigName()
			require.NoError(t, err)
			require.Equal(t, id.String(), p.Digest, "the image's ID stands for it")
			require.Equal(t, "src-"+id.Hex[:12], p.Tag())
			got, err := img.ConfigName()
			require.NoError(t, err)
			require.Equal(t, id, got)
			require.NotEqual(t, p.Compressed > 0, p.Unpacked > 0)
			media, err := img.MediaType()
			require.NoError(t, err)
			require.Equal(t, types.DockerManifestSchema2, media)
		})
	}
}

// Docker 25 and later put a layout beside manifest.json. With the containerd image store
// its layers are compressed, and then the digest is the one that a push would give.
func TestLocal_bothInOneArchive(t *testing.T) {
	dir, o := checkout(t)
	web := runnable(t, "linux/amd64", 2)
	at := t.TempDir()
	writeLayout(t, at, map[string]any{"1.0": web})
	m, err := web.Manifest()
	require.NoError(t, err)
	var layers []string
	for _, l := range m.Layers {
		layers = append(layers, "blobs/sha256/"+l.Digest.Hex)
	}
	b, err := json.Marshal([]any{map[string]any{"Config": "blobs/sha256/" + m.Config.Digest.Hex, "RepoTags": []string{"web:1.0"}, "Layers": layers}})
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(filepath.Join(at, "manifest.json"), b, 0o644))
	pack(t, filepath.Join(dir, "web.tar"), false, at)
	p, img := copied(t, "./web.tar", o)
	require.Equal(t, digestOf(t, web), p.Digest)
	require.Equal(t, p.Digest, digestOf(t, img))
}

// Old versions of docker save write a layer that occurs twice once, and a symlink.
func TestLocal_linksInAnArchive(t *testing.T) {
	dir, o := checkout(t)
	web := runnable(t, "linux/amd64", 1)
	save(t, filepath.Join(dir, "web.tar"), false, map[string]v1.Image{"web:1.0": web})
	for _, link := range []byte{tar.TypeSymlink, tar.TypeLink} {
		f, err := os.Open(filepath.Join(dir, "web.tar"))
		require.NoError(t, err)
		var b bytes.Buffer
		in, out := tar.NewReader(f), tar.NewWriter(&b)
		for {
			h, err := in.Next()
			if err == io.EOF {
				break
			}
			require.NoError(t, err)
			content, err := io.ReadAll(in)
			require.NoError(t, err)
			if filepath.Base(h.Name) == "layer.tar" {
				real := path.Dir(h.Name) + "/real"
				target := map[byte]string{tar.TypeSymlink: "real", tar.TypeLink: real}[link]
				require.NoError(t, out.WriteHeader(&tar.Header{Name: "./" + h.Name, Typeflag: link, Linkname: target}))
				h.Name = "./" + real
			}
			require.NoError(t, out.WriteHeader(h))
			_, err = out.Write(content)
			require.NoError(t, err)
		}
		require.NoError(t, out.Close())
		require.NoError(t, f.Close())
		require.NoError(t, os.WriteFile(filepath.Join(dir, "linked.tar"), b.Bytes(), 0o644))
		p, _ := copied(t, "./linked.tar", o)
		id, err := web.ConfigName()
		require.NoError(t, err)
		require.Equal(t, id.String(), p.Digest)
	}
}

func TestLocal_readsNothingOutsideTheRepository(t *testing.T) {
	dir, o := checkout(t)
	out := filepath.Join(dir, "..", "..", "out")
	writeLayout(t, out, map[string]any{"web": runnable(t, "linux/amd64", 1)})
	pack(t, filepath.Join(dir, "..", "..", "out.tar"), false, out)
	require.NoError(t, os.Symlink(out, filepath.Join(dir, "link")))
	require.NoError(t, os.Symlink("../../out.tar", filepath.Join(dir, "link.tar")))
	require.NoError(t, os.Symlink("../..", filepath.Join(dir, "up")))
	for _, from := range []string{"../../out", "./../../out.tar", "./link", "./link.tar", "oci:up/out"} {
		_, err := origin.Resolve(t.Context(), from, o)
		require.ErrorContains(t, err, "leads out of the repository", from)
	}
	_, err := origin.Resolve(t.Context(), out, o)
	require.ErrorContains(t, err, "the path is absolute")

	// A blob of a layout that is a symlink to elsewhere is not followed either.
	inside := filepath.Join(dir, "inside")
	require.NoError(t, os.MkdirAll(inside, 0o755))
	require.NoError(t, os.CopyFS(inside, os.DirFS(out)))
	require.NoError(t, os.RemoveAll(filepath.Join(inside, "blobs")))
	require.NoError(t, os.Symlink(filepath.Join(out, "blobs"), filepath.Join(inside, "blobs")))
	_, err = origin.Resolve(t.Context(), "./inside", o)
	require.ErrorContains(t, err, "escapes")
}

func TestLocal_saysWhatIsWrong(t *testing.T) {
	dir, o := checkout(t)
	web := runnable(t, "linux/amd64", 2)
	writeLayout(t, filepath.Join(dir, "two"), map[string]any{"web": web, "api": runnable(t, "linux/amd64", 1)})
	writeLayout(t, filepath.Join(dir, "arm"), map[string]any{"web": several(t, map[string]v1.Image{"linux/arm64": runnable(t, "linux/arm64", 1)})})
	save(t, filepath.Join(dir, "both.tar"), false, map[string]v1.Image{"web:1.0": web, "api:1.0": runnable(t, "linux/amd64", 1)})
	require.NoError(t, os.Mkdir(filepath.Join(dir, "src"), 0o755))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "text.tar"), bytes.Repeat([]byte("text "), 300), 0o644))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "empty.tar"), nil, 0o644))
	for from, want := range map[string][2]string{
		"./none":       {"there is no file or directory of that name", "relative to the manifest's directory"},
		"./two":        {"holds 2 images", "write path:name for one of them; there are "},
		"./two:db":     {`holds no image named "db"`, "there are "},
		"./both.tar":   {"holds 2 images", "web:1.0"},
		"./arm":        {"has no image for linux/amd64: it has linux/arm64", "docker buildx build"},
		"./src":        {"holds neither an OCI layout nor what docker save writes", "no index.json"},
		"text.tar":     {"is not an archive", "docker save"},
		"empty.tar":    {"is not an archive: it is empty", "docker save"},
		"https://a/b":  {"a reference has no https://", "write host/repository:tag"},
		"oci:":         {"names no image", "write host/repository:tag"},
		"Not A Name":   {"is not a reference to an image", "./path"},
		"docker://A B": {"is not a reference to an image", "./path"},
	} {
		t.Run(from, func(t *testing.T) {
			_, err := origin.Resolve(t.Context(), from, o)
			require.ErrorContains(t, err, want[0])
			require.Contains(t, hint(t, err), want[1])
		})
	}
	h := newHub(t)
	o.Transport = redirect{h}
	_, err := origin.Resolve(t.Context(), "two", o)
	require.ErrorContains(t, err, "there is no such repository in docker.io")
	require.Contains(t, hint(t, err), "; for what is beside the manifest write ./two")
}

func TestLocal_noticesWhatIsDamagedOrChanged(t *testing.T) {
	dir, o := checkout(t)
	web := runnable(t, "linux/amd64", 1)
	at := filepath.Join(dir, "one")
	writeLayout(t, at, map[string]any{"latest": web})
	p := resolve(t, "./one", o)
	m, err := web.Manifest()
	require.NoError(t, err)
	blob := filepath.Join(at, "blobs", "sha256", m.Layers[0].Digest.Hex)
	b, err := os.ReadFile(blob)
	require.NoError(t, err)
	b[len(b)/2] ^= 1
	require.NoError(t, os.WriteFile(blob, b, 0o644))
	s, err := origin.Open(t.Context(), p, o)
	require.NoError(t, err)
	defer s.Close()
	to := newHub(t)
	_, _, err = origin.Copy(t.Context(), s, push.Destination{Endpoint: to.URL, Repository: "copy", Tag: "one"}, nil, push.Options{Attempts: 1})
	require.ErrorContains(t, err, m.Layers[0].Digest.Hex+" is not what its name says")

	require.NoError(t, os.WriteFile(blob, append(b, 0), 0o644))
	_, _, err = origin.Copy(t.Context(), s, push.Destination{Endpoint: to.URL, Repository: "copy", Tag: "one"}, nil, push.Options{Attempts: 1})
	require.ErrorContains(t, err, fmt.Sprintf("has %d bytes, not %d", len(b)+1, len(b)))

	blob = filepath.Join(at, "blobs", "sha256", m.Config.Digest.Hex)
	b, err = os.ReadFile(blob)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(blob, bytes.Replace(b, []byte("amd64"), []byte("arm64"), 1), 0o644))
	_, err = origin.Resolve(t.Context(), "./one", o)
	require.ErrorContains(t, err, m.Config.Digest.Hex+" is not what its name says")

	require.NoError(t, os.Remove(blob))
	_, err = origin.Resolve(t.Context(), "./one", o)
	require.ErrorContains(t, err, m.Config.Digest.Hex+" is missing")

	tarred := filepath.Join(dir, "web.tar")
	save(t, tarred, false, map[string]v1.Image{"web:1.0": web})
	p = resolve(t, "./web.tar", o)
	layers, err := web.Layers()
	require.NoError(t, err)
	spoil(t, tarred, layers[0])
	s, err = origin.Open(t.Context(), p, o)
	require.NoError(t, err)
	defer s.Close()
	_, _, err = origin.Copy(t.Context(), s, push.Destination{Endpoint: to.URL, Repository: "copy", Tag: "one"}, nil, push.Options{Attempts: 1})
	require.ErrorContains(t, err, "is damaged")

	short := t.TempDir()
	config, err := web.RawConfigFile()
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(filepath.Join(short, "config.json"), config, 0o644))
	require.NoError(t, os.WriteFile(filepath.Join(short, "manifest.json"), []byte(`[{"Config":"config.json","Layers":[]}]`), 0o644))
	pack(t, filepath.Join(dir, "short.tar"), false, short)
	_, err = origin.Resolve(t.Context(), "short.tar", o)
	require.ErrorContains(t, err, "there are 0 layers, and the configuration names 1")

	save(t, tarred, false, map[string]v1.Image{"web:1.0": runnable(t, "linux/amd64", 1)})
	_, err = origin.Open(t.Context(), p, o)
	require.ErrorContains(t, err, "it changed since the plan")
	require.Equal(t, "run apply again", hint(t, err))
}
