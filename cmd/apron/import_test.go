package main

import (
	"context"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	sdk "github.com/aws/aws-sdk-go-v2/service/apprunner"
	"github.com/aws/aws-sdk-go-v2/service/apprunner/types"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs"
	smsdk "github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	ssmsdk "github.com/aws/aws-sdk-go-v2/service/ssm"
	ssmtypes "github.com/aws/aws-sdk-go-v2/service/ssm/types"
	wafsdk "github.com/aws/aws-sdk-go-v2/service/wafv2"
	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

	"github.com/apron-deploy/apron/providers/apprunner"
	"github.com/apron-deploy/apron/providers/sandbox"
	"github.com/apron-deploy/apron/providers/sandbox/wire"
	"github.com/apron-deploy/apron/reconcile/state"
)

// byHand makes services as somebody does who never heard of apron: by AWS's API.
type byHand struct {
	*testing.T
	*sdk.Client
	cfg               aws.Config
	image             string // in the account's registry, by a tag of somebody's own
	puller, app       string // ARNs of roles
	parameter, secret string // ARNs
}

func newByHand(t *testing.T, w *world) *byHand {
	info := w.Info()
	cfg := aws.Config{Region: info.Region, BaseEndpoint: aws.String(info.Endpoint()),
		Credentials: credentials.NewStaticCredentialsProvider(info.AccessKey, info.SecretKey, "")}
	h := &byHand{T: t, Client: sdk.NewFromConfig(cfg), cfg: cfg}
	code, out := w.run(t.Context(), "push", "--yes") // an image that runs, in a repository to take it from
	require.Equal(t, exitOK, code, out)
	h.image = fmt.Sprintf("%s.dkr.ecr.%s.amazonaws.com/shop:v1.4.2", sandboxAccount, sandboxRegion)
	require.NoError(t, tagByHand(t.Context(), cfg, "shop", "v1.4.2"))
	h.puller = h.role("ecr-puller", "build.apprunner.amazonaws.com", "ecr:*")
	h.app = h.role("shop-app", "tasks.apprunner.amazonaws.com", "ssm:GetParameters", "secretsmanager:GetSecretValue", "kms:Decrypt")
	_, err := ssmsdk.NewFromConfig(cfg).PutParameter(t.Context(), &ssmsdk.PutParameterInput{Name: aws.String("/prod/db/url"), Value: aws.String(canary + "-url"), Type: ssmtypes.ParameterTypeSecureString})
	require.NoError(t, err)
	h.parameter = fmt.Sprintf("arn:aws:ssm:%s:%s:parameter/prod/db/url", sandboxRegion, sandboxAccount)
	made, err := smsdk.NewFromConfig(cfg).CreateSecret(t.Context(), &smsdk.CreateSecretInput{Name: aws.String("prod/openai"), SecretString: aws.String(`{"key":"` + canary + `-key"}`)})
	require.NoError(t, err)
	h.secret = *made.ARN
	return h
}

func (h *byHand) role(name, principal string, actions ...string) string {
	arn, err := roleByHand(h.Context(), h.cfg, name, principal, actions...)
	require.NoError(h, err)
	return arn
}

// plain is a service about which nothing was said that can be left out.
func (h *byHand) plain(name string) *sdk.CreateServiceInput {
	return &sdk.CreateServiceInput{ServiceName: &name, SourceConfiguration: &types.SourceConfiguration{
		AuthenticationConfiguration: &types.AuthenticationConfiguration{AccessRoleArn: &h.puller},
		AutoDeploymentsEnabled:      aws.Bool(false),
		ImageRepository: &types.ImageRepository{ImageIdentifier: &h.image, ImageRepositoryType: types.ImageRepositoryTypeEcr,
			ImageConfiguration: &types.ImageConfiguration{}}}}
}

// create makes a service and waits until it runs.
func (h *byHand) create(ctx context.Context, in *sdk.CreateServiceInput) (string, error) {
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	out, err := h.CreateService(ctx, in)
	for err != nil && strings.Contains(err.Error(), "Error in assuming") { // IAM does not know the role everywhere yet
		<-tick.C
		out, err = h.CreateService(ctx, in)
	}
	if err != nil {
		return "", fmt.Errorf("%s: %w", *in.ServiceName, err)
	}
	return *out.Service.ServiceArn, h.settled(ctx, *out.Service.ServiceArn)
}

// settled waits until no operation is under way.
func (h *byHand) settled(ctx context.Context, arn string) error {
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for {
		out, err := h.DescribeService(ctx, &sdk.DescribeServiceInput{ServiceArn: &arn})
		switch {
		case err != nil:
			return err
		case out.Service.Status == types.ServiceStatusCreateFailed:
			events, err := cloudwatchlogs.NewFromConfig(h.cfg).FilterLogEvents(ctx, &cloudwatchlogs.FilterLogEventsInput{
				LogGroupName: aws.String("/aws/apprunner/" + *out.Service.ServiceName + "/" + *out.Service.ServiceId + "/service")})
			if err != nil {
				return err
			}
			said := []string{string(out.Service.Status)}
			for _, e := range events.Events {
				said = append(said, *e.Message)
			}
			return fmt.Errorf("%s: %s", arn, strings.Join(said, "\n"))
		case out.Service.Status != types.ServiceStatusOperationInProgress:
			return nil
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

func (h *byHand) scaling(name string, least, most, concurrency int32) *string {
	out, err := h.CreateAutoScalingConfiguration(h.Context(), &sdk.CreateAutoScalingConfigurationInput{AutoScalingConfigurationName: &name,
		MinSize: &least, MaxSize: &most, MaxConcurrency: &concurrency})
	require.NoError(h, err)
	return out.AutoScalingConfiguration.AutoScalingConfigurationArn
}

const (
	handVPC      = "vpc-0123456789abcdef0"
	handEndpoint = "vpce-0123456789abcdef0"
	handKey      = "arn:aws:kms:us-east-1:123456789012:key/01234567-89ab-cdef-0123-456789abcdef"
)

func handSettings(in *sdk.CreateServiceInput) *types.ImageConfiguration {
	return in.SourceConfiguration.ImageRepository.ImageConfiguration
}

// handMade are twenty services, each of which uses other settings: what is created, what is
// done to it then, and what its manifest must have, or, after a !, must not.
var handMade = map[string]struct {
	set   func(h *byHand, in *sdk.CreateServiceInput)
	then  func(h *byHand, arn string)
	wants []string
}{
	"bare-service": {wants: []string{"cpu: 1 vCPU", "memory: 2 GB", "port: 8080", "scaling: {min: 1, max: 25, concurrency: 100}  # the configuration DefaultConfiguration",
		"health: {protocol: TCP, interval: 5s, timeout: 2s, healthy: 1, unhealthy: 5}", "copy: false", "!network", "!tags", "!env", "!Live as well"}},
	"sized": {set: func(_ *byHand, in *sdk.CreateServiceInput) {
		in.InstanceConfiguration = &types.InstanceConfiguration{Cpu: aws.String("4 vCPU"), Memory: aws.String("12 GB")}
	}, wants: []string{"cpu: 4 vCPU", "memory: 12 GB"}},
	"small-size": {set: func(_ *byHand, in *sdk.CreateServiceInput) {
		in.InstanceConfiguration = &types.InstanceConfiguration{Cpu: aws.String("256"), Memory: aws.String("512")}
	}, wants: []string{"cpu: 0.25 vCPU", "memory: 0.5 GB"}},
	"other-port": {set: func(_ *byHand, in *sdk.CreateServiceInput) { handSettings(in).Port = aws.String("3000") }, wants: []string{"port: 3000"}},
	"commanded": {set: func(_ *byHand, in *sdk.CreateServiceInput) {
		handSettings(in).StartCommand = aws.String("/app")
	}, wants: []string{"command: /app"}},
	"plain-variables": {set: func(_ *byHand, in *sdk.CreateServiceInput) {
		handSettings(in).RuntimeEnvironmentVariables = map[string]string{"LOG_LEVEL": "debug", "EMPTY": "", "NUMBER": "010", "YES": "yes", "NULL": "null", "PRICE": "$5 ${not} $$",
			"JSON": `{"a": [1, "b"]}`, "COLON": "a: b # c", "SPACE": " x ", "QUOTE": `it's "so"`, "dotted.name": "1e3", "UNICODE": "ünïcödé ☃", "BACK": `a\b\`, "DATE": "2024-01-01"}
	}, wants: []string{`NUMBER: 010`, `PRICE: $$5 $${not} $$$$`, "dotted.name: 1e3"}},
	"secret-looking": {set: func(_ *byHand, in *sdk.CreateServiceInput) {
		handSettings(in).RuntimeEnvironmentVariables = map[string]string{"LOG_LEVEL": "info", "API_TOKEN": canary + `-it's $HOME "q" \n`, "AWS_SECRET_ACCESS_KEY": canary + "-aws", "key.secret": canary + "-dot"}
	}, wants: []string{"API_TOKEN: ${API_TOKEN}", "AWS_SECRET_ACCESS_KEY: ${SERVICE_AWS_SECRET_ACCESS_KEY}", "key.secret: ${key_secret}", "!" + canary}},
	"secret-references": {set: func(h *byHand, in *sdk.CreateServiceInput) {
		in.InstanceConfiguration = &types.InstanceConfiguration{InstanceRoleArn: &h.app}
		handSettings(in).RuntimeEnvironmentSecrets = map[string]string{"DATABASE_URL": h.parameter, "BY_NAME": "/prod/db/url", "OPENAI": h.secret, "OPENAI_KEY": h.secret + ":key::", "STAGED": h.secret + ":key:AWSCURRENT:"}
	}, wants: []string{"DATABASE_URL: arn:aws:ssm:us-east-1:123456789012:parameter/prod/db/url", ":key::", "instance: arn:aws:iam::123456789012:role/shop-app", "!" + canary}},
	"http-health": {set: func(_ *byHand, in *sdk.CreateServiceInput) {
		in.HealthCheckConfiguration = &types.HealthCheckConfiguration{Protocol: types.HealthCheckProtocolHttp, Path: aws.String("/health?deep=$1"), Interval: aws.Int32(20), Timeout: aws.Int32(19), HealthyThreshold: aws.Int32(20), UnhealthyThreshold: aws.Int32(7)}
	}, wants: []string{"health: {protocol: HTTP, path: \"/health?deep=$$1\", interval: 20s, timeout: 19s, healthy: 20, unhealthy: 7}"}},
	"tcp-health": {set: func(_ *byHand, in *sdk.CreateServiceInput) {
		in.HealthCheckConfiguration = &types.HealthCheckConfiguration{Protocol: types.HealthCheckProtocolTcp, Interval: aws.Int32(3), Timeout: aws.Int32(1), HealthyThreshold: aws.Int32(2), UnhealthyThreshold: aws.Int32(20)}
	}, wants: []string{"health: {protocol: TCP, interval: 3s, timeout: 1s, healthy: 2, unhealthy: 20}"}},
	"own-scaling": {set: func(h *byHand, in *sdk.CreateServiceInput) {
		h.scaling("high-traffic", 1, 3, 200)
		in.AutoScalingConfigurationArn = h.scaling("high-traffic", 2, 7, 80)
		h.scaling("high-traffic", 4, 9, 10) // a later revision, which is not the service's
	}, wants: []string{"scaling: {min: 2, max: 7, concurrency: 80}  # the configuration high-traffic"}},
	"through-a-vpc": {set: func(h *byHand, in *sdk.CreateServiceInput) {
		out, err := h.CreateVpcConnector(h.Context(), &sdk.CreateVpcConnectorInput{VpcConnectorName: aws.String("private"),
			Subnets: []string{"subnet-0123456789abcdef1", "subnet-0123456789abcdef0"}, SecurityGroups: []string{"sg-0123456789abcdef0"}})
		require.NoError(h, err)
		in.NetworkConfiguration = &types.NetworkConfiguration{EgressConfiguration: &types.EgressConfiguration{EgressType: types.EgressTypeVpc, VpcConnectorArn: out.VpcConnector.VpcConnectorArn}}
	}, wants: []string{"subnets: [subnet-0123456789abcdef0, subnet-0123456789abcdef1]", "security_groups: [sg-0123456789abcdef0]", "# the VPC connector private"}},
	"dual-stack": {set: func(_ *byHand, in *sdk.CreateServiceInput) {
		in.NetworkConfiguration = &types.NetworkConfiguration{IpAddressType: types.IpAddressTypeDualStack}
	}, wants: []string{"ip: dual_stack"}},
	"private-way-in": {set: func(_ *byHand, in *sdk.CreateServiceInput) {
		in.NetworkConfiguration = &types.NetworkConfiguration{IngressConfiguration: &types.IngressConfiguration{IsPubliclyAccessible: false}}
		in.Tags = []types.Tag{{Key: aws.String("team"), Value: aws.String("ai")}}
	}, then: func(h *byHand, arn string) {
		_, err := h.CreateVpcIngressConnection(h.Context(), &sdk.CreateVpcIngressConnectionInput{VpcIngressConnectionName: aws.String("from-office"), ServiceArn: &arn,
			IngressVpcConfiguration: &types.IngressVpcConfiguration{VpcId: aws.String(handVPC), VpcEndpointId: aws.String(handEndpoint)}})
		require.NoError(h, err)
	}, wants: []string{"public: false", "ingress: {vpc: " + handVPC + ", endpoint: " + handEndpoint + "}"}},
	"traced": {set: func(h *byHand, in *sdk.CreateServiceInput) {
		out, err := h.CreateObservabilityConfiguration(h.Context(), &sdk.CreateObservabilityConfigurationInput{ObservabilityConfigurationName: aws.String("our-traces"),
			TraceConfiguration: &types.TraceConfiguration{Vendor: types.TracingVendorAwsxray}})
		require.NoError(h, err)
		in.InstanceConfiguration = &types.InstanceConfiguration{InstanceRoleArn: &h.app}
		in.ObservabilityConfiguration = &types.ServiceObservabilityConfiguration{ObservabilityEnabled: true, ObservabilityConfigurationArn: out.ObservabilityConfiguration.ObservabilityConfigurationArn}
	}, wants: []string{"observability: {tracing: xray}  # by the configuration our-traces"}},
	"encrypted": {set: func(_ *byHand, in *sdk.CreateServiceInput) {
		in.EncryptionConfiguration = &types.EncryptionConfiguration{KmsKey: aws.String(handKey)}
	}, wants: []string{"kms_key: " + handKey}},
	"guarded": {then: func(h *byHand, arn string) {
		acl, err := createWebACL(h.T, h.cfg)
		require.NoError(h, err)
		require.Eventually(h, func() bool { // it takes a while to be known everywhere
			_, err := wafsdk.NewFromConfig(h.cfg).AssociateWebACL(h.Context(), &wafsdk.AssociateWebACLInput{ResourceArn: &arn, WebACLArn: &acl})
			return err == nil
		}, 20*time.Second, 20*time.Millisecond)
	}, wants: []string{"web_acl: arn:aws:wafv2:us-east-1:123456789012:regional/webacl/front/"}},
	"with-domains": {then: func(h *byHand, arn string) {
		for name, www := range map[string]bool{"shop.example.com": true, "api.example.com": false} {
			_, err := h.AssociateCustomDomain(h.Context(), &sdk.AssociateCustomDomainInput{ServiceArn: &arn, DomainName: &name, EnableWWWSubdomain: &www})
			require.NoError(h, err)
		}
	}, wants: []string{"domains: [api.example.com, {name: shop.example.com, www: true}]"}},
	"tagged-auto": {set: func(_ *byHand, in *sdk.CreateServiceInput) {
		in.Tags = []types.Tag{{Key: aws.String("team"), Value: aws.String("a b")}, {Key: aws.String("cost center"), Value: aws.String("")}, {Key: aws.String("odd"), Value: aws.String("50% & more")}}
		in.SourceConfiguration.AutoDeploymentsEnabled = aws.Bool(true)
	}, wants: []string{"auto_deploy: true", "team: a b", "# - tags.odd: 50% & more: ", "!\n  odd:"}},
	"paused-service": {then: func(h *byHand, arn string) {
		_, err := h.PauseService(h.Context(), &sdk.PauseServiceInput{ServiceArn: &arn})
		require.NoError(h, err)
		require.NoError(h, h.settled(h.Context(), arn))
	}, wants: []string{"port: 8080"}},
}

// TestImport_firstPlanIsEmpty imports twenty services that somebody made by AWS's API, each
// of which uses other settings, and plans each of the manifests as it was written.
func TestImport_firstPlanIsEmpty(t *testing.T) {
	t.Parallel()
	require.GreaterOrEqual(t, len(handMade), 20)
	c := newCheckout(t, small, built.tiny)
	w := newWorldAt(t, c, filepath.Join(t.TempDir(), "state"), 0, 100)
	h := newByHand(t, w)
	var g errgroup.Group
	g.SetLimit(6)
	for _, name := range slices.Sorted(maps.Keys(handMade)) {
		in, l := h.plain(name), handMade[name]
		if l.set != nil {
			l.set(h, in)
		}
		g.Go(func() error {
			arn, err := h.create(t.Context(), in)
			if err == nil && l.then != nil {
				l.then(h, arn)
			}
			return err
		})
	}
	require.NoError(t, g.Wait())
	for _, name := range slices.Sorted(maps.Keys(handMade)) {
		t.Run(name, func(t *testing.T) {
			dir := filepath.Join(c.dir, name)
			require.NoError(t, os.Mkdir(dir, 0o755))
			w.manifest = name + "/deploy.yaml"
			code, out := w.run(t.Context(), "import", name, "--yes")
			require.Equal(t, exitOK, code, out)
			require.NotContains(t, out, canary)
			require.Contains(t, out, "Its first plan has no changes.")
			for _, call := range w.calls {
				_, operation, _ := strings.Cut(call, " ")
				require.Regexp(t, "^(Get|List|Describe|Batch(Get|Check)|TagResource|PutParameter|DeleteParameters)", operation, "import changes nothing but tags, and its lock")
			}
			text, err := os.ReadFile(filepath.Join(dir, "deploy.yaml"))
			require.NoError(t, err)
			for _, want := range handMade[name].wants {
				if not, ok := strings.CutPrefix(want, "!"); ok {
					require.NotContains(t, string(text), not)
				} else {
					require.Contains(t, string(text), want)
				}
			}
			code, out = w.run(t.Context(), "plan", "--detailed-exitcode")
			require.Equal(t, exitOK, code, "%s\n%s", out, text)
			require.NotContains(t, out, canary)
		})
	}
}

// TestImport_saysWhatIsWrong imports what cannot be: nothing is written then, and nothing
// is changed.
func TestImport_saysWhatIsWrong(t *testing.T) {
	t.Parallel()
	c := newCheckout(t, small, built.tiny)
	w := newWorld(t, c, filepath.Join(t.TempDir(), "state"), 0)
	h := newByHand(t, w)
	prod := h.plain("shop-prod")
	prod.HealthCheckConfiguration = &types.HealthCheckConfiguration{Protocol: types.HealthCheckProtocolTcp, Interval: aws.Int32(20), UnhealthyThreshold: aws.Int32(20)}
	handSettings(prod).RuntimeEnvironmentVariables = map[string]string{"API_TOKEN": canary + "-token"}
	arn, err := h.create(t.Context(), prod)
	require.NoError(t, err)
	for name, tc := range map[string]struct {
		args   []string
		files  map[string]string
		vars   map[string]string
		denied string // an operation
		code   int
		says   []string
	}{
		"no such service": {args: []string{"shop-prd"}, code: exitError, says: []string{"there is no App Runner service shop-prd in account 123456789012 in us-east-1", "there is shop-prod"}},
		"no such ARN":     {args: []string{strings.Replace(arn, "shop-prod", "shop-prot", 1)}, code: exitError, says: []string{"there is shop-prod"}},
		"no name":         {code: exitUsage, says: []string{"give its name or its ARN"}},
		"a file that exists": {args: []string{"shop-prod"}, files: map[string]string{"deploy.yaml": "mine"}, code: exitUsage,
			says: []string{"deploy.yaml: exists already, and is not overwritten", "--out"}},
		"nobody says yes":   {args: []string{"shop-prod"}, code: exitUnapproved, says: []string{"tags.apron:service", "nobody said yes"}},
		"another account":   {args: []string{strings.Replace(arn, sandboxAccount, "210987654321", 1), "--yes"}, code: exitCredentials, says: []string{"belong to account 123456789012"}},
		"another Region":    {args: []string{arn, "--region", "eu-west-1"}, code: exitUsage, says: []string{"the service is in us-east-1, and --region says eu-west-1"}},
		"no ARN":            {args: []string{"arn:aws:s3:::bucket"}, code: exitUsage, says: []string{"is not the ARN of a service"}},
		"a service of ECS":  {args: []string{"arn:aws:ecs:us-east-1:123456789012:service/default/web"}, code: exitUsage, says: []string{"ecs-express is not supported yet"}},
		"services unlisted": {args: []string{"shop-prod", "--yes"}, denied: "ListServices", code: exitCredentials, says: []string{"list services"}},
		"an env file without the values": {args: []string{"shop-prod", "--yes"}, files: map[string]string{".env": "OTHER=1\n"}, code: exitError,
			says: []string{"looks like secrets", "API_TOKEN", "set them in .env, which is there already"}},
		"other values here": {args: []string{"shop-prod", "--yes"}, vars: map[string]string{"API_TOKEN": "x"}, code: exitError,
			says: []string{"API_TOKEN is set here, and to another value than the service has"}},
	} {
		t.Run(name, func(t *testing.T) {
			dir := strings.ReplaceAll(name, " ", "-")
			require.NoError(t, os.Mkdir(filepath.Join(c.dir, dir), 0o755))
			for file, text := range tc.files {
				c.write(filepath.Join(dir, file), text)
			}
			before := files(t, filepath.Join(c.dir, dir))
			w.manifest, w.vars = dir+"/deploy.yaml", tc.vars
			w.deny(tc.denied)
			defer w.deny("")
			code, out := w.run(t.Context(), append([]string{"import"}, tc.args...)...)
			require.Equal(t, tc.code, code, out)
			for _, text := range tc.says {
				require.Contains(t, out, text)
			}
			require.NotContains(t, out, canary)
			require.Equal(t, before, files(t, filepath.Join(c.dir, dir)))
			for file, text := range tc.files {
				got, err := os.ReadFile(filepath.Join(c.dir, dir, file))
				require.NoError(t, err)
				require.Equal(t, text, string(got))
			}
			for _, call := range w.calls {
				_, operation, _ := strings.Cut(call, " ")
				require.Regexp(t, "^(Get|List|Describe|Batch(Get|Check))", operation)
			}
		})
	}
	t.Run("tags refused", func(t *testing.T) {
		w.manifest, w.vars = "half.yaml", map[string]string{"API_TOKEN": canary + "-token"}
		w.deny("TagResource")
		code, out := w.run(t.Context(), "import", "shop-prod", "--yes")
		w.deny("")
		require.Equal(t, exitCredentials, code, out)
		require.Contains(t, out, "half.yaml is written, and shop-prod is not apron's: `apron apply --adopt -f ")
		code, out = w.run(t.Context(), "plan")
		require.Equal(t, exitError, code, out)
		require.Contains(t, out, "was not made by apron")
		code, out = w.run(t.Context(), "plan", "--adopt", "--detailed-exitcode")
		require.Equal(t, exitChanges, code, out)
		require.Contains(t, out, "0 to add, 1 to change, 0 to destroy")
	})
	t.Run("then it works, and not twice", func(t *testing.T) {
		w.manifest, w.vars = "good.yaml", map[string]string{"API_TOKEN": canary + "-token"}
		w.deny("GetWebACLForResource")
		code, out := w.run(t.Context(), "import", arn, "--yes", "--json")
		w.deny("")
		require.Equal(t, exitOK, code, out)
		require.Contains(t, out, `"path": "apprunner.web_acl"`, "what could not be read is named")
		require.Contains(t, out, `"adopted": [
    "apprunner/service/shop-prod"
  ]`)
		require.NotContains(t, out, canary)
		code, out = w.run(t.Context(), "import", "shop-prod", "--out", filepath.Join(c.dir, "twice.yaml"), "--yes")
		require.Equal(t, exitError, code, out)
		require.Contains(t, out, "apron deploys it already")
		require.NoFileExists(t, filepath.Join(c.dir, "twice.yaml"))
		code, out = w.run(t.Context(), "import", "shop-prod", "--out", filepath.Join(c.dir, "lost.yaml"), "--adopt")
		require.Equal(t, exitOK, code, out) // nothing is changed, so that nobody is asked
		require.Contains(t, out, "was apron's already")
	})
}

// deny has an operation refused to this identity from now on; "" none.
func (w *world) deny(operation string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.fault = nil
	if operation == "" {
		return
	}
	w.fault = func(n int) sandbox.Fault {
		if !strings.HasSuffix(w.calls[n-1], " "+operation) {
			return sandbox.Fault{}
		}
		return sandbox.Fault{When: sandbox.Before, Err: &wire.Error{Code: "AccessDeniedException", Message: "User is not authorized to perform: " + operation, Status: 400}}
	}
}

// TestImport_provesItself has somebody change the service just before it becomes apron's.
func TestImport_provesItself(t *testing.T) {
	t.Parallel()
	c := newCheckout(t, small, built.tiny)
	w := newWorld(t, c, filepath.Join(t.TempDir(), "state"), 0)
	h := newByHand(t, w)
	in := h.plain("shop-prod")
	in.HealthCheckConfiguration = &types.HealthCheckConfiguration{Protocol: types.HealthCheckProtocolTcp, Interval: aws.Int32(20), UnhealthyThreshold: aws.Int32(20)}
	arn, err := h.create(t.Context(), in)
	require.NoError(t, err)
	w.held(func(call string) {
		if call != "apprunner TagResource" {
			return
		}
		_, err := h.UpdateService(t.Context(), &sdk.UpdateServiceInput{ServiceArn: &arn, InstanceConfiguration: &types.InstanceConfiguration{Cpu: aws.String("2048"), Memory: aws.String("4096")}})
		if err == nil {
			err = h.settled(t.Context(), arn)
		}
		if err != nil {
			t.Error(err)
		}
	})
	w.manifest = "prod.yaml"
	code, out := w.run(t.Context(), "import", "shop-prod", "--yes")
	require.Equal(t, exitError, code, out)
	require.Contains(t, out, "cpu:    2048 → 1024")
	require.Contains(t, out, "but the first plan has changes")
	require.NotContains(t, out, "Its first plan has no changes")
	w.held(nil)
	c.replace("prod.yaml", "cpu: 1 vCPU", "cpu: 2 vCPU")
	c.replace("prod.yaml", "memory: 2 GB", "memory: 4 GB")
	code, out = w.run(t.Context(), "plan", "--detailed-exitcode")
	require.Equal(t, exitOK, code, out)
}

func TestImport_refuses(t *testing.T) {
	service := func(phase state.Phase, owner state.Owner, sources string) state.Observed {
		return state.Observed{Resource: state.Resource{Address: apprunner.Service("shop"), Detail: apprunner.Live{Sources: sources}}, Phase: phase, Owner: owner}
	}
	for want, tc := range map[string]struct {
		service state.Observed
		adopt   bool
	}{
		"App Runner builds it from source code, https://github.com/acme/shop at branch main": {service(state.Ready, state.Theirs, "https://github.com/acme/shop at branch main"), false},
		"its creation failed":      {service(state.Failed, state.Theirs, ""), false},
		"its deletion has failed":  {service(state.Stuck, state.Theirs, ""), true},
		"apron deploys it already": {service(state.Ready, state.Ours, ""), false},
		"":                         {service(state.Ready, state.Ours, ""), true},
		"App Runner builds it from source code, mine": {service(state.Ready, state.Ours, "mine"), true},
	} {
		err := (&session{}).refused(tc.service, importFlags{adopt: tc.adopt})
		if want == "" {
			require.NoError(t, err)
			continue
		}
		require.ErrorContains(t, err, `service "shop": `+want)
		require.ErrorContains(t, err, "nothing was written or changed")
		require.NotEmpty(t, err.(interface{ Hint() string }).Hint())
	}
	require.NoError(t, (&session{}).refused(service(state.Paused, state.Theirs, ""), importFlags{}))
}
