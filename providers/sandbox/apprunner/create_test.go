package apprunner

import (
	"context"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	sdk "github.com/aws/aws-sdk-go-v2/service/apprunner"
	"github.com/aws/aws-sdk-go-v2/service/apprunner/types"
	"github.com/stretchr/testify/require"
)

func TestCreate_fillsInWhatAWSFillsIn(t *testing.T) {
	r := newRig(t)
	s := r.create()
	require.Equal(t, types.ServiceStatusRunning, s.Status)
	require.Regexp(t, `^[0-9a-f]{32}$`, *s.ServiceId)
	require.Equal(t, "arn:aws:apprunner:us-east-1:123456789012:service/shop/"+*s.ServiceId, *s.ServiceArn)
	port := r.server.URL[strings.LastIndex(r.server.URL, ":"):]
	require.Equal(t, "shop.localhost"+port, *s.ServiceUrl)
	require.Equal(t, "1024", *s.InstanceConfiguration.Cpu)
	require.Equal(t, "2048", *s.InstanceConfiguration.Memory)
	require.Nil(t, s.InstanceConfiguration.InstanceRoleArn)
	require.Equal(t, "8080", *s.SourceConfiguration.ImageRepository.ImageConfiguration.Port)
	require.True(t, *s.SourceConfiguration.AutoDeploymentsEnabled)
	require.Equal(t, &types.HealthCheckConfiguration{
		Protocol: types.HealthCheckProtocolTcp, Path: aws.String("/"), Interval: aws.Int32(5), Timeout: aws.Int32(2),
		HealthyThreshold: aws.Int32(1), UnhealthyThreshold: aws.Int32(5),
	}, s.HealthCheckConfiguration)
	require.Equal(t, types.EgressTypeDefault, s.NetworkConfiguration.EgressConfiguration.EgressType)
	require.True(t, s.NetworkConfiguration.IngressConfiguration.IsPubliclyAccessible)
	require.Equal(t, types.IpAddressTypeIpv4, s.NetworkConfiguration.IpAddressType)
	require.False(t, s.ObservabilityConfiguration.ObservabilityEnabled)
	require.Nil(t, s.EncryptionConfiguration)
	require.Equal(t, "arn:aws:apprunner:us-east-1:123456789012:autoscalingconfiguration/DefaultConfiguration/1/00000000000000000000000000000001",
		*s.AutoScalingConfigurationSummary.AutoScalingConfigurationArn)
	require.Equal(t, "active", string(s.AutoScalingConfigurationSummary.Status))
	code, body := r.get(*s.ServiceUrl, "/")
	require.Equal(t, 200, code)
	require.Equal(t, "v1", body)
}

func TestCreate_normalisesSizes(t *testing.T) {
	r := newRig(t)
	s := r.create(func(in *sdk.CreateServiceInput) {
		in.InstanceConfiguration = &types.InstanceConfiguration{Cpu: aws.String("0.25 vCPU"), Memory: aws.String("0.5 GB")}
	})
	require.Equal(t, "256", *s.InstanceConfiguration.Cpu)
	require.Equal(t, "512", *s.InstanceConfiguration.Memory)
	spec := r.engine.alive()[0].spec
	require.Equal(t, []int{256, 512, 8080}, []int{spec.CPUUnits, spec.MemoryMiB, spec.Port})
}

// The log of a create, word for word.
func TestCreate_writesItsLog(t *testing.T) {
	r := newRig(t)
	s := r.create(func(in *sdk.CreateServiceInput) { in.HealthCheckConfiguration = httpCheck() })
	ops, err := r.api.ListOperations(context.Background(), &sdk.ListOperationsInput{ServiceArn: s.ServiceArn})
	require.NoError(t, err)
	id := strings.ReplaceAll(*ops.OperationSummaryList[0].Id, "-", "")
	group := "/aws/apprunner/shop/" + *s.ServiceId
	r.eventually(func() bool { return strings.HasSuffix(r.world.log(group+"/service events"), "RUNNING.") })
	require.Equal(t, strings.Join([]string{
		"[AppRunner] Service creation started.",
		"[AppRunner] Service status is set to OPERATION_IN_PROGRESS.",
		"[AppRunner] Successfully created pipeline for automatic deployments.",
		"[AppRunner] Service creation completed successfully.",
		"[AppRunner] Service status is set to RUNNING.",
	}, "\n"), r.world.log(group+"/service events"))
	require.Equal(t, strings.Join([]string{
		"[AppRunner] Deployment with ID : " + id + " started. Triggering event : SERVICE_CREATE",
		"[AppRunner] Pulling image " + registry + "web:v1 from ECR repository.",
		"[AppRunner] Successfully pulled your application image from ECR.",
		"[AppRunner] Successfully copied the image from ECR.",
		"[AppRunner] Provisioning instances and deploying image for publicly accessible service.",
		"[AppRunner] Performing health check on protocol `HTTP` [Path: '/health'], [Port: '8080'].",
		"[AppRunner] Health check is successful. Routing traffic to application.",
		"[AppRunner] Successfully routed incoming traffic to application.",
	}, "\n"), r.world.log(group+"/service deployment/"+id))
	require.Equal(t, "started v1", r.world.log(group+"/application instance/"+r.engine.alive()[0].spec.ID))
}

func TestCreate_givesInstancesTheirEnvironmentOnly(t *testing.T) {
	t.Setenv("HOST_SECRET", "of the host")
	r := newRig(t)
	secret := "arn:aws:secretsmanager:us-east-1:123456789012:secret:prod/key-AbCdEf"
	r.world.secrets["/web/token"] = "t0ken"
	r.world.secrets[secret+":password::"] = "pa55"
	r.create(func(in *sdk.CreateServiceInput) {
		in.InstanceConfiguration = &types.InstanceConfiguration{InstanceRoleArn: aws.String(instanceRole)}
		in.SourceConfiguration.ImageRepository.ImageConfiguration = &types.ImageConfiguration{
			Port:                        aws.String("3000"),
			StartCommand:                aws.String(`server --name "my app" it\'s`),
			RuntimeEnvironmentVariables: map[string]string{"B": "2", "A": "1"},
			RuntimeEnvironmentSecrets:   map[string]string{"TOKEN": "/web/token", "PASSWORD": secret + ":password::"},
		}
	})
	spec := r.engine.alive()[0].spec
	require.Equal(t, []string{"A=1", "B=2", "PASSWORD=pa55", "PORT=3000", "TOKEN=t0ken"}, spec.Env)
	require.Equal(t, []string{"server", "--name", "my app", "it's"}, spec.Command)
}

// What fails a create, how it ends, and what the log says about it.
func TestCreate_fails(t *testing.T) {
	withSecret := func(in *sdk.CreateServiceInput) {
		in.InstanceConfiguration = &types.InstanceConfiguration{InstanceRoleArn: aws.String(instanceRole)}
		in.SourceConfiguration.ImageRepository.ImageConfiguration.RuntimeEnvironmentSecrets = map[string]string{"KEY": "/web/key"}
	}
	runs := func(m string) func(*sdk.CreateServiceInput) {
		return func(in *sdk.CreateServiceInput) {
			in.SourceConfiguration = mode("web:v1", m)
			in.HealthCheckConfiguration = httpCheck()
		}
	}
	const invalidRole = "Failed to pull your application image. Reason: Invalid Access Role in AuthenticationConfiguration."
	for name, tc := range map[string]struct {
		create  func(*sdk.CreateServiceInput)
		deny    string
		log     []string
		started bool
	}{
		"image is missing": {
			create: func(in *sdk.CreateServiceInput) { in.SourceConfiguration = source("web:nope") },
			log:    []string{"Failed to pull your application image. Reason: ECR image doesn't exist.", "failed."},
		},
		"role may not pull":     {deny: accessRole + " ecr:BatchGetImage", log: []string{invalidRole}},
		"role may not download": {deny: "ecr:GetDownloadUrlForLayer arn:aws:ecr:us-east-1:123456789012:repository/web", log: []string{invalidRole}},
		"secret is forbidden": {
			create: withSecret, deny: "ssm:GetParameters arn:aws:ssm:us-east-1:123456789012:parameter/web/key",
			log: []string{"[AppRunner] Failed to deploy your application image."},
		},
		"secret is missing": {create: withSecret, log: []string{"[AppRunner] Failed to deploy your application image."}},
		"health is bad": {create: runs("sick"), started: true, log: []string{
			"Health check failed on protocol `HTTP`[Path: '/health'], [Port: '8080']. Check your configured port number. For more information, see the application logs.",
			"failed. Failure reason : Health check failed.",
		}},
		"nothing listens": {
			create: func(in *sdk.CreateServiceInput) { in.SourceConfiguration = mode("web:v1", "deaf") }, started: true,
			log: []string{"Health check failed on protocol `TCP`[Port: '8080']. Check"},
		},
		"instance exits": {create: runs("exit3"), started: true, log: []string{
			"Your application stopped or failed to start. See logs for more information.  Container exit code: 3",
		}},
		"engine cannot": {create: runs("unstartable"), log: []string{"Failed to deploy your application image.", "could not start an instance: no space left"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t)
			if tc.deny != "" {
				r.world.deny(tc.deny, true)
			}
			in := &sdk.CreateServiceInput{ServiceName: aws.String("shop"), SourceConfiguration: source("web:v1")}
			if tc.create != nil {
				tc.create(in)
			}
			out, err := r.api.CreateService(context.Background(), in)
			require.NoError(t, err)
			require.Equal(t, types.ServiceStatusOperationInProgress, out.Service.Status)
			require.Equal(t, types.OperationStatusFailed, r.follow(out.Service.ServiceArn, out.OperationId).Status)
			require.Equal(t, types.ServiceStatusCreateFailed, r.describe(out.Service.ServiceArn).Status)
			r.logs("/service events", "CREATE_FAILED.")
			require.Contains(t, r.world.log("/service events"), "[AppRunner] Service creation failed. For details, see service logs.")
			for _, text := range tc.log {
				require.Contains(t, r.world.log("/service deployment/"), text)
			}
			require.Equal(t, tc.started, strings.Contains(r.world.log("/application"), "started"), "the application log group exists only if a container started")
			require.Empty(t, r.engine.alive())
			code, _ := r.get(*out.Service.ServiceUrl, "/")
			require.Equal(t, 503, code)
		})
	}
}

func TestCreate_startsACrashingInstanceThreeTimes(t *testing.T) {
	r := newRig(t)
	out, err := r.api.CreateService(context.Background(), &sdk.CreateServiceInput{ServiceName: aws.String("shop"), SourceConfiguration: mode("web:v1", "exit3")})
	require.NoError(t, err)
	r.follow(out.Service.ServiceArn, out.OperationId)
	require.Equal(t, 3, r.engine.count())
}

func TestCreate_waitsForASlowStart(t *testing.T) {
	r := newRig(t)
	r.create(func(in *sdk.CreateServiceInput) { in.SourceConfiguration = mode("web:v1", "slow") })
}

// The order of AWS's refusals: schema, name, quota, scaling, roles, image rules.
func TestCreate_refusesInOrder(t *testing.T) {
	r := newRig(t)
	r.create()
	ctx := context.Background()
	in := &sdk.CreateServiceInput{
		ServiceName: aws.String("shop"), SourceConfiguration: source("web:v1"), AutoScalingConfigurationArn: aws.String(""),
		InstanceConfiguration: &types.InstanceConfiguration{Cpu: aws.String("0 vCPU"), Memory: aws.String("0 GB"), InstanceRoleArn: aws.String(instanceRole)},
	}
	try := func() error { _, err := r.api.CreateService(ctx, in); return err }
	refused(t, try(), "InvalidRequestException", "2 validation errors detected: "+
		"Value '0 GB' at 'instanceConfiguration.memory' failed to satisfy constraint: Member must satisfy regular expression pattern: 512|1024|2048|3072|4096|6144|8192|10240|12288|(0.5|1|2|3|4|6|8|10|12) GB; "+
		"Value '0 vCPU' at 'instanceConfiguration.cpu' failed to satisfy constraint: Member must satisfy regular expression pattern: 256|512|1024|2048|4096|(0.25|0.5|1|2|4) vCPU")
	in.InstanceConfiguration.Cpu, in.InstanceConfiguration.Memory = aws.String("256"), aws.String("4096")
	refused(t, try(), "InvalidRequestException", "Service with the provided name already exists: shop.")
	in.ServiceName = aws.String("other")
	refused(t, try(), "InvalidRequestException", "The auto scaling configuration ARN you specified isn't valid. ARN: ''")
	in.AutoScalingConfigurationArn = nil
	r.world.deny(instanceRole, true)
	r.faults.RoleNotReady(1)
	refused(t, try(), "InvalidRequestException", "Error in assuming access role "+accessRole)
	refused(t, try(), "InvalidRequestException", "Error in assuming instance role "+instanceRole)
	r.world.deny(instanceRole, false)
	refused(t, try(), "InvalidRequestException", "Invalid combination of Cpu and Memory: Cpu 256 doesn't support Memory 4096. Supported Memory: [512 1024].")
	in.InstanceConfiguration.Memory = aws.String("512")
	settings := in.SourceConfiguration.ImageRepository.ImageConfiguration
	settings.RuntimeEnvironmentVariables = map[string]string{"PORT": "1"}
	refused(t, try(), "InvalidRequestException", "PORT is a reserved environment variable. Use the Port of the image configuration instead.")
	settings.RuntimeEnvironmentVariables = nil
	settings.RuntimeEnvironmentSecrets = map[string]string{"KEY": "/key"}
	in.InstanceConfiguration.InstanceRoleArn = nil
	refused(t, try(), "InvalidRequestException", "Instance Role have to be provided if passing in RuntimeEnvironmentSecrets.")
	settings.RuntimeEnvironmentSecrets = nil
	in.SourceConfiguration.AuthenticationConfiguration = nil
	refused(t, try(), "InvalidRequestException", "Authentication configuration is invalid.")
	in.SourceConfiguration.ImageRepository.ImageIdentifier = aws.String("public.ecr.aws/nginx/nginx:latest")
	in.SourceConfiguration.ImageRepository.ImageRepositoryType = types.ImageRepositoryTypeEcrPublic
	in.SourceConfiguration.AutoDeploymentsEnabled = aws.Bool(true)
	refused(t, try(), "InvalidRequestException", "App Runner doesn't support automatic deployments for an image in an ECR Public repository.")
}

func TestCreate_refusesTheThirtyFirstService(t *testing.T) {
	r := newRig(t)
	in := &sdk.CreateServiceInput{SourceConfiguration: source("web:none")}
	for i := range 31 {
		in.ServiceName = aws.String("service" + string(rune('A'+i%26)) + string(rune('a'+i/26)))
		_, err := r.api.CreateService(context.Background(), in)
		if i < 30 {
			require.NoError(t, err)
			continue
		}
		refused(t, err, "ServiceQuotaExceededException", "The maximum number of services (30) for this account in this Region has been reached.")
	}
}
