package origin

import (
	"context"
	"io"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/remote"
)

// explain lets the layers of a source tell their errors as [Resolve] does, and from where
// they can be mounted.
func (s *Source) explain(ctx context.Context, a asked, from name.Reference) {
	by := teller{func(err error) error { return explain(ctx, err, a) }, from}
	if s.Image != nil {
		s.Image = told{s.Image, by}
	}
	if s.Index != nil {
		s.Index = toldIndex{s.Index, by}
	}
}

type teller struct {
	explain func(error) error
	from    name.Reference // of the repository, under the name by which its registry is reached
}

// told is an image whose blobs explain why they cannot be read.
type told struct {
	v1.Image
	teller
}

func (t told) Layers() ([]v1.Layer, error) {
	layers, err := t.Image.Layers()
	if err != nil {
		return nil, t.explain(err)
	}
	for i, l := range layers {
		layers[i] = &remote.MountableLayer{Layer: toldLayer{l, t.explain}, Reference: t.from}
	}
	return layers, nil
}

func (t told) RawConfigFile() ([]byte, error) {
	b, err := t.Image.RawConfigFile()
	if err != nil {
		return nil, t.explain(err)
	}
	return b, nil
}

type toldLayer struct {
	v1.Layer
	explain func(error) error
}

func (t toldLayer) Compressed() (io.ReadCloser, error) {
	r, err := t.Layer.Compressed()
	if err != nil {
		return nil, t.explain(err)
	}
	return r, nil
}

// members is [v1.ImageIndex] by a name that is none of its methods'.
type members = v1.ImageIndex

type toldIndex struct {
	members
	teller
}

func (t toldIndex) Image(h v1.Hash) (v1.Image, error) {
	img, err := t.members.Image(h)
	if err != nil {
		return nil, t.explain(err)
	}
	return told{img, t.teller}, nil
}

func (t toldIndex) ImageIndex(h v1.Hash) (v1.ImageIndex, error) {
	index, err := t.members.ImageIndex(h)
	if err != nil {
		return nil, t.explain(err)
	}
	return toldIndex{index, t.teller}, nil
}
