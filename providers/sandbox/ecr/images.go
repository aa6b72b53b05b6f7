package ecr

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/apron-deploy/apron/providers/sandbox/ecr/blob"
	"github.com/apron-deploy/apron/providers/sandbox/wire"
)

var zero time.Time

// imageID names an image by digest, by tag, or by both, which must agree.
type imageID struct {
	Digest string `json:"imageDigest,omitempty"`
	Tag    string `json:"imageTag,omitempty"`
}

// String is how ECR's errors print an id.
func (id imageID) String() string {
	return fmt.Sprintf("{imageDigest:'%s', imageTag:'%s'}", orNull(id.Digest), orNull(id.Tag))
}

func orNull(s string) string { return cmp.Or(s, "null") }

type imageFailure struct {
	ID     imageID `json:"imageId"`
	Code   string  `json:"failureCode"`
	Reason string  `json:"failureReason"`
}

// lookup finds an image, or says as batch calls do why not.
func (r *repository) lookup(id imageID) (*image, *imageFailure) {
	fail := func(code, reason string) (*image, *imageFailure) { return nil, &imageFailure{id, code, reason} }
	switch {
	case id.Digest == "" && id.Tag == "":
		return fail("MissingDigestAndTag", "Invalid request parameters: both tag and digest cannot be null")
	case id.Digest != "" && !blob.Valid(id.Digest):
		return fail("InvalidImageDigest", "Invalid request parameters: image digest should satisfy the regex '"+digestPattern+"'")
	case id.Tag != "" && !tagRE().MatchString(id.Tag):
		return fail("InvalidImageTag", "Invalid request parameters: image tag should satisfy the regex '"+tagPattern+"'")
	}
	digest := cmp.Or(id.Digest, r.Named[id.Tag])
	i := r.Images[digest]
	if i == nil {
		return fail("ImageNotFound", "Requested image not found")
	}
	if id.Tag != "" && r.Named[id.Tag] != digest {
		return fail("ImageTagDoesNotMatchDigest", "Requested image tag does not match the image digest")
	}
	return i, nil
}

// mustFind is lookup for the calls that fail as a whole.
func (s *Service) mustFind(r *repository, id imageID) (*image, error) {
	i, f := r.lookup(id)
	switch {
	case f == nil:
		return i, nil
	case f.Code == "ImageNotFound" || f.Code == "ImageTagDoesNotMatchDigest":
		return nil, s.noImage(r, id)
	default:
		return nil, refuse("InvalidParameterException", "%s", f.Reason)
	}
}

type filter struct {
	TagStatus   string `json:"tagStatus"`
	ImageStatus string `json:"imageStatus"`
}

func (f filter) check() error {
	if err := checkEnum("filter.tagStatus", cmp.Or(f.TagStatus, "ANY"), "TAGGED", "UNTAGGED", "ANY"); err != nil {
		return err
	}
	return checkEnum("filter.imageStatus", cmp.Or(f.ImageStatus, "ANY"), "ACTIVE", "ARCHIVED", "ACTIVATING", "ANY")
}

func (f filter) wants(i *image, tags []string) bool {
	switch {
	case f.TagStatus == "TAGGED" && len(tags) == 0, f.TagStatus == "UNTAGGED" && len(tags) > 0:
		return false
	case f.ImageStatus == "" || f.ImageStatus == "ANY":
		return true
	default:
		return i.status() == f.ImageStatus
	}
}

func (i *image) status() string {
	if i.ArchivedAt.IsZero() {
		return "ACTIVE"
	}
	return "ARCHIVED"
}

// runnable reports whether the manifest is an image's, neither an index's nor some
// other artifact's.
func (i *image) runnable() bool {
	return !isIndex(i.MediaType) && slices.Contains(configTypes, i.ArtifactType)
}

type listIn struct {
	target
	IDs        []imageID `json:"imageIds"`
	Filter     filter    `json:"filter"`
	MaxResults *int      `json:"maxResults"`
	NextToken  string    `json:"nextToken"`
}

// imageDetail is one entry per digest, whatever the number of its tags.
// https://docs.aws.amazon.com/AmazonECR/latest/APIReference/API_ImageDetail.html
type imageDetail struct {
	target
	Digest       string       `json:"imageDigest"`
	Tags         []string     `json:"imageTags,omitempty"`
	Size         int64        `json:"imageSizeInBytes"`
	PushedAt     wire.Time    `json:"imagePushedAt"`
	ScanStatus   *scanStatus  `json:"imageScanStatus,omitempty"`
	ScanSummary  *scanSummary `json:"imageScanFindingsSummary,omitempty"`
	MediaType    string       `json:"imageManifestMediaType"`
	ArtifactType string       `json:"artifactMediaType,omitempty"`
	PulledAt     wire.Time    `json:"lastRecordedPullTime,omitzero"`
	Subject      string       `json:"subjectManifestDigest,omitempty"`
	Status       string       `json:"imageStatus"`
	ArchivedAt   wire.Time    `json:"lastArchivedAt,omitzero"`
}

type describeImagesOut struct {
	Details   []imageDetail `json:"imageDetails"`
	NextToken string        `json:"nextToken,omitempty"`
}

func (s *Service) describeImages(_ context.Context, in listIn) (*describeImagesOut, error) {
	if err := in.Filter.check(); err != nil {
		return nil, err
	}
	if in.IDs != nil {
		if err := checkCount("imageIds", len(in.IDs), 100); err != nil {
			return nil, err
		}
		if in.MaxResults != nil || in.NextToken != "" {
			return nil, constraint("maxResults", "cannot be specified together with imageIds")
		}
	}
	return view(s, in.target, func(r *repository) (*describeImagesOut, error) {
		tags := r.tagsOf()
		var digests []string
		var next string
		if in.IDs == nil {
			for _, d := range slices.Sorted(maps.Keys(r.Images)) {
				if in.Filter.wants(r.Images[d], tags[d]) {
					digests = append(digests, d)
				}
			}
			var err error
			if digests, next, err = page("details "+r.Name, digests, func(d string) string { return d }, in.MaxResults, in.NextToken); err != nil {
				return nil, err
			}
		}
		for _, id := range in.IDs {
			i, err := s.mustFind(r, id)
			if err != nil {
				return nil, err
			}
			if !slices.Contains(digests, i.Digest) {
				digests = append(digests, i.Digest)
			}
		}
		out := &describeImagesOut{Details: []imageDetail{}, NextToken: next}
		for _, d := range digests {
			out.Details = append(out.Details, s.detail(r, r.Images[d], tags[d]))
		}
		return out, nil
	})
}

func (s *Service) detail(r *repository, i *image, tags []string) imageDetail {
	d := imageDetail{
		target: target{s.account, r.Name}, Digest: i.Digest, Tags: tags, Size: i.Size,
		PushedAt: wire.At(i.PushedAt), MediaType: i.MediaType, ArtifactType: i.ArtifactType,
		PulledAt: wire.At(i.PulledAt), Subject: i.Subject, Status: i.status(), ArchivedAt: wire.At(i.ArchivedAt),
	}
	if !i.ScannedAt.IsZero() {
		d.ScanStatus, d.ScanSummary = i.scan().status(), summaryOf(i)
	}
	return d
}

type listImagesOut struct {
	IDs       []imageID `json:"imageIds"`
	NextToken string    `json:"nextToken,omitempty"`
}

func (s *Service) listImages(_ context.Context, in listIn) (*listImagesOut, error) {
	if err := in.Filter.check(); err != nil {
		return nil, err
	}
	return view(s, in.target, func(r *repository) (*listImagesOut, error) {
		tags := r.tagsOf()
		ids := []imageID{}
		for _, d := range slices.Sorted(maps.Keys(r.Images)) {
			if !in.Filter.wants(r.Images[d], tags[d]) {
				continue
			}
			if len(tags[d]) == 0 {
				ids = append(ids, imageID{Digest: d})
			}
			for _, t := range tags[d] {
				ids = append(ids, imageID{d, t})
			}
		}
		ids, next, err := page("images "+r.Name, ids, func(id imageID) string { return id.Digest + " " + id.Tag }, in.MaxResults, in.NextToken)
		return &listImagesOut{ids, next}, err
	})
}
