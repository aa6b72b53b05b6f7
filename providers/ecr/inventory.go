package ecr

import (
	"cmp"
	"context"
	"encoding/json"
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
	// Members are the digests that an index holds.
	Members []string
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
			s := Stored{
				Digest: aws.ToString(d.ImageDigest), Tags: slices.Sorted(slices.Values(d.ImageTags)), Bytes: aws.ToInt64(d.ImageSizeInBytes),
				PushedAt: aws.ToTime(d.ImagePushedAt), PulledAt: aws.ToTime(d.LastRecordedPullTime),
			}
			if strings.Contains(aws.ToString(d.ImageManifestMediaType), "index") || strings.Contains(aws.ToString(d.ImageManifestMediaType), "manifest.list") {
				if s.Members, err = p.members(ctx, repository, s.Digest); err != nil {
					return nil, err
				}
			}
			all = append(all, s)
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

// Remove deletes images by their digests, with all their tags. Indexes go before what
// they hold, which ECR would refuse to delete.
func (p *Provider) Remove(ctx context.Context, repository string, digests []string) error {
	for batch := range slices.Chunk(digests, batchSize) {
		ids := make([]types.ImageIdentifier, len(batch))
		for i, d := range batch {
			ids[i].ImageDigest = aws.String(d)
		}
		out, err := p.api.BatchDeleteImage(ctx, &sdk.BatchDeleteImageInput{RepositoryName: &repository, ImageIds: ids})
		if err != nil {
			return fmt.Errorf("repository %q: delete images: %w", repository, awsapi.Explain(err))
		}
		for _, f := range out.Failures {
			if f.FailureCode != types.ImageFailureCodeImageNotFound {
				return fmt.Errorf("repository %q: delete image %s: %s", repository, aws.ToString(f.ImageId.ImageDigest), aws.ToString(f.FailureReason))
			}
		}
	}
	return nil
}
