package sandbox_test

import (
	"bytes"
	"context"
	"encoding/json"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/route53"
	"github.com/aws/aws-sdk-go-v2/service/ssm"
	ssmtypes "github.com/aws/aws-sdk-go-v2/service/ssm/types"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/stretchr/testify/require"

	"github.com/apron-deploy/apron/providers/sandbox"
)

func TestServer_answersOnlyForLocalNames(t *testing.T) {
	s := serve(t)
	url := s.Endpoint() + "/_apron/health"
	for host, want := range map[string]int{
		"localhost": 200, "LOCALHOST:1": 200, "127.0.0.1": 200, "[::1]": 200, "[::1]:80": 200,
		"web.localhost": 404, "evil.example": 403, "localhost.evil.example": 403, "127.0.0.1.evil.example:80": 403, "0.0.0.0": 403,
	} {
		code, body := send(t, http.MethodGet, url, host, nil)
		require.Equal(t, want, code, "%s: %s", host, body)
	}
}

func TestServer_tellsItsHealthWithoutSecrets(t *testing.T) {
	s := serve(t)
	code, body := send(t, http.MethodGet, s.Endpoint()+"/_apron/health", "", nil)
	require.Equal(t, 200, code)
	var h sandbox.Health
	require.NoError(t, json.Unmarshal([]byte(body), &h))
	require.Equal(t, s.Info().Instance, h.Instance)
	require.Equal(t, account, h.Account)
	require.Equal(t, region, h.Region)
	require.Equal(t, "idle", h.Engine)
	for _, secret := range []string{s.Info().Token, s.Info().AccessKey, s.Info().SecretKey} {
		require.NotContains(t, body, secret)
	}
}

func TestServer_stopsAndResetsForTheTokenOnly(t *testing.T) {
	s := serve(t)
	_, err := ssm.NewFromConfig(config(s)).PutParameter(t.Context(), &ssm.PutParameterInput{Name: aws.String("/a"), Value: aws.String("b"), Type: ssmtypes.ParameterTypeString})
	require.NoError(t, err)
	for _, path := range []string{"/_apron/stop", "/_apron/reset"} {
		code, _ := send(t, http.MethodPost, s.Endpoint()+path, "", nil)
		require.Equal(t, 403, code)
		code, _ = send(t, http.MethodGet, s.Endpoint()+path, "", nil)
		require.Equal(t, 405, code)
	}
	token := http.Header{"X-Apron-Token": {s.Info().Token}}
	code, body := send(t, http.MethodPost, s.Endpoint()+"/_apron/reset", "", token)
	require.Equal(t, 204, code, body)
	_, err = ssm.NewFromConfig(config(s)).GetParameter(t.Context(), &ssm.GetParameterInput{Name: aws.String("/a")})
	refused(t, err, "ParameterNotFound")
	code, _ = send(t, http.MethodPost, s.Endpoint()+"/_apron/stop", "", token)
	require.Equal(t, 204, code)
	require.Eventually(t, func() bool {
		_, err := http.Get(s.Endpoint() + "/_apron/health")
		return err != nil
	}, 5*time.Second, 10*time.Millisecond)
}

func TestServer_refusesWhoIsNotSigned(t *testing.T) {
	s := serve(t)
	stranger, forger, late := config(s), config(s), config(s)
	info := s.Info()
	stranger.Credentials = credentials.NewStaticCredentialsProvider("AKIAIOSFODNN7EXAMPLE", info.SecretKey, "")
	forger.Credentials = credentials.NewStaticCredentialsProvider(info.AccessKey, "wrong", "")
	late.Region = "us-west-2"

	_, err := ssm.NewFromConfig(stranger).DescribeParameters(t.Context(), nil)
	refused(t, err, "UnrecognizedClientException")
	_, err = sts.NewFromConfig(stranger).GetCallerIdentity(t.Context(), nil)
	refused(t, err, "InvalidClientTokenId")
	_, err = ssm.NewFromConfig(forger).DescribeParameters(t.Context(), nil)
	require.Contains(t, refused(t, err, "InvalidSignatureException"), "does not match the signature you provided")
	_, err = iam.NewFromConfig(forger).ListRoles(t.Context(), nil)
	refused(t, err, "SignatureDoesNotMatch")
	_, err = ssm.NewFromConfig(late).DescribeParameters(t.Context(), nil)
	require.Contains(t, refused(t, err, "InvalidSignatureException"), "valid region")
	_, err = iam.NewFromConfig(late).ListRoles(t.Context(), nil) // IAM has no region
	require.NoError(t, err)

	code, body := send(t, http.MethodPost, s.Endpoint()+"/", "", http.Header{"X-Amz-Target": {"AmazonSSM.GetParameter"}})
	require.Equal(t, 400, code)
	require.JSONEq(t, `{"__type":"MissingAuthenticationTokenException","message":"Request is missing Authentication Token"}`, body)
}

func TestServer_refusesUnknownOperations(t *testing.T) {
	s := serve(t)
	_, err := ssm.NewFromConfig(config(s)).ListDocuments(t.Context(), nil)
	refused(t, err, "UnknownOperationException")
	_, err = iam.NewFromConfig(config(s)).ListUsers(t.Context(), nil)
	require.Equal(t, "Could not find operation ListUsers for version 2010-05-08", refused(t, err, "InvalidAction"))
	code, body := send(t, http.MethodGet, s.Endpoint()+"/2013-04-01/hostedzone", "", nil)
	require.Equal(t, 404, code)
	require.Contains(t, body, "UnknownOperationException")
}

func TestServer_identifiesTheCaller(t *testing.T) {
	out, err := sts.NewFromConfig(config(serve(t))).GetCallerIdentity(t.Context(), nil)
	require.NoError(t, err)
	require.Equal(t, account, *out.Account)
	require.Equal(t, "arn:aws:iam::123456789012:user/sandbox", *out.Arn)
}

func TestServer_hasAccidentsOnDemand(t *testing.T) {
	var fault atomic.Pointer[sandbox.Fault]
	var crashed atomic.Int64
	var mu sync.Mutex
	var heard []string
	s := serve(t, func(o *sandbox.Options) {
		o.Crash = func() { crashed.Add(1) }
		o.Faults = func(service, operation string, n int) sandbox.Fault {
			mu.Lock()
			defer mu.Unlock()
			heard = append(heard, service+"."+operation)
			require.Len(t, heard, n)
			if f := fault.Load(); f != nil {
				return *f
			}
			return sandbox.Fault{}
		}
	})
	client := cloudwatchlogs.NewFromConfig(config(s))
	create := func(name string, f sandbox.Fault) error {
		fault.Store(&f)
		defer fault.Store(nil)
		_, err := client.CreateLogGroup(t.Context(), &cloudwatchlogs.CreateLogGroupInput{LogGroupName: aws.String(name)})
		return err
	}
	refused(t, create("throttled", sandbox.Throttle()), "ThrottlingException")
	refused(t, create("failed", sandbox.Fail()), "InternalFailure")
	require.Error(t, create("lost", sandbox.Lose()))
	require.Error(t, create("crashed", sandbox.Fault{When: sandbox.After, Crash: true}))
	require.EqualValues(t, 1, crashed.Load())

	out, err := client.DescribeLogGroups(t.Context(), nil)
	require.NoError(t, err)
	var names []string
	for _, g := range out.LogGroups {
		names = append(names, *g.LogGroupName)
	}
	require.Equal(t, []string{"crashed", "lost"}, names)
	require.Equal(t, "logs.CreateLogGroup", heard[0])
}

func TestServer_addsLatencyToEachCall(t *testing.T) {
	s := serve(t, func(o *sandbox.Options) { o.Latency = 60 * time.Millisecond })
	start := time.Now()
	_, err := sts.NewFromConfig(config(s)).GetCallerIdentity(t.Context(), nil)
	require.NoError(t, err)
	require.GreaterOrEqual(t, time.Since(start), 60*time.Millisecond)
}

func TestServer_endsWhenIdle(t *testing.T) {
	s, err := sandbox.New(t.Context(), sandbox.Options{Dir: t.TempDir(), Runner: idleEngine{}, Idle: 30 * time.Millisecond})
	require.NoError(t, err)
	done := make(chan error, 1)
	go func() { done <- s.Run(t.Context()) }()
	select {
	case err := <-done:
		require.NoError(t, err)
	case <-time.After(5 * time.Second):
		t.Fatal("still running")
	}
}

// syncBuffer is a log that can be read while it is written.
type syncBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (s *syncBuffer) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(p)
}

func (s *syncBuffer) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.String()
}

func TestServer_logsCallsWithoutTheirBodies(t *testing.T) {
	var log syncBuffer
	s := serve(t, func(o *sandbox.Options) { o.Log = &log })
	client := ssm.NewFromConfig(config(s))
	for range 2 {
		_, _ = client.PutParameter(t.Context(), &ssm.PutParameterInput{Name: aws.String("/a"), Value: aws.String("hunter2"), Type: ssmtypes.ParameterTypeSecureString})
	}
	require.Contains(t, log.String(), "service=ssm operation=PutParameter status=200")
	require.Contains(t, log.String(), "code=ParameterAlreadyExists")
	require.NotContains(t, log.String(), "hunter2")
	require.Equal(t, 2, strings.Count(log.String(), "msg=call"))
}

func TestServer_isTheNameServerOfItsZones(t *testing.T) {
	s := serve(t, func(o *sandbox.Options) { o.Speed = 1e9 })
	zones := route53.NewFromConfig(config(s))
	made, err := zones.CreateHostedZone(t.Context(), &route53.CreateHostedZoneInput{Name: aws.String("example.com"), CallerReference: aws.String("1")})
	require.NoError(t, err)
	r := &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "udp", s.Info().Resolver())
	}}
	var servers []*net.NS
	eventually(t, func() bool { // as soon as it is INSYNC
		servers, err = r.LookupNS(t.Context(), "example.com")
		return err == nil
	})
	require.Len(t, servers, len(made.DelegationSet.NameServers))
	hosts, err := r.LookupHost(t.Context(), made.DelegationSet.NameServers[0])
	require.NoError(t, err)
	require.Equal(t, []string{"127.0.0.1"}, hosts)
}
