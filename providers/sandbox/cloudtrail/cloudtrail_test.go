package cloudtrail_test

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	sdk "github.com/aws/aws-sdk-go-v2/service/cloudtrail"
	"github.com/aws/aws-sdk-go-v2/service/cloudtrail/types"
	ssmsdk "github.com/aws/aws-sdk-go-v2/service/ssm"
	"github.com/stretchr/testify/require"

	"github.com/apron-deploy/apron/providers/sandbox/cloudtrail"
	"github.com/apron-deploy/apron/providers/sandbox/ssm"
	"github.com/apron-deploy/apron/providers/sandbox/store"
	"github.com/apron-deploy/apron/providers/sandbox/sts"
	"github.com/apron-deploy/apron/providers/sandbox/wire"
	"github.com/apron-deploy/apron/providers/sandbox/wire/wiretest"
)

// world is a Parameter Store whose calls a trail records, at a time that the test moves.
type world struct {
	dir   string
	later time.Duration
	trail *sdk.Client
	ssm   *ssmsdk.Client
}

func (w *world) open(t *testing.T) {
	st, err := store.Open(w.dir)
	require.NoError(t, err)
	now := func() time.Time { return time.Now().Add(w.later) }
	s, err := cloudtrail.New(cloudtrail.Options{Store: st, Account: wiretest.Account, Region: wiretest.Region, Now: now, UserARN: sts.UserArn(wiretest.Account),
		Lost: func(err error) { t.Error(err) }})
	require.NoError(t, err)
	parameters, err := ssm.New(ssm.Options{Store: st, Account: wiretest.Account, Region: wiretest.Region})
	require.NoError(t, err)
	mux := wire.NewMux(wire.MuxOptions{Verifier: wiretest.Verifier(), Seen: s.Record})
	for _, api := range s.APIs() {
		mux.Add(api)
	}
	mux.Add(parameters.API())
	cfg := wiretest.ConfigOf(wiretest.Serve(t, mux))
	w.trail, w.ssm = sdk.NewFromConfig(cfg), ssmsdk.NewFromConfig(cfg)
}

func (w *world) events(t *testing.T, key types.LookupAttributeKey, value string) []types.Event {
	t.Helper()
	w.later += time.Second // for the limit
	in := &sdk.LookupEventsInput{}
	if key != "" {
		in.LookupAttributes = []types.LookupAttribute{{AttributeKey: key, AttributeValue: &value}}
	}
	out, err := w.trail.LookupEvents(t.Context(), in)
	require.NoError(t, err)
	return out.Events
}

func TestEvents_tellWhoChangedWhatLaterAndNoSecret(t *testing.T) {
	t.Parallel()
	w := &world{dir: t.TempDir()}
	w.open(t)
	put := func() error {
		_, err := w.ssm.PutParameter(t.Context(), &ssmsdk.PutParameterInput{Name: aws.String("/shop/key"), Value: aws.String("s3cret"), Type: "SecureString"})
		return err
	}
	require.NoError(t, put())
	require.Error(t, put(), "it exists")
	_, err := w.ssm.GetParameter(t.Context(), &ssmsdk.GetParameterInput{Name: aws.String("/shop/key")})
	require.NoError(t, err)
	require.Empty(t, w.events(t, "", ""))
	w.later += cloudtrail.DefaultDelay
	w.open(t)
	events := w.events(t, types.LookupAttributeKeyResourceName, "/shop/key")
	require.Len(t, events, 2, "reads are not recorded")
	require.Equal(t, "PutParameter ssm.amazonaws.com sandbox", *events[1].EventName+" "+*events[1].EventSource+" "+*events[1].Username)
	require.Contains(t, *events[1].CloudTrailEvent, `"sourceIPAddress":"127.0.0.1"`)
	require.Contains(t, *events[1].CloudTrailEvent, `"Value":"HIDDEN_DUE_TO_SECURITY_REASONS"`)
	require.Contains(t, *events[0].CloudTrailEvent, `"errorCode":"ParameterAlreadyExists"`)
	require.Len(t, w.events(t, types.LookupAttributeKeyEventName, "PutParameter"), 2)
	require.Empty(t, w.events(t, types.LookupAttributeKeyEventName, "DeleteParameter"))
	b, err := os.ReadFile(filepath.Join(w.dir, "cloudtrail", "events.jsonl"))
	require.NoError(t, err)
	require.NotContains(t, string(b), "s3cret")
}

func TestLookups_areLimited(t *testing.T) {
	t.Parallel()
	w := &world{dir: t.TempDir()}
	w.open(t)
	var err error
	for range 10 {
		if _, err = w.trail.LookupEvents(t.Context(), &sdk.LookupEventsInput{}); err != nil {
			break
		}
	}
	wiretest.Refused(t, err, "ThrottlingException", "Rate exceeded")
	w.later += time.Minute
	_, err = w.trail.LookupEvents(t.Context(), &sdk.LookupEventsInput{MaxResults: aws.Int32(51)})
	wiretest.Refused(t, err, "InvalidMaxResultsException", "between 1 and 50")
}
