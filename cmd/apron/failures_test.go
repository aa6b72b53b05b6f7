package main

import (
	"bytes"
	"context"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	apprunnersdk "github.com/aws/aws-sdk-go-v2/service/apprunner"
	apprunnertypes "github.com/aws/aws-sdk-go-v2/service/apprunner/types"
	ecrsdk "github.com/aws/aws-sdk-go-v2/service/ecr"
	ecrtypes "github.com/aws/aws-sdk-go-v2/service/ecr/types"
	iamsdk "github.com/aws/aws-sdk-go-v2/service/iam"
	smsdk "github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	"github.com/stretchr/testify/require"

	"github.com/apron-deploy/apron/providers/sandbox"
	"github.com/apron-deploy/apron/providers/sandbox/wire"
)

// failure is a rollout that goes wrong, for real: in a container, over AWS's wire.
type failure struct {
	manifest string // lines added to the manifest from the start
	prepare  func(t *testing.T, st *stage)
	broken   [2]string // what to replace in the manifest, and with what
	program  func(app []byte) []byte
	args     []string
	exit     int
	cause    string // a regular expression of what is printed
	hint     string // and another
	rolls    apprunnertypes.OperationStatus
	needs    string  // an engine without which there is nothing to see
	speed    float64 // of a sandbox of its own, where the application takes its time; 0 for none
	repair   func(t *testing.T, st *stage)
}

const (
	rolledBack = apprunnertypes.OperationStatusRollbackSucceeded
	noRollout  = apprunnertypes.OperationStatus("")
)

var failures = map[string]failure{
	"health-500": {broken: [2]string{"{VERSION: one}", "{VERSION: two, HEALTH: '500'}"}, exit: exitFailed, rolls: rolledBack,
		cause: `probable cause: the health check GET /health on port 8000 answers 500, and only 200 to 299 count as healthy`,
		hint:  `the application itself fails at /health: see its last lines \(\S*deploy.yaml:8\)`},
	"health-401": {broken: [2]string{"{VERSION: one}", "{VERSION: two, HEALTH: '401'}"}, exit: exitFailed, rolls: rolledBack,
		cause: `GET /health on port 8000 answers 401`, hint: `without a login`},
	"health-302": {broken: [2]string{"{VERSION: one}", "{VERSION: two, HEALTH: '302'}"}, exit: exitFailed, rolls: rolledBack,
		cause: `GET /health on port 8000 answers 302`, hint: `a redirection is not followed`},
	"wrong-port": {broken: [2]string{"{VERSION: one}", "{VERSION: two, LISTEN: '9999'}"}, exit: exitFailed, rolls: rolledBack,
		cause: `nothing listens on port 8000: by its own words the application listens on 9999`, hint: `set port: 9999.*deploy.yaml:6`},
	"exits": {broken: [2]string{"{VERSION: one}", "{VERSION: two, EXIT: '3'}"}, exit: exitFailed, rolls: rolledBack,
		cause: `the container stopped with exit code 3(?s:.*)application \| app: cannot go on: the configuration is missing`},
	"no-program": {manifest: "command: /app\n", broken: [2]string{"command: /app", "command: /nothing"}, exit: exitFailed, rolls: rolledBack, needs: "namespaces",
		cause: `exit code 127: what it should run is not in the image`, hint: `command:`},
	"wrong-cpu": {program: func(app []byte) []byte {
		app[18], app[19] = 0xb7, 0 // e_machine: AArch64
		return app
	}, exit: exitFailed, rolls: rolledBack, needs: "namespaces", cause: `built for another CPU: App Runner runs linux/amd64 only`},
	"variable": {broken: [2]string{"{VERSION: one}", "{VERSION: two, NEED: OPENAI_API_KEY}"}, exit: exitFailed, rolls: rolledBack,
		cause: `the application needs the environment variable OPENAI_API_KEY`, hint: `set OPENAI_API_KEY under env: or secrets: \(\S*deploy.yaml:7\)`},
	"jwks": {broken: [2]string{"{VERSION: one}", "{VERSION: two, KEYS: CLERK_JWKS_URL, CLERK_JWKS_URL: my.clerk.dev}"}, exit: exitFailed, rolls: rolledBack,
		cause: `CLERK_JWKS_URL is not a URL that signing keys can be fetched from`, hint: `https://YOUR.DOMAIN/.well-known/jwks.json \(\S*deploy.yaml:7\)`},
	"memory": {broken: [2]string{"{VERSION: one}\nhealth: {protocol: HTTP, path: /health, interval: 2s, timeout: 1s, healthy: 1, unhealthy: 3}",
		"{VERSION: two, EAT: '1200'}\nhealth: {protocol: HTTP, path: /health, interval: 20s, timeout: 5s, healthy: 1, unhealthy: 20}"}, // time to eat, on a machine that is busy
		exit: exitFailed, rolls: rolledBack, needs: "namespaces", speed: 10,
		cause: `killed \(exit code 137\).*more memory than it has, of which it has 512 MiB`, hint: `raise memory: \(\S*deploy.yaml:9\)`},
	"slow": {broken: [2]string{"{VERSION: one}", "{VERSION: two, SLOW: 1h}"}, exit: exitFailed, rolls: rolledBack,
		cause: `still starting when the five minutes that App Runner gives it were over`, hint: `listen first and load afterwards`},
	"image-gone": {prepare: func(_ *testing.T, st *stage) { st.unpush("image-gone") }, program: func(app []byte) []byte { return append(app, 0) },
		exit: exitFailed, rolls: rolledBack, cause: `the image is not in the repository`, hint: `apply again`,
		repair: func(_ *testing.T, st *stage) { st.unpush("") }},
	"secret-key": {prepare: func(t *testing.T, st *stage) { st.secret(t, "prod/openai", `{"key":"canary-1"}`) },
		broken: [2]string{"{VERSION: one}", "{VERSION: two}\nsecrets: {OPENAI: 'secretsmanager:prod/openai#nokey'}"}, exit: exitFailed, rolls: rolledBack,
		cause: `probable cause: secret prod/openai has no key nokey`, hint: `compare what follows the # with the keys of the secret \(\S*deploy.yaml:8\)`},
	"secret-unreadable": {prepare: func(t *testing.T, st *stage) {
		st.role(t, "reader", "tasks.apprunner.amazonaws.com", "")
		st.secret(t, "prod/private", "canary-2")
	}, broken: [2]string{"{VERSION: one}", "{VERSION: two}\nroles: {instance: reader}\nsecrets: {TOKEN: 'secretsmanager:prod/private'}"},
		args: []string{"--no-verify"}, exit: exitFailed, rolls: rolledBack,
		cause: `probable cause: arn:aws:iam::123456789012:role/reader may not secretsmanager:GetSecretValue on arn:aws:secretsmanager:\S*prod/private`,
		hint:  `allow it in a policy of the role`},
	"secret-unreadable-refused": {prepare: func(t *testing.T, st *stage) {
		st.role(t, "reader-2", "tasks.apprunner.amazonaws.com", "")
		st.secret(t, "prod/hidden", "canary-3")
	}, broken: [2]string{"{VERSION: one}", "{VERSION: two}\nroles: {instance: reader-2}\nsecrets: {TOKEN: 'secretsmanager:prod/hidden'}"},
		exit: exitCredentials, rolls: noRollout,
		cause: `deploy.yaml:9: secrets.TOKEN: arn:aws:iam::123456789012:role/reader-2 may not secretsmanager:GetSecretValue`, hint: `--no-verify`},
	"secret-missing": {broken: [2]string{"{VERSION: one}", "{VERSION: two}\nsecrets: {TOKEN: 'ssm:/prod/token'}"}, exit: exitUsage, rolls: noRollout,
		cause: `deploy.yaml:8:\d+: secrets.TOKEN: parameter /prod/token does not exist in us-east-1`, hint: `make it there first`},
	"access-role-may-not": {prepare: func(t *testing.T, st *stage) { st.role(t, "puller", "build.apprunner.amazonaws.com", "") },
		broken: [2]string{"{VERSION: one}", "{VERSION: two}\nroles: {access: puller}"}, program: func(app []byte) []byte { return append(app, 0) },
		args: []string{"--no-verify"}, exit: exitFailed, rolls: rolledBack,
		cause: `could not use the access role: arn:aws:iam::123456789012:role/puller may not ecr:BatchGetImage on arn:aws:ecr:us-east-1:123456789012:repository/access-role-may-not`,
		hint:  `allow it in a policy of the role \(\S*deploy.yaml:8\)`},
	"access-role-not-trusted": {prepare: func(t *testing.T, st *stage) { st.role(t, "stranger", "ecs-tasks.amazonaws.com", "") },
		broken: [2]string{"{VERSION: one}", "{VERSION: two}\nroles: {access: stranger}"},
		exit:   exitCredentials, rolls: noRollout,
		cause: `roles.access: stranger: its trust policy does not let build.apprunner.amazonaws.com take it on`, hint: `or write roles.access: auto`},
	"access-role-refused-by-app-runner": {prepare: func(t *testing.T, st *stage) { st.role(t, "foreigner", "ecs-tasks.amazonaws.com", "") },
		broken: [2]string{"{VERSION: one}", "{VERSION: two}\nroles: {access: foreigner}"}, args: []string{"--no-verify"},
		exit: exitCredentials, rolls: noRollout,
		cause: `Error in assuming access role arn:aws:iam::123456789012:role/foreigner`, hint: `must trust build.apprunner.amazonaws.com`},
	"size": {broken: [2]string{"memory: 512", "memory: 4096"}, exit: exitUsage, rolls: noRollout, cause: `memory`, hint: `memory`},
}

// TestFailures breaks services that serve, and wants of each: the exit code and the named
// cause; a verdict as soon as App Runner has one; that the old version serves without one
// request failing; and that the next apply repairs it.
func TestFailures(t *testing.T) {
	st := newStage(t, storyEngine(), 60)
	for _, name := range slices.Sorted(maps.Keys(failures)) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f, st := failures[name], st
			if f.needs != "" && st.engine != f.needs {
				if os.Getenv("APRON_TEST_ENGINES") == "required" {
					t.Fatalf("%s: cannot happen with the engine %q", f.needs, st.engine)
				}
				t.Skipf("%s: cannot happen with the engine %q", f.needs, st.engine)
			}
			if f.speed != 0 {
				st = newStage(t, st.engine, f.speed)
			}
			st.play(t, name, f)
		})
	}
}

func (st *stage) play(t *testing.T, name string, f failure) {
	c := newCheckout(t, fmt.Sprintf(failing, name)+f.manifest, built.app)
	code, out := st.apron(t, c, "apply", "--yes")
	require.Equal(t, exitOK, code, out)
	if f.prepare != nil {
		f.prepare(t, st)
	}
	visitor := st.patrol(name)

	good, err := os.ReadFile(filepath.Join(c.dir, "deploy.yaml"))
	require.NoError(t, err)
	if f.broken[0] != "" {
		c.replace("deploy.yaml", f.broken[0], f.broken[1])
	}
	app, err := os.ReadFile(filepath.Join(c.dir, "app/app"))
	require.NoError(t, err)
	if f.program != nil {
		c.write("app/app", string(f.program(slices.Clone(app))))
	}
	code, out = st.apron(t, c, append([]string{"apply", "--yes", "--debug"}, f.args...)...)
	require.Equal(t, f.exit, code, out)
	require.Regexp(t, f.cause, out)
	require.Regexp(t, f.hint, out)
	require.NotContains(t, out, canary, "a secret is shown")
	st.atOnce(t, name, f.rolls, out)

	served, err := visitor()
	require.NoError(t, err, "the version before it did not serve throughout")
	require.NotZero(t, served)

	if f.repair != nil {
		f.repair(t, st)
	}
	c.write("deploy.yaml", strings.Replace(string(good), "VERSION: one", "VERSION: three", 1))
	c.write("app/app", string(app))
	code, out = st.apron(t, c, "apply", "--yes")
	require.Equal(t, exitOK, code, out)
	body, err := visited(st.url(name))
	require.NoError(t, err)
	require.Contains(t, body, "version three")
}

// failing is the manifest of every failure: its lines are counted by some.
const failing = `version: 1
service: %s
region: us-east-1
image: {build: {context: app}}
cpu: 256
port: 8000
env: {VERSION: one}
health: {protocol: HTTP, path: /health, interval: 2s, timeout: 1s, healthy: 1, unhealthy: 3}
memory: 512
`

// stage is a sandbox that many services share.
type stage struct {
	*sandbox.Server
	engine string
	cfg    aws.Config

	mu    sync.Mutex
	pulls string // a repository whose new images disappear before they are deployed
	fault func(service, operation string) sandbox.Fault
}

func newStage(t *testing.T, engine string, speed float64) *stage {
	t.Helper()
	st := &stage{engine: engine}
	var err error
	st.Server, err = sandbox.New(context.Background(), sandbox.Options{Dir: filepath.Join(t.TempDir(), "sandbox"),
		Account: sandboxAccount, Region: sandboxRegion, Speed: speed, Engine: engine,
		Faults: func(service, operation string, _ int) sandbox.Fault {
			st.mu.Lock()
			repository, fault := st.pulls, st.fault
			st.mu.Unlock()
			if operation == "UpdateService" && repository != "" {
				st.deleteNew(repository)
			}
			if fault != nil {
				return fault(service, operation)
			}
			return sandbox.Fault{}
		}})
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- st.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		require.NoError(t, <-ended)
	})
	info := st.Info()
	st.cfg = aws.Config{Region: info.Region, BaseEndpoint: aws.String(info.Endpoint()),
		Credentials: credentials.NewStaticCredentialsProvider(info.AccessKey, info.SecretKey, "")}
	return st
}

// apron runs a command in this process on the stage.
func (st *stage) apron(t *testing.T, c *checkout, args ...string) (int, string) {
	var out bytes.Buffer
	a := newApp(bytes.NewReader(nil), &out, &out)
	a.lookup = func(name string) (string, bool) {
		if name == "APRON_BUILDER" {
			return "builtin", true
		}
		return "", false
	}
	a.cache = ""
	a.connect = func(context.Context, string, string, string) (sandbox.Info, error) { return st.Info(), nil }
	code := a.run(t.Context(), append(args, "--sandbox", "-f", filepath.Join(c.dir, "deploy.yaml")))
	return code, out.String()
}

// operations are those of a service, newest first.
func (st *stage) operations(t *testing.T, service string) []apprunnertypes.OperationSummary {
	api := apprunnersdk.NewFromConfig(st.cfg)
	all, err := api.ListServices(t.Context(), &apprunnersdk.ListServicesInput{})
	require.NoError(t, err)
	for _, s := range all.ServiceSummaryList {
		if *s.ServiceName == service {
			ops, err := api.ListOperations(t.Context(), &apprunnersdk.ListOperationsInput{ServiceArn: s.ServiceArn})
			require.NoError(t, err)
			return ops.OperationSummaryList
		}
	}
	return nil
}

var polled = regexp.MustCompile(`(?m)^time=(\S+) .*operation=ListOperations`)

// atOnce wants that the run ended with the operation: after its end App Runner was asked
// once how it goes, or twice if the first question was on its way, and once or twice more
// while the cause was looked for.
func (st *stage) atOnce(t *testing.T, service string, want apprunnertypes.OperationStatus, out string) {
	ops := st.operations(t, service)
	if want == noRollout {
		require.Equal(t, apprunnertypes.OperationTypeCreateService, ops[0].Type, "nothing was to be rolled out")
		return
	}
	require.Equal(t, want, ops[0].Status)
	late := 0
	for _, m := range polled.FindAllStringSubmatch(out, -1) {
		at, err := time.Parse(time.RFC3339, m[1])
		require.NoError(t, err)
		if at.After(*ops[0].EndedAt) {
			late++
		}
	}
	require.LessOrEqual(t, late, 4)
	require.NotEmpty(t, polled.FindString(out))
}

func (st *stage) url(service string) string {
	return fmt.Sprintf("http://%s.localhost:%d/", service, st.Info().Port)
}

func visited(url string) (string, error) {
	res, err := loopback.Get(url)
	if err != nil {
		return "", err
	}
	defer res.Body.Close()
	var body bytes.Buffer
	if _, err := body.ReadFrom(res.Body); err != nil {
		return "", err
	}
	if res.StatusCode != 200 {
		return "", fmt.Errorf("%s: %s", url, res.Status)
	}
	return body.String(), nil
}

// patrol asks for a page of a service again and again, at a walking pace. Ending it
// returns how often it was served by the first version, and the first that went wrong.
func (st *stage) patrol(service string) func() (int, error) {
	ctx, end := context.WithCancel(context.Background())
	var served int
	done := make(chan error, 1)
	go func() {
		tick := time.NewTicker(30 * time.Millisecond)
		defer tick.Stop()
		for {
			body, err := visited(st.url(service))
			if err == nil && !strings.Contains(body, "version one") {
				err = fmt.Errorf("another version answers: %s", body)
			}
			if err != nil {
				done <- err
				return
			}
			served++
			select {
			case <-tick.C:
			case <-ctx.Done():
				done <- nil
				return
			}
		}
	}()
	return func() (int, error) {
		end()
		err := <-done
		return served, err
	}
}

// unpush names the repository whose new images disappear before they are deployed.
func (st *stage) unpush(repository string) {
	st.mu.Lock()
	defer st.mu.Unlock()
	st.pulls = repository
}

// deleteNew deletes the images of a repository that nothing has deployed yet.
func (st *stage) deleteNew(repository string) {
	ctx, api := context.Background(), ecrsdk.NewFromConfig(st.cfg)
	found, err := api.DescribeImages(ctx, &ecrsdk.DescribeImagesInput{RepositoryName: &repository})
	if err != nil {
		return // none yet
	}
	for _, i := range found.ImageDetails {
		if !slices.Contains(i.ImageTags, "live-"+repository) {
			_, _ = api.BatchDeleteImage(ctx, &ecrsdk.BatchDeleteImageInput{RepositoryName: &repository,
				ImageIds: []ecrtypes.ImageIdentifier{{ImageDigest: i.ImageDigest}}}) // the test sees if it stays
		}
	}
}

func (st *stage) secret(t *testing.T, name, value string) {
	_, err := smsdk.NewFromConfig(st.cfg).CreateSecret(t.Context(), &smsdk.CreateSecretInput{Name: &name, SecretString: &value})
	require.NoError(t, err)
}

// role makes a role that a service of AWS may take on, with an AWS managed policy or none.
func (st *stage) role(t *testing.T, name, principal, policy string) {
	api := iamsdk.NewFromConfig(st.cfg)
	_, err := api.CreateRole(t.Context(), &iamsdk.CreateRoleInput{RoleName: &name, AssumeRolePolicyDocument: aws.String(
		`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"Service":"` + principal + `"},"Action":"sts:AssumeRole"}]}`)})
	require.NoError(t, err)
	if policy != "" {
		_, err = api.AttachRolePolicy(t.Context(), &iamsdk.AttachRolePolicyInput{RoleName: &name, PolicyArn: &policy})
		require.NoError(t, err)
	}
}

// What the account itself refuses: nothing of it is tried twice, and nothing is left.
func TestFailures_ofTheAccount(t *testing.T) {
	st := newStage(t, inProcessEngine, 1000)
	api := apprunnersdk.NewFromConfig(st.cfg)
	t.Run("not-subscribed", func(t *testing.T) {
		st.mu.Lock()
		st.fault = func(service, _ string) sandbox.Fault {
			if service != "apprunner" {
				return sandbox.Fault{}
			}
			return sandbox.Fault{When: sandbox.Before, Err: &wire.Error{Code: "SubscriptionRequiredException", Status: 400,
				Message: "The AWS Access Key Id needs a subscription for the service"}}
		}
		st.mu.Unlock()
		c := newCheckout(t, fmt.Sprintf(failing, "closed"), built.tiny)
		for _, command := range [][]string{{"verify"}, {"plan"}, {"apply", "--yes"}} {
			code, out := st.apron(t, c, command...)
			require.Equal(t, exitCredentials, code, out)
			require.Regexp(t, `SubscriptionRequiredException: The AWS Access Key Id needs a subscription(?s:.*)closed to new accounts(?s:.*)target: ecs-express`, out)
		}
		st.mu.Lock()
		st.fault = nil
		st.mu.Unlock()
		code, out := st.apron(t, c, "apply", "--yes")
		require.Equal(t, exitOK, code, out)
		code, out = st.apron(t, c, "destroy", "--yes", "--images")
		require.Equal(t, exitOK, code, out)
	})
	t.Run("services", func(t *testing.T) {
		st.role(t, "any", "build.apprunner.amazonaws.com", "")
		var last *apprunnersdk.CreateServiceOutput
		for i := range 30 { // they fail at once, and count
			in := &apprunnersdk.CreateServiceInput{ServiceName: aws.String(fmt.Sprintf("full-%d", i)),
				SourceConfiguration: &apprunnertypes.SourceConfiguration{
					AuthenticationConfiguration: &apprunnertypes.AuthenticationConfiguration{AccessRoleArn: aws.String("arn:aws:iam::" + sandboxAccount + ":role/any")},
					ImageRepository: &apprunnertypes.ImageRepository{ImageRepositoryType: apprunnertypes.ImageRepositoryTypeEcr,
						ImageIdentifier: aws.String(sandboxAccount + ".dkr.ecr.us-east-1.amazonaws.com/none:1")}}}
			require.Eventually(t, func() (made bool) { // once IAM has made the role known
				var err error
				last, err = api.CreateService(t.Context(), in)
				return err == nil
			}, 20*time.Second, 5*time.Millisecond)
		}
		c := newCheckout(t, fmt.Sprintf(failing, "one-too-many"), built.tiny)
		code, out := st.apron(t, c, "verify")
		require.Equal(t, exitError, code, out)
		require.Regexp(t, `failed +quota.services +30 of 30 services are used`, out)
		code, out = st.apron(t, c, "plan")
		require.Equal(t, exitError, code, out)
		require.Regexp(t, `quota.services: 30 of 30 services are used; nothing was changed`, out)
		code, out = st.apron(t, c, "apply", "--yes", "--no-verify")
		require.Equal(t, exitError, code, out)
		require.Regexp(t, `ServiceQuotaExceededException: The maximum number of services \(30\)(?s:.*)hint: raise the quota in Service Quotas`, out)

		require.Eventually(t, func() bool {
			_, err := api.DeleteService(t.Context(), &apprunnersdk.DeleteServiceInput{ServiceArn: last.Service.ServiceArn})
			return err == nil
		}, 20*time.Second, 10*time.Millisecond)
		require.Eventually(t, func() bool {
			s, err := api.DescribeService(t.Context(), &apprunnersdk.DescribeServiceInput{ServiceArn: last.Service.ServiceArn})
			return err == nil && s.Service.Status == apprunnertypes.ServiceStatusDeleted
		}, 20*time.Second, 10*time.Millisecond)
		code, out = st.apron(t, c, "apply", "--yes")
		require.Equal(t, exitOK, code, out)
	})
	t.Run("scaling-names", func(t *testing.T) { // the service of the test before gets a scaling of its own
		var theirs *string
		for i := range 10 {
			out, err := api.CreateAutoScalingConfiguration(t.Context(), &apprunnersdk.CreateAutoScalingConfigurationInput{
				AutoScalingConfigurationName: aws.String(fmt.Sprintf("theirs-%d", i))})
			require.NoError(t, err)
			theirs = out.AutoScalingConfiguration.AutoScalingConfigurationArn
		}
		c := newCheckout(t, fmt.Sprintf(failing, "one-too-many")+"scaling: {min: 1, max: 3}\n", built.tiny)
		code, out := st.apron(t, c, "apply", "--yes")
		require.Equal(t, exitError, code, out)
		require.Regexp(t, `quota.scaling: 10 of 10 names of scaling configurations are used; nothing was changed(?s:.*)no service uses theirs-0, theirs-1`, out)
		code, out = st.apron(t, c, "apply", "--yes", "--no-verify")
		require.Equal(t, exitError, code, out)
		require.Regexp(t, `ServiceQuotaExceededException(?s:.*)no service uses theirs-0, theirs-1`, out)
		_, err := api.DeleteAutoScalingConfiguration(t.Context(), &apprunnersdk.DeleteAutoScalingConfigurationInput{AutoScalingConfigurationArn: theirs})
		require.NoError(t, err)
		code, out = st.apron(t, c, "apply", "--yes")
		require.Equal(t, exitOK, code, out)
	})
	t.Run("scaling-of-another's", func(t *testing.T) { // who took the name that apron gives to other numbers
		for range 5 {
			_, err := api.CreateAutoScalingConfiguration(t.Context(), &apprunnersdk.CreateAutoScalingConfigurationInput{
				AutoScalingConfigurationName: aws.String("apron-1-3-100"), MaxSize: aws.Int32(7)})
			if err != nil {
				require.ErrorContains(t, err, "The maximum number of revisions (5)")
			}
		}
		c := newCheckout(t, fmt.Sprintf(failing, "one-too-many")+"scaling: {min: 1, max: 3}\n", built.tiny)
		code, out := st.apron(t, c, "plan")
		require.Equal(t, exitOK, code, out)
		require.Contains(t, out, "No changes", "the revision of the name's content is found among theirs")
	})
}
