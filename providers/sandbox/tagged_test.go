package sandbox_test

import (
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/apprunner"
	artypes "github.com/aws/aws-sdk-go-v2/service/apprunner/types"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs"
	"github.com/aws/aws-sdk-go-v2/service/ecr"
	ecrtypes "github.com/aws/aws-sdk-go-v2/service/ecr/types"
	tagging "github.com/aws/aws-sdk-go-v2/service/resourcegroupstaggingapi"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	smtypes "github.com/aws/aws-sdk-go-v2/service/secretsmanager/types"
	"github.com/aws/aws-sdk-go-v2/service/ssm"
	ssmtypes "github.com/aws/aws-sdk-go-v2/service/ssm/types"
	"github.com/stretchr/testify/require"
)

// TestTags_areThoseOfEveryService finds what each service has tagged, until it is gone.
func TestTags_areThoseOfEveryService(t *testing.T) {
	t.Parallel()
	cfg := config(serve(t))
	key, value, name := aws.String("team"), aws.String("a"), aws.String("one")
	var want []string

	scaling, err := apprunner.NewFromConfig(cfg).CreateAutoScalingConfiguration(t.Context(), &apprunner.CreateAutoScalingConfigurationInput{
		AutoScalingConfigurationName: aws.String("four"), Tags: []artypes.Tag{{Key: key, Value: value}}})
	require.NoError(t, err)
	want = append(want, *scaling.AutoScalingConfiguration.AutoScalingConfigurationArn)
	repository, err := ecr.NewFromConfig(cfg).CreateRepository(t.Context(), &ecr.CreateRepositoryInput{RepositoryName: name, Tags: []ecrtypes.Tag{{Key: key, Value: value}}})
	require.NoError(t, err)
	want = append(want, *repository.Repository.RepositoryArn)
	logs := cloudwatchlogs.NewFromConfig(cfg)
	_, err = logs.CreateLogGroup(t.Context(), &cloudwatchlogs.CreateLogGroupInput{LogGroupName: name, Tags: map[string]string{*key: *value}})
	require.NoError(t, err)
	want = append(want, "arn:aws:logs:"+cfg.Region+":123456789012:log-group:one")
	secret, err := secretsmanager.NewFromConfig(cfg).CreateSecret(t.Context(), &secretsmanager.CreateSecretInput{Name: name, SecretString: aws.String("x"), Tags: []smtypes.Tag{{Key: key, Value: value}}})
	require.NoError(t, err)
	want = append(want, *secret.ARN)
	_, err = ssm.NewFromConfig(cfg).PutParameter(t.Context(), &ssm.PutParameterInput{Name: name, Value: aws.String("x"), Type: ssmtypes.ParameterTypeString, Tags: []ssmtypes.Tag{{Key: key, Value: value}}})
	require.NoError(t, err)
	want = append(want, "arn:aws:ssm:"+cfg.Region+":123456789012:parameter/one")

	found := func() (arns []string) {
		out, err := tagging.NewFromConfig(cfg).GetResources(t.Context(), &tagging.GetResourcesInput{})
		require.NoError(t, err)
		for _, m := range out.ResourceTagMappingList {
			require.Equal(t, "team=a", *m.Tags[0].Key+"="+*m.Tags[0].Value)
			arns = append(arns, *m.ResourceARN)
		}
		return arns
	}
	require.Equal(t, want, found())
	_, err = logs.DeleteLogGroup(t.Context(), &cloudwatchlogs.DeleteLogGroupInput{LogGroupName: name})
	require.NoError(t, err)
	require.NotContains(t, found(), want[2])
}
