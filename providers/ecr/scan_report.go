package ecr

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ecr/types"
)

// severities are those a threshold may name, gravest first.
var severities = [...]string{"CRITICAL", "HIGH", "MEDIUM", "LOW", "INFORMATIONAL"}

// unrated are what basic and enhanced scanning call a finding that nobody has rated yet.
var unrated = []string{"UNDEFINED", "UNTRIAGED"}

// rank orders severities, the gravest first. One that AWS may invent is the gravest.
func rank(severity string) int {
	if i := slices.Index(severities[:], severity); i >= 0 {
		return i
	}
	if slices.Contains(unrated, severity) {
		return len(severities)
	}
	return 0
}

// ScanReport is what a scan found and what the policy says to it.
type ScanReport struct {
	Repository  string
	Digest      string
	Kind        string // "basic" or "enhanced"
	Status      string // "COMPLETE", "ACTIVE", or why there are no findings
	Description string // of the status, in AWS's words
	ScannedAt   time.Time
	FailOn      string
	// Counts are the findings by severity, those that Suppressed counts left out.
	Counts     map[string]int
	Suppressed int           // by a rule in Amazon Inspector, or closed there
	Findings   []ScanFinding // the gravest first, then by id and package
	// Expired are the allowances that no longer hold although there is what they were
	// for; Unused those for which there is nothing.
	Expired []Allowance
	Unused  []Allowance

	counted map[string]int // AWS's own sum
}

// Verdict is what the policy says to one finding.
type Verdict string

const (
	Below   Verdict = "below"   // the threshold
	Allowed Verdict = "allowed" // though above the threshold
	Refused Verdict = "refused"
)

// ScanFinding is one vulnerability of one package. Its texts are AWS's.
type ScanFinding struct {
	ID       string // "CVE-2026-12345"
	Severity string
	Package  string // may be empty
	Version  string
	Fixed    string // version that is not vulnerable, if there is one
	URI      string
	Verdict  Verdict
	// Until is the last day of the allowance: of one that holds, or of one that expired
	// if the finding is refused. Zero if there is none, or no such day.
	Until time.Time
}

// add takes one page of findings in.
func (r *ScanReport) add(f *types.ImageScanFindings) {
	if at := aws.ToTime(f.ImageScanCompletedAt); !at.IsZero() {
		r.ScannedAt = at
	}
	if f.FindingSeverityCounts != nil {
		r.counted = map[string]int{}
		for severity, n := range f.FindingSeverityCounts {
			r.counted[severity] = int(n)
		}
	}
	for _, b := range f.Findings {
		row := ScanFinding{ID: aws.ToString(b.Name), Severity: string(b.Severity), URI: aws.ToString(b.Uri)}
		for _, a := range b.Attributes {
			switch aws.ToString(a.Key) {
			case "package_name":
				row.Package = aws.ToString(a.Value)
			case "package_version":
				row.Version = aws.ToString(a.Value)
			}
		}
		r.take(row)
	}
	for _, e := range f.EnhancedFindings {
		r.Kind = "enhanced"
		if s := aws.ToString(e.Status); s != "" && s != "ACTIVE" {
			r.Suppressed++
			continue
		}
		r.take(enhanced(e))
	}
}

// enhanced is a finding of Amazon Inspector, of which one may concern several packages.
// https://docs.aws.amazon.com/AmazonECR/latest/APIReference/API_PackageVulnerabilityDetails.html
func enhanced(e types.EnhancedImageScanFinding) ScanFinding {
	row := ScanFinding{ID: aws.ToString(e.Title), Severity: aws.ToString(e.Severity)}
	d := e.PackageVulnerabilityDetails
	if d == nil {
		return row
	}
	row.ID, row.URI = cmp.Or(aws.ToString(d.VulnerabilityId), row.ID), aws.ToString(d.SourceUrl)
	for _, p := range d.VulnerablePackages {
		row.Package = list(row.Package, aws.ToString(p.Name))
		row.Version = list(row.Version, aws.ToString(p.Version))
		if fixed := aws.ToString(p.FixedInVersion); fixed != "NotAvailable" {
			row.Fixed = list(row.Fixed, fixed)
		}
	}
	return row
}

// list appends to a text of things with commas between, each once.
func list(all, one string) string {
	switch {
	case one == "" || slices.Contains(strings.Split(all, ", "), one):
		return all
	case all == "":
		return one
	}
	return all + ", " + one
}

func (r *ScanReport) take(f ScanFinding) {
	f.Severity = cmp.Or(f.Severity, unrated[0])
	r.Counts[f.Severity]++
	r.Findings = append(r.Findings, f)
}

func (r *ScanReport) sort() {
	slices.SortStableFunc(r.Findings, func(a, b ScanFinding) int {
		return cmp.Or(cmp.Compare(rank(a.Severity), rank(b.Severity)), cmp.Compare(a.Severity, b.Severity),
			cmp.Compare(a.ID, b.ID), cmp.Compare(a.Package, b.Package))
	})
}

// judge gives each finding its verdict and returns a [*ScanError] if one is refused.
func (r *ScanReport) judge(o GateOptions) error {
	now := o.Now()
	r.FailOn = o.FailOn
	if !scanned(types.ScanStatus(r.Status)) {
		return r.unscanned(o, now)
	}
	used := map[int]bool{}
	expired := map[int]bool{}
	refused := false
	for i := range r.Findings {
		f := &r.Findings[i]
		at := slices.IndexFunc(o.Allow, func(a Allowance) bool { return strings.EqualFold(a.ID, f.ID) && !a.expired(now) })
		old := slices.IndexFunc(o.Allow, func(a Allowance) bool { return strings.EqualFold(a.ID, f.ID) && a.expired(now) })
		if at >= 0 {
			used[at] = true
		}
		if old >= 0 {
			used[old] = true
		}
		switch {
		case o.FailOn == "" || rank(f.Severity) > rank(o.FailOn):
			f.Verdict = Below
		case at >= 0:
			f.Verdict, f.Until = Allowed, o.Allow[at].Until
		default:
			f.Verdict, refused = Refused, true
			if old >= 0 {
				f.Until, expired[old] = o.Allow[old].Until, true
			}
		}
	}
	for i, a := range o.Allow {
		switch {
		case expired[i]:
			r.Expired = append(r.Expired, a)
		case !used[i]:
			r.Unused = append(r.Unused, a)
		}
	}
	if refused || r.unlisted() != "" {
		return &ScanError{r}
	}
	return nil
}

// unscanned judges an image of which nothing is known. That is a refusal: a gate that
// cannot see says no, unless the policy lets images through that ECR cannot scan.
func (r *ScanReport) unscanned(o GateOptions, now time.Time) error {
	for _, a := range o.Allow {
		switch {
		case r.Status != Unsupported || !strings.EqualFold(a.ID, Unsupported):
		case a.expired(now):
			r.Expired = append(r.Expired, a)
		default:
			return nil
		}
	}
	if o.FailOn == "" {
		return nil
	}
	return &ScanError{r}
}

// unlisted is a severity at or above the threshold of which AWS counts findings without
// listing any, or "".
func (r *ScanReport) unlisted() string {
	if r.FailOn == "" || len(r.Findings)+r.Suppressed > 0 {
		return ""
	}
	for _, s := range severities {
		if r.counted[s] > 0 && rank(s) <= rank(r.FailOn) {
			return s
		}
	}
	return ""
}

// Refused are the findings that stop the rollout.
func (r *ScanReport) Refused() []ScanFinding {
	var refused []ScanFinding
	for _, f := range r.Findings {
		if f.Verdict == Refused {
			refused = append(refused, f)
		}
	}
	return refused
}

// Table is a row per severity that occurs, the gravest first, under a row of headings.
func (r *ScanReport) Table() [][]string {
	rows := [][]string{{"severity", "found", "allowed", "refused"}}
	allowed, refused := map[string]int{}, map[string]int{}
	var names []string
	for _, f := range r.Findings {
		if !slices.Contains(names, f.Severity) {
			names = append(names, f.Severity)
		}
		switch f.Verdict {
		case Allowed:
			allowed[f.Severity]++
		case Refused:
			refused[f.Severity]++
		}
	}
	for _, s := range names {
		rows = append(rows, []string{s, strconv.Itoa(r.Counts[s]), strconv.Itoa(allowed[s]), strconv.Itoa(refused[s])})
	}
	return rows
}

// ScanError says that an image must not be rolled out.
type ScanError struct{ Report *ScanReport }

var _ error = (*ScanError)(nil)

// PolicyRefused tells this error from a failure: the policy says no.
func (*ScanError) PolicyRefused() bool { return true }

func (e *ScanError) Error() string {
	r := e.Report
	image := fmt.Sprintf("image %s@%s", r.Repository, short(r.Digest))
	if !scanned(types.ScanStatus(r.Status)) {
		text := fmt.Sprintf("%s: there are no findings to judge it by: %s", image, r.Status)
		if r.Description != "" {
			text += ": " + r.Description
		}
		return text + expiredText(r.Expired)
	}
	if s := r.unlisted(); s != "" {
		return fmt.Sprintf("%s: ECR counts %d %s findings and lists none", image, r.counted[s], s)
	}
	refused := r.Refused()
	var names []string
	for _, f := range refused {
		if name := strings.TrimSpace(f.ID + " " + f.Package); !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	more := ""
	if len(names) > 5 {
		more = fmt.Sprintf(" and %d more", len(names)-5)
		names = names[:5]
	}
	noun := "findings"
	if len(refused) == 1 {
		noun = "finding"
	}
	return fmt.Sprintf("%s: %d %s at or above %s: %s%s%s", image, len(refused), noun, r.FailOn, strings.Join(names, ", "), more, expiredText(r.Expired))
}

// expiredText names allowances that have run out.
func expiredText(all []Allowance) string {
	text := ""
	for _, a := range all {
		text += fmt.Sprintf("; the allowance for %s ended on %s", a.ID, a.Until.UTC().Format(time.DateOnly))
	}
	return text
}

// Hint says what helps.
func (e *ScanError) Hint() string {
	switch r := e.Report; {
	case r.Status == Unsupported:
		return "ECR cannot scan images without a known operating system; to let this one through, allow " + Unsupported + " under image.scan with a date"
	case r.Status == string(types.ScanStatusFailed):
		return "a basic scan can be repeated after 24 hours; an image that was built again is scanned at once"
	case r.Status == string(types.ScanStatusScanEligibilityExpired):
		return "Amazon Inspector no longer watches this image: push it again, or lengthen its re-scan duration in Inspector"
	case r.Status == string(types.ScanStatusLimitExceeded):
		return "the account's quota of scans is used up: try again tomorrow"
	case !scanned(types.ScanStatus(r.Status)):
		return "see the image's scan in the ECR console"
	}
	for _, f := range e.Report.Refused() {
		if f.Fixed != "" {
			return fmt.Sprintf("update what is vulnerable (%s is fixed in %s) and build again; or allow it under image.scan with a date", cmp.Or(f.Package, f.ID), f.Fixed)
		}
	}
	return "update the base image and build again; or allow the finding under image.scan with a date"
}

// ScanTimeout says that a scan did not end in time.
type ScanTimeout struct {
	Repository string
	Digest     string
	After      time.Duration
	State      string // the last that was seen
	Refusal    string // why ECR did not start a scan when asked; may be empty
}

var _ error = (*ScanTimeout)(nil)

// DeadlineExceeded tells this error from a refusal.
func (*ScanTimeout) DeadlineExceeded() bool { return true }

func (e *ScanTimeout) Error() string {
	text := fmt.Sprintf("image %s@%s: ECR's scan did not end in %s: %s", e.Repository, short(e.Digest), e.After, e.State)
	if e.Refusal != "" {
		text += "; starting one was refused: " + e.Refusal
	}
	return text
}

// Hint says what helps.
func (e *ScanTimeout) Hint() string {
	if e.Refusal != "" {
		return "the registry's scanning rules must cover this repository: see the private registry's scanning configuration"
	}
	return "run apply again: the scan goes on meanwhile, and what is done is not repeated"
}
