package awsapi_test

import (
	"bytes"
	"context"
	"log/slog"
	"net/http"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/apprunner"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs"
	"github.com/aws/aws-sdk-go-v2/service/ecr"
	ecrtypes "github.com/aws/aws-sdk-go-v2/service/ecr/types"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	"github.com/aws/aws-sdk-go-v2/service/ssm"
	ssmtypes "github.com/aws/aws-sdk-go-v2/service/ssm/types"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/stretchr/testify/require"

	"github.com/apron-deploy/apron/providers/awsapi"
)

// call is one operation of one client.
type call func(context.Context, aws.Config) error

var writes = map[string]call{
	"App Runner deploys": func(ctx context.Context, cfg aws.Config) error {
		_, err := apprunner.NewFromConfig(cfg).StartDeployment(ctx, &apprunner.StartDeploymentInput{ServiceArn: aws.String("arn:aws:apprunner:x")})
		return err
	},
	"ECR puts an image": func(ctx context.Context, cfg aws.Config) error {
		_, err := ecr.NewFromConfig(cfg).PutImage(ctx, &ecr.PutImageInput{RepositoryName: aws.String("web"), ImageManifest: aws.String("{}")})
		return err
	},
	"ECR deletes several": func(ctx context.Context, cfg aws.Config) error {
		_, err := ecr.NewFromConfig(cfg).BatchDeleteImage(ctx, &ecr.BatchDeleteImageInput{RepositoryName: aws.String("web"),
			ImageIds: []ecrtypes.ImageIdentifier{{ImageTag: aws.String("latest")}}})
		return err
	},
	"IAM tags a role": func(ctx context.Context, cfg aws.Config) error {
		_, err := iam.NewFromConfig(cfg).UntagRole(ctx, &iam.UntagRoleInput{RoleName: aws.String("web"), TagKeys: []string{"a"}})
		return err
	},
	"SSM puts a parameter": func(ctx context.Context, cfg aws.Config) error {
		_, err := ssm.NewFromConfig(cfg).PutParameter(ctx, &ssm.PutParameterInput{Name: aws.String("/web/KEY"), Value: aws.String(secretValue), Type: ssmtypes.ParameterTypeSecureString})
		return err
	},
	"Secrets Manager puts a value": func(ctx context.Context, cfg aws.Config) error {
		_, err := secretsmanager.NewFromConfig(cfg).PutSecretValue(ctx, &secretsmanager.PutSecretValueInput{SecretId: aws.String("web"), SecretString: aws.String(secretValue)})
		return err
	},
	"CloudWatch Logs keeps longer": func(ctx context.Context, cfg aws.Config) error {
		_, err := cloudwatchlogs.NewFromConfig(cfg).PutRetentionPolicy(ctx, &cloudwatchlogs.PutRetentionPolicyInput{LogGroupName: aws.String("web"), RetentionInDays: aws.Int32(1)})
		return err
	},
}

var reads = map[string]call{
	"App Runner lists": func(ctx context.Context, cfg aws.Config) error {
		_, err := apprunner.NewFromConfig(cfg).ListServices(ctx, &apprunner.ListServicesInput{})
		return err
	},
	"ECR gets several images": func(ctx context.Context, cfg aws.Config) error {
		_, err := ecr.NewFromConfig(cfg).BatchGetImage(ctx, &ecr.BatchGetImageInput{RepositoryName: aws.String("web"),
			ImageIds: []ecrtypes.ImageIdentifier{{ImageTag: aws.String("latest")}}})
		return err
	},
	"ECR gives a token": func(ctx context.Context, cfg aws.Config) error {
		_, err := ecr.NewFromConfig(cfg).GetAuthorizationToken(ctx, &ecr.GetAuthorizationTokenInput{})
		return err
	},
	"IAM gets a role": func(ctx context.Context, cfg aws.Config) error {
		_, err := iam.NewFromConfig(cfg).ListRoleTags(ctx, &iam.ListRoleTagsInput{RoleName: aws.String("web")})
		return err
	},
	"SSM gets parameters": func(ctx context.Context, cfg aws.Config) error {
		_, err := ssm.NewFromConfig(cfg).GetParameters(ctx, &ssm.GetParametersInput{Names: []string{"/web/KEY"}})
		return err
	},
	"Secrets Manager describes": func(ctx context.Context, cfg aws.Config) error {
		_, err := secretsmanager.NewFromConfig(cfg).DescribeSecret(ctx, &secretsmanager.DescribeSecretInput{SecretId: aws.String("web")})
		return err
	},
	"CloudWatch Logs filters": func(ctx context.Context, cfg aws.Config) error {
		_, err := cloudwatchlogs.NewFromConfig(cfg).FilterLogEvents(ctx, &cloudwatchlogs.FilterLogEventsInput{LogGroupName: aws.String("web")})
		return err
	},
	"STS tells who asks": func(ctx context.Context, cfg aws.Config) error {
		_, err := sts.NewFromConfig(cfg).GetCallerIdentity(ctx, &sts.GetCallerIdentityInput{})
		return err
	},
}

func TestGuard_failsAWriteBeforeAByteIsSent(t *testing.T) {
	for _, guard := range []*awsapi.Guard{nil, {}} {
		s := serve(t, empty)
		cfg := load(t, s, awsapi.Options{Guard: guard})
		for name, write := range writes {
			var refused *awsapi.WriteError
			require.ErrorAs(t, write(t.Context(), cfg), &refused, name)
			require.NotEmpty(t, refused.Service, name)
			require.NotEmpty(t, refused.Operation, name)
		}
		require.Zero(t, s.connections.Load(), "connections")
	}
}

func TestGuard_letsReadsThrough(t *testing.T) {
	s := serve(t, empty)
	cfg := load(t, s, awsapi.Options{Guard: &awsapi.Guard{}})
	for name, read := range reads {
		require.NoError(t, read(t.Context(), cfg), name)
	}
	require.Len(t, s.called(), len(reads))
}

func TestGuard_opensOnceWritesArePermitted(t *testing.T) {
	s := serve(t, empty)
	guard := &awsapi.Guard{}
	cfg := load(t, s, awsapi.Options{Guard: guard})
	client := ssm.NewFromConfig(cfg) // made while only reads were let through
	put := &ssm.PutParameterInput{Name: aws.String("/web/KEY"), Value: aws.String("v"), Type: ssmtypes.ParameterTypeSecureString}
	_, err := client.PutParameter(t.Context(), put)
	require.EqualError(t, awsapi.Explain(err), "SSM PutParameter is not a read and was not sent: this command changes nothing")

	guard.PermitWrites()
	_, err = client.PutParameter(t.Context(), put)
	require.NoError(t, err)
	for name, write := range writes {
		require.NoError(t, write(t.Context(), cfg), name)
	}
	require.Len(t, s.called(), 1+len(writes))
}

// secretValue must occur in no output.
const secretValue = "hunter2-the-secret"

func TestLog_tellsOfCallsButNotWhatIsInThem(t *testing.T) {
	var out bytes.Buffer
	guard := &awsapi.Guard{}
	guard.PermitWrites()
	o := awsapi.Options{Guard: guard, Log: slog.New(slog.NewTextHandler(&out, &slog.HandlerOptions{Level: slog.LevelDebug}))}

	s := serve(t, func(w http.ResponseWriter, r *http.Request) { // AWS likes to quote what it refuses
		refuse(400, "ValidationException", "Value '"+secretValue+"' is not allowed")(w, r)
	})
	cfg := load(t, s, o)
	require.Zero(t, cfg.ClientLogMode, "the SDK's own logging shows bodies and signatures")
	require.Error(t, writes["SSM puts a parameter"](t.Context(), cfg))
	require.Error(t, writes["Secrets Manager puts a value"](t.Context(), cfg))

	s = serve(t, func(w http.ResponseWriter, _ *http.Request) {
		_, _ = w.Write([]byte(`{"Parameters":[{"Name":"/web/KEY","Value":"` + secretValue + `"}]}`))
	})
	require.NoError(t, reads["SSM gets parameters"](t.Context(), load(t, s, o)))

	text := out.String()
	require.Contains(t, text, "msg=aws service=SSM operation=PutParameter")
	require.Contains(t, text, "service=\"Secrets Manager\" operation=PutSecretValue")
	require.Contains(t, text, "code=ValidationException")
	require.Contains(t, text, "service=SSM operation=GetParameters")
	require.Contains(t, text, "request=11111111-2222-3333-4444-555555555555")
	for _, hidden := range []string{secretValue, secretKey, sessionToken, accessKey, "AWS4-HMAC", "Authorization", "/web/KEY"} {
		require.NotContains(t, text, hidden)
	}
}

func TestLog_keepsQuietWithoutDebug(t *testing.T) {
	var out bytes.Buffer
	s := serve(t, empty)
	cfg := load(t, s, awsapi.Options{Log: slog.New(slog.NewTextHandler(&out, nil))})
	require.NoError(t, reads["STS tells who asks"](t.Context(), cfg))
	require.Empty(t, out.String())
}
