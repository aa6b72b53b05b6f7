package secretsmanager

import (
	"net/http/httptest"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	sdk "github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	"github.com/stretchr/testify/require"

	"github.com/apron-deploy/apron/providers/sandbox/secretsmanager"
	"github.com/apron-deploy/apron/providers/sandbox/store"
	"github.com/apron-deploy/apron/providers/sandbox/wire"
)

func TestSandbox_agreesOnReferences(t *testing.T) {
	disk, err := store.Open(t.TempDir())
	require.NoError(t, err)
	service, err := secretsmanager.New(secretsmanager.Options{Store: disk, Account: "123456789012", Region: "us-east-1"})
	require.NoError(t, err)
	mux := wire.NewMux(wire.MuxOptions{Verifier: &wire.Verifier{
		Secret: func(string) (string, bool) { return "secret", true }, Region: "us-east-1", Now: time.Now,
	}})
	mux.Add(service.API())
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	client := sdk.New(sdk.Options{
		Region:       "us-east-1",
		BaseEndpoint: &server.URL,
		Credentials:  credentials.NewStaticCredentialsProvider("AKIDEXAMPLE", "secret", ""),
		HTTPClient:   server.Client(),
	})
	for _, name := range []string{"prod/openai", "deleted"} {
		_, err := client.CreateSecret(t.Context(), &sdk.CreateSecretInput{Name: &name, SecretString: aws.String(`{"key":"value"}`)})
		require.NoError(t, err)
	}
	_, err = client.DeleteSecret(t.Context(), &sdk.DeleteSecretInput{SecretId: aws.String("deleted")})
	require.NoError(t, err)

	r := New(client, Options{Region: "us-east-1"})
	refs, err := r.Resolve(t.Context(), []string{"prod/openai", "deleted", "missing"})
	require.NoError(t, err)
	got := refs["prod/openai"]
	require.True(t, got.Exists)
	require.Regexp(t, `^arn:aws:secretsmanager:us-east-1:123456789012:secret:prod/openai-[A-Za-z0-9]{6}$`, got.ARN)
	require.NotZero(t, got.LastModified)
	require.Equal(t, Reference{}, refs["missing"])
	require.True(t, refs["deleted"].Deleting)
	require.False(t, refs["deleted"].Exists)

	values, err := r.Values(t.Context(), []Value{{Name: "prod/openai"}, {Name: "deleted"}, {Name: "missing"}})
	require.NoError(t, err)
	require.Equal(t, []string{`{"key":"value"}`, "value"}, values)

	_, err = client.PutSecretValue(t.Context(), &sdk.PutSecretValueInput{SecretId: aws.String("prod/openai"), SecretString: aws.String("new")})
	require.NoError(t, err)
	values, err = r.Values(t.Context(), []Value{{Name: "prod/openai"}, {Name: "prod/openai", Stage: "AWSPREVIOUS"}})
	require.NoError(t, err)
	require.Equal(t, []string{"new", `{"key":"value"}`, "value"}, values)
	refs, err = r.Resolve(t.Context(), []string{"prod/openai"})
	require.NoError(t, err)
	got = refs["prod/openai"]

	whole := ValueFrom(got.ARN, "key", "AWSPREVIOUS", "")
	refs, err = r.Resolve(t.Context(), []string{whole})
	require.NoError(t, err)
	require.Equal(t, got, refs[whole])
}
