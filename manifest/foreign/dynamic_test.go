package foreign_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/apron-deploy/apron/manifest/foreign"
)

// TestRead_dynamicReferences: what CloudFormation looks up is a reference of the manifest's
// own, or a note; it is never a text.
func TestRead_dynamicReferences(t *testing.T) {
	for _, tc := range []struct{ name, value, want, note string }{
		{"a key of a secret", "'{{resolve:secretsmanager:prod/db:SecretString:url}}'", "secrets:\n  X: secretsmanager:prod/db#url\n", "App Runner reads it itself"},
		{"a whole secret", "'{{resolve:secretsmanager:prod/db}}'", "secrets:\n  X: secretsmanager:prod/db\n", ""},
		{"a stage", "'{{resolve:secretsmanager:prod/db:SecretString:url:AWSPREVIOUS}}'", "secrets:\n  X: secretsmanager:prod/db#url:AWSPREVIOUS\n", ""},
		{"a version", "'{{resolve:secretsmanager:prod/db:SecretString:url::01234567-89ab-cdef-0123-456789abcdef}}'", "secrets:\n  X: secretsmanager:prod/db#url::01234567-89ab-cdef-0123-456789abcdef\n", ""},
		{"a stage and a version", "'{{resolve:secretsmanager:prod/db:SecretString:url:AWSCURRENT:01234567-89ab-cdef-0123-456789abcdef}}'", "", "names a version twice"},
		{"an ARN", "'{{resolve:secretsmanager:arn:aws:secretsmanager:us-east-1:210987654321:secret:db-AbCdEf:SecretString:url}}'",
			"secrets:\n  X: arn:aws:secretsmanager:us-east-1:210987654321:secret:db-AbCdEf#url\n", ""},
		{"a secret of the template", "!Join ['', ['{{resolve:secretsmanager:', !Ref Db, ':SecretString:password::}}']]", "secrets:\n  X: secretsmanager:shop/db#password\n", ""},
		{"a secret further down", "!Sub '{{resolve:secretsmanager:${Below}:SecretString:password}}'", "secrets:\n  X: secretsmanager:prod/below#password\n", ""},
		{"a parameter", "'{{resolve:ssm:/shop/log-level}}'", "secrets:\n  X: ssm:/shop/log-level\n", ""},
		{"a secure parameter", "'{{resolve:ssm-secure:/shop/key}}'", "secrets:\n  X: ssm:/shop/key\n", ""},
		{"a parameter's version", "'{{resolve:ssm:/shop/frozen:3}}'", "# secrets:", "names version 3"},
		{"within a text", "'https://{{resolve:ssm:/shop/host}}/v1'", "env:\n  X: https://${SHOP_HOST}/v1\n", "known only to CloudFormation: set SHOP_HOST"},
		{"a secret within a text", "'postgres://shop:{{resolve:secretsmanager:prod/db:SecretString:password}}@db/shop'", "secrets:\n  X: env:X\n", "which is secret"},
		{"of no known service", "'{{resolve:vault:x}}'", "", "is left out"},
		{"no reference", "'{{ user }}'", "env:\n  X: \"{{ user }}\"\n", ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			r, err := foreign.Read([]foreign.File{{Name: "t.yaml", Data: []byte(`Resources:
  Db:
    Type: AWS::SecretsManager::Secret
    Properties: {Name: shop/db}
  Web:
    Type: AWS::AppRunner::Service
    Properties:
      ServiceName: shop-web
      SourceConfiguration:
        ImageRepository:
          ImageIdentifier: public.ecr.aws/nginx/nginx:1
          ImageRepositoryType: ECR_PUBLIC
          ImageConfiguration:
            RuntimeEnvironmentVariables:
              - {Name: X, Value: ` + tc.value + `}
  Below:
    Type: AWS::SecretsManager::Secret
    Properties: {Name: !Sub '${Stage}/below'}
Parameters:
  Stage: {Type: String, Default: prod}
`)}})
			require.NoError(t, err)
			loads(t, r)
			require.NotContains(t, drafted(r), "{{resolve")
			require.Contains(t, string(r.Text()), tc.want)
			require.Contains(t, string(r.Text()), tc.note)
			if tc.want == "" {
				require.NotContains(t, drafted(r), "X:")
			}
		})
	}
}
