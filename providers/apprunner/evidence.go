package apprunner

import (
	"cmp"
	"context"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/apprunner/types"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs"
	logtypes "github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs/types"

	"github.com/apron-deploy/apron/providers/awsapi"
)

// How many of the last lines of each log are looked at. An application says at its start
// where it listens, so that more are read than are shown.
const (
	serviceLines     = 200
	applicationLines = 500
)

// lateLogs is how often the logs are read again when they do not tell of the failure yet:
// they may come in after the operation has ended.
const lateLogs = 3

// gather reads the logs of an operation.
func (p *Provider) gather(ctx context.Context, arn string, op types.OperationSummary) *evidence {
	e := &evidence{}
	group := "/aws/apprunner/" + serviceName(arn) + "/" + arn[strings.LastIndexByte(arn, '/')+1:]
	since := aws.ToTime(op.StartedAt)
	for try := 1; ; try++ {
		e.service, _ = p.tail(ctx, group+"/service", "deployment/"+strings.ReplaceAll(aws.ToString(op.Id), "-", ""), since, serviceLines, nil)
		if len(failures(e.service)) > 0 || try == lateLogs || awsapi.Sleep(ctx, min(time.Second, p.o.Poll)) != nil {
			break
		}
	}
	lines, err := p.tail(ctx, group+"/application", "", since, applicationLines, p.older(ctx, group+"/application", since))
	e.output = lines
	e.absent = awsapi.Is(err, "ResourceNotFoundException")
	e.silent = err == nil && len(lines) == 0
	return e
}

// streamPages bounds how many streams are looked through, fifty a page.
const streamPages = 10

// older names the streams of instances that were started before some time: they go on
// serving and logging during a rollout, and say nothing about it. If that cannot be found
// out there are none.
func (p *Provider) older(ctx context.Context, group string, than time.Time) map[string]bool {
	older := map[string]bool{}
	pages := cloudwatchlogs.NewDescribeLogStreamsPaginator(p.logs, &cloudwatchlogs.DescribeLogStreamsInput{
		LogGroupName: &group, OrderBy: logtypes.OrderByLastEventTime, Descending: aws.Bool(true)})
	for n := 0; pages.HasMorePages() && n < streamPages; n++ {
		page, err := pages.NextPage(ctx)
		if err != nil {
			break
		}
		for _, s := range page.LogStreams {
			if aws.ToInt64(s.CreationTime) < than.UnixMilli() {
				older[aws.ToString(s.LogStreamName)] = true
			}
		}
	}
	return older
}

// tail returns the last lines of a log group since some time, but for some streams.
func (p *Provider) tail(ctx context.Context, group, streamPrefix string, since time.Time, n int, without map[string]bool) (lines []logLine, err error) {
	in := &cloudwatchlogs.FilterLogEventsInput{LogGroupName: &group, StartTime: aws.Int64(since.UnixMilli())}
	if streamPrefix != "" {
		in.LogStreamNamePrefix = &streamPrefix
	}
	var events []logtypes.FilteredLogEvent
	pages := cloudwatchlogs.NewFilterLogEventsPaginator(p.logs, in)
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return nil, err
		}
		for _, ev := range page.Events {
			if !without[aws.ToString(ev.LogStreamName)] {
				events = append(events, ev)
			}
		}
		if len(events) > 10*n { // only the end is wanted, and the order is by time
			events = events[len(events)-n:]
		}
	}
	slices.SortStableFunc(events, func(a, b logtypes.FilteredLogEvent) int {
		return cmp.Compare(aws.ToInt64(a.Timestamp), aws.ToInt64(b.Timestamp))
	})
	for _, ev := range events[max(0, len(events)-n):] {
		lines = append(lines, logLine{time.UnixMilli(aws.ToInt64(ev.Timestamp)), clean(aws.ToString(ev.Message))})
	}
	return lines, nil
}

// clean takes from a foreign line what could steer a terminal.
func clean(line string) string {
	return strings.Map(func(r rune) rune {
		if r == '\t' {
			return ' '
		}
		if r < ' ' || r == 0x7f || r >= 0x80 && r < 0xa0 {
			return -1
		}
		return r
	}, line)
}
