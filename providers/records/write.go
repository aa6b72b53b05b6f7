package records

import (
	"context"
	"fmt"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	sdk "github.com/aws/aws-sdk-go-v2/service/ecr"
	"github.com/aws/aws-sdk-go-v2/service/ecr/types"

	"github.com/apron-deploy/apron/providers/awsapi"
	"github.com/apron-deploy/apron/reconcile/release"
)

// contenders is how many numbers in a row may be taken by others while a record is written.
const contenders = 50

// ErrNoRepository is returned for a record that there is no repository for.
type ErrNoRepository struct{ Place }

var _ error = (*ErrNoRepository)(nil)

func (e *ErrNoRepository) Error() string {
	return fmt.Sprintf("repository %q does not exist, so that this release of %s is not recorded", e.Repository, e.Service)
}

// Put writes a record under the number after the newest that is known, or the next one
// that is free, and returns it with its number. newest is 0 when none is known: then the
// list of tags tells. inputs are what the record's image was made of, or nil: then the blob
// that the record names of them is kept, if the repository has it. A record is worth more
// than they are, and does without them where they cannot be kept.
func (s *Store) Put(ctx context.Context, p Place, r release.Record, inputs []byte, newest int) (release.Record, error) {
	if newest == 0 {
		numbers, err := s.Numbers(ctx, p)
		if err != nil {
			return r, err
		}
		if len(numbers) > 0 {
			newest = numbers[0]
		}
	}
	if err := s.upload(ctx, p, []byte(empty)); err != nil {
		return r, err
	}
	size := s.keep(ctx, p, &r, inputs)
	for range contenders {
		newest++
		r.Number = newest
		text, record, err := pack(r, size)
		if err != nil {
			return r, err
		}
		if err := s.blob(ctx, p, record); err != nil {
			return r, err
		}
		taken, err := s.put(ctx, p, release.Tag(p.Service, r.Number), text)
		if err != nil {
			return r, err
		}
		if taken {
			continue
		}
		_, err = s.put(ctx, p, release.NewestTag(p.Service), text)
		return r, err
	}
	return r, fmt.Errorf("release records of %s in repository %q: %d numbers in a row were taken by others", p.Service, p.Repository, contenders)
}

// inputsTime is how long a record may wait for the inputs of its image to be kept.
const inputsTime = 10 * time.Second

// keep sees to it that the repository has a record's inputs, whose size it returns, or else
// that the record names none.
func (s *Store) keep(ctx context.Context, p Place, r *release.Record, inputs []byte) int64 {
	ctx, cancel := context.WithTimeout(ctx, inputsTime)
	defer cancel()
	if len(inputs) > 0 {
		if r.Image.Inputs = digest(inputs); s.upload(ctx, p, inputs) == nil {
			return int64(len(inputs))
		}
	} else if r.Image.Inputs != "" {
		out, err := s.api.BatchCheckLayerAvailability(ctx, &sdk.BatchCheckLayerAvailabilityInput{RepositoryName: &p.Repository, LayerDigests: []string{r.Image.Inputs}})
		if err == nil && len(out.Layers) == 1 && out.Layers[0].LayerAvailability == types.LayerAvailabilityAvailable {
			return aws.ToInt64(out.Layers[0].LayerSize)
		}
	}
	r.Image.Inputs = ""
	return 0
}

// put puts a tag on a manifest. It reports whether the tag stands for something else and
// does not move. The same tag on the same manifest is what an answer that got lost leaves.
func (s *Store) put(ctx context.Context, p Place, tag string, text []byte) (taken bool, err error) {
	_, err = s.api.PutImage(ctx, &sdk.PutImageInput{RepositoryName: &p.Repository, ImageTag: &tag, ImageManifest: aws.String(string(text)),
		ImageManifestMediaType: aws.String(manifestType)})
	switch {
	case err == nil, awsapi.Is(err, "ImageAlreadyExistsException"):
		return false, nil
	case awsapi.Is(err, noRepository):
		return false, &ErrNoRepository{p}
	case !awsapi.Is(err, "ImageTagAlreadyExistsException"):
		return false, failed(p, "put tag "+tag, err)
	}
	// Immutable tags reject even what they stand for already.
	out, err := s.api.BatchGetImage(ctx, &sdk.BatchGetImageInput{RepositoryName: &p.Repository, AcceptedMediaTypes: []string{manifestType},
		ImageIds: []types.ImageIdentifier{{ImageTag: &tag}}})
	if err != nil {
		return false, failed(p, "read tag "+tag, err)
	}
	for _, image := range out.Images {
		if aws.ToString(image.ImageId.ImageDigest) == digest(text) {
			return false, nil
		}
	}
	return true, nil
}

// upload makes sure that the repository has a blob which it probably has.
func (s *Store) upload(ctx context.Context, p Place, content []byte) error {
	out, err := s.api.BatchCheckLayerAvailability(ctx, &sdk.BatchCheckLayerAvailabilityInput{RepositoryName: &p.Repository, LayerDigests: []string{digest(content)}})
	switch {
	case awsapi.Is(err, noRepository):
		return &ErrNoRepository{p}
	case err != nil:
		return failed(p, "look for a layer", err)
	}
	for _, l := range out.Layers {
		if l.LayerAvailability == types.LayerAvailabilityAvailable {
			return nil
		}
	}
	return s.blob(ctx, p, content)
}

// blob uploads a blob in one part, which may be of any size when it is the only one.
// https://docs.aws.amazon.com/AmazonECR/latest/APIReference/API_UploadLayerPart.html
func (s *Store) blob(ctx context.Context, p Place, content []byte) error {
	begun, err := s.api.InitiateLayerUpload(ctx, &sdk.InitiateLayerUploadInput{RepositoryName: &p.Repository})
	if awsapi.Is(err, noRepository) {
		return &ErrNoRepository{p}
	}
	if err != nil {
		return failed(p, "begin an upload", err)
	}
	if _, err := s.api.UploadLayerPart(ctx, &sdk.UploadLayerPartInput{RepositoryName: &p.Repository, UploadId: begun.UploadId,
		PartFirstByte: aws.Int64(0), PartLastByte: aws.Int64(int64(len(content)) - 1), LayerPartBlob: content}); err != nil && !again(err) {
		return failed(p, "upload", err)
	}
	_, err = s.api.CompleteLayerUpload(ctx, &sdk.CompleteLayerUploadInput{RepositoryName: &p.Repository, UploadId: begun.UploadId, LayerDigests: []string{digest(content)}})
	if err != nil && !again(err) {
		return failed(p, "complete an upload", err)
	}
	return nil
}

// again reports whether a step of an upload was refused because it was done before: the
// SDK repeats a call whose answer got lost. Should it be something else, PutImage says
// that a layer is missing.
func again(err error) bool {
	return awsapi.Is(err, "LayerAlreadyExistsException", "InvalidLayerPartException", "UploadNotFoundException")
}
