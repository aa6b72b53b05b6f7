package origin

import (
	"context"
	"io"

	v1 "github.com/google/go-containerregistry/pkg/v1"
)

// explain lets the layers of a source tell their errors as [Resolve] does.
func (s *Source) explain(ctx context.Context, a asked) {
	if s.Image != nil {
		s.Image = told{s.Image, func(err error) error { return explain(ctx, err, a) }}
	}
	if s.Index != nil {
		s.Index = toldIndex{s.Index, func(err error) error { return explain(ctx, err, a) }}
	}
}

// told is an image whose blobs explain why they cannot be read.
type told struct {
	v1.Image
	explain func(error) error
}

func (t told) Layers() ([]v1.Layer, error) {
	layers, err := t.Image.Layers()
	if err != nil {
		return nil, t.explain(err)
	}
	for i, l := range layers {
		layers[i] = toldLayer{l, t.explain}
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
	explain func(error) error
}

func (t toldIndex) Image(h v1.Hash) (v1.Image, error) {
	img, err := t.members.Image(h)
	if err != nil {
		return nil, t.explain(err)
	}
	return told{img, t.explain}, nil
}

func (t toldIndex) ImageIndex(h v1.Hash) (v1.ImageIndex, error) {
	index, err := t.members.ImageIndex(h)
	if err != nil {
		return nil, t.explain(err)
	}
	return toldIndex{index, t.explain}, nil
}
