package logs_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	sdk "github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs/types"
	"github.com/stretchr/testify/require"

	"github.com/apron-deploy/apron/providers/sandbox/logs"
	"github.com/apron-deploy/apron/providers/sandbox/store"
	"github.com/apron-deploy/apron/providers/sandbox/wire"
	"github.com/apron-deploy/apron/providers/sandbox/wire/wiretest"
)

// world is CloudWatch Logs behind the real SDK, at a time that stands still.
type world struct {
	testing.TB
	ctx     context.Context
	dir     string
	now     time.Time
	service *logs.Service
	client  *sdk.Client
	maxFile int64
}

func newWorld(t testing.TB) *world {
	w := &world{TB: t, ctx: context.Background(), dir: t.TempDir(), now: time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)}
	w.open()
	return w
}

// open starts the service on what the directory holds.
func (w *world) open() {
	w.Helper()
	st, err := store.Open(w.dir)
	require.NoError(w, err)
	w.service, err = logs.New(logs.Options{
		Store: st, Account: wiretest.Account, Region: wiretest.Region, MaxFile: w.maxFile,
		Now:  func() time.Time { return w.now },
		Lost: func(err error) { w.Errorf("lost: %v", err) },
	})
	require.NoError(w, err)
	w.client = sdk.NewFromConfig(wiretest.Config(w, func(m *wire.Mux) { m.Add(w.service.API()) }))
}

// create makes a group with streams.
func (w *world) create(group string, streams ...string) {
	w.Helper()
	_, err := w.client.CreateLogGroup(w.ctx, &sdk.CreateLogGroupInput{LogGroupName: &group})
	require.NoError(w, err)
	for _, s := range streams {
		_, err := w.client.CreateLogStream(w.ctx, &sdk.CreateLogStreamInput{LogGroupName: &group, LogStreamName: &s})
		require.NoError(w, err)
	}
}

// at is a time so many seconds before now, in the API's milliseconds.
func (w *world) at(seconds int) *int64 {
	return aws.Int64(w.now.Add(-time.Duration(seconds) * time.Second).UnixMilli())
}

// put writes events a second apart, the last of them now.
func (w *world) put(group, stream string, messages ...string) {
	w.Helper()
	in := &sdk.PutLogEventsInput{LogGroupName: &group, LogStreamName: &stream}
	for i, m := range messages {
		in.LogEvents = append(in.LogEvents, types.InputLogEvent{Message: &m, Timestamp: w.at(len(messages) - 1 - i)})
	}
	_, err := w.client.PutLogEvents(w.ctx, in)
	require.NoError(w, err)
}

// filter pages through everything that in asks for.
func (w *world) filter(in *sdk.FilterLogEventsInput) (messages []string, pages int) {
	w.Helper()
	if in.LogGroupName == nil && in.LogGroupIdentifier == nil {
		in.LogGroupName = aws.String("/web")
	}
	p := sdk.NewFilterLogEventsPaginator(w.client, in)
	for p.HasMorePages() {
		out, err := p.NextPage(w.ctx)
		require.NoError(w, err)
		for _, e := range out.Events {
			messages = append(messages, *e.Message)
		}
		pages++
	}
	return messages, pages
}

func TestGroups_liveAndDie(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.create("/web", "one")
	w.put("/web", "one", "hello")
	_, err := w.client.PutRetentionPolicy(w.ctx, &sdk.PutRetentionPolicyInput{LogGroupName: aws.String("/web"), RetentionInDays: aws.Int32(14)})
	require.NoError(t, err)
	w.open()
	out, err := w.client.DescribeLogGroups(w.ctx, &sdk.DescribeLogGroupsInput{})
	require.NoError(t, err)
	const arn = "arn:aws:logs:us-east-1:123456789012:log-group:/web"
	require.Equal(t, []types.LogGroup{{
		LogGroupName: aws.String("/web"), Arn: aws.String(arn + ":*"), LogGroupArn: aws.String(arn),
		CreationTime: aws.Int64(w.now.UnixMilli()), RetentionInDays: aws.Int32(14),
		MetricFilterCount: aws.Int32(0), StoredBytes: aws.Int64(5 + 26), LogGroupClass: types.LogGroupClassStandard,
	}}, out.LogGroups)

	_, err = w.client.DeleteRetentionPolicy(w.ctx, &sdk.DeleteRetentionPolicyInput{LogGroupName: aws.String("/web")})
	require.NoError(t, err)
	out, err = w.client.DescribeLogGroups(w.ctx, &sdk.DescribeLogGroupsInput{})
	require.NoError(t, err)
	require.Nil(t, out.LogGroups[0].RetentionInDays)
	_, err = w.client.DeleteLogGroup(w.ctx, &sdk.DeleteLogGroupInput{LogGroupName: aws.String("/web")})
	require.NoError(t, err)
	_, err = w.client.DeleteLogGroup(w.ctx, &sdk.DeleteLogGroupInput{LogGroupName: aws.String("/web")})
	wiretest.Refused(t, err, "ResourceNotFoundException", "The specified log group does not exist.")
	w.create("/web", "one")
	messages, _ := w.filter(&sdk.FilterLogEventsInput{})
	require.Empty(t, messages, "a group of the same name starts empty")
}

func TestGroups_pageByName(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for n := range 53 {
		w.create(fmt.Sprintf("/web/%02d", n))
	}
	w.create("/other")
	first, err := w.client.DescribeLogGroups(w.ctx, &sdk.DescribeLogGroupsInput{})
	require.NoError(t, err)
	require.Len(t, first.LogGroups, 50, "AWS's default")
	require.NotNil(t, first.NextToken)

	var names []string
	pages := sdk.NewDescribeLogGroupsPaginator(w.client, &sdk.DescribeLogGroupsInput{LogGroupNamePrefix: aws.String("/web/"), Limit: aws.Int32(20)})
	for pages.HasMorePages() {
		out, err := pages.NextPage(w.ctx)
		require.NoError(t, err)
		for _, g := range out.LogGroups {
			names = append(names, *g.LogGroupName)
		}
	}
	require.Len(t, names, 53)
	require.IsIncreasing(t, names)
	some, err := w.client.DescribeLogGroups(w.ctx, &sdk.DescribeLogGroupsInput{LogGroupNamePattern: aws.String("OTH")})
	require.NoError(t, err)
	require.Len(t, some.LogGroups, 1, "a pattern is a part of the name in any case")
}

func TestStreams_describe(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.create("/web", "b", "a", "ab")
	w.put("/web", "b", "1", "2", "3")
	w.now = w.now.Add(time.Minute)
	w.put("/web", "a", "4")
	names := func(in *sdk.DescribeLogStreamsInput) (names []string) {
		in.LogGroupName = aws.String("/web")
		p := sdk.NewDescribeLogStreamsPaginator(w.client, in)
		for p.HasMorePages() {
			out, err := p.NextPage(w.ctx)
			require.NoError(t, err)
			for _, s := range out.LogStreams {
				names = append(names, *s.LogStreamName)
			}
		}
		return names
	}
	require.Equal(t, []string{"a", "ab", "b"}, names(&sdk.DescribeLogStreamsInput{Limit: aws.Int32(1)}))
	require.Equal(t, []string{"a", "ab"}, names(&sdk.DescribeLogStreamsInput{LogStreamNamePrefix: aws.String("a")}))
	require.Equal(t, []string{"a", "b", "ab"}, names(&sdk.DescribeLogStreamsInput{
		OrderBy: types.OrderByLastEventTime, Descending: aws.Bool(true), Limit: aws.Int32(2),
	}))
	_, err := w.client.DescribeLogStreams(w.ctx, &sdk.DescribeLogStreamsInput{
		LogGroupName: aws.String("/web"), OrderBy: types.OrderByLastEventTime, LogStreamNamePrefix: aws.String("a"),
	})
	wiretest.Refused(t, err, "InvalidParameterException", "Cannot order by LastEventTime with a logStreamNamePrefix.")

	out, err := w.client.DescribeLogStreams(w.ctx, &sdk.DescribeLogStreamsInput{
		LogGroupIdentifier: aws.String("arn:aws:logs:us-east-1:123456789012:log-group:/web:*"), LogStreamNamePrefix: aws.String("b"),
	})
	require.NoError(t, err)
	b := out.LogStreams[0]
	require.Equal(t, "arn:aws:logs:us-east-1:123456789012:log-group:/web:log-stream:b", *b.Arn)
	require.Equal(t, *w.at(62), *b.FirstEventTimestamp)
	require.Equal(t, *w.at(60), *b.LastEventTimestamp)
	require.Equal(t, *w.at(60), *b.LastIngestionTime)

	_, err = w.client.DeleteLogStream(w.ctx, &sdk.DeleteLogStreamInput{LogGroupName: aws.String("/web"), LogStreamName: aws.String("b")})
	require.NoError(t, err)
	require.Equal(t, []string{"a", "ab"}, names(&sdk.DescribeLogStreamsInput{}))
	messages, _ := w.filter(&sdk.FilterLogEventsInput{})
	require.Equal(t, []string{"4"}, messages)
}

func TestTags_ofAGroup(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	_, err := w.client.CreateLogGroup(w.ctx, &sdk.CreateLogGroupInput{LogGroupName: aws.String("/web"), Tags: map[string]string{"a": "1"}})
	require.NoError(t, err)
	arn := aws.String("arn:aws:logs:us-east-1:123456789012:log-group:/web")
	_, err = w.client.TagResource(w.ctx, &sdk.TagResourceInput{ResourceArn: arn, Tags: map[string]string{"b": "2"}})
	require.NoError(t, err)
	_, err = w.client.UntagResource(w.ctx, &sdk.UntagResourceInput{ResourceArn: arn, TagKeys: []string{"a", "c"}})
	require.NoError(t, err)
	out, err := w.client.ListTagsForResource(w.ctx, &sdk.ListTagsForResourceInput{ResourceArn: arn})
	require.NoError(t, err)
	require.Equal(t, map[string]string{"b": "2"}, out.Tags)

	many := map[string]string{}
	for n := range 50 {
		many[fmt.Sprint("key", n)] = ""
	}
	_, err = w.client.TagResource(w.ctx, &sdk.TagResourceInput{ResourceArn: arn, Tags: many})
	wiretest.Refused(t, err, "TooManyTagsException", "50")
	_, err = w.client.ListTagsForResource(w.ctx, &sdk.ListTagsForResourceInput{ResourceArn: aws.String(*arn + "x")})
	wiretest.Refused(t, err, "ResourceNotFoundException", "The specified log group does not exist.")
}

func TestLogs_refuseWhatAWSRefuses(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.create("/web", "one")
	web, one, nope := aws.String("/web"), aws.String("one"), aws.String("nope")
	event := func(seconds int, message string) types.InputLogEvent {
		return types.InputLogEvent{Message: &message, Timestamp: w.at(seconds)}
	}
	put := func(group, stream *string, events ...types.InputLogEvent) error {
		_, err := w.client.PutLogEvents(w.ctx, &sdk.PutLogEventsInput{LogGroupName: group, LogStreamName: stream, LogEvents: events})
		return err
	}
	filter := func(in sdk.FilterLogEventsInput) error {
		_, err := w.client.FilterLogEvents(w.ctx, &in)
		return err
	}
	get := func(in sdk.GetLogEventsInput) error {
		_, err := w.client.GetLogEvents(w.ctx, &in)
		return err
	}
	group := func(name string) error {
		_, err := w.client.CreateLogGroup(w.ctx, &sdk.CreateLogGroupInput{LogGroupName: &name})
		return err
	}
	stream := func(group, name string) error {
		_, err := w.client.CreateLogStream(w.ctx, &sdk.CreateLogStreamInput{LogGroupName: &group, LogStreamName: &name})
		return err
	}
	retain := func(group string, days int32) error {
		_, err := w.client.PutRetentionPolicy(w.ctx, &sdk.PutRetentionPolicyInput{LogGroupName: &group, RetentionInDays: &days})
		return err
	}
	describe := func(in sdk.DescribeLogGroupsInput) error {
		_, err := w.client.DescribeLogGroups(w.ctx, &in)
		return err
	}
	const exists, missing, invalid = "ResourceAlreadyExistsException", "ResourceNotFoundException", "InvalidParameterException"
	big := strings.Repeat("x", 1<<19)
	for name, tc := range map[string]struct {
		err        error
		code, text string
	}{
		"a group again":         {group("/web"), exists, "The specified log group already exists"},
		"a group's characters":  {group("a b"), invalid, `1 validation error detected: Value 'a b' at 'logGroupName' failed to satisfy constraint: Member must satisfy regular expression pattern: [\.\-_/#A-Za-z0-9]+`},
		"a group's length":      {group(strings.Repeat("x", 513)), invalid, "Member must have length less than or equal to 512"},
		"a stream again":        {stream("/web", "one"), exists, "The specified log stream already exists"},
		"a stream's characters": {stream("/web", "a:b"), invalid, "logStreamName"},
		"a stream of no group":  {stream("/nope", "one"), missing, "The specified log group does not exist."},
		"a retention":           {retain("/web", 15), invalid, "Value '15' at 'retentionInDays' failed to satisfy constraint: Member must satisfy enum value set: [1 3 5 7 14"},
		"retention of no group": {retain("/nope", 14), missing, "The specified log group does not exist."},
		"groups: limit":         {describe(sdk.DescribeLogGroupsInput{Limit: aws.Int32(51)}), invalid, "Member must have value less than or equal to 50"},
		"groups: token":         {describe(sdk.DescribeLogGroupsInput{NextToken: aws.String("abc")}), invalid, "The specified nextToken is invalid."},
		"groups: two filters": {describe(sdk.DescribeLogGroupsInput{LogGroupNamePrefix: web, LogGroupNamePattern: web}), invalid,
			"LogGroup name prefix and LogGroup name pattern are mutually exclusive parameters."},
		"put: no group":       {put(nope, one, event(0, "x")), missing, "The specified log group does not exist."},
		"put: no stream":      {put(web, nope, event(0, "x")), missing, "The specified log stream does not exist."},
		"put: nothing":        {put(web, one, []types.InputLogEvent{}...), invalid, "greater than or equal to 1"},
		"put: empty message":  {put(web, one, event(0, "")), invalid, "needs a timestamp and a message"},
		"put: against time":   {put(web, one, event(1, "x"), event(2, "y")), invalid, "Log events in a single PutLogEvents request must be in chronological order."},
		"put: more than 1 MB": {put(web, one, event(1, big), event(0, big)), invalid, "Upload too large: 1048628 bytes exceeds limit of 1048576"},
		"put: more than a day": {put(web, one, event(24*3600+1, "x"), event(0, "y")), invalid,
			"The batch of log events in a single PutLogEvents request cannot span more than 24 hours."},
		"get: no stream":       {get(sdk.GetLogEventsInput{LogGroupName: web, LogStreamName: nope}), missing, "The specified log stream does not exist."},
		"get: token":           {get(sdk.GetLogEventsInput{LogGroupName: web, LogStreamName: one, NextToken: aws.String("abc")}), invalid, "The specified nextToken is invalid."},
		"get: limit":           {get(sdk.GetLogEventsInput{LogGroupName: web, LogStreamName: one, Limit: aws.Int32(10001)}), invalid, "less than or equal to 10000"},
		"filter: no group":     {filter(sdk.FilterLogEventsInput{LogGroupName: nope}), missing, "The specified log group does not exist."},
		"filter: no name":      {filter(sdk.FilterLogEventsInput{}), invalid, "Value null at 'logGroupName'"},
		"filter: name and ARN": {filter(sdk.FilterLogEventsInput{LogGroupName: web, LogGroupIdentifier: web}), invalid, "mutually exclusive"},
		"filter: no stream":    {filter(sdk.FilterLogEventsInput{LogGroupName: web, LogStreamNames: []string{"nope"}}), missing, "The specified log stream does not exist."},
		"filter: two ways":     {filter(sdk.FilterLogEventsInput{LogGroupName: web, LogStreamNames: []string{"one"}, LogStreamNamePrefix: one}), invalid, "mutually exclusive"},
		"filter: pattern":      {filter(sdk.FilterLogEventsInput{LogGroupName: web, FilterPattern: aws.String("a-b")}), invalid, "Invalid character(s) in term 'a-b'"},
		"filter: JSON pattern": {filter(sdk.FilterLogEventsInput{LogGroupName: web, FilterPattern: aws.String("{ $.a = 1 }")}), invalid, "terms only"},
	} {
		t.Run(name, func(t *testing.T) { wiretest.Refused(t, tc.err, tc.code, tc.text) })
	}
}
