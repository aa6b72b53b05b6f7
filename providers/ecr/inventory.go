package ecr

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	sdk "github.com/aws/aws-sdk-go-v2/service/ecr"
	"github.com/aws/aws-sdk-go-v2/service/ecr/types"

	"github.com/apron-deploy/apron/providers/awsapi"
)

// Stored is one image of a repository.
type Stored struct {
	Digest   string
	Tags     []string // sorted
	Bytes    int64    // compressed, as ECR bills it
	PushedAt time.Time
	// PulledAt is when it was last pulled, to the day, as ECR notes within a day; zero
	// when never.
	// https://docs.aws.amazon.com/AmazonECR/latest/APIReference/API_ImageDetail.html
	PulledAt time.Time
	// Index says that it holds others. Which ones is not read until it goes: ECR notes that
	// as a pull, so that whoever looks keeps it from ever being unused.
	// https://github.com/aws/containers-roadmap/issues/2390
	Index bool
}

// Inventory lists the images of a repository, newest first. A repository that is not
// there has none.
func (p *Provider) Inventory(ctx context.Context, repository string) ([]Stored, error) {
	var all []Stored
	pages := sdk.NewDescribeImagesPaginator(p.api, &sdk.DescribeImagesInput{RepositoryName: &repository})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return nil, p.absent(repository, "describe images", err)
		}
		for _, d := range page.ImageDetails {
			media := aws.ToString(d.ImageManifestMediaType)
			all = append(all, Stored{
				Digest: aws.ToString(d.ImageDigest), Tags: slices.Sorted(slices.Values(d.ImageTags)), Bytes: aws.ToInt64(d.ImageSizeInBytes),
				PushedAt: aws.ToTime(d.ImagePushedAt), PulledAt: aws.ToTime(d.LastRecordedPullTime),
				Index: strings.Contains(media, "index") || strings.Contains(media, "manifest.list"),
			})
		}
	}
	slices.SortFunc(all, func(a, b Stored) int {
		return cmp.Or(b.PushedAt.Compare(a.PushedAt), cmp.Compare(a.Digest, b.Digest))
	})
	return all, nil
}

// members reads which images an index holds.
func (p *Provider) members(ctx context.Context, repository, digest string) ([]string, error) {
	out, err := p.api.BatchGetImage(ctx, &sdk.BatchGetImageInput{RepositoryName: &repository, AcceptedMediaTypes: mediaTypes,
		ImageIds: []types.ImageIdentifier{{ImageDigest: &digest}}})
	if err != nil {
		return nil, fmt.Errorf("repository %q: get image %s: %w", repository, digest, awsapi.Explain(err))
	}
	if len(out.Images) == 0 {
		return nil, nil // it went meanwhile
	}
	var index struct {
		Manifests []struct{ Digest string }
	}
	if err := json.Unmarshal([]byte(aws.ToString(out.Images[0].ImageManifest)), &index); err != nil {
		return nil, fmt.Errorf("repository %q: index %s: %w", repository, digest, err)
	}
	var members []string
	for _, m := range index.Manifests {
		members = append(members, m.Digest)
	}
	return members, nil
}

// Remove deletes an image by the tags that it had, or by its digest if it had none: one that
// has got another tag since stays, and the error says so. What an index holds goes after it,
// as ECR deletes nothing that one refers to.
// https://docs.aws.amazon.com/AmazonECR/latest/APIReference/API_BatchDeleteImage.html
func (p *Provider) Remove(ctx context.Context, repository string, s Stored) error {
	ids := []types.ImageIdentifier{{ImageDigest: &s.Digest}}
	if len(s.Tags) > 0 {
		ids = nil
		for _, t := range s.Tags {
			ids = append(ids, types.ImageIdentifier{ImageTag: aws.String(t)})
		}
	}
	for batch := range slices.Chunk(ids, batchSize) {
		out, err := p.api.BatchDeleteImage(ctx, &sdk.BatchDeleteImageInput{RepositoryName: &repository, ImageIds: batch})
		if err != nil {
			return fmt.Errorf("repository %q: delete image %s: %w", repository, s.Digest, awsapi.Explain(err))
		}
		for _, f := range out.Failures {
			switch f.FailureCode {
			case types.ImageFailureCodeImageNotFound:
			case types.ImageFailureCodeImageReferencedByManifestList:
				return &heldError{repository, s.Digest, "while an index holds it: " + aws.ToString(f.FailureReason)}
			default:
				return fmt.Errorf("repository %q: delete image %s: %s", repository, s.Digest, aws.ToString(f.FailureReason))
			}
		}
	}
	if len(s.Tags) == 0 {
		return nil
	}
	left, err := p.api.DescribeImages(ctx, &sdk.DescribeImagesInput{RepositoryName: &repository, ImageIds: []types.ImageIdentifier{{ImageDigest: &s.Digest}}})
	switch {
	case awsapi.Is(err, "ImageNotFoundException"):
		return nil
	case err != nil:
		return fmt.Errorf("repository %q: describe image %s: %w", repository, s.Digest, awsapi.Explain(err))
	}
	for _, d := range left.ImageDetails {
		if len(d.ImageTags) > 0 {
			return &heldError{repository, s.Digest, "under a tag that it has got meanwhile: " + strings.Join(d.ImageTags, ", ")}
		}
	}
	return nil
}

// heldError says that an image stays, and why.
type heldError struct{ repository, digest, why string }

var _ error = (*heldError)(nil)

func (e *heldError) Error() string {
	return fmt.Sprintf("repository %q: image %s stays %s", e.repository, e.digest, e.why)
}

// RemoveIndex deletes an index, and then of what it holds all that may go and that no other
// index holds; may finds an image. It returns the digests that went with it.
func (p *Provider) RemoveIndex(ctx context.Context, repository string, s Stored, may func(digest string) (Stored, bool)) (with []string, err error) {
	members, err := p.members(ctx, repository, s.Digest)
	if err != nil {
		return nil, err
	}
	if err := p.Remove(ctx, repository, s); err != nil {
		return nil, err
	}
	for _, digest := range members {
		m, ok := may(digest)
		if !ok {
			continue
		}
		var more []string
		if m.Index {
			more, err = p.RemoveIndex(ctx, repository, m, may)
		} else {
			err = p.Remove(ctx, repository, m)
		}
		if held, kept := errors.AsType[*heldError](err); kept && held.digest == m.Digest {
			continue
		}
		if err != nil {
			return with, err
		}
		with = append(append(with, m.Digest), more...)
	}
	return with, nil
}
