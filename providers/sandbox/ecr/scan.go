package ecr

import (
	"cmp"
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

// Scan is what the next questions about an image's scan are answered with. The zero
// value is a basic scan that found nothing, which is what every scan here finds by
// itself: there is no database of vulnerabilities to look into.
type Scan struct {
	// Status is one of the API's, such as FAILED or UNSUPPORTED_IMAGE; empty is COMPLETE,
	// or ACTIVE if enhanced. Only these two have findings.
	Status      string `json:"status,omitempty"`
	Description string `json:"description,omitempty"`
	// Enhanced makes it a scan by Amazon Inspector.
	Enhanced bool          `json:"enhanced,omitempty"`
	Findings []ScanFinding `json:"findings,omitempty"`
}

// ScanFinding is a vulnerability of one package.
type ScanFinding struct {
	Name     string `json:"name"`
	Severity string `json:"severity"`
	Package  string `json:"package,omitempty"`
	Version  string `json:"version,omitempty"`
	Fixed    string `json:"fixed,omitempty"` // told by enhanced scans only
	URI      string `json:"uri,omitempty"`
}

// SetScan decides what ECR says it found in an image, from now on and across restarts.
// The image counts as scanned now.
func (s *Service) SetScan(repositoryName, digest string, scan Scan) error {
	_, err := change(s, target{RepositoryName: repositoryName}, func(r *repository) (struct{}, error) {
		i, err := s.mustFind(r, imageID{Digest: digest})
		if err == nil {
			i.ScannedAt, i.Scan = s.now(), &scan
		}
		return struct{}{}, err
	})
	return err
}

// scan is what was found in i.
func (i *image) scan() Scan {
	if i.Scan == nil {
		return Scan{}
	}
	return *i.Scan
}

func (sc Scan) status() *scanStatus {
	switch {
	case sc.Status != "":
		return &scanStatus{sc.Status, sc.Description}
	case sc.Enhanced:
		return &scanStatus{"ACTIVE", cmp.Or(sc.Description, "Continuous scan is selected for image.")}
	default:
		return &scanStatus{scanned.Status, cmp.Or(sc.Description, scanned.Description)}
	}
}

// ended reports whether there are findings, be they none.
func (sc Scan) ended() bool {
	s := sc.status().Status
	return s == "COMPLETE" || s == "ACTIVE"
}

// summaryOf sums an image's findings up; nil if its scan has none to tell.
func summaryOf(i *image) *scanSummary {
	if !i.scan().ended() {
		return nil
	}
	at := wire.At(i.ScannedAt)
	sum := &scanSummary{CompletedAt: at, SourceAt: at, Counts: map[string]int{}}
	for _, f := range i.scan().Findings {
		sum.Counts[f.Severity]++
	}
	return sum
}

// The findings as the two ways of scanning write them.
// https://docs.aws.amazon.com/AmazonECR/latest/APIReference/API_ImageScanFindings.html
type (
	basicFinding struct {
		Name       string      `json:"name"`
		Severity   string      `json:"severity"`
		URI        string      `json:"uri,omitempty"`
		Attributes []attribute `json:"attributes"`
	}
	attribute struct {
		Key   string `json:"key"`
		Value string `json:"value"`
	}
	enhancedFinding struct {
		Title    string  `json:"title"`
		Severity string  `json:"severity"`
		Status   string  `json:"status"`
		Type     string  `json:"type"`
		Details  details `json:"packageVulnerabilityDetails"`
	}
	details struct {
		ID       string              `json:"vulnerabilityId"`
		URL      string              `json:"sourceUrl,omitempty"`
		Packages []vulnerablePackage `json:"vulnerablePackages"`
	}
	vulnerablePackage struct {
		Name    string `json:"name"`
		Version string `json:"version"`
		Fixed   string `json:"fixedInVersion,omitempty"`
	}
)

type scanFindings struct {
	*scanSummary
	Basic    []basicFinding    `json:"findings,omitempty"`
	Enhanced []enhancedFinding `json:"enhancedFindings,omitempty"`
}

func (f *scanFindings) add(one ScanFinding, enhanced bool) {
	if !enhanced {
		f.Basic = append(f.Basic, basicFinding{one.Name, one.Severity, one.URI,
			[]attribute{{"package_name", one.Package}, {"package_version", one.Version}}})
		return
	}
	f.Enhanced = append(f.Enhanced, enhancedFinding{one.Name + " - " + one.Package, one.Severity, "ACTIVE", "PACKAGE_VULNERABILITY",
		details{one.Name, one.URI, []vulnerablePackage{{one.Package, one.Version, one.Fixed}}}})
}

// scanGap is the time between two scans of one image.
// https://docs.aws.amazon.com/AmazonECR/latest/userguide/image-scanning-basic.html
const scanGap = 24 * time.Hour

type scanIn struct {
	target
	ID         imageID `json:"imageId"`
	MaxResults *int    `json:"maxResults"`
	NextToken  string  `json:"nextToken"`
}

type scanOut struct {
	target
	ID        imageID       `json:"imageId"`
	Status    *scanStatus   `json:"imageScanStatus"`
	Findings  *scanFindings `json:"imageScanFindings,omitempty"`
	NextToken string        `json:"nextToken,omitempty"`
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
		return &scanOut{target{s.account, r.Name}, imageID{i.Digest, in.ID.Tag}, underway, nil, ""}, nil
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
		scan := i.scan()
		out := &scanOut{target{s.account, r.Name}, imageID{i.Digest, in.ID.Tag}, scan.status(), nil, ""}
		if !scan.ended() {
			return out, nil
		}
		found, next, err := page("scan "+i.Digest, scan.Findings, func(f ScanFinding) string { return f.Name + " " + f.Package }, in.MaxResults, in.NextToken)
		out.Findings, out.NextToken = &scanFindings{scanSummary: summaryOf(i)}, next
		for _, f := range found {
			out.Findings.add(f, scan.Enhanced)
		}
		return out, err
	})
}
