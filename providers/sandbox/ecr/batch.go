package ecr

import (
	"context"
	"strings"
	"time"
)

// pullGrain is how often ECR refreshes the time of an image's last pull.
const pullGrain = 24 * time.Hour

// pulled notes a pull and reports whether that changed anything.
func (s *Service) pulled(i *image) bool {
	now := s.now()
	if now.Sub(i.PulledAt) < pullGrain {
		return false
	}
	i.PulledAt = now
	return true
}

type batchIn struct {
	target
	IDs      []imageID `json:"imageIds"`
	Accepted []string  `json:"acceptedMediaTypes"`
}

type batchGetOut struct {
	Images   []imageOut     `json:"images"`
	Failures []imageFailure `json:"failures"`
}

// batchGetImage reports what it cannot find image by image; the call succeeds. Without
// accepted media types it speaks as to a client from before manifest lists.
func (s *Service) batchGetImage(_ context.Context, in batchIn) (*batchGetOut, error) {
	if err := checkCount("imageIds", len(in.IDs), 100); err != nil {
		return nil, err
	}
	if in.Accepted == nil {
		in.Accepted = []string{dockerImage, ociImage}
	}
	return view(s, in.target, func(r *repository) (*batchGetOut, error) {
		out := &batchGetOut{Images: []imageOut{}, Failures: []imageFailure{}}
		noted := false
		for _, id := range in.IDs {
			i, f := r.lookup(id)
			if f == nil && !i.ArchivedAt.IsZero() {
				f = &imageFailure{id, "ImageInaccessible", "Requested image is archived"}
			}
			if f != nil {
				out.Failures = append(out.Failures, *f)
				continue
			}
			got, err := s.present(r, i, id.Digest == "", in.Accepted)
			if err != nil {
				return nil, err
			}
			if got == nil {
				out.Failures = append(out.Failures, imageFailure{id, "ImageNotFound", "Requested image not found"})
				continue
			}
			noted = s.pulled(i) || noted
			out.Images = append(out.Images, imageOut{
				target{s.account, r.Name}, imageID{got.digest, id.Tag}, string(got.content), got.mediaType,
			})
		}
		if noted {
			return out, s.disk.save(r)
		}
		return out, nil
	})
}

type batchDeleteOut struct {
	IDs      []imageID      `json:"imageIds"`
	Failures []imageFailure `json:"failures"`
}

func (s *Service) batchDeleteImage(_ context.Context, in batchIn) (*batchDeleteOut, error) {
	if err := checkCount("imageIds", len(in.IDs), 100); err != nil {
		return nil, err
	}
	return change(s, in.target, func(r *repository) (*batchDeleteOut, error) {
		out := &batchDeleteOut{IDs: []imageID{}, Failures: []imageFailure{}}
		// Members stay bound to lists that this very call deletes: callers need a
		// second one, as on AWS.
		lists := map[string][]string{}
		for _, id := range in.IDs {
			if i, _ := r.lookup(id); i != nil {
				lists[i.Digest] = r.listsThat(i.Digest)
			}
		}
		for _, id := range in.IDs {
			gone, f := s.erase(r, id, lists)
			if f != nil {
				out.Failures = append(out.Failures, *f)
			}
			out.IDs = append(out.IDs, gone...)
		}
		return out, nil
	})
}

// erase removes a tag, if the id has one, and the image itself with its last tag or
// when asked for by digest alone. It returns what is gone.
// https://docs.aws.amazon.com/AmazonECR/latest/APIReference/API_BatchDeleteImage.html
func (s *Service) erase(r *repository, id imageID, lists map[string][]string) ([]imageID, *imageFailure) {
	i, f := r.lookup(id)
	if f != nil {
		return nil, f
	}
	if id.Tag != "" && r.countTags(i.Digest) > 1 {
		delete(r.Named, id.Tag)
		return []imageID{{i.Digest, id.Tag}}, nil
	}
	if l := lists[i.Digest]; len(l) > 0 {
		return nil, &imageFailure{id, "ImageReferencedByManifestList",
			"Requested image referenced by manifest list: [" + strings.Join(l, ", ") + "]"}
	}
	var gone []imageID
	for _, t := range r.tagsOf()[i.Digest] {
		gone = append(gone, imageID{i.Digest, t})
	}
	if gone == nil {
		gone = []imageID{{Digest: i.Digest}}
	}
	r.remove(i.Digest, s.now())
	return gone, nil
}
