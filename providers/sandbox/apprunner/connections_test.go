package apprunner

import (
	"context"
	"fmt"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	sdk "github.com/aws/aws-sdk-go-v2/service/apprunner"
	"github.com/aws/aws-sdk-go-v2/service/apprunner/types"
	"github.com/stretchr/testify/require"
)

func (r *rig) hub(name string) (*types.Connection, error) {
	out, err := r.api.CreateConnection(context.Background(), &sdk.CreateConnectionInput{ConnectionName: &name, ProviderType: types.ProviderTypeGithub, Tags: tagsOf("k", "v")})
	if err != nil {
		return nil, err
	}
	return out.Connection, nil
}

func TestConnection_waitsForItsHandshake(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	ctx := context.Background()
	made, err := r.hub("hub-0")
	require.NoError(t, err)
	require.Regexp(t, `^arn:aws:apprunner:us-east-1:123456789012:connection/hub-0/[0-9a-f]{32}$`, *made.ConnectionArn)
	require.Equal(t, types.ConnectionStatusPendingHandshake, made.Status)
	require.Equal(t, types.ProviderTypeGithub, made.ProviderType)
	tags, err := r.listed(made.ConnectionArn)
	require.NoError(t, err)
	require.Equal(t, tagsOf("k", "v"), tags)
	_, err = r.hub("hub-0")
	refused(t, err, "InvalidRequestException", "Connection with the provided name already exists: hub-0.")
	for n := 1; n < 10; n++ {
		_, err := r.hub(fmt.Sprint("hub-", n))
		require.NoError(t, err)
	}
	_, err = r.hub("hub-10")
	refused(t, err, "ServiceQuotaExceededException", "The maximum number of connections (10) for this account in this Region has been reached.")
	r.close()
	r.open()
	var found []string
	pages := sdk.NewListConnectionsPaginator(r.api, &sdk.ListConnectionsInput{MaxResults: aws.Int32(3)})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		require.NoError(t, err)
		for _, c := range page.ConnectionSummaryList {
			found = append(found, *c.ConnectionName)
		}
	}
	require.Len(t, found, 10)
	one, err := r.api.ListConnections(ctx, &sdk.ListConnectionsInput{ConnectionName: aws.String("hub-3")})
	require.NoError(t, err)
	require.Len(t, one.ConnectionSummaryList, 1)

	gone, err := r.api.DeleteConnection(ctx, &sdk.DeleteConnectionInput{ConnectionArn: made.ConnectionArn})
	require.NoError(t, err)
	require.Equal(t, types.ConnectionStatusDeleted, gone.Connection.Status)
	_, err = r.api.DeleteConnection(ctx, &sdk.DeleteConnectionInput{ConnectionArn: made.ConnectionArn})
	refused(t, err, "ResourceNotFoundException", "Connection with the provided ARN doesn't exist: "+*made.ConnectionArn+".")
	_, err = r.api.CreateConnection(ctx, &sdk.CreateConnectionInput{ConnectionName: aws.String("svn-0"), ProviderType: "SVN"})
	refused(t, err, "InvalidRequestException", "1 validation error detected: Value 'SVN' at 'providerType' failed to satisfy constraint: Member must satisfy enum value set: [GITHUB, BITBUCKET]")
}

// A service of code needs a connection that somebody has approved, and nobody can.
func TestCreate_ofCodeIsRefused(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	made, err := r.hub("hub-0")
	require.NoError(t, err)
	in := &sdk.CreateServiceInput{ServiceName: aws.String("shop"), SourceConfiguration: &types.SourceConfiguration{}}
	try := func() error { _, err := r.api.CreateService(context.Background(), in); return err }
	const both = "Source configuration is invalid. Specify exactly one of CodeRepository and ImageRepository."
	refused(t, try(), "InvalidRequestException", both)
	code := &types.CodeRepository{
		RepositoryUrl:     aws.String("https://github.com/example/app"),
		SourceCodeVersion: &types.SourceCodeVersion{Type: "TAG", Value: aws.String("main")},
		SourceDirectory:   aws.String(""),
		CodeConfiguration: &types.CodeConfiguration{ConfigurationSource: "API", CodeConfigurationValues: &types.CodeConfigurationValues{Runtime: "COBOL", Port: aws.String("no")}},
	}
	in.SourceConfiguration.CodeRepository = code
	require.ErrorContains(t, try(), "5 validation errors detected: Value 'TAG' at 'sourceConfiguration.codeRepository.sourceCodeVersion.type' failed to satisfy constraint: Member must satisfy enum value set: [BRANCH]; Value '' at 'sourceConfiguration.codeRepository.sourceDirectory'")
	code.SourceCodeVersion.Type, code.SourceDirectory, code.CodeConfiguration = types.SourceCodeVersionTypeBranch, nil, nil
	in.SourceConfiguration.ImageRepository = source("web:v1").ImageRepository
	refused(t, try(), "InvalidRequestException", both)
	in.SourceConfiguration.ImageRepository = nil
	refused(t, try(), "InvalidRequestException", "Authentication configuration is invalid.")
	in.SourceConfiguration.AuthenticationConfiguration = &types.AuthenticationConfiguration{ConnectionArn: aws.String(*made.ConnectionArn + "0")}
	refused(t, try(), "InvalidRequestException", "Connection with the provided ARN doesn't exist: "+*made.ConnectionArn+"0.")
	in.SourceConfiguration.AuthenticationConfiguration.ConnectionArn = made.ConnectionArn
	refused(t, try(), "InvalidRequestException", "The connection "+*made.ConnectionArn+" can't be used, because it isn't in AVAILABLE state. Current state: PENDING_HANDSHAKE.")

	s := r.create()
	_, err = r.api.UpdateService(context.Background(), &sdk.UpdateServiceInput{ServiceArn: s.ServiceArn, SourceConfiguration: in.SourceConfiguration})
	refused(t, err, "InvalidRequestException", "You can't change the source of a service from an image repository to a code repository.")
}
