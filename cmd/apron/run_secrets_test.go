package main

import (
	"bytes"
	"context"
	"path/filepath"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	smsdk "github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	"github.com/stretchr/testify/require"

	"github.com/apron-deploy/apron/providers/sandbox"
)

// TestRun_readsSecretsAsAWSPassesThemOn has secrets that are not set on this machine, and
// keys of one that are no strings: what those become on AWS is not what stands there.
func TestRun_readsSecretsAsAWSPassesThemOn(t *testing.T) {
	t.Parallel()
	c := newCheckout(t, small, built.tiny)
	w := newWorld(t, c, filepath.Join(t.TempDir(), "state"), 0)
	w.in = "of-aws"
	code, out := w.run(t.Context(), "secrets", "set", "KEY", "--yes")
	require.Equal(t, exitOK, code, out)
	info := w.Info()
	secrets := smsdk.NewFromConfig(aws.Config{Region: info.Region, BaseEndpoint: aws.String(info.Endpoint()),
		Credentials: credentials.NewStaticCredentialsProvider(info.AccessKey, info.SecretKey, "")})
	_, err := secrets.CreateSecret(t.Context(), &smsdk.CreateSecretInput{Name: aws.String("db"),
		SecretString: aws.String(`{"host":"db.local","text":"1000000","port": 5432 ,"tls":true,"limit":1000000,"price":1.50,"none":null,"list":["canary"],"more":{"a":1}}`)})
	require.NoError(t, err)

	variables := func(secrets string) ([]string, error) {
		c.write("deploy.yaml", "version: 1\nservice: shop\nregion: us-east-1\nimage: {build: {context: app}}\nsecrets: {"+secrets+"}\n")
		c.write(".env", "")
		var out bytes.Buffer
		a := newApp(nil, &out, &out)
		a.cache, a.lookup = "", func(string) (string, bool) { return "", false }
		a.sandbox.on = true
		a.connect = func(context.Context, string, string, string) (sandbox.Info, error) { return w.Info(), nil }
		a.files = []string{filepath.Join(c.dir, "deploy.yaml")}
		set, err := a.load()
		require.NoError(t, err)
		return a.variables(t.Context(), &set.Documents[0], "http://localhost", 80)
	}
	got, err := variables("KEY: env:KEY, HOST: secretsmanager:db#host, LIMIT: secretsmanager:db#text, DB_PORT: secretsmanager:db#port, TLS: secretsmanager:db#tls")
	require.NoError(t, err)
	require.Equal(t, []string{"PORT=80", "DB_PORT=5432", "HOST=db.local", "KEY=of-aws", "LIMIT=1000000", "TLS=true"}, got)

	for _, key := range []string{"limit", "price", "none", "list", "more"} {
		_, err := variables("X: secretsmanager:db#" + key)
		var bad *keyError
		require.ErrorAs(t, err, &bad, key)
		require.EqualError(t, err, "secrets.X: secret db holds no string as "+key+", and AWS passes what it holds on in another form than it has there")
		require.Equal(t, "put it into quotes in the secret", bad.Hint())
	}
	_, err = variables("X: secretsmanager:db#nope")
	require.EqualError(t, err, "secrets.X: secret db has no key nope")
	_, err = variables("OTHER: env:OTHER_NAME")
	require.EqualError(t, err, "secrets.OTHER: OTHER_NAME is not set, and there is no parameter /apron/shop/OTHER to keep")
}

func TestRun_saysThatASecretIsNeitherSetNorReadable(t *testing.T) {
	t.Parallel()
	c := newCheckout(t, small, built.tiny)
	c.write(".env", "")
	c.vars = append(c.vars, "AWS_EC2_METADATA_DISABLED=true")
	_, errOut := c.apron(exitCredentials, "run", "--port", "0")
	require.Contains(t, errOut, "secrets.KEY: KEY is not set here, and what apron keeps cannot be read: ")
}
