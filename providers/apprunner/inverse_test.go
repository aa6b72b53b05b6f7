package apprunner

import (
	"os"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/apprunner/types"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/apron-deploy/apron/manifest"
	"github.com/apron-deploy/apron/manifest/inverse"
	"github.com/apron-deploy/apron/reconcile/plan"
	"github.com/apron-deploy/apron/reconcile/state"
)

const account = "arn:aws:apprunner:us-east-1:123456789012:"

// anyService is a service with any settings that App Runner takes and a manifest can say,
// and what it refers to.
func anyService(t *rapid.T) (types.Service, []types.Tag, []state.Observed) {
	word := rapid.StringMatching(`[A-Za-z][A-Za-z0-9_]{0,11}`)
	text := rapid.OneOf(rapid.StringMatching(`[ -~é☃]{0,40}`), rapid.SampledFrom([]string{"yes", "null", "~", "0x1f", "1e3", "010", "2024-01-01", "${HOME}", "$$", "- a", "a: b", "#", "{}", "*a", "&a", "!x", "|", "'", `"`}))
	number := func(low, high int, name string) *int32 {
		return aws.Int32(int32(rapid.IntRange(low, high).Draw(t, name)))
	}
	maybe := func(name string) bool { return rapid.Bool().Draw(t, name) }
	var beside []state.Observed
	size := rapid.SampledFrom([][2]string{{"256", "512"}, {"256", "1024"}, {"512", "1024"}, {"1024", "4096"}, {"2048", "6144"}, {"4096", "12288"}}).Draw(t, "size")
	image := &types.ImageRepository{ImageRepositoryType: types.ImageRepositoryTypeEcr, ImageConfiguration: &types.ImageConfiguration{Port: aws.String("8080")}}
	image.ImageIdentifier = aws.String(rapid.SampledFrom([]string{"123456789012.dkr.ecr.us-east-1.amazonaws.com/team/shop:v1", "123456789012.dkr.ecr.us-east-1.amazonaws.com/shop",
		"210987654321.dkr.ecr.us-east-1.amazonaws.com/shop:1.0", "public.ecr.aws/nginx/nginx:latest"}).Draw(t, "image"))
	source := &types.SourceConfiguration{ImageRepository: image, AutoDeploymentsEnabled: aws.Bool(false)}
	if strings.HasPrefix(*image.ImageIdentifier, publicRegistry) {
		image.ImageRepositoryType = types.ImageRepositoryTypeEcrPublic
	} else {
		source.AuthenticationConfiguration = &types.AuthenticationConfiguration{AccessRoleArn: aws.String("arn:aws:iam::123456789012:role/puller")}
		source.AutoDeploymentsEnabled = aws.Bool(maybe("auto"))
	}
	s := types.Service{ServiceName: aws.String("shop"), ServiceId: aws.String(strings.Repeat("0", 32)), ServiceArn: aws.String(account + "service/shop/" + strings.Repeat("0", 32)),
		Status: rapid.SampledFrom([]types.ServiceStatus{types.ServiceStatusRunning, types.ServiceStatusPaused}).Draw(t, "status"), SourceConfiguration: source,
		InstanceConfiguration: &types.InstanceConfiguration{Cpu: &size[0], Memory: &size[1]}}
	config := image.ImageConfiguration
	config.RuntimeEnvironmentVariables = rapid.MapOfN(word.Filter(func(s string) bool { return s != "PORT" }), text, 0, 5).Draw(t, "env")
	if maybe("command") {
		config.StartCommand = aws.String(rapid.StringMatching(`[!-~][ -~]{0,20}`).Draw(t, "command"))
	}
	if maybe("role") {
		s.InstanceConfiguration.InstanceRoleArn = aws.String("arn:aws:iam::123456789012:role/service-role/app")
		config.RuntimeEnvironmentSecrets = map[string]string{}
		for _, name := range rapid.SliceOfN(word, 0, 3).Draw(t, "secrets") {
			if _, plain := config.RuntimeEnvironmentVariables[name]; !plain && name != "PORT" {
				config.RuntimeEnvironmentSecrets[name] = rapid.SampledFrom([]string{"/prod/url", "plain-name", "arn:aws:ssm:eu-west-1:123456789012:parameter/x",
					"arn:aws:secretsmanager:us-east-1:123456789012:secret:openai-AbCdEf", "arn:aws:secretsmanager:us-east-1:123456789012:secret:openai-AbCdEf:key::",
					"arn:aws:secretsmanager:us-east-1:123456789012:secret:openai-AbCdEf:key:AWSPREVIOUS:"}).Draw(t, "of "+name)
			}
		}
		if maybe("traced") {
			s.ObservabilityConfiguration = &types.ServiceObservabilityConfiguration{ObservabilityEnabled: true, ObservabilityConfigurationArn: aws.String(account + "observabilityconfiguration/ours/1/" + strings.Repeat("1", 32))}
			beside = append(beside, observedTracing(&types.ObservabilityConfiguration{ObservabilityConfigurationName: aws.String("ours"), TraceConfiguration: &types.TraceConfiguration{Vendor: types.TracingVendorAwsxray}}, nil, nil))
		}
	}
	interval := number(2, 20, "interval")
	s.HealthCheckConfiguration = &types.HealthCheckConfiguration{Protocol: types.HealthCheckProtocolTcp, Path: aws.String("/"), Interval: interval, Timeout: number(1, int(*interval)-1, "timeout"), HealthyThreshold: number(1, 20, "healthy"), UnhealthyThreshold: number(1, 20, "unhealthy")}
	if maybe("http") {
		s.HealthCheckConfiguration.Protocol, s.HealthCheckConfiguration.Path = types.HealthCheckProtocolHttp, aws.String("/"+rapid.StringMatching(`[!-~]{0,10}`).Draw(t, "path"))
	}
	least := number(1, 25, "min")
	name := rapid.SampledFrom([]string{"DefaultConfiguration", "ours"}).Draw(t, "scaling")
	s.AutoScalingConfigurationSummary = &types.AutoScalingConfigurationSummary{AutoScalingConfigurationName: &name, AutoScalingConfigurationArn: aws.String(account + "autoscalingconfiguration/" + name + "/2/" + strings.Repeat("2", 32))}
	beside = append(beside, observedScaling(&types.AutoScalingConfiguration{AutoScalingConfigurationName: &name, MinSize: least, MaxSize: number(int(*least), 1000, "max"), MaxConcurrency: number(1, 200, "concurrency")}, nil, nil))
	n := &types.NetworkConfiguration{IpAddressType: rapid.SampledFrom(types.IpAddressTypeIpv4.Values()).Draw(t, "ip"), EgressConfiguration: &types.EgressConfiguration{EgressType: types.EgressTypeDefault},
		IngressConfiguration: &types.IngressConfiguration{IsPubliclyAccessible: maybe("public")}}
	s.NetworkConfiguration = n
	if maybe("vpc") {
		n.EgressConfiguration = &types.EgressConfiguration{EgressType: types.EgressTypeVpc, VpcConnectorArn: aws.String(account + "vpcconnector/private/1/" + strings.Repeat("3", 32))}
		beside = append(beside, observedConnector(types.VpcConnector{VpcConnectorName: aws.String("private"), Subnets: []string{"subnet-0123456789abcdef1", "subnet-0123456789abcdef0"}, SecurityGroups: []string{"sg-0123456789abcdef0"}}, nil, nil))
	}
	if !n.IngressConfiguration.IsPubliclyAccessible && maybe("way in") {
		beside = append(beside, observedIngress(&types.VpcIngressConnection{VpcIngressConnectionName: aws.String("office"), ServiceArn: s.ServiceArn, Status: types.VpcIngressConnectionStatusAvailable,
			IngressVpcConfiguration: &types.IngressVpcConfiguration{VpcId: aws.String("vpc-0123456789abcdef0"), VpcEndpointId: aws.String("vpce-0123456789abcdef0")}}, nil, scope))
	}
	if maybe("key") {
		s.EncryptionConfiguration = &types.EncryptionConfiguration{KmsKey: aws.String("arn:aws:kms:us-east-1:123456789012:key/01234567-89ab-cdef-0123-456789abcdef")}
	}
	for _, d := range rapid.SliceOfNDistinct(rapid.SampledFrom([]string{"example.com", "shop.example.com", "*.example.org"}), 0, 3, rapid.ID).Draw(t, "domains") {
		beside = append(beside, observedDomain(CustomDomain{Name: d, WWW: !strings.HasPrefix(d, "*") && maybe("www of "+d)}, Service("shop"), *s.ServiceArn))
	}
	var tags []types.Tag
	for k, v := range rapid.MapOfN(rapid.StringMatching(`[A-Za-z][A-Za-z0-9 _.:/=+@-]{0,10}[a-z]`), rapid.StringMatching(`[A-Za-z0-9 _.:/=+@-]{0,20}`), 0, 4).Draw(t, "tags") {
		tags = append(tags, types.Tag{Key: &k, Value: &v})
	}
	return s, tags, beside
}

// TestInverse_plansNothing: whatever is live, the manifest that is written for it plans
// nothing but apron's own tags.
func TestInverse_plansNothing(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s, tags, beside := anyService(t)
		o := observed(&s, tags, nil, scope, func(name, value string) bool { return manifest.LooksSecret(name, value) != "" })
		live := state.Live{o.Address: o}
		for _, b := range beside {
			live[b.Address] = b
		}
		r := inverse.Draft(live, o.Address, inverse.Options{Account: scope.Account, Region: scope.Region, Registry: scope.Registry(), Leave: map[string]string{}})
		require.Empty(t, r.Left)
		text := string(r.Draft.Text())
		variables := map[string]string{}
		for _, v := range r.Variables {
			require.NotContains(t, text, ": "+v.Value.Reveal()+"\n")
			variables[v.From] = v.Value.Reveal()
		}
		set, err := manifest.Load(manifest.Options{LookupEnv: func(name string) (string, bool) { v, ok := variables[name]; return v, ok },
			ReadFile: func(name string) ([]byte, error) {
				if name == "deploy.yaml" {
					return []byte(text), nil
				}
				return nil, os.ErrNotExist
			}})
		require.NoError(t, err, text)
		spec := set.Documents[0].Spec
		in := Inputs{Image: scope.Image(spec.Image.From), Access: spec.Roles.Access, Instance: spec.Roles.Instance, Secrets: map[string]string{}, Live: live}
		if in.Instance == "auto" {
			in.Instance = "" // nothing is asked of one
		}
		for name, ref := range spec.Secrets {
			in.Secrets[name] = arnOf(ref)
		}
		desired := state.Desired{}
		for _, r := range Desired(spec, in) {
			desired[r.Address] = r
		}
		p, err := plan.Build(desired, live, plan.Options{Adopt: true})
		require.NoError(t, err, text)
		for _, a := range p.Actions {
			for _, c := range a.Changes {
				require.True(t, strings.HasPrefix(c.Path, "tags."), "%s %s\n%s", a.ID, c.Path, text)
			}
			require.Equal(t, plan.Update, a.Op, a.ID)
		}
	})
}

// arnOf is what App Runner is told of a secret that a manifest names by its ARN.
func arnOf(ref state.SecretRef) string {
	arn := ref.Name
	if ref.Key+ref.Stage+ref.Version != "" {
		arn += ":" + ref.Key + ":" + ref.Stage + ":" + ref.Version
	}
	return arn
}
