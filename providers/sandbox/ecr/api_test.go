package ecr_test

import (
	"encoding/base64"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	sdk "github.com/aws/aws-sdk-go-v2/service/ecr"
	"github.com/aws/aws-sdk-go-v2/service/ecr/types"
	"github.com/stretchr/testify/require"
)

func TestAPI_describesWhatItCreated(t *testing.T) {
	w := newWorld(t)
	r := w.create("team/web", func(in *sdk.CreateRepositoryInput) {
		in.ImageTagMutability = types.ImageTagMutabilityImmutableWithExclusion
		in.ImageTagMutabilityExclusionFilters = exclusions("live-*", "latest")
		in.ImageScanningConfiguration = &types.ImageScanningConfiguration{ScanOnPush: true}
		in.Tags = []types.Tag{{Key: aws.String("team"), Value: aws.String("ai")}}
		in.EncryptionConfiguration = &types.EncryptionConfiguration{EncryptionType: types.EncryptionTypeKms}
	})
	require.Equal(t, "123456789012.dkr.ecr.us-east-1.amazonaws.com/team/web", *r.RepositoryUri)
	require.Equal(t, "arn:aws:ecr:us-east-1:123456789012:repository/team/web", *r.RepositoryArn)
	require.True(t, r.CreatedAt.Equal(w.now))
	require.Contains(t, *r.EncryptionConfiguration.KmsKey, "alias/aws/ecr")

	w.open() // restart
	got, err := w.client.DescribeRepositories(w.ctx, &sdk.DescribeRepositoriesInput{RepositoryNames: []string{"team/web"}})
	require.NoError(t, err)
	require.Equal(t, []types.Repository{*r}, got.Repositories)
	tags, err := w.client.ListTagsForResource(w.ctx, &sdk.ListTagsForResourceInput{ResourceArn: r.RepositoryArn})
	require.NoError(t, err)
	require.Len(t, tags.Tags, 1)

	_, err = w.client.CreateRepository(w.ctx, &sdk.CreateRepositoryInput{RepositoryName: aws.String("team/web")})
	refused(t, err, "RepositoryAlreadyExistsException",
		"The repository with name 'team/web' already exists in the registry with id '123456789012'")
}

func exclusions(filters ...string) []types.ImageTagMutabilityExclusionFilter {
	var out []types.ImageTagMutabilityExclusionFilter
	for _, f := range filters {
		out = append(out, types.ImageTagMutabilityExclusionFilter{
			Filter: &f, FilterType: types.ImageTagMutabilityExclusionFilterTypeWildcard,
		})
	}
	return out
}

func TestAPI_refusesBadRepositories(t *testing.T) {
	w := newWorld(t)
	for name, tc := range map[string]struct {
		change func(*sdk.CreateRepositoryInput)
		text   string
	}{
		"upper case": {func(in *sdk.CreateRepositoryInput) { in.RepositoryName = aws.String("Web") },
			"Invalid parameter at 'repositoryName' failed to satisfy constraint: 'must satisfy regular expression"},
		"short": {func(in *sdk.CreateRepositoryInput) { in.RepositoryName = aws.String("w") }, "greater than or equal to 2"},
		"long": {func(in *sdk.CreateRepositoryInput) { in.RepositoryName = aws.String(strings.Repeat("w", 257)) },
			"less than or equal to 256"},
		"mode": {func(in *sdk.CreateRepositoryInput) { in.ImageTagMutability = "FROZEN" }, "enum value set"},
		"exclusion without filters": {func(in *sdk.CreateRepositoryInput) {
			in.ImageTagMutability = types.ImageTagMutabilityImmutableWithExclusion
		}, "ImageTagMutabilityExclusionFilters can't be null when imageTagMutability is set as IMMUTABLE_WITH_EXCLUSION"},
		"filters without exclusion": {func(in *sdk.CreateRepositoryInput) {
			in.ImageTagMutability, in.ImageTagMutabilityExclusionFilters = types.ImageTagMutabilityImmutable, exclusions("a")
		}, "can't be specified"},
		"six filters": {func(in *sdk.CreateRepositoryInput) {
			in.ImageTagMutability = types.ImageTagMutabilityMutableWithExclusion
			in.ImageTagMutabilityExclusionFilters = exclusions("a", "b", "c", "d", "e", "f")
		}, "less than or equal to 5"},
		"a filter of three stars": {func(in *sdk.CreateRepositoryInput) {
			in.ImageTagMutability = types.ImageTagMutabilityMutableWithExclusion
			in.ImageTagMutabilityExclusionFilters = exclusions("a*b*c*")
		}, "more than 2 wildcards"},
	} {
		t.Run(name, func(t *testing.T) {
			in := &sdk.CreateRepositoryInput{RepositoryName: aws.String("web")}
			tc.change(in)
			_, err := w.client.CreateRepository(w.ctx, in)
			refused(t, err, "InvalidParameterException", tc.text)
		})
	}
}

func TestAPI_changesARepository(t *testing.T) {
	w := newWorld(t)
	r := w.create("web")
	_, err := w.client.PutImageTagMutability(w.ctx, &sdk.PutImageTagMutabilityInput{
		RepositoryName: r.RepositoryName, ImageTagMutability: types.ImageTagMutabilityMutableWithExclusion,
		ImageTagMutabilityExclusionFilters: exclusions("v*"),
	})
	require.NoError(t, err)
	_, err = w.client.PutImageScanningConfiguration(w.ctx, &sdk.PutImageScanningConfigurationInput{
		RepositoryName: r.RepositoryName, ImageScanningConfiguration: &types.ImageScanningConfiguration{ScanOnPush: true},
	})
	require.NoError(t, err)
	_, err = w.client.TagResource(w.ctx, &sdk.TagResourceInput{ResourceArn: r.RepositoryArn, Tags: []types.Tag{
		{Key: aws.String("b"), Value: aws.String("2")}, {Key: aws.String("a"), Value: aws.String("1")},
	}})
	require.NoError(t, err)
	_, err = w.client.UntagResource(w.ctx, &sdk.UntagResourceInput{ResourceArn: r.RepositoryArn, TagKeys: []string{"b", "none"}})
	require.NoError(t, err)

	w.open()
	got, err := w.client.DescribeRepositories(w.ctx, &sdk.DescribeRepositoriesInput{})
	require.NoError(t, err)
	require.Equal(t, types.ImageTagMutabilityMutableWithExclusion, got.Repositories[0].ImageTagMutability)
	require.Equal(t, exclusions("v*"), got.Repositories[0].ImageTagMutabilityExclusionFilters)
	require.True(t, got.Repositories[0].ImageScanningConfiguration.ScanOnPush)
	tags, err := w.client.ListTagsForResource(w.ctx, &sdk.ListTagsForResourceInput{ResourceArn: r.RepositoryArn})
	require.NoError(t, err)
	require.Equal(t, []types.Tag{{Key: aws.String("a"), Value: aws.String("1")}}, tags.Tags)

	_, err = w.client.TagResource(w.ctx, &sdk.TagResourceInput{ResourceArn: r.RepositoryArn, Tags: []types.Tag{
		{Key: aws.String("aws:x"), Value: aws.String("2")},
	}})
	refused(t, err, "InvalidTagParameterException", "aws:")
	_, err = w.client.ListTagsForResource(w.ctx, &sdk.ListTagsForResourceInput{ResourceArn: aws.String(*r.RepositoryArn + "x")})
	refused(t, err, "RepositoryNotFoundException", "'webx'")
}

func TestAPI_pagesRepositories(t *testing.T) {
	w := newWorld(t)
	for n := range 7 {
		w.create(fmt.Sprint("web-", n))
	}
	var seen []string
	in := &sdk.DescribeRepositoriesInput{MaxResults: aws.Int32(3)}
	for pages := 0; ; pages++ {
		out, err := w.client.DescribeRepositories(w.ctx, in)
		require.NoError(t, err)
		for _, r := range out.Repositories {
			seen = append(seen, *r.RepositoryName)
		}
		if in.NextToken = out.NextToken; in.NextToken == nil {
			require.Equal(t, 2, pages)
			break
		}
	}
	require.Equal(t, []string{"web-0", "web-1", "web-2", "web-3", "web-4", "web-5", "web-6"}, seen)

	_, err := w.client.DescribeRepositories(w.ctx, &sdk.DescribeRepositoriesInput{NextToken: aws.String("web-3")})
	refused(t, err, "InvalidParameterException", "nextToken")
	_, err = w.client.DescribeRepositories(w.ctx, &sdk.DescribeRepositoriesInput{RepositoryNames: []string{"web-1", "nope"}})
	refused(t, err, "RepositoryNotFoundException", "The repository with name 'nope' does not exist in the registry with id '123456789012'")
	_, err = w.client.DescribeImages(w.ctx, &sdk.DescribeImagesInput{RepositoryName: aws.String("web-1"), RegistryId: aws.String("999999999999")})
	refused(t, err, "RepositoryNotFoundException", "'999999999999'")
}

func TestAPI_deletesARepositoryWithImagesOnlyByForce(t *testing.T) {
	w := newWorld(t)
	w.create("web")
	w.push("web:v1", randomImage(t, 1))
	_, err := w.client.DeleteRepository(w.ctx, &sdk.DeleteRepositoryInput{RepositoryName: aws.String("web")})
	refused(t, err, "RepositoryNotEmptyException",
		"The repository with name 'web' in registry with id '123456789012' cannot be deleted because it still contains images")
	_, err = w.client.DeleteRepository(w.ctx, &sdk.DeleteRepositoryInput{RepositoryName: aws.String("web"), Force: true})
	require.NoError(t, err)
	w.open()
	_, err = w.client.DescribeImages(w.ctx, &sdk.DescribeImagesInput{RepositoryName: aws.String("web")})
	refused(t, err, "RepositoryNotFoundException", "web")
}

func TestAPI_keepsPolicies(t *testing.T) {
	w := newWorld(t)
	web := aws.String("web")
	w.create("web")
	_, err := w.client.GetRepositoryPolicy(w.ctx, &sdk.GetRepositoryPolicyInput{RepositoryName: web})
	refused(t, err, "RepositoryPolicyNotFoundException", "Repository policy does not exist for the repository with name 'web'")
	_, err = w.client.SetRepositoryPolicy(w.ctx, &sdk.SetRepositoryPolicyInput{RepositoryName: web, PolicyText: aws.String("{}")})
	refused(t, err, "InvalidParameterException", "Invalid repository policy provided")
	text := aws.String(`{"Version":"2012-10-17","Statement":[{"Sid":"all","Effect":"Allow","Principal":"*","Action":"ecr:*"}]}`)
	_, err = w.client.SetRepositoryPolicy(w.ctx, &sdk.SetRepositoryPolicyInput{RepositoryName: web, PolicyText: text})
	require.NoError(t, err)
	got, err := w.client.GetRepositoryPolicy(w.ctx, &sdk.GetRepositoryPolicyInput{RepositoryName: web})
	require.NoError(t, err)
	require.Equal(t, text, got.PolicyText)
	_, err = w.client.DeleteRepositoryPolicy(w.ctx, &sdk.DeleteRepositoryPolicyInput{RepositoryName: web})
	require.NoError(t, err)
	_, err = w.client.DeleteRepositoryPolicy(w.ctx, &sdk.DeleteRepositoryPolicyInput{RepositoryName: web})
	refused(t, err, "RepositoryPolicyNotFoundException", "web")
}

func TestAPI_issuesTokens(t *testing.T) {
	w := newWorld(t)
	out, err := w.client.GetAuthorizationToken(w.ctx, &sdk.GetAuthorizationTokenInput{})
	require.NoError(t, err)
	require.Len(t, out.AuthorizationData, 1)
	a := out.AuthorizationData[0]
	require.Equal(t, w.server.URL, *a.ProxyEndpoint)
	require.True(t, a.ExpiresAt.Equal(w.now.Add(12*time.Hour)))
	raw, err := base64.StdEncoding.DecodeString(*a.AuthorizationToken)
	require.NoError(t, err)
	require.Regexp(t, `^AWS:\S{40,}$`, string(raw))
}

func TestAPI_scansFindNothing(t *testing.T) {
	w := newWorld(t)
	w.create("web")
	w.push("web:v1", randomImage(t, 1))
	w.pushIndex("web:list", "linux/amd64")
	in := func(tag string) *sdk.StartImageScanInput {
		return &sdk.StartImageScanInput{RepositoryName: aws.String("web"), ImageId: &types.ImageIdentifier{ImageTag: &tag}}
	}
	find := &sdk.DescribeImageScanFindingsInput{RepositoryName: aws.String("web"), ImageId: in("v1").ImageId}
	_, err := w.client.DescribeImageScanFindings(w.ctx, find)
	refused(t, err, "ScanNotFoundException",
		"Image scan does not exist for the image with '{imageDigest:'null', imageTag:'v1'}' in the repository with name 'web'")
	started, err := w.client.StartImageScan(w.ctx, in("v1"))
	require.NoError(t, err)
	require.Equal(t, types.ScanStatusInProgress, started.ImageScanStatus.Status)
	found, err := w.client.DescribeImageScanFindings(w.ctx, find)
	require.NoError(t, err)
	require.Equal(t, types.ScanStatusComplete, found.ImageScanStatus.Status)
	require.Empty(t, found.ImageScanFindings.FindingSeverityCounts)
	require.NotNil(t, found.ImageScanFindings.ImageScanCompletedAt)

	_, err = w.client.StartImageScan(w.ctx, in("v1"))
	refused(t, err, "LimitExceededException", "The scan quota per image has been exceeded")
	_, err = w.client.StartImageScan(w.ctx, in("list"))
	refused(t, err, "UnsupportedImageTypeException", "list")
	_, err = w.client.StartImageScan(w.ctx, in("nope"))
	refused(t, err, "ImageNotFoundException", "nope")

	w.create("scanned", func(in *sdk.CreateRepositoryInput) {
		in.ImageScanningConfiguration = &types.ImageScanningConfiguration{ScanOnPush: true}
	})
	d := w.push("scanned:v1", randomImage(t, 1))
	require.Equal(t, types.ScanStatusComplete, w.details("scanned")[d].ImageScanStatus.Status)
}

func TestAPI_knowsItsRegistry(t *testing.T) {
	w := newWorld(t)
	registry, err := w.client.DescribeRegistry(w.ctx, &sdk.DescribeRegistryInput{})
	require.NoError(t, err)
	require.Equal(t, account, *registry.RegistryId)
	require.Empty(t, registry.ReplicationConfiguration.Rules)
	scan, err := w.client.GetRegistryScanningConfiguration(w.ctx, &sdk.GetRegistryScanningConfigurationInput{})
	require.NoError(t, err)
	require.Equal(t, types.ScanTypeBasic, scan.ScanningConfiguration.ScanType)

	get := func() string {
		out, err := w.client.GetAccountSetting(w.ctx, &sdk.GetAccountSettingInput{Name: aws.String("BLOB_MOUNTING")})
		require.NoError(t, err)
		return *out.Value
	}
	require.Equal(t, "DISABLED", get())
	_, err = w.client.PutAccountSetting(w.ctx, &sdk.PutAccountSettingInput{Name: aws.String("BLOB_MOUNTING"), Value: aws.String("ENABLED")})
	require.NoError(t, err)
	w.open()
	require.Equal(t, "ENABLED", get())
	_, err = w.client.PutAccountSetting(w.ctx, &sdk.PutAccountSettingInput{Name: aws.String("BLOB_MOUNTING"), Value: aws.String("on")})
	refused(t, err, "InvalidParameterException", "value")
}
