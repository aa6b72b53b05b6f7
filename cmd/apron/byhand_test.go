package main

import (
	"context"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	apprunnersdk "github.com/aws/aws-sdk-go-v2/service/apprunner"
	"github.com/aws/aws-sdk-go-v2/service/apprunner/types"
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
	client := apprunnersdk.NewFromConfig(scriptConfig(ts))
	list, err := client.ListServices(ctx, &apprunnersdk.ListServicesInput{})
	ts.Check(err)
	for _, s := range list.ServiceSummaryList {
		if aws.ToString(s.ServiceName) != args[0] {
			continue
		}
		_, err := client.UpdateService(ctx, &apprunnersdk.UpdateServiceInput{ServiceArn: s.ServiceArn,
			InstanceConfiguration: &types.InstanceConfiguration{Cpu: &args[1], Memory: &args[2]}})
		ts.Check(err)
		tick := time.NewTicker(20 * time.Millisecond)
		defer tick.Stop()
		for {
			out, err := client.DescribeService(ctx, &apprunnersdk.DescribeServiceInput{ServiceArn: s.ServiceArn})
			ts.Check(err)
			if out.Service.Status == types.ServiceStatusRunning {
				return
			}
			<-tick.C
		}
	}
	ts.Fatalf("there is no service %s", args[0])
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
