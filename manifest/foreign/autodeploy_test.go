package foreign_test

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/apron-deploy/apron/manifest/foreign"
)

// TestRead_autoDeploy: what is not given is App Runner's default, which is on for an image
// in the account's own ECR, and apron's is off.
func TestRead_autoDeploy(t *testing.T) {
	const (
		cloudformation = "Resources:\n  Web:\n    Type: AWS::AppRunner::Service\n    Properties:\n      ServiceName: shop-web\n      SourceConfiguration:\n" +
			"        %s\n        ImageRepository: {ImageIdentifier: \"%s\", ImageRepositoryType: %s}\n"
		terraform = "resource \"aws_apprunner_service\" \"web\" {\n  service_name = \"shop-web\"\n  source_configuration {\n    %s\n    image_repository {\n" +
			"      image_identifier      = \"%s\"\n      image_repository_type = \"%s\"\n    }\n  }\n}\n"
		cli = `{"ServiceName": "shop-web", "ServiceArn": "arn:aws:apprunner:us-east-1:123456789012:service/shop-web/1", "SourceConfiguration": {%s "ImageRepository": {"ImageIdentifier": "%s", "ImageRepositoryType": "%s"}}}`

		own, other, public = "123456789012.dkr.ecr.us-east-1.amazonaws.com/shop:1", "210987654321.dkr.ecr.us-east-1.amazonaws.com/shop:1", "public.ecr.aws/nginx/nginx:1"
	)
	const told = "is not given: App Runner's default is to deploy each image that is pushed"
	for _, tc := range []struct{ name, file, text, given, image, kind, want, note string }{
		{"CloudFormation", "t.yaml", cloudformation, "", own, "ECR", "\nauto_deploy: true\n", "SourceConfiguration.AutoDeploymentsEnabled: " + told},
		{"CloudFormation, of no value", "t.yaml", cloudformation, "AutoDeploymentsEnabled: !Ref AWS::NoValue", own, "ECR", "\nauto_deploy: true\n", told},
		{"CloudFormation, off", "t.yaml", cloudformation, "AutoDeploymentsEnabled: false", own, "ECR", "\nauto_deploy: false\n", ""},
		{"CloudFormation, of ECR Public", "t.yaml", cloudformation, "", public, "ECR_PUBLIC", "", ""},
		{"Terraform", "main.tf", terraform, "", own, "ECR", "\nauto_deploy: true\n", "source_configuration.auto_deployments_enabled: " + told},
		{"Terraform, null", "main.tf", terraform, "auto_deployments_enabled = null", own, "ECR", "\nauto_deploy: true\n", told},
		{"Terraform, off", "main.tf", terraform, "auto_deployments_enabled = false", own, "ECR", "\nauto_deploy: false\n", ""},
		{"Terraform, of ECR Public", "main.tf", terraform, "", public, "ECR_PUBLIC", "", ""},
		{"CLI", "s.json", cli, "", own, "ECR", "\nauto_deploy: true\n", "SourceConfiguration.AutoDeploymentsEnabled: " + told},
		{"CLI, off", "s.json", cli, `"AutoDeploymentsEnabled": false,`, own, "ECR", "\nauto_deploy: false\n", ""},
		{"CLI, of another account", "s.json", cli, "", other, "ECR", "", ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			r, err := foreign.Read([]foreign.File{{Name: tc.file, Data: fmt.Appendf(nil, tc.text, tc.given, tc.image, tc.kind)}})
			require.NoError(t, err)
			loads(t, r)
			require.Contains(t, string(r.Text()), tc.want)
			require.Contains(t, string(r.Text()), tc.note)
			if tc.want == "" {
				require.NotContains(t, string(r.Text()), "auto_deploy")
			}
			if tc.note == "" {
				require.NotContains(t, string(r.Text()), told)
			}
		})
	}
}
