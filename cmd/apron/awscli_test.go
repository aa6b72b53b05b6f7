package main

import (
	"encoding/json"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// tutorial is the manifest of the service that the AWS CLI makes, but for what the test
// wants the plan to tell.
const tutorial = `version: 1
service: consultation-app
region: us-east-1
image: {build: {context: app}, version: v1, tags: [latest]}
env: {GREETING: hello}
port: 8000
cpu: 512
memory: 1024
health: {protocol: HTTP, path: /health, interval: 5s, timeout: 2s, healthy: 1, unhealthy: 5}
roles: {access: AppRunnerECRAccessRole}
`

// TestAWSCLI types a tutorial's commands with a real AWS CLI and docker: they work
// unchanged but for the endpoint, which the environment tells, and the registry's address.
// Then a plan tells what differs from a manifest.
func TestAWSCLI(t *testing.T) {
	for _, tool := range []string{"aws", "docker"} {
		if _, err := exec.LookPath(tool); err != nil || tool == "docker" && exec.Command("docker", "info").Run() != nil {
			if os.Getenv("APRON_TEST_ENGINES") == "required" {
				t.Fatalf("%s does not work here", tool)
			}
			t.Skipf("%s does not work here", tool)
		}
	}
	t.Parallel()
	c := newCheckout(t, tutorial, built.app)
	c.apron(exitOK, "sandbox", "start")
	out, _ := c.apron(exitOK, "sandbox", "env")
	env := append(os.Environ(), "DOCKER_CONFIG="+filepath.Join(c.dir, "docker"), "AWS_PAGER=", "AWS_CONFIG_FILE="+filepath.Join(c.dir, "none"))
	endpoint := ""
	for line := range strings.Lines(out) {
		v := strings.TrimPrefix(strings.TrimSpace(line), "export ")
		env = append(env, v)
		if url, ok := strings.CutPrefix(v, "AWS_ENDPOINT_URL=http://"); ok {
			endpoint = url
		}
	}
	// typed runs a command with a shell, as a person does, and returns what it printed.
	typed := func(line string) string {
		t.Helper()
		cmd := exec.Command("bash", "-euo", "pipefail", "-c", line)
		cmd.Dir, cmd.Env = c.dir, append(env, "REGISTRY="+endpoint)
		var errOut strings.Builder
		cmd.Stderr = &errOut
		out, err := cmd.Output()
		require.NoError(t, err, "%s\n%s\n%s", line, out, errOut.String())
		return strings.TrimSpace(string(out))
	}
	running := func() {
		t.Helper()
		require.Eventually(t, func() bool {
			return typed("aws apprunner describe-service --service-arn $(aws apprunner list-services --query 'ServiceSummaryList[0].ServiceArn' --output text) --query Service.Status --output text") == "RUNNING"
		}, 2*time.Minute, 100*time.Millisecond)
	}

	require.Equal(t, "123456789012.dkr.ecr.us-east-1.amazonaws.com/consultation-app",
		typed("aws ecr create-repository --repository-name consultation-app --region us-east-1 --query repository.repositoryUri --output text"))
	typed("aws ecr get-login-password --region us-east-1 | docker login --username AWS --password-stdin $REGISTRY")
	require.NoError(t, os.Chmod(filepath.Join(c.dir, "app", "app"), 0o755))
	for _, version := range []string{"one", "two"} { // docker without its buildx has no COPY --chmod
		c.write("app/Dockerfile", strings.NewReplacer("VERSION=one", "VERSION="+version, " --chmod=755", "").Replace(smallDockerfile))
		typed("docker build --quiet --platform linux/amd64 --tag $REGISTRY/consultation-app:" + version + " app")
		typed("docker tag $REGISTRY/consultation-app:" + version + " $REGISTRY/consultation-app:latest")
		typed("docker push --quiet $REGISTRY/consultation-app:" + version)
		typed("docker push --quiet $REGISTRY/consultation-app:latest")
		typed("docker image rm $REGISTRY/consultation-app:" + version)
	}
	typed("docker image rm $REGISTRY/consultation-app:latest")

	c.write("trust.json", `{"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Principal": {"Service": "build.apprunner.amazonaws.com"}, "Action": "sts:AssumeRole"}]}`)
	typed("aws iam create-role --role-name AppRunnerECRAccessRole --path /service-role/ --assume-role-policy-document file://trust.json")
	typed("aws iam attach-role-policy --role-name AppRunnerECRAccessRole --policy-arn arn:aws:iam::aws:policy/service-role/AWSAppRunnerServicePolicyForECRAccess")
	c.write("source.json", `{"AuthenticationConfiguration": {"AccessRoleArn": "arn:aws:iam::123456789012:role/service-role/AppRunnerECRAccessRole"},
		"AutoDeploymentsEnabled": false,
		"ImageRepository": {"ImageRepositoryType": "ECR", "ImageIdentifier": "123456789012.dkr.ecr.us-east-1.amazonaws.com/consultation-app:latest",
			"ImageConfiguration": {"Port": "8000", "RuntimeEnvironmentVariables": {"GREETING": "hello"}}}}`)
	var made struct {
		Service struct{ ServiceArn, ServiceId, ServiceUrl, Status string }
	}
	require.NoError(t, json.Unmarshal([]byte(typed(`aws apprunner create-service --service-name consultation-app --source-configuration file://source.json \
		--instance-configuration 'Cpu=0.25 vCPU,Memory=0.5 GB' \
		--health-check-configuration Protocol=HTTP,Path=/health,Interval=5,Timeout=2,HealthyThreshold=1,UnhealthyThreshold=5 \
		--tags Key=team,Value=ai`)), &made))
	require.Equal(t, "OPERATION_IN_PROGRESS", made.Service.Status)
	home := func() string { // not every resolver knows names below localhost
		t.Helper()
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+endpoint+"/", nil)
		require.NoError(t, err)
		r.Host = made.Service.ServiceUrl
		response, err := http.DefaultClient.Do(r)
		require.NoError(t, err)
		defer response.Body.Close()
		body, err := io.ReadAll(response.Body)
		require.NoError(t, err)
		return string(body)
	}
	running()
	require.Equal(t, "version two\n", home())

	// Back to the older image under the tag that the service follows.
	typed(`MANIFEST=$(aws ecr batch-get-image --repository-name consultation-app --image-ids imageTag=one --query 'images[].imageManifest' --output text)
		aws ecr put-image --repository-name consultation-app --image-tag latest --image-manifest "$MANIFEST"`)
	typed("aws apprunner start-deployment --service-arn " + made.Service.ServiceArn)
	running()
	require.Equal(t, "version one\n", home())
	require.Contains(t, typed("aws apprunner list-operations --service-arn "+made.Service.ServiceArn+" --query 'OperationSummaryList[].[Type,Status]' --output text"), "START_DEPLOYMENT\tSUCCEEDED")
	group := "/aws/apprunner/consultation-app/" + made.Service.ServiceId + "/application"
	require.Contains(t, typed("aws logs filter-log-events --log-group-name "+group+" --filter-pattern listening --query 'events[].message' --output text"), "app: listening on")
	require.Regexp(t, `^[1-9][0-9]*(\.0)?\s*$`, typed("aws cloudwatch get-metric-statistics --namespace AWS/AppRunner --metric-name Requests --statistics Sum --period 3600"+
		" --dimensions Name=ServiceName,Value=consultation-app Name=ServiceID,Value="+made.Service.ServiceId+
		" --start-time "+time.Now().Add(-30*time.Minute).UTC().Format(time.RFC3339)+" --end-time "+time.Now().Add(30*time.Minute).UTC().Format(time.RFC3339)+
		" --query 'Datapoints[0].Sum' --output text"))

	plan, _ := c.apron(exitChanges, "plan", "--sandbox", "--adopt", "--no-verify", "--detailed-exitcode")
	require.Contains(t, regexp.MustCompile("src-[0-9a-f]{20}").ReplaceAllString(plan, "src-HASH"), `
    ~ apprunner/service/consultation-app
      ~ cpu:                256 → 512
      ~ image:              ecr/image/consultation-app:latest → ecr/image/consultation-app:src-HASH
      ~ memory:             512 → 1024
      + tags.apron:service: consultation-app

`)
}
