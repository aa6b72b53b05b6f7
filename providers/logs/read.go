package logs

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	sdk "github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs"

	"github.com/apron-deploy/apron/providers/awsapi"
)

// filterAPI is the part of the SDK's client that a [Reader] calls.
type filterAPI interface {
	FilterLogEvents(context.Context, *sdk.FilterLogEventsInput, ...func(*sdk.Options)) (*sdk.FilterLogEventsOutput, error)
}

var _ filterAPI = (*sdk.Client)(nil)

// Source is a log group, or some streams of one.
type Source struct {
	Name   string // who speaks there; for people
	Group  string
	Prefix string // of the names of the streams; empty for all
}

// Line is one event of a log.
type Line struct {
	Source Source
	Stream string
	ID     string // of the event, unique in its group
	At     time.Time
	Text   string // may have several lines, and anything in them
}

// Query says which lines to read.
type Query struct {
	Sources []Source
	Since   time.Time
	Until   time.Time // zero: up to now
	// Pattern is a filter pattern of CloudWatch Logs; empty matches all.
	// https://docs.aws.amazon.com/AmazonCloudWatch/latest/logs/FilterAndPatternSyntax.html
	Pattern string
}

// Reader reads the lines of log groups.
type Reader struct{ api filterAPI }

// NewReader returns a reader that calls CloudWatch Logs through client, an [sdk.Client].
func NewReader(client filterAPI) *Reader { return &Reader{client} }

// Group is the name of a log group of an App Runner service: its application's, or the
// service's own.
// https://docs.aws.amazon.com/apprunner/latest/dg/monitor-cwl.html
func Group(service, id, kind string) string {
	return "/aws/apprunner/" + service + "/" + id + "/" + kind
}

// Application and Service are the kinds of log groups that App Runner makes.
const (
	Application = "application"
	Service     = "service"
)

// Deployment is the prefix of the log streams of an operation: its id without dashes.
func Deployment(operation string) string {
	return "deployment/" + strings.ReplaceAll(operation, "-", "")
}

// Read hands every line to emit, those of all sources in one order of time, and returns
// the sources whose groups do not exist. It holds a page of each source at a time,
// however long the logs are. It stops at the first error of emit.
func (r *Reader) Read(ctx context.Context, q Query, emit func(Line) error) (missing []Source, err error) {
	var open []*cursor
	for _, s := range q.Sources {
		open = append(open, r.cursor(s, q, q.Since))
	}
	for len(open) > 0 {
		first := -1
		for i := 0; i < len(open); i++ {
			c := open[i]
			if err := c.fill(ctx); err != nil {
				return missing, err
			}
			switch {
			case len(c.lines) == 0:
				if c.missing {
					missing = append(missing, c.source)
				}
				open = slices.Delete(open, i, i+1)
				i--
			case first < 0 || c.lines[0].At.Before(open[first].lines[0].At):
				first = i
			}
		}
		if first < 0 {
			break
		}
		c := open[first]
		if err := emit(c.lines[0]); err != nil {
			return missing, err
		}
		c.lines = c.lines[1:]
	}
	return missing, nil
}

// cursor is how far the reading of a source has come.
type cursor struct {
	api     filterAPI
	source  Source
	in      sdk.FilterLogEventsInput
	lines   []Line // read and not handed on
	end     bool   // no page is left
	missing bool   // the group does not exist
}

func (r *Reader) cursor(s Source, q Query, since time.Time) *cursor {
	c := &cursor{api: r.api, source: s, in: sdk.FilterLogEventsInput{LogGroupName: &s.Group, StartTime: aws.Int64(since.UnixMilli())}}
	if s.Prefix != "" {
		c.in.LogStreamNamePrefix = aws.String(s.Prefix)
	}
	if !q.Until.IsZero() {
		c.in.EndTime = aws.Int64(q.Until.UnixMilli())
	}
	if q.Pattern != "" {
		c.in.FilterPattern = aws.String(q.Pattern)
	}
	return c
}

// fill reads pages until there is a line, or there are no more. A page may be empty and
// not be the last.
// https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/API_FilterLogEvents.html
func (c *cursor) fill(ctx context.Context) error {
	for len(c.lines) == 0 && !c.end {
		out, err := c.api.FilterLogEvents(ctx, &c.in)
		if awsapi.Is(err, "ResourceNotFoundException") {
			c.end, c.missing = true, c.in.NextToken == nil
			return nil
		}
		if err != nil {
			return fmt.Errorf("read log group %s: %w", c.source.Group, awsapi.Explain(err))
		}
		for _, e := range out.Events {
			c.lines = append(c.lines, Line{Source: c.source, Stream: aws.ToString(e.LogStreamName), ID: aws.ToString(e.EventId),
				At: time.UnixMilli(aws.ToInt64(e.Timestamp)).UTC(), Text: aws.ToString(e.Message)})
		}
		slices.SortStableFunc(c.lines, func(a, b Line) int { return a.At.Compare(b.At) })
		c.in.NextToken = out.NextToken
		c.end = out.NextToken == nil
	}
	return nil
}
