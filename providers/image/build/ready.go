package build

import (
	v1 "github.com/google/go-containerregistry/pkg/v1"
)

// ready is an image all of whose layers are compressed, in files of the spool or in the
// registry of a base image.
type ready struct {
	v1.Image
	size int64 // bytes of the layers
}

var _ Image = ready{}

func readied(img v1.Image) (Image, error) {
	m, err := img.Manifest()
	if err != nil {
		return nil, err
	}
	r := ready{Image: img}
	for _, l := range m.Layers {
		r.size += l.Size
	}
	return r, nil
}

func (r ready) Archived() (v1.Image, error)      { return r.Image, nil }
func (r ready) Sizes() (compressed, plain int64) { return r.size, 0 }
func (ready) Close() error                       { return nil }
