package ecr

import (
	"bytes"
	"context"
	"slices"

	"github.com/apron-deploy/apron/providers/sandbox/ecr/blob"
)

// Limits of a layer sent through the API, in bytes.
// https://docs.aws.amazon.com/AmazonECR/latest/userguide/service-quotas.html
const (
	partSize    = 10 << 20
	minPartSize = 5 << 20
	maxPartSize = 20 << 20
	maxParts    = 4200
)

type checkLayersIn struct {
	target
	Digests []string `json:"layerDigests"`
}

type layerOut struct {
	Digest       string `json:"layerDigest"`
	Availability string `json:"layerAvailability"`
	Size         int64  `json:"layerSize,omitempty"`
	MediaType    string `json:"mediaType,omitempty"`
}

type layerFailure struct {
	Digest string `json:"layerDigest"`
	Code   string `json:"failureCode"`
	Reason string `json:"failureReason"`
}

type checkLayersOut struct {
	Layers   []layerOut     `json:"layers"`
	Failures []layerFailure `json:"failures"`
}

func (s *Service) batchCheckLayerAvailability(_ context.Context, in checkLayersIn) (*checkLayersOut, error) {
	if err := checkCount("layerDigests", len(in.Digests), 100); err != nil {
		return nil, err
	}
	return view(s, in.target, func(r *repository) (*checkLayersOut, error) {
		out := &checkLayersOut{Layers: []layerOut{}, Failures: []layerFailure{}}
		for _, d := range in.Digests {
			l, ok := r.Layers[d]
			switch {
			case d == "":
				out.Failures = append(out.Failures, layerFailure{d, "MissingLayerDigest", "Missing layer digest"})
			case !blob.Valid(d):
				out.Failures = append(out.Failures, layerFailure{d, "InvalidLayerDigest", "Invalid layer digest"})
			case ok:
				out.Layers = append(out.Layers, layerOut{d, "AVAILABLE", l.Size, l.MediaType})
			default:
				out.Layers = append(out.Layers, layerOut{Digest: d, Availability: "UNAVAILABLE"})
			}
		}
		return out, nil
	})
}

type initiated struct {
	UploadID string `json:"uploadId"`
	PartSize int64  `json:"partSize"`
}

func (s *Service) initiateLayerUpload(_ context.Context, in target) (*initiated, error) {
	u, err := s.begin(in)
	if err != nil {
		return nil, err
	}
	return &initiated{u.id, partSize}, nil
}

type uploadPartIn struct {
	target
	UploadID string `json:"uploadId"`
	First    int64  `json:"partFirstByte"`
	Last     int64  `json:"partLastByte"`
	Blob     []byte `json:"layerPartBlob"`
}

type uploadPartOut struct {
	target
	UploadID string `json:"uploadId"`
	Last     int64  `json:"lastByteReceived"`
}

func (s *Service) uploadLayerPart(_ context.Context, in uploadPartIn) (*uploadPartOut, error) {
	u, release, err := s.hold(in.target, in.UploadID)
	if err != nil {
		return nil, err
	}
	defer release()
	switch size := u.writer.Size(); {
	case len(in.Blob) > maxPartSize:
		return nil, constraint("layerPartBlob", "Member must have length less than or equal to %d", maxPartSize)
	case u.parts >= maxParts:
		return nil, refuse("LimitExceededException", "A layer upload has at most %d parts", maxParts)
	case in.First != size || in.Last-in.First+1 != int64(len(in.Blob)):
		return nil, refuse("InvalidLayerPartException",
			"The layer part of bytes %d to %d is not valid: %d bytes came, and the last valid byte received is %d",
			in.First, in.Last, len(in.Blob), size-1)
	case u.short:
		return nil, refuse("LayerPartTooSmallException", "Layer parts must be at least %d bytes in size", minPartSize)
	}
	if err := u.append(bytes.NewReader(in.Blob)); err != nil {
		return nil, failed(err)
	}
	u.short = len(in.Blob) < minPartSize
	return &uploadPartOut{target{s.account, in.RepositoryName}, u.id, u.writer.Size() - 1}, nil
}

type completeIn struct {
	target
	UploadID string   `json:"uploadId"`
	Digests  []string `json:"layerDigests"`
}

type completeOut struct {
	target
	UploadID string `json:"uploadId"`
	Digest   string `json:"layerDigest"`
}

func (s *Service) completeLayerUpload(_ context.Context, in completeIn) (*completeOut, error) {
	if err := checkCount("layerDigests", len(in.Digests), 100); err != nil {
		return nil, err
	}
	u, release, err := s.hold(in.target, in.UploadID)
	if err != nil {
		return nil, err
	}
	defer release()
	if u.parts == 0 {
		return nil, refuse("EmptyUploadException", "The specified layer upload does not contain any layer parts.")
	}
	digest := u.writer.Digest()
	if !slices.Contains(in.Digests, digest) {
		return nil, refuse("InvalidLayerException", noDigestFits)
	}
	if _, err := view(s, in.target, func(r *repository) (empty, error) {
		if _, ok := r.Layers[digest]; ok {
			return empty{}, refuse("LayerAlreadyExistsException",
				"The layer with digest '%s' already exists in the repository with name '%s' in the registry with id '%s'",
				digest, r.Name, s.account)
		}
		return empty{}, nil
	}); err != nil {
		return nil, err
	}
	if err := s.finish(in.target, u, digest); err != nil {
		return nil, err
	}
	return &completeOut{target{s.account, in.RepositoryName}, u.id, digest}, nil
}

type downloadIn struct {
	target
	Digest string `json:"layerDigest"`
}

type downloadOut struct {
	URL    string `json:"downloadUrl"`
	Digest string `json:"layerDigest"`
}

func (s *Service) getDownloadURLForLayer(_ context.Context, in downloadIn) (*downloadOut, error) {
	if err := checkDigest("layerDigest", in.Digest); err != nil {
		return nil, err
	}
	return view(s, in.target, func(r *repository) (*downloadOut, error) {
		if _, ok := r.Layers[in.Digest]; !ok {
			return nil, refuse("LayersNotFoundException",
				"The layer with digest '%s' does not exist in the repository with name '%s' in the registry with id '%s'",
				in.Digest, r.Name, s.account)
		}
		return &downloadOut{s.endpoint() + s.presign(r.Name, in.Digest), in.Digest}, nil
	})
}
