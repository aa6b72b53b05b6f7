package ecr

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	sdk "github.com/aws/aws-sdk-go-v2/service/ecr"
	"github.com/aws/aws-sdk-go-v2/service/ecr/types"
	"github.com/aws/smithy-go"

	"github.com/apron-deploy/apron/providers/awsapi"
)

// scanner is the part of the SDK's client that a gate calls.
type scanner interface {
	DescribeImageScanFindings(context.Context, *sdk.DescribeImageScanFindingsInput, ...func(*sdk.Options)) (*sdk.DescribeImageScanFindingsOutput, error)
	StartImageScan(context.Context, *sdk.StartImageScanInput, ...func(*sdk.Options)) (*sdk.StartImageScanOutput, error)
}

var _ scanner = (*sdk.Client)(nil)

// Scans judges images by what ECR finds in them.
type Scans struct{ api scanner }

// NewScans returns the scans of one account and Region.
func NewScans(cfg aws.Config) *Scans { return &Scans{sdk.NewFromConfig(cfg)} }

// GateOptions steer a gate.
type GateOptions struct {
	// FailOn is the least severity that stops a rollout: CRITICAL, HIGH, MEDIUM, LOW or
	// INFORMATIONAL. Empty stops at nothing that is found, and still waits for the scan.
	FailOn string
	// Allow lists findings that stop nothing.
	Allow []Allowance
	// Timeout is how long the scan may take; 0 means 15 minutes.
	Timeout time.Duration
	// Poll is the time between two questions; 0 means 5 seconds.
	Poll time.Duration
	// Now is the clock that allowances expire by; nil is the real one.
	Now func() time.Time
	// Waiting, if set, is told at each question that the scan is not over, and in what
	// state it is: "no scan yet", "IN_PROGRESS", "PENDING".
	Waiting func(state string)
}

// Unsupported is the [Allowance.ID] that lets images through which ECR cannot scan: such
// as have no package manager's data base, those made from scratch among them.
const Unsupported = "UNSUPPORTED_IMAGE"

// Allowance lets one finding through.
type Allowance struct {
	// ID is the finding's: "CVE-2026-12345", in any case; or [Unsupported].
	ID string
	// Until is the last day, in UTC, on which it holds; zero is for ever.
	Until time.Time
}

// expired reports whether the day of Until has passed.
func (a Allowance) expired(now time.Time) bool {
	return !a.Until.IsZero() && !now.Before(a.Until.UTC().Truncate(24*time.Hour).Add(24*time.Hour))
}

// Gate waits until ECR has scanned an image, and starts a scan if there is none and
// nobody else starts one. The digest must be that of an image, not of an index. The
// report is there whenever the scan ended, with or without an error: [*ScanError] if the
// image must not be rolled out, because of what was found or because nobody can tell;
// [*ScanTimeout] if the scan did not end in time.
// https://docs.aws.amazon.com/AmazonECR/latest/APIReference/API_DescribeImageScanFindings.html
func (s *Scans) Gate(ctx context.Context, repository, digest string, o GateOptions) (*ScanReport, error) {
	if o.FailOn != "" && !slices.Contains(severities[:], o.FailOn) {
		return nil, fmt.Errorf("image.scan.fail_on: %q is no severity", o.FailOn)
	}
	if o.Timeout == 0 {
		o.Timeout = 15 * time.Minute
	}
	if o.Poll == 0 {
		o.Poll = 5 * time.Second
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	g := gate{api: s.api, o: o, repository: repository, id: &types.ImageIdentifier{ImageDigest: &digest}}
	r, err := g.wait(ctx)
	if err != nil {
		return nil, err
	}
	return r, r.judge(o)
}

// gate is one wait for a scan.
type gate struct {
	api        scanner
	o          GateOptions
	repository string
	id         *types.ImageIdentifier
	asked      bool   // for a scan
	refusal    string // why ECR did not start one
}

func (g *gate) wait(ctx context.Context) (*ScanReport, error) {
	late := time.NewTimer(g.o.Timeout)
	defer late.Stop()
	for {
		out, err := g.api.DescribeImageScanFindings(ctx, g.question(nil))
		state := "no scan yet"
		switch {
		case awsapi.Is(err, "ScanNotFoundException"):
			if unsupported, err := g.start(ctx); err != nil {
				return nil, err
			} else if unsupported != "" {
				return g.report(Unsupported, unsupported), nil
			}
		case err != nil:
			return nil, g.failed(ctx, "read scan findings", err)
		case ended(out):
			return g.collect(ctx, out)
		default:
			state = string(statusOf(out))
		}
		if g.o.Waiting != nil {
			g.o.Waiting(state)
		}
		next := time.NewTimer(g.o.Poll)
		select {
		case <-ctx.Done():
			next.Stop()
			return nil, context.Cause(ctx)
		case <-late.C:
			next.Stop()
			return nil, &ScanTimeout{Repository: g.repository, Digest: *g.id.ImageDigest, After: g.o.Timeout, State: state, Refusal: g.refusal}
		case <-next.C:
		}
	}
}

// start asks for a scan, once. A refusal is no failure: with scan on push or enhanced
// scanning ECR has started one, or will, and takes no orders.
// https://docs.aws.amazon.com/AmazonECR/latest/APIReference/API_StartImageScan.html
func (g *gate) start(ctx context.Context) (unsupported string, err error) {
	if g.asked {
		return "", nil
	}
	g.asked = true
	_, err = g.api.StartImageScan(ctx, &sdk.StartImageScanInput{RepositoryName: &g.repository, ImageId: g.id})
	switch {
	case awsapi.Is(err, "UnsupportedImageTypeException"):
		return reason(err), nil
	case awsapi.Is(err, "ValidationException", "LimitExceededException"):
		g.refusal = reason(err)
	case err != nil:
		return "", g.failed(ctx, "start a scan", err)
	}
	return "", nil
}

// reason is what AWS says, without the request's number.
func reason(err error) string {
	if api, ok := errors.AsType[smithy.APIError](err); ok {
		return api.ErrorCode() + ": " + api.ErrorMessage()
	}
	return err.Error()
}

func (g *gate) failed(ctx context.Context, doing string, err error) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return fmt.Errorf("repository %q: image %s: %s: %w", g.repository, short(*g.id.ImageDigest), doing, awsapi.Explain(err))
}

// pageSize is the most findings that one answer holds.
const pageSize = 1000

func (g *gate) question(token *string) *sdk.DescribeImageScanFindingsInput {
	return &sdk.DescribeImageScanFindingsInput{RepositoryName: &g.repository, ImageId: g.id, MaxResults: aws.Int32(pageSize), NextToken: token}
}

// collect reads the findings of a scan that has ended, from its first page on.
func (g *gate) collect(ctx context.Context, out *sdk.DescribeImageScanFindingsOutput) (*ScanReport, error) {
	status := statusOf(out)
	r := g.report(string(status), aws.ToString(out.ImageScanStatus.Description))
	if !scanned(status) {
		return r, nil
	}
	for {
		if f := out.ImageScanFindings; f != nil {
			r.add(f)
		}
		if aws.ToString(out.NextToken) == "" {
			r.sort()
			return r, nil
		}
		var err error
		if out, err = g.api.DescribeImageScanFindings(ctx, g.question(out.NextToken)); err != nil {
			return nil, g.failed(ctx, "read scan findings", err)
		}
	}
}

func (g *gate) report(status, description string) *ScanReport {
	return &ScanReport{Repository: g.repository, Digest: *g.id.ImageDigest, Status: status, Description: description,
		Kind: "basic", Counts: map[string]int{}}
}

func statusOf(out *sdk.DescribeImageScanFindingsOutput) types.ScanStatus {
	if out.ImageScanStatus == nil {
		return types.ScanStatusPending
	}
	return out.ImageScanStatus.Status
}

// scanned reports whether there are findings to judge. ACTIVE is what enhanced scanning
// calls an image that it has scanned and keeps watching.
func scanned(s types.ScanStatus) bool {
	return s == types.ScanStatusComplete || s == types.ScanStatusActive
}

// ended reports whether waiting longer would change nothing.
func ended(out *sdk.DescribeImageScanFindingsOutput) bool {
	switch s := statusOf(out); s {
	case types.ScanStatusInProgress, types.ScanStatusPending:
		return false
	case types.ScanStatusActive:
		return out.ImageScanFindings != nil // watched, and not scanned yet
	}
	return true
}

// short is a digest for people.
func short(digest string) string {
	if len(digest) > 19 {
		return digest[:19]
	}
	return digest
}
