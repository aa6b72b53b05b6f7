package awsapi_test

import (
	"encoding/pem"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"

	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/stretchr/testify/require"

	"github.com/apron-deploy/apron/providers/awsapi"
)

// scrub takes everything out of the environment that the SDK reads.
func scrub(t *testing.T) {
	t.Helper()
	for _, name := range []string{"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_PROFILE", "AWS_REGION", "AWS_DEFAULT_REGION",
		"AWS_ENDPOINT_URL", "AWS_CA_BUNDLE", "HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy"} {
		t.Setenv(name, "")
		require.NoError(t, os.Unsetenv(name))
	}
	t.Setenv("AWS_EC2_METADATA_DISABLED", "true")
	dir := t.TempDir()
	t.Setenv("HOME", dir)
	t.Setenv("AWS_CONFIG_FILE", filepath.Join(dir, "config"))
	t.Setenv("AWS_SHARED_CREDENTIALS_FILE", filepath.Join(dir, "credentials"))
}

func identify(w http.ResponseWriter, _ *http.Request) {
	_, _ = w.Write([]byte(`<GetCallerIdentityResponse><GetCallerIdentityResult><Account>123456789012</Account>` +
		`<Arn>arn:aws-cn:iam::123456789012:user/me</Arn><UserId>U</UserId></GetCallerIdentityResult></GetCallerIdentityResponse>`))
}

func TestLoad_keepsRealCredentialsFromAnEndpointOfItsOwn(t *testing.T) {
	scrub(t)
	real := serve(t, identify)
	t.Setenv("AWS_ACCESS_KEY_ID", "AKIDREAL")
	t.Setenv("AWS_SECRET_ACCESS_KEY", "real")
	t.Setenv("AWS_SESSION_TOKEN", "real-token")
	t.Setenv("AWS_REGION", "eu-west-1")
	t.Setenv("AWS_PROFILE", "nowhere")
	t.Setenv("AWS_ENDPOINT_URL", real.URL)
	t.Setenv("AWS_ENDPOINT_URL_STS", real.URL)
	t.Setenv("AWS_CA_BUNDLE", "/nowhere.pem")

	own := serve(t, identify)
	_, err := awsapi.WhoAmI(t.Context(), load(t, own, awsapi.Options{UserAgent: "apron-of-the-tests"}))
	require.NoError(t, err)
	require.Equal(t, []string{"GetCallerIdentity"}, own.called())
	require.Empty(t, real.called())
	h := own.headers[0]
	require.Contains(t, h.Get("Authorization"), accessKey)
	require.Contains(t, h.Get("Authorization"), "/us-east-1/")
	require.Equal(t, sessionToken, h.Get("X-Amz-Security-Token"))
	require.Contains(t, h.Get("User-Agent"), "apron-of-the-tests")

	_, err = awsapi.Load(t.Context(), awsapi.Options{Region: "us-east-1", Endpoint: own.URL})
	require.ErrorContains(t, err, "needs credentials of its own")
}

func TestLoad_takesTheEnvironmentOtherwise(t *testing.T) {
	scrub(t)
	s := httptest.NewTLSServer(http.HandlerFunc(identify))
	t.Cleanup(s.Close)
	ca := filepath.Join(t.TempDir(), "ca.pem")
	require.NoError(t, os.WriteFile(ca, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.Certificate().Raw}), 0o600))
	t.Setenv("AWS_CA_BUNDLE", ca) // as behind a proxy that looks into everything
	t.Setenv("AWS_ACCESS_KEY_ID", accessKey)
	t.Setenv("AWS_SECRET_ACCESS_KEY", secretKey)
	t.Setenv("AWS_REGION", "eu-west-1")
	t.Setenv("AWS_ENDPOINT_URL", s.URL)

	cfg, err := awsapi.Load(t.Context(), awsapi.Options{})
	require.NoError(t, err)
	require.Equal(t, "eu-west-1", cfg.Region)
	id, err := awsapi.WhoAmI(t.Context(), cfg)
	require.NoError(t, err)
	require.Equal(t, awsapi.Identity{Account: "123456789012", ARN: "arn:aws-cn:iam::123456789012:user/me", Partition: "aws-cn"}, id)

	cfg, err = awsapi.Load(t.Context(), awsapi.Options{Region: "us-east-2"})
	require.NoError(t, err)
	require.Equal(t, "us-east-2", cfg.Region, "the option wins")
}

func TestLoad_saysWhatIsMissing(t *testing.T) {
	scrub(t)
	_, err := awsapi.Load(t.Context(), awsapi.Options{})
	var e *awsapi.Error
	require.ErrorAs(t, err, &e)
	require.Contains(t, err.Error(), "no AWS Region: neither --region")
	require.Contains(t, e.Hint(), "region: us-east-1")

	_, err = awsapi.Load(t.Context(), awsapi.Options{Region: "us-east-1", Profile: "prod"})
	require.ErrorAs(t, err, &e)
	require.ErrorContains(t, err, `read the AWS configuration: there is no profile "prod"`)
	require.True(t, e.Credentials)

	cfg, err := awsapi.Load(t.Context(), awsapi.Options{Region: "us-east-1"})
	require.NoError(t, err)
	_, err = awsapi.WhoAmI(t.Context(), cfg)
	require.ErrorAs(t, err, &e)
	require.ErrorContains(t, err, "ask AWS whose credentials these are: no AWS credentials were found")
	require.True(t, e.Credentials)
}

func TestWhoAmI_refusesAnAnswerWithoutAnAccount(t *testing.T) {
	s := serve(t, empty)
	_, err := awsapi.WhoAmI(t.Context(), load(t, s, awsapi.Options{}))
	require.ErrorContains(t, err, "without an account")
}

func TestLoad_followsNoRedirect(t *testing.T) {
	other := serve(t, identify)
	s := serve(t, func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, other.URL, http.StatusMovedPermanently)
	})
	cfg := impatient(load(t, s, awsapi.Options{Credentials: credentials.NewStaticCredentialsProvider(accessKey, secretKey, "")}))
	_, err := awsapi.WhoAmI(t.Context(), cfg)
	require.Error(t, err)
	require.Empty(t, other.called())
}
