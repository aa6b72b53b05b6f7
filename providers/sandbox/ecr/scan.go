package ecr

import (
	"context"
	"time"

	"github.com/apron-deploy/apron/providers/sandbox/wire"
)

type scanStatus struct {
	Status      string `json:"status"`
	Description string `json:"description"`
}

var (
	underway = &scanStatus{"IN_PROGRESS", "The scan is in progress."}
	scanned  = &scanStatus{"COMPLETE", "The scan was completed successfully."}
)

type scanSummary struct {
	CompletedAt wire.Time      `json:"imageScanCompletedAt"`
	SourceAt    wire.Time      `json:"vulnerabilitySourceUpdatedAt"`
	Counts      map[string]int `json:"findingSeverityCounts"`
}

// summaryOf reports a scan that found nothing: there is no database of
// vulnerabilities to look into.
func summaryOf(i *image) *scanSummary {
	at := wire.At(i.ScannedAt)
	return &scanSummary{CompletedAt: at, SourceAt: at, Counts: map[string]int{}}
}

// scanGap is the time between two scans of one image.
// https://docs.aws.amazon.com/AmazonECR/latest/userguide/image-scanning-basic.html
const scanGap = 24 * time.Hour

type scanIn struct {
	target
	ID imageID `json:"imageId"`
}

type scanOut struct {
	target
	ID       imageID      `json:"imageId"`
	Status   *scanStatus  `json:"imageScanStatus"`
	Findings *scanSummary `json:"imageScanFindings,omitempty"`
}

func (s *Service) startImageScan(_ context.Context, in scanIn) (*scanOut, error) {
	return change(s, in.target, func(r *repository) (*scanOut, error) {
		i, err := s.mustFind(r, in.ID)
		switch {
		case err != nil:
			return nil, err
		case !i.ArchivedAt.IsZero():
			return nil, refuse("ImageArchivedException", "The specified image is archived and cannot be scanned.")
		case !i.runnable():
			return nil, refuse("UnsupportedImageTypeException",
				"The image with imageId %s is of a type that cannot be scanned", in.ID)
		case s.now().Sub(i.ScannedAt) < scanGap:
			return nil, refuse("LimitExceededException", "The scan quota per image has been exceeded. Wait and try again.")
		}
		i.ScannedAt = s.now()
		return &scanOut{target{s.account, r.Name}, imageID{i.Digest, in.ID.Tag}, underway, nil}, nil
	})
}

func (s *Service) describeImageScanFindings(_ context.Context, in scanIn) (*scanOut, error) {
	return view(s, in.target, func(r *repository) (*scanOut, error) {
		i, err := s.mustFind(r, in.ID)
		if err != nil {
			return nil, err
		}
		if i.ScannedAt.IsZero() {
			return nil, refuse("ScanNotFoundException",
				"Image scan does not exist for the image with '%s' in the repository with name '%s' in the registry with id '%s'",
				in.ID, r.Name, s.account)
		}
		return &scanOut{target{s.account, r.Name}, imageID{i.Digest, in.ID.Tag}, scanned, summaryOf(i)}, nil
	})
}
