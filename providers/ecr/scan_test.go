package ecr

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	sdk "github.com/aws/aws-sdk-go-v2/service/ecr"
	"github.com/aws/aws-sdk-go-v2/service/ecr/types"
	"github.com/aws/smithy-go"
	"github.com/stretchr/testify/require"
)

const scanDigest = "sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

// scriptedScans answers one question after the other; the last answer stays.
type scriptedScans struct {
	answers []any // errors and outputs
	start   error
	asked   int
	started int
}

func (f *scriptedScans) DescribeImageScanFindings(ctx context.Context, in *sdk.DescribeImageScanFindingsInput, _ ...func(*sdk.Options)) (*sdk.DescribeImageScanFindingsOutput, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	a := f.answers[min(f.asked, len(f.answers)-1)]
	f.asked++
	if err, ok := a.(error); ok {
		return nil, err
	}
	return a.(*sdk.DescribeImageScanFindingsOutput), nil
}

func (f *scriptedScans) StartImageScan(context.Context, *sdk.StartImageScanInput, ...func(*sdk.Options)) (*sdk.StartImageScanOutput, error) {
	f.started++
	return &sdk.StartImageScanOutput{}, f.start
}

func code(name string) error { return &smithy.GenericAPIError{Code: name, Message: "the reason"} }

func answer(status types.ScanStatus, f *types.ImageScanFindings) *sdk.DescribeImageScanFindingsOutput {
	return &sdk.DescribeImageScanFindingsOutput{ImageScanFindings: f,
		ImageScanStatus: &types.ImageScanStatus{Status: status, Description: aws.String("as AWS says")}}
}

// basic makes findings out of pairs of an id and a severity.
func basic(pairs ...string) *types.ImageScanFindings {
	f := &types.ImageScanFindings{FindingSeverityCounts: map[string]int32{}}
	for i := 0; i < len(pairs); i += 2 {
		f.FindingSeverityCounts[pairs[i+1]]++
		f.Findings = append(f.Findings, types.ImageScanFinding{Name: aws.String(pairs[i]), Severity: types.FindingSeverity(pairs[i+1]),
			Attributes: []types.Attribute{{Key: aws.String("package_name"), Value: aws.String("openssl")}, {Key: aws.String("package_version"), Value: aws.String("3.0")}}})
	}
	return f
}

func day(s string) time.Time {
	t, err := time.Parse(time.DateOnly, s)
	if err != nil {
		panic(err)
	}
	return t
}

func TestGate_waitsUntilTheScanHasEnded(t *testing.T) {
	none := code("ScanNotFoundException")
	for name, tc := range map[string]struct {
		answers []any
		start   error
		started int
		seconds int
		states  []string
	}{
		"it had ended before":                         {answers: []any{answer("COMPLETE", basic())}},
		"it is under way":                             {answers: []any{answer("IN_PROGRESS", nil), answer("PENDING", nil), answer("COMPLETE", basic())}, seconds: 10, states: []string{"IN_PROGRESS", "PENDING"}},
		"there is none, and it is started":            {answers: []any{none, none, answer("COMPLETE", basic())}, started: 1, seconds: 10, states: []string{"no scan yet", "no scan yet"}},
		"enhanced scanning starts its own":            {answers: []any{none, answer("PENDING", nil), answer("ACTIVE", basic())}, start: code("ValidationException"), started: 1, seconds: 10, states: []string{"no scan yet", "PENDING"}},
		"scan on push was faster":                     {answers: []any{none, answer("COMPLETE", basic())}, start: code("LimitExceededException"), started: 1, seconds: 5, states: []string{"no scan yet"}},
		"watched, and not scanned for the first time": {answers: []any{answer("ACTIVE", nil), answer("ACTIVE", basic())}, seconds: 5, states: []string{"ACTIVE"}},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				api := &scriptedScans{answers: tc.answers, start: tc.start}
				var states []string
				before := time.Now()
				r, err := (&Scans{api}).Gate(t.Context(), "web", scanDigest, GateOptions{FailOn: "LOW", Waiting: func(s string) { states = append(states, s) }})
				require.NoError(t, err)
				require.Empty(t, r.Findings)
				require.Equal(t, time.Duration(tc.seconds)*time.Second, time.Since(before))
				require.Equal(t, tc.started, api.started)
				require.Equal(t, tc.states, states)
			})
		})
	}
}

func TestGate_endsWithItsTimeoutOrContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &Scans{&scriptedScans{answers: []any{code("ScanNotFoundException")}, start: code("ValidationException")}}
		before := time.Now()
		_, err := s.Gate(t.Context(), "web", scanDigest, GateOptions{Timeout: time.Minute, Poll: 7 * time.Second})
		var late *ScanTimeout
		require.ErrorAs(t, err, &late)
		require.True(t, late.DeadlineExceeded())
		require.Equal(t, time.Minute, time.Since(before))
		require.EqualError(t, err, "image web@sha256:0123456789ab: ECR's scan did not end in 1m0s: no scan yet; starting one was refused: ValidationException: the reason")
		require.Contains(t, late.Hint(), "scanning configuration")
	})
	synctest.Test(t, func(t *testing.T) {
		cause := errors.New("interrupted")
		ctx, cancel := context.WithCancelCause(t.Context())
		time.AfterFunc(time.Second, func() { cancel(cause) })
		_, err := (&Scans{&scriptedScans{answers: []any{answer("PENDING", nil)}}}).Gate(ctx, "web", scanDigest, GateOptions{})
		require.Equal(t, cause, err)
	})
}

func TestGate_judges(t *testing.T) {
	findings := []string{"CVE-1", "HIGH", "CVE-2", "CRITICAL", "CVE-3", "LOW", "CVE-4", "UNDEFINED"}
	for name, tc := range map[string]struct {
		findings []string
		failOn   string
		allow    []Allowance
		refused  []string
		err      string
	}{
		"nothing found":                      {failOn: "INFORMATIONAL"},
		"no threshold, nothing stops":        {findings: findings},
		"a threshold takes what is graver":   {findings: findings, failOn: "HIGH", refused: []string{"CVE-2", "CVE-1"}, err: "2 findings at or above HIGH: CVE-2 openssl, CVE-1 openssl"},
		"unrated findings stop nothing":      {findings: []string{"CVE-4", "UNDEFINED", "CVE-5", "UNTRIAGED", "CVE-6", ""}, failOn: "INFORMATIONAL"},
		"a severity nobody knows is grave":   {findings: []string{"CVE-9", "APOCALYPTIC"}, failOn: "CRITICAL", refused: []string{"CVE-9"}, err: "1 finding at or above CRITICAL: CVE-9 openssl"},
		"an allowance for ever, in any case": {findings: findings, failOn: "CRITICAL", allow: []Allowance{{ID: "cve-2"}}},
		"an allowance holds on its last day": {findings: findings, failOn: "CRITICAL", allow: []Allowance{{ID: "CVE-2", Until: day("2026-03-01")}}},
		"an allowance has expired": {findings: findings, failOn: "CRITICAL", allow: []Allowance{{ID: "CVE-2", Until: day("2026-02-28")}},
			refused: []string{"CVE-2"}, err: "CVE-2 openssl; the allowance for CVE-2 ended on 2026-02-28"},
		"an expired allowance was renewed":     {findings: findings, failOn: "CRITICAL", allow: []Allowance{{ID: "CVE-2", Until: day("2026-02-28")}, {ID: "CVE-2", Until: day("2026-06-01")}}},
		"an allowance is for its finding only": {findings: findings, failOn: "HIGH", allow: []Allowance{{ID: "CVE-2"}}, refused: []string{"CVE-1"}, err: "1 finding at or above HIGH: CVE-1 openssl"},
		"a long list is cut": {findings: []string{"1", "LOW", "2", "LOW", "3", "LOW", "4", "LOW", "5", "LOW", "6", "LOW", "7", "LOW"}, failOn: "LOW",
			refused: []string{"1", "2", "3", "4", "5", "6", "7"}, err: "7 findings at or above LOW: 1 openssl, 2 openssl, 3 openssl, 4 openssl, 5 openssl and 2 more"},
	} {
		t.Run(name, func(t *testing.T) {
			s := &Scans{&scriptedScans{answers: []any{answer("COMPLETE", basic(tc.findings...))}}}
			now := func() time.Time { return time.Date(2026, 3, 1, 23, 59, 59, 0, time.UTC) }
			r, err := s.Gate(t.Context(), "web", scanDigest, GateOptions{FailOn: tc.failOn, Allow: tc.allow, Now: now})
			require.Len(t, r.Findings, len(tc.findings)/2)
			var refused []string
			for _, f := range r.Refused() {
				refused = append(refused, f.ID)
			}
			require.Equal(t, tc.refused, refused)
			if tc.err == "" {
				require.NoError(t, err)
				return
			}
			var e *ScanError
			require.ErrorAs(t, err, &e)
			require.True(t, e.PolicyRefused())
			require.ErrorContains(t, err, tc.err)
			require.NotEmpty(t, e.Hint())
		})
	}
}

func TestGate_namesAllowancesThatAreOfNoUse(t *testing.T) {
	s := &Scans{&scriptedScans{answers: []any{answer("COMPLETE", basic("CVE-1", "LOW"))}}}
	r, err := s.Gate(t.Context(), "web", scanDigest, GateOptions{FailOn: "CRITICAL", Allow: []Allowance{{ID: "CVE-1", Until: day("2020-01-01")}, {ID: "CVE-7"}}})
	require.NoError(t, err)
	require.Equal(t, []Allowance{{ID: "CVE-7"}}, r.Unused)
	require.Empty(t, r.Expired, "it is below the threshold without an allowance")
}

func TestGate_saysNoWhenNobodyCanTell(t *testing.T) {
	for _, status := range []types.ScanStatus{"FAILED", "UNSUPPORTED_IMAGE", "SCAN_ELIGIBILITY_EXPIRED", "FINDINGS_UNAVAILABLE", "LIMIT_EXCEEDED", "IMAGE_ARCHIVED", "SOMETHING_NEW"} {
		t.Run(string(status), func(t *testing.T) {
			s := &Scans{&scriptedScans{answers: []any{answer(status, nil)}}}
			r, err := s.Gate(t.Context(), "web", scanDigest, GateOptions{FailOn: "CRITICAL", Allow: []Allowance{{ID: "CVE-1"}}})
			var e *ScanError
			require.ErrorAs(t, err, &e)
			require.EqualError(t, err, "image web@sha256:0123456789ab: there are no findings to judge it by: "+string(status)+": as AWS says")
			require.NotEmpty(t, e.Hint())
			require.Equal(t, string(status), r.Status)

			_, err = s.Gate(t.Context(), "web", scanDigest, GateOptions{})
			require.NoError(t, err, "without a threshold there is nothing to refuse")
		})
	}
	counted := basic("CVE-1", "HIGH", "CVE-2", "HIGH")
	counted.Findings = nil
	_, err := (&Scans{&scriptedScans{answers: []any{answer("COMPLETE", counted)}}}).Gate(t.Context(), "web", scanDigest, GateOptions{FailOn: "MEDIUM"})
	require.EqualError(t, err, "image web@sha256:0123456789ab: ECR counts 2 HIGH findings and lists none")

	counted.EnhancedFindings = []types.EnhancedImageScanFinding{{Status: aws.String("SUPPRESSED")}}
	_, err = (&Scans{&scriptedScans{answers: []any{answer("ACTIVE", counted)}}}).Gate(t.Context(), "web", scanDigest, GateOptions{FailOn: "MEDIUM"})
	require.NoError(t, err, "what is counted is suppressed")
}

func TestGate_letsUnsupportedImagesThroughWhileThatIsAllowed(t *testing.T) {
	now := func() time.Time { return time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC) }
	for name, api := range map[string]*scriptedScans{
		"ECR says so when asked for findings": {answers: []any{answer("UNSUPPORTED_IMAGE", nil)}},
		"ECR says so when asked for a scan":   {answers: []any{code("ScanNotFoundException")}, start: code("UnsupportedImageTypeException")},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := (&Scans{api}).Gate(t.Context(), "web", scanDigest, GateOptions{FailOn: "LOW", Now: now, Allow: []Allowance{{ID: Unsupported, Until: day("2026-03-01")}}})
			require.NoError(t, err)
			*api = scriptedScans{answers: api.answers, start: api.start}
			_, err = (&Scans{api}).Gate(t.Context(), "web", scanDigest, GateOptions{FailOn: "LOW", Now: now, Allow: []Allowance{{ID: Unsupported, Until: day("2026-02-01")}}})
			require.ErrorContains(t, err, "; the allowance for UNSUPPORTED_IMAGE ended on 2026-02-01")
		})
	}
}

func TestGate_readsEnhancedFindings(t *testing.T) {
	vulnerable := func(id, severity, status string) types.EnhancedImageScanFinding {
		return types.EnhancedImageScanFinding{Severity: &severity, Status: &status, Title: aws.String(id + " - two packages"),
			PackageVulnerabilityDetails: &types.PackageVulnerabilityDetails{VulnerabilityId: &id, SourceUrl: aws.String("https://example.test/" + id),
				VulnerablePackages: []types.VulnerablePackage{
					{Name: aws.String("libssl"), Version: aws.String("3.0"), FixedInVersion: aws.String("3.1")},
					{Name: aws.String("openssl"), Version: aws.String("3.0"), FixedInVersion: aws.String("NotAvailable")}}}}
	}
	first := answer("ACTIVE", &types.ImageScanFindings{EnhancedFindings: []types.EnhancedImageScanFinding{vulnerable("CVE-1", "HIGH", "ACTIVE"), vulnerable("CVE-2", "CRITICAL", "SUPPRESSED")}})
	first.NextToken = aws.String("more")
	second := answer("ACTIVE", &types.ImageScanFindings{EnhancedFindings: []types.EnhancedImageScanFinding{vulnerable("CVE-3", "CRITICAL", "ACTIVE")}})
	r, err := (&Scans{&scriptedScans{answers: []any{first, second}}}).Gate(t.Context(), "web", scanDigest, GateOptions{FailOn: "CRITICAL"})
	require.Equal(t, &ScanReport{
		Repository: "web", Digest: scanDigest, Kind: "enhanced", Status: "ACTIVE", Description: "as AWS says", FailOn: "CRITICAL",
		Counts: map[string]int{"CRITICAL": 1, "HIGH": 1}, Suppressed: 1,
		Findings: []ScanFinding{
			{ID: "CVE-3", Severity: "CRITICAL", Package: "libssl, openssl", Version: "3.0", Fixed: "3.1", URI: "https://example.test/CVE-3", Verdict: Refused},
			{ID: "CVE-1", Severity: "HIGH", Package: "libssl, openssl", Version: "3.0", Fixed: "3.1", URI: "https://example.test/CVE-1", Verdict: Below},
		}}, r)
	require.Equal(t, [][]string{{"severity", "found", "allowed", "refused"}, {"CRITICAL", "1", "0", "1"}, {"HIGH", "1", "0", "0"}}, r.Table())
	var e *ScanError
	require.ErrorAs(t, err, &e)
	require.Equal(t, "update what is vulnerable (libssl, openssl is fixed in 3.1) and build again; or allow it under image.scan with a date", e.Hint())
}

func TestGate_failsAsAWSDoes(t *testing.T) {
	for name, api := range map[string]*scriptedScans{
		"read":  {answers: []any{code("AccessDeniedException")}},
		"start": {answers: []any{code("ScanNotFoundException")}, start: code("AccessDeniedException")},
		"page":  {answers: []any{&sdk.DescribeImageScanFindingsOutput{ImageScanStatus: answer("COMPLETE", nil).ImageScanStatus, NextToken: aws.String("x")}, code("AccessDeniedException")}},
	} {
		t.Run(name, func(t *testing.T) {
			r, err := (&Scans{api}).Gate(t.Context(), "web", scanDigest, GateOptions{FailOn: "LOW"})
			require.Nil(t, r)
			require.ErrorContains(t, err, `repository "web": image sha256:0123456789ab: `)
			require.ErrorContains(t, err, "AccessDeniedException: the reason")
		})
	}
	_, err := (&Scans{}).Gate(t.Context(), "web", scanDigest, GateOptions{FailOn: "high"})
	require.EqualError(t, err, `image.scan.fail_on: "high" is no severity`)
}
