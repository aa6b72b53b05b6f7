package store

import (
	"encoding/json"
	"fmt"
	"strings"

	v1 "github.com/google/go-containerregistry/pkg/v1"
)

// dialect is how an engine's program is spoken to.
type dialect struct {
	inspect []string // what describes an image; its name follows
	parse   func(text []byte) (described, error)
	save    func(id string) []string // what writes an image to standard output
	info    string                   // the template of info for where the store is, and its driver; empty if inspect tells
	driver  string                   // that has a place
	place   func(root string) place
}

var dialects = map[string]dialect{
	"docker": {
		inspect: []string{"image", "inspect"}, parse: oneOf,
		save:   func(id string) []string { return []string{"save", id} },
		driver: "overlay2", place: func(root string) place { return dockerPlace(root) },
	},
	"podman": {
		inspect: []string{"image", "inspect"}, parse: oneOf,
		save: func(id string) []string {
			return []string{"save", "--quiet", "--format", "docker-archive", id}
		},
		driver: "overlay", place: sharedPlace,
	},
	"buildah": {
		inspect: []string{"inspect", "--type", "image"}, parse: ofBuildah,
		save: func(id string) []string {
			return []string{"push", "--quiet", id, "docker-archive:/dev/stdout"}
		},
		info: "{{.store.GraphRoot}}\n{{.store.GraphDriverName}}", driver: "overlay", place: sharedPlace,
	},
}

func sharedPlace(root string) place { return podmanPlace(root) }

// described is what an engine says of an image.
type described struct {
	id    string
	diffs []v1.Hash
	plain int64 // bytes

	driver string // of the store, or empty
	upper  string // the directory of its last layer's files
}

// read understands what describes an image.
func (d dialect) read(text []byte) (id v1.Hash, said described, err error) {
	if said, err = d.parse(text); err != nil {
		return id, said, err
	}
	id, err = v1.NewHash("sha256:" + strings.TrimPrefix(said.id, "sha256:"))
	return id, said, err
}

// oneOf reads a list of images with one image in it.
func oneOf(text []byte) (described, error) {
	var images []struct {
		ID     string `json:"Id"`
		Size   int64
		RootFS struct{ Layers []v1.Hash }

		GraphDriver struct {
			Name string
			Data struct{ UpperDir string }
		}
	}
	if err := json.Unmarshal(text, &images); err != nil {
		return described{}, err
	}
	if len(images) != 1 {
		return described{}, fmt.Errorf("it describes %d images", len(images))
	}
	i := images[0]
	return described{i.ID, i.RootFS.Layers, i.Size, i.GraphDriver.Name, i.GraphDriver.Data.UpperDir}, nil
}

// ofBuildah reads one image. Its manifest is a text, and that of the store, where layers
// are plain.
func ofBuildah(text []byte) (described, error) {
	var image struct {
		FromImageID string
		Manifest    string
		OCIv1       struct {
			RootFS struct {
				DiffIDs []v1.Hash `json:"diff_ids"`
			}
		}
	}
	if err := json.Unmarshal(text, &image); err != nil {
		return described{}, err
	}
	d := described{id: image.FromImageID, diffs: image.OCIv1.RootFS.DiffIDs}
	if m, err := v1.ParseManifest(strings.NewReader(image.Manifest)); err == nil {
		for _, l := range m.Layers {
			d.plain += max(l.Size, 0)
		}
	}
	return d, nil
}
