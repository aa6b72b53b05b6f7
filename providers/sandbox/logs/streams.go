package logs

import (
	"cmp"
	"context"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/apron-deploy/apron/providers/sandbox/wire"
)

type streamIn struct {
	Group  string `json:"logGroupName"`
	Stream string `json:"logStreamName"`
}

func (in streamIn) check() error {
	var c wire.Checks
	c.Present("logStreamName", in.Stream != "")
	c.Length("logStreamName", in.Stream, 1, 512)
	c.Pattern("logStreamName", in.Stream, streamRE)
	return c.Err("InvalidParameterException")
}

func (s *Service) createStream(_ context.Context, in streamIn) (struct{}, error) {
	if err := in.check(); err != nil {
		return struct{}{}, err
	}
	return struct{}{}, s.change(in.Group, func(g *group) error {
		if g.Streams[in.Stream] != nil {
			return wire.Errorf("ResourceAlreadyExistsException", "The specified log stream already exists")
		}
		g.Streams[in.Stream] = &stream{Name: in.Stream, Created: s.now().UTC(), File: wire.NewID()}
		return nil
	})
}

func (s *Service) deleteStream(_ context.Context, in streamIn) (struct{}, error) {
	var file string
	err := s.change(in.Group, func(g *group) error {
		x := g.Streams[in.Stream]
		if x == nil {
			return noStream()
		}
		file = x.File
		delete(g.Streams, in.Stream)
		return nil
	})
	if err == nil {
		s.discard(file)
	}
	return struct{}{}, err
}

// where names the group of a read: by its name, or by its name or ARN.
type where struct {
	Group      string `json:"logGroupName"`
	Identifier string `json:"logGroupIdentifier"`
}

func (s *Service) groupOf(w where) (string, error) {
	switch {
	case w.Group != "" && w.Identifier != "":
		return "", invalid("LogGroup name and LogGroup identifier are mutually exclusive parameters.")
	case w.Group == "" && w.Identifier == "":
		return "", invalid("1 validation error detected: Value null at 'logGroupName' failed to satisfy constraint: Member must not be null")
	case w.Identifier != "":
		return s.named(w.Identifier), nil
	}
	return w.Group, checkGroup(w.Group)
}

type describeStreamsIn struct {
	where
	Prefix     string `json:"logStreamNamePrefix"`
	OrderBy    string `json:"orderBy"`
	Descending bool   `json:"descending"`
	Token      string `json:"nextToken"`
	Limit      *int   `json:"limit"`
}

type streamView struct {
	ARN      string `json:"arn"`
	Name     string `json:"logStreamName"`
	Created  int64  `json:"creationTime"`
	First    int64  `json:"firstEventTimestamp,omitempty"`
	Last     int64  `json:"lastEventTimestamp,omitempty"`
	Arrived  int64  `json:"lastIngestionTime,omitempty"`
	Sequence string `json:"uploadSequenceToken,omitempty"`
	Bytes    int64  `json:"storedBytes"`
}

type describeStreamsOut struct {
	Streams []streamView `json:"logStreams"`
	Token   string       `json:"nextToken,omitempty"`
}

func (s *Service) describeStreams(_ context.Context, in describeStreamsIn) (out describeStreamsOut, err error) {
	name, err := s.groupOf(in.where)
	if err != nil {
		return out, err
	}
	var c wire.Checks
	c.Range("limit", in.Limit, 1, 50)
	c.Enum("orderBy", in.OrderBy, "LogStreamName", "LastEventTime")
	if err := c.Err("InvalidParameterException"); err != nil {
		return out, err
	}
	byTime := in.OrderBy == "LastEventTime"
	if byTime && in.Prefix != "" {
		return out, invalid("Cannot order by LastEventTime with a logStreamNamePrefix.")
	}
	all := []streamView{}
	s.doc.View(func(state *groups) {
		g := state.ByName[name]
		if g == nil {
			err = noGroup()
			return
		}
		for _, x := range g.Streams {
			if strings.HasPrefix(x.Name, in.Prefix) {
				t := s.stat(x.File)
				all = append(all, streamView{
					ARN: s.groupARN(name) + ":log-stream:" + x.Name, Name: x.Name, Created: x.Created.UnixMilli(),
					First: t.First, Last: t.Last, Arrived: t.Arrived,
					Sequence: "49039859" + strings.ReplaceAll(x.File, "-", ""),
				})
			}
		}
	})
	if err != nil {
		return out, err
	}
	slices.SortFunc(all, func(a, b streamView) int {
		order := cmp.Compare(a.Name, b.Name)
		if byTime {
			order = cmp.Or(cmp.Compare(a.Last, b.Last), order)
		}
		if in.Descending {
			return -order
		}
		return order
	})
	out.Streams, out.Token, err = pageOf("DescribeLogStreams "+name, all, func(x streamView) string { return x.Name }, in.Token, in.Limit)
	return out, err
}

type inputEvent struct {
	At      *int64 `json:"timestamp"`
	Message string `json:"message"`
}

type putEventsIn struct {
	streamIn
	Events []inputEvent `json:"logEvents"`
}

type rejected struct {
	TooNewFrom *int `json:"tooNewLogEventStartIndex,omitempty"`
	TooOldTo   *int `json:"tooOldLogEventEndIndex,omitempty"`
	ExpiredTo  *int `json:"expiredLogEventEndIndex,omitempty"`
}

type putEventsOut struct {
	Next     string    `json:"nextSequenceToken"`
	Rejected *rejected `json:"rejectedLogEventsInfo,omitempty"`
}

// What PutLogEvents takes at once.
// https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/API_PutLogEvents.html
const (
	maxBatch  = 10000
	maxBytes  = 1048576
	maxEvent  = 1048576
	tooOld    = 14 * 24 * time.Hour
	tooNew    = 2 * time.Hour
	perEvent  = 26
	batchSpan = 24 * time.Hour
)

func (s *Service) putEvents(_ context.Context, in putEventsIn) (out putEventsOut, err error) {
	if err := checkEvents(in.Events); err != nil {
		return out, err
	}
	var file string
	var keep time.Duration
	s.doc.View(func(all *groups) {
		g, x := all.stream(in.Group, in.Stream)
		switch {
		case g == nil:
			err = noGroup()
		case x == nil:
			err = noStream()
		default:
			file, keep = x.File, time.Duration(g.Retention)*24*time.Hour
		}
	})
	if err != nil {
		return out, err
	}
	now := s.now()
	var r rejected
	var events []event
	for i, e := range in.Events {
		at := time.UnixMilli(*e.At)
		switch past := i + 1; {
		case at.After(now.Add(tooNew)):
			if r.TooNewFrom == nil {
				r.TooNewFrom = &i
			}
		case at.Before(now.Add(-tooOld)):
			r.TooOldTo = &past
		case keep > 0 && at.Before(now.Add(-keep)):
			r.ExpiredTo = &past
		default:
			events = append(events, event{At: *e.At, Message: e.Message})
		}
	}
	if r != (rejected{}) {
		out.Rejected = &r
	}
	out.Next = "49039859" + strings.ReplaceAll(file, "-", "")
	if len(events) == 0 {
		return out, nil
	}
	return out, s.append(file, events)
}

func checkEvents(events []inputEvent) error {
	var c wire.Checks
	c.Count("logEvents", len(events), 1, maxBatch)
	if err := c.Err("InvalidParameterException"); err != nil {
		return err
	}
	total := 0
	for i, e := range events {
		switch {
		case e.At == nil || *e.At < 0 || e.Message == "":
			return invalid("Log event %d needs a timestamp and a message.", i)
		case len(e.Message) > maxEvent:
			return invalid("Log event too large: %d bytes exceeds limit of %d", len(e.Message), maxEvent)
		case i > 0 && *e.At < *events[i-1].At:
			return invalid("Log events in a single PutLogEvents request must be in chronological order.")
		}
		total += len(e.Message) + perEvent
	}
	switch {
	case total > maxBytes:
		return invalid("Upload too large: %d bytes exceeds limit of %d", total, maxBytes)
	case *events[len(events)-1].At-*events[0].At > batchSpan.Milliseconds():
		return invalid("The batch of log events in a single PutLogEvents request cannot span more than 24 hours.")
	}
	return nil
}

// names returns the group's streams that a filter asks for, in order.
func (g *group) names(asked []string, prefix string) ([]string, error) {
	if asked == nil {
		names := slices.Sorted(maps.Keys(g.Streams))
		return slices.DeleteFunc(names, func(n string) bool { return !strings.HasPrefix(n, prefix) }), nil
	}
	for _, name := range asked {
		if g.Streams[name] == nil {
			return nil, noStream()
		}
	}
	return asked, nil
}
