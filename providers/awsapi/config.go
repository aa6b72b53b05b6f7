package awsapi

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/arn"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	smithylog "github.com/aws/smithy-go/logging"
	"github.com/aws/smithy-go/middleware"
)

// Options say where AWS is and who asks.
type Options struct {
	Region  string // overrides the environment's and the profile's
	Profile string // shared configuration profile

	// Endpoint and Credentials, when set, replace everything that the environment and
	// the shared configuration say: a private endpoint, such as the sandbox, must never
	// see real credentials. An endpoint takes credentials and a Region.
	Endpoint    string
	Credentials aws.CredentialsProvider

	// Guard decides whether writes may be sent.
	Guard *Guard
	// UserAgent is appended to the SDK's own.
	UserAgent string
	// Log receives one debug line for each call: never a body.
	Log *slog.Logger
}

// maxAttempts covers about half a minute of throttling with the SDK's backoff.
const maxAttempts = 8

// Load returns the configuration that every client is made from.
func Load(ctx context.Context, o Options) (aws.Config, error) {
	var cfg aws.Config
	if o.Endpoint != "" {
		if o.Credentials == nil {
			return aws.Config{}, fmt.Errorf("the endpoint %s needs credentials of its own", o.Endpoint)
		}
		cfg = aws.Config{Region: o.Region, Credentials: aws.NewCredentialsCache(o.Credentials), BaseEndpoint: aws.String(o.Endpoint), HTTPClient: client()}
	} else {
		// The client by way of the options, so that AWS_CA_BUNDLE still counts. The SDK's own
		// log would go to stderr, past us.
		opts := []func(*config.LoadOptions) error{config.WithHTTPClient(client()), config.WithLogger(smithylog.Nop{})}
		if o.Region != "" {
			opts = append(opts, config.WithRegion(o.Region))
		}
		if o.Profile != "" {
			opts = append(opts, config.WithSharedConfigProfile(o.Profile))
		}
		var err error
		if cfg, err = config.LoadDefaultConfig(ctx, opts...); err != nil {
			return aws.Config{}, fmt.Errorf("read the AWS configuration: %w", Explain(err))
		}
	}
	if cfg.Region == "" {
		return aws.Config{}, &Error{What: "no AWS Region", Why: "neither --region, the manifest's region, AWS_REGION nor the profile names one",
			Fix: "add region: us-east-1 to the manifest", Credentials: true}
	}
	cfg.Retryer = func() aws.Retryer {
		return retry.NewStandard(func(so *retry.StandardOptions) {
			so.MaxAttempts = maxAttempts
			so.MaxBackoff = 10 * time.Second
		})
	}
	limits := newLimits()
	// After the clients' own steps of the same phase: some clients put the operation's name
	// into the context by one of these.
	cfg.APIOptions = append(cfg.APIOptions,
		func(s *middleware.Stack) error { return s.Initialize.Add(logging(o.Log), middleware.After) },
		func(s *middleware.Stack) error { return s.Initialize.Add(o.Guard.middleware(), middleware.After) },
		// Within the retries: each attempt is a call to AWS.
		func(s *middleware.Stack) error {
			return s.Finalize.Insert(limits.middleware(), (*retry.Attempt)(nil).ID(), middleware.After)
		},
	)
	if o.UserAgent != "" {
		cfg.AppID = o.UserAgent
	}
	return cfg, nil
}

func client() *awshttp.BuildableClient {
	return awshttp.NewBuildableClient().WithTimeout(time.Minute).WithTransportOptions(func(t *http.Transport) {
		t.MaxIdleConnsPerHost = 32
	})
}

// Identity is who the credentials belong to.
type Identity struct {
	Account   string // twelve digits
	ARN       string
	Partition string // aws, aws-cn, aws-us-gov
}

// WhoAmI asks AWS whose credentials these are.
// https://docs.aws.amazon.com/STS/latest/APIReference/API_GetCallerIdentity.html
func WhoAmI(ctx context.Context, cfg aws.Config) (Identity, error) {
	out, err := sts.NewFromConfig(cfg).GetCallerIdentity(ctx, &sts.GetCallerIdentityInput{})
	if err != nil {
		return Identity{}, fmt.Errorf("ask AWS whose credentials these are: %w", Explain(err))
	}
	id := Identity{Account: aws.ToString(out.Account), ARN: aws.ToString(out.Arn)}
	parsed, err := arn.Parse(id.ARN)
	if err != nil || id.Account == "" {
		return Identity{}, errors.New("AWS answered without an account or with a malformed ARN")
	}
	id.Partition = parsed.Partition
	return id, nil
}
