package apprunner

import (
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/apprunner/types"
	"github.com/stretchr/testify/require"

	"github.com/apron-deploy/apron/reconcile/state"
)

var scope = Scope{Account: "123456789012", Region: "us-east-1", Partition: "aws"}

func ptr[T any](v T) *T { return &v }

// whole is a manifest that says everything.
var whole = state.Spec{
	Service: "web",
	Env:     map[string]state.EnvValue{"LOG": {Value: "info"}},
	Secrets: map[string]state.SecretRef{"KEY": {Source: state.FromEnv, Name: "KEY"}},
	Command: ptr("serve"), Port: ptr(8000), CPU: ptr(256), Memory: ptr(512),
	Scaling: &state.Scaling{Min: ptr(1), Max: ptr(2), Concurrency: ptr(50)},
	Health: &state.Health{Protocol: ptr("HTTP"), Path: ptr("/health"), Interval: ptr(20 * time.Second),
		Timeout: ptr(5 * time.Second), Healthy: ptr(2), Unhealthy: ptr(5)},
	Network: &state.Network{Public: ptr(false), IP: "dual_stack",
		Egress:  &state.Egress{Subnets: []string{"subnet-0a", "subnet-0b"}, SecurityGroups: []string{"sg-0a"}},
		Ingress: &state.Ingress{VPC: "vpc-0a", Endpoint: "vpce-0a"}},
	Tracing: "xray", KMSKey: "arn:aws:kms:us-east-1:123456789012:key/0a",
	Tags: map[string]string{"team": "ai"},
}

var inputs = Inputs{
	Image:  state.Address{Target: "ecr", Kind: "image", Name: "web:src-1"},
	Access: "iam/role/apron-us-east-1-web-access", Instance: "arn:aws:iam::123456789012:role/own",
	Secrets: map[string]string{"KEY": "ssm/parameter//apron/web/KEY"},
}

func wanted(t *testing.T) state.Resource {
	resources := Desired(whole, inputs)
	require.Len(t, resources, 5)
	return resources[4]
}

// What is sent comes back the same: a service that was made as wanted has no difference.
func TestConvert_roundTrip(t *testing.T) {
	want := wanted(t)
	d, err := define(want, nil, scope)
	require.NoError(t, err)
	require.Len(t, d.arns, 3)
	for addr, set := range d.arns {
		set("arn:aws:apprunner:us-east-1:123456789012:" + map[string]string{kindScaling: "autoscalingconfiguration",
			kindConnector: "vpcconnector", kindTracing: "observabilityconfiguration"}[addr.Kind] + "/" + addr.Name + "/1/id")
	}
	in := d.create("web")
	live := observed(&types.Service{
		ServiceName: in.ServiceName, ServiceId: aws.String("0123"), ServiceArn: aws.String("arn"), Status: types.ServiceStatusRunning,
		ServiceUrl:          aws.String("x.awsapprunner.com"),
		SourceConfiguration: in.SourceConfiguration, InstanceConfiguration: in.InstanceConfiguration, HealthCheckConfiguration: in.HealthCheckConfiguration,
		NetworkConfiguration: in.NetworkConfiguration, ObservabilityConfiguration: in.ObservabilityConfiguration, EncryptionConfiguration: in.EncryptionConfiguration,
		AutoScalingConfigurationSummary: &types.AutoScalingConfigurationSummary{AutoScalingConfigurationName: aws.String("apron-1-2-50")},
	}, in.Tags, nil, scope, func(_, _ string) bool { return false })
	require.Empty(t, differences(want, live))
	require.Equal(t, state.Ours, live.Owner)
	require.Equal(t, state.Ready, live.Phase)
	require.Equal(t, "https://x.awsapprunner.com", live.URL)
}

func TestDefine_leavesOutWhatTheManifestLeavesOut(t *testing.T) {
	d, err := define(state.Resource{Fields: []state.Field{{Path: "image", Value: "public.ecr.aws/x/y:1"}}}, nil, scope)
	require.NoError(t, err)
	c := d.source.ImageRepository.ImageConfiguration
	require.Nil(t, c.RuntimeEnvironmentVariables, "an empty map would clear what is live")
	require.Nil(t, c.RuntimeEnvironmentSecrets)
	require.Nil(t, d.health)
	require.Nil(t, d.instance.Cpu)
	require.Nil(t, d.source.AuthenticationConfiguration)
}

func TestDefine_clearsAMapThatIsManagedAndEmpty(t *testing.T) {
	d, err := define(state.Resource{Whole: []string{"env."}}, nil, scope)
	require.NoError(t, err)
	require.NotNil(t, d.source.ImageRepository.ImageConfiguration.RuntimeEnvironmentVariables)
	require.Empty(t, d.source.ImageRepository.ImageConfiguration.RuntimeEnvironmentVariables)
}

func TestDisplace_takesAVariableOutOfTheOtherMap(t *testing.T) {
	s := &types.Service{SourceConfiguration: &types.SourceConfiguration{ImageRepository: &types.ImageRepository{
		ImageConfiguration: &types.ImageConfiguration{RuntimeEnvironmentSecrets: map[string]string{"KEY": "arn:a", "KEY_2": "arn:b"}}}}}
	for name, tc := range map[string]struct {
		spec state.Spec
		want map[string]string // the secrets that are sent
	}{
		"a secret that becomes plain":   {state.Spec{Env: map[string]state.EnvValue{"KEY": {Value: "plain"}}}, map[string]string{"KEY_2": "arn:b"}},
		"another variable":              {state.Spec{Env: map[string]state.EnvValue{"NAME": {Value: "plain"}}}, nil},
		"secrets that are managed":      {state.Spec{Env: map[string]state.EnvValue{"KEY": {Value: "plain"}}, Secrets: map[string]state.SecretRef{}}, map[string]string{}},
		"no variables and no secrets":   {state.Spec{}, nil},
		"the last one of them, and all": {state.Spec{Env: map[string]state.EnvValue{"KEY": {}, "KEY_2": {}}}, map[string]string{}},
	} {
		t.Run(name, func(t *testing.T) {
			tc.spec.Service = "shop"
			resources := Desired(tc.spec, Inputs{})
			want := resources[len(resources)-1]
			d, err := define(want, nil, scope)
			require.NoError(t, err)
			d.displace(want, s)
			require.Equal(t, tc.want, d.source.ImageRepository.ImageConfiguration.RuntimeEnvironmentSecrets)
		})
	}
}

func TestDefine_fillsInTheHealthCheckFromWhatIsLive(t *testing.T) {
	have := &types.HealthCheckConfiguration{Protocol: types.HealthCheckProtocolHttp, Path: aws.String("/live"), Interval: aws.Int32(7)}
	d, err := define(state.Resource{Fields: []state.Field{{Path: "health.path", Value: "/new"}}}, &types.Service{HealthCheckConfiguration: have}, scope)
	require.NoError(t, err)
	require.Equal(t, "/new", *d.health.Path)
	require.Equal(t, int32(7), *d.health.Interval)
	require.Equal(t, "/live", *have.Path, "what was read is not changed")
}

func TestObserved_masksAVariableThatHoldsASecret(t *testing.T) {
	live := observed(&types.Service{ServiceName: aws.String("web"), SourceConfiguration: &types.SourceConfiguration{
		ImageRepository: &types.ImageRepository{ImageConfiguration: &types.ImageConfiguration{
			RuntimeEnvironmentVariables: map[string]string{"API_KEY": "hunter2", "LOG": "info"}}}}},
		nil, nil, scope, func(name, _ string) bool { return name == "API_KEY" })
	key, _ := live.Get("env.API_KEY")
	require.True(t, key.Secret)
	log, _ := live.Get("env.LOG")
	require.False(t, log.Secret)
}

func TestObserved_survivesAServiceBuiltFromSource(t *testing.T) {
	live := observed(&types.Service{ServiceName: aws.String("web"), SourceConfiguration: &types.SourceConfiguration{
		CodeRepository: &types.CodeRepository{}}}, nil, nil, scope, func(_, _ string) bool { return false })
	require.Equal(t, state.Theirs, live.Owner)
}

func TestDeployedAt_isTheLastSuccessThatStartedInstances(t *testing.T) {
	at := func(h int) *time.Time { return aws.Time(time.Date(2026, 1, 1, h, 0, 0, 0, time.UTC)) }
	live := observed(&types.Service{ServiceName: aws.String("web")}, nil, []types.OperationSummary{
		{Type: types.OperationTypeUpdateService, Status: types.OperationStatusRollbackSucceeded, StartedAt: at(4)},
		{Type: types.OperationTypeResumeService, Status: types.OperationStatusSucceeded, StartedAt: at(3)},
		{Type: types.OperationTypeStartDeployment, Status: types.OperationStatusSucceeded, StartedAt: at(2)},
		{Type: types.OperationTypeCreateService, Status: types.OperationStatusSucceeded, StartedAt: at(1)},
	}, scope, func(_, _ string) bool { return false })
	require.Equal(t, *at(2), live.Detail.(Live).DeployedAt)
}

func TestScope_tellsWhatApronMadeFromWhatItDidNot(t *testing.T) {
	require.Equal(t, "iam/role/apron-x", scope.role("arn:aws:iam::123456789012:role/apron/apron-x").String())
	require.True(t, scope.role("arn:aws:iam::123456789012:role/service-role/x").IsZero())
	require.True(t, scope.role("arn:aws:iam::999999999999:role/apron/x").IsZero())
	require.Equal(t, "ssm/parameter//apron/web/KEY", scope.parameter("arn:aws:ssm:us-east-1:123456789012:parameter/apron/web/KEY").String())
	require.True(t, scope.parameter("arn:aws:ssm:eu-west-1:123456789012:parameter/apron/web/KEY").IsZero())
	require.Equal(t, "ecr/image/team/web:v1", scope.image("123456789012.dkr.ecr.us-east-1.amazonaws.com/team/web:v1").String())
	require.True(t, scope.image("public.ecr.aws/team/web:v1").IsZero())
}
