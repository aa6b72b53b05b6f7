package ecr_test

import (
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	sdk "github.com/aws/aws-sdk-go-v2/service/ecr"
	"github.com/aws/aws-sdk-go-v2/service/ecr/types"
	"github.com/stretchr/testify/require"

	"github.com/apron-deploy/apron/providers/sandbox/ecr"
)

func TestScan_tellsWhatItIsSetToFind(t *testing.T) {
	w := newWorld(t)
	w.create("web")
	digest := w.push("web:one", randomImage(t, 1))
	require.NoError(t, w.service.SetScan("web", digest, ecr.Scan{Findings: []ecr.ScanFinding{
		{Name: "CVE-2026-1", Severity: "CRITICAL", Package: "openssl", Version: "3.0.1"},
		{Name: "CVE-2026-2", Severity: "LOW", Package: "zlib", Version: "1.2"},
		{Name: "CVE-2026-2", Severity: "LOW", Package: "zlib-dev", Version: "1.2"},
	}}))
	w.open() // restart

	in := &sdk.DescribeImageScanFindingsInput{RepositoryName: aws.String("web"), ImageId: &types.ImageIdentifier{ImageDigest: &digest}, MaxResults: aws.Int32(2)}
	first, err := w.client.DescribeImageScanFindings(w.ctx, in)
	require.NoError(t, err)
	require.Equal(t, types.ScanStatusComplete, first.ImageScanStatus.Status)
	require.Equal(t, map[string]int32{"CRITICAL": 1, "LOW": 2}, first.ImageScanFindings.FindingSeverityCounts)
	require.Len(t, first.ImageScanFindings.Findings, 2)
	require.Equal(t, "openssl", *first.ImageScanFindings.Findings[0].Attributes[0].Value)
	in.NextToken = first.NextToken
	rest, err := w.client.DescribeImageScanFindings(w.ctx, in)
	require.NoError(t, err)
	require.Len(t, rest.ImageScanFindings.Findings, 1)
	require.Nil(t, rest.NextToken)
	require.Equal(t, int32(1), w.details("web")[digest].ImageScanFindingsSummary.FindingSeverityCounts["CRITICAL"])
}

func TestScan_enhancedAndUnsupported(t *testing.T) {
	w := newWorld(t)
	w.create("web")
	digest := w.push("web:one", randomImage(t, 1))
	in := &sdk.DescribeImageScanFindingsInput{RepositoryName: aws.String("web"), ImageId: &types.ImageIdentifier{ImageDigest: &digest}}

	require.NoError(t, w.service.SetScan("web", digest, ecr.Scan{Enhanced: true, Findings: []ecr.ScanFinding{
		{Name: "CVE-2026-1", Severity: "HIGH", Package: "lodash", Version: "4.0.0", Fixed: "4.17.21"},
	}}))
	out, err := w.client.DescribeImageScanFindings(w.ctx, in)
	require.NoError(t, err)
	require.Equal(t, types.ScanStatusActive, out.ImageScanStatus.Status)
	require.Equal(t, "4.17.21", *out.ImageScanFindings.EnhancedFindings[0].PackageVulnerabilityDetails.VulnerablePackages[0].FixedInVersion)

	require.NoError(t, w.service.SetScan("web", digest, ecr.Scan{Status: "UNSUPPORTED_IMAGE", Description: "no packages"}))
	out, err = w.client.DescribeImageScanFindings(w.ctx, in)
	require.NoError(t, err)
	require.Equal(t, types.ScanStatusUnsupportedImage, out.ImageScanStatus.Status)
	require.Nil(t, out.ImageScanFindings)
	require.Nil(t, w.details("web")[digest].ImageScanFindingsSummary)

	require.ErrorContains(t, w.service.SetScan("web", digest[:len(digest)-4]+"0000", ecr.Scan{}), "ImageNotFoundException")
}
