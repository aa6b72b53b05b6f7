package main

import (
	"context"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	r53sdk "github.com/aws/aws-sdk-go-v2/service/route53"
	smsdk "github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	wafsdk "github.com/aws/aws-sdk-go-v2/service/wafv2"
	waftypes "github.com/aws/aws-sdk-go-v2/service/wafv2/types"
	"github.com/rogpeppe/go-internal/testscript"
)

// scriptGiven makes in the script's sandbox what a manifest refers to and apron does not
// make. What it is called there is in the variable VAR.
func scriptGiven(ts *testscript.TestScript, neg bool, args []string) {
	const usage = "usage: given zone NAME VAR | acl NAME VAR | secret NAME VALUE | service NAME REPOSITORY"
	if len(args) != 3 || neg {
		ts.Fatalf(usage)
	}
	ts.Check(ts.Exec(built.apron, "sandbox", "env"))
	env := map[string]string{}
	for line := range strings.Lines(ts.ReadFile("stdout")) {
		k, v, _ := strings.Cut(strings.TrimPrefix(strings.TrimSpace(line), "export "), "=")
		env[k] = strings.Trim(v, `'"`)
	}
	cfg := aws.Config{Region: env["AWS_REGION"], BaseEndpoint: aws.String(env["AWS_ENDPOINT_URL"]),
		Credentials: credentials.NewStaticCredentialsProvider(env["AWS_ACCESS_KEY_ID"], env["AWS_SECRET_ACCESS_KEY"], "")}
	name, last := args[1], args[2]
	ctx := context.Background()
	switch args[0] {
	case "zone":
		out, err := r53sdk.NewFromConfig(cfg).CreateHostedZone(ctx, &r53sdk.CreateHostedZoneInput{Name: &name, CallerReference: &name})
		ts.Check(err)
		ts.Setenv(last, strings.TrimPrefix(*out.HostedZone.Id, "/hostedzone/"))
	case "acl":
		out, err := wafsdk.NewFromConfig(cfg).CreateWebACL(ctx, &wafsdk.CreateWebACLInput{Name: &name, Scope: waftypes.ScopeRegional,
			DefaultAction: &waftypes.DefaultAction{Allow: &waftypes.AllowAction{}}, VisibilityConfig: &waftypes.VisibilityConfig{MetricName: &name}})
		ts.Check(err)
		ts.Setenv(last, *out.Summary.ARN)
	case "secret":
		client := smsdk.NewFromConfig(cfg)
		_, err := client.CreateSecret(ctx, &smsdk.CreateSecretInput{Name: &name, SecretString: &last})
		if err != nil { // then it is its next version
			_, err = client.PutSecretValue(ctx, &smsdk.PutSecretValueInput{SecretId: &name, SecretString: &last})
		}
		ts.Check(err)
	case "service":
		ts.Check(serviceByHand(ctx, cfg, name, last))
	default:
		ts.Fatalf(usage)
	}
}
