package main

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	apprunnersdk "github.com/aws/aws-sdk-go-v2/service/apprunner"
	"github.com/aws/aws-sdk-go-v2/service/apprunner/types"
	ecrsdk "github.com/aws/aws-sdk-go-v2/service/ecr"
	ecrtypes "github.com/aws/aws-sdk-go-v2/service/ecr/types"
	iamsdk "github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/rogpeppe/go-internal/testscript"
)

// scriptByHand changes the size of a service as somebody does who never heard of apron: by
// AWS's API. It returns once the change is live.
func scriptByHand(ts *testscript.TestScript, neg bool, args []string) {
	if len(args) != 3 || neg {
		ts.Fatalf("usage: byhand SERVICE CPU MEMORY")
	}
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	ts.Check(resizeByHand(ctx, scriptConfig(ts), args[0], args[1], args[2]))
}

// resizeByHand changes the size of a service, and returns once that is live.
func resizeByHand(ctx context.Context, cfg aws.Config, service, cpu, memory string) error {
	client := apprunnersdk.NewFromConfig(cfg)
	list, err := client.ListServices(ctx, &apprunnersdk.ListServicesInput{})
	if err != nil {
		return err
	}
	for _, s := range list.ServiceSummaryList {
		if aws.ToString(s.ServiceName) != service {
			continue
		}
		if _, err := client.UpdateService(ctx, &apprunnersdk.UpdateServiceInput{ServiceArn: s.ServiceArn,
			InstanceConfiguration: &types.InstanceConfiguration{Cpu: &cpu, Memory: &memory}}); err != nil {
			return err
		}
		tick := time.NewTicker(20 * time.Millisecond)
		defer tick.Stop()
		for {
			out, err := client.DescribeService(ctx, &apprunnersdk.DescribeServiceInput{ServiceArn: s.ServiceArn})
			if err != nil || out.Service.Status == types.ServiceStatusRunning {
				return err
			}
			<-tick.C
		}
	}
	return fmt.Errorf("there is no service %s", service)
}

// tagByHand gives an image that apron pushed a tag as other people's images have it.
func tagByHand(ctx context.Context, cfg aws.Config, repository, tag string) error {
	registry := ecrsdk.NewFromConfig(cfg)
	list, err := registry.ListImages(ctx, &ecrsdk.ListImagesInput{RepositoryName: &repository})
	if err != nil {
		return err
	}
	i := slices.IndexFunc(list.ImageIds, func(id ecrtypes.ImageIdentifier) bool { return strings.HasPrefix(aws.ToString(id.ImageTag), "src-") })
	if i < 0 {
		return fmt.Errorf("%s has no image of apron's", repository)
	}
	got, err := registry.BatchGetImage(ctx, &ecrsdk.BatchGetImageInput{RepositoryName: &repository, ImageIds: list.ImageIds[i : i+1]})
	if err == nil {
		_, err = registry.PutImage(ctx, &ecrsdk.PutImageInput{RepositoryName: &repository, ImageManifest: got.Images[0].ImageManifest,
			ImageManifestMediaType: got.Images[0].ImageManifestMediaType, ImageTag: &tag})
	}
	return err
}

// roleByHand makes a role that may do some actions, and returns its ARN.
func roleByHand(ctx context.Context, cfg aws.Config, name, principal string, actions ...string) (string, error) {
	trust := `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"Service":"` + principal + `"},"Action":"sts:AssumeRole"}]}`
	out, err := iamsdk.NewFromConfig(cfg).CreateRole(ctx, &iamsdk.CreateRoleInput{RoleName: &name, AssumeRolePolicyDocument: &trust})
	if err != nil {
		return "", err
	}
	may := `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":["` + strings.Join(actions, `","`) + `"],"Resource":"*"}]}`
	_, err = iamsdk.NewFromConfig(cfg).PutRolePolicy(ctx, &iamsdk.PutRolePolicyInput{RoleName: &name, PolicyName: &name, PolicyDocument: &may})
	return *out.Role.Arn, err
}

// serviceByHand makes a service of the image that apron pushed to a repository, as people do
// in AWS's console, and waits until it runs.
func serviceByHand(ctx context.Context, cfg aws.Config, name, repository string) error {
	if err := tagByHand(ctx, cfg, repository, "v1.4.2"); err != nil {
		return err
	}
	puller, err := roleByHand(ctx, cfg, "ecr-puller", "build.apprunner.amazonaws.com", "ecr:*")
	if err != nil {
		return err
	}
	client := apprunnersdk.NewFromConfig(cfg)
	in := &apprunnersdk.CreateServiceInput{ServiceName: &name, Tags: []types.Tag{{Key: aws.String("team"), Value: aws.String("ai")}},
		InstanceConfiguration: &types.InstanceConfiguration{Cpu: aws.String("512"), Memory: aws.String("1024")},
		SourceConfiguration: &types.SourceConfiguration{AuthenticationConfiguration: &types.AuthenticationConfiguration{AccessRoleArn: &puller}, AutoDeploymentsEnabled: aws.Bool(false),
			ImageRepository: &types.ImageRepository{ImageIdentifier: aws.String(fmt.Sprintf("%s.dkr.ecr.%s.amazonaws.com/%s:v1.4.2", sandboxAccount, sandboxRegion, repository)),
				ImageRepositoryType: types.ImageRepositoryTypeEcr, ImageConfiguration: &types.ImageConfiguration{RuntimeEnvironmentVariables: map[string]string{"LOG_LEVEL": "info", "API_TOKEN": canary + "-token"}}}}}
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	out, err := client.CreateService(ctx, in)
	for err != nil && strings.Contains(err.Error(), "Error in assuming") { // IAM does not know the role everywhere yet
		<-tick.C
		out, err = client.CreateService(ctx, in)
	}
	if err != nil {
		return err
	}
	for {
		now, err := client.DescribeService(ctx, &apprunnersdk.DescribeServiceInput{ServiceArn: out.Service.ServiceArn})
		switch {
		case err != nil:
			return err
		case now.Service.Status == types.ServiceStatusRunning:
			return nil
		case now.Service.Status != types.ServiceStatusOperationInProgress:
			return fmt.Errorf("%s is %s", name, now.Service.Status)
		}
		<-tick.C
	}
}

// scriptConfig makes AWS's own SDK use the sandbox of the script's current directory.
func scriptConfig(ts *testscript.TestScript) aws.Config {
	ts.Check(ts.Exec("apron", "sandbox", "env"))
	env := map[string]string{}
	for line := range strings.Lines(ts.ReadFile("stdout")) {
		name, value, _ := strings.Cut(strings.TrimPrefix(strings.TrimSpace(line), "export "), "=")
		env[name] = value
	}
	return aws.Config{Region: env["AWS_REGION"], BaseEndpoint: aws.String(env["AWS_ENDPOINT_URL"]),
		Credentials: credentials.NewStaticCredentialsProvider(env["AWS_ACCESS_KEY_ID"], env["AWS_SECRET_ACCESS_KEY"], "")}
}
