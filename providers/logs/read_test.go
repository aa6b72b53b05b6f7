package logs

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	sdk "github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs/types"
	"github.com/aws/smithy-go"
	"github.com/stretchr/testify/require"
)

// shelf is a CloudWatch Logs with pages of two events, after an empty one.
type shelf struct {
	mu     sync.Mutex
	groups map[string][]types.FilteredLogEvent
	reads  []time.Time
	errs   []error // of the next reads
}

func (s *shelf) put(group, stream string, at time.Time, text string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.groups == nil {
		s.groups = map[string][]types.FilteredLogEvent{}
	}
	s.groups[group] = append(s.groups[group], types.FilteredLogEvent{LogStreamName: &stream, Message: &text,
		Timestamp: aws.Int64(at.UnixMilli()), EventId: aws.String(strconv.Itoa(len(s.groups[group])))})
}

func (s *shelf) FilterLogEvents(_ context.Context, in *sdk.FilterLogEventsInput, _ ...func(*sdk.Options)) (*sdk.FilterLogEventsOutput, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.reads = append(s.reads, time.Now())
	if len(s.errs) > 0 {
		err := s.errs[0]
		s.errs = s.errs[1:]
		return nil, err
	}
	events, ok := s.groups[*in.LogGroupName]
	if !ok {
		return nil, &smithy.GenericAPIError{Code: "ResourceNotFoundException", Message: "The specified log group does not exist."}
	}
	if in.NextToken == nil {
		return &sdk.FilterLogEventsOutput{NextToken: aws.String("0")}, nil
	}
	events = slices.DeleteFunc(slices.Clone(events), func(e types.FilteredLogEvent) bool {
		return *e.Timestamp < *in.StartTime || in.EndTime != nil && *e.Timestamp > *in.EndTime ||
			!strings.HasPrefix(*e.LogStreamName, aws.ToString(in.LogStreamNamePrefix)) || !strings.Contains(*e.Message, aws.ToString(in.FilterPattern))
	})
	slices.SortStableFunc(events, func(a, b types.FilteredLogEvent) int { return int(*a.Timestamp - *b.Timestamp) })
	at, _ := strconv.Atoi(*in.NextToken)
	out := &sdk.FilterLogEventsOutput{Events: events[min(at, len(events)):min(at+2, len(events))]}
	if at+2 < len(events) {
		out.NextToken = aws.String(strconv.Itoa(at + 2))
	}
	return out, nil
}

var (
	app = Source{Name: "application", Group: "/a"}
	own = Source{Name: "service", Group: "/s"}
)

// texts collects lines as "source text".
func texts(into *[]string) func(Line) error {
	return func(l Line) error {
		*into = append(*into, l.Source.Name+" "+l.Text)
		return nil
	}
}

func TestRead_mergesSourcesInOrderOfTime(t *testing.T) {
	s, start := &shelf{}, time.UnixMilli(1_700_000_000_000)
	var want []string
	for i := range 9 {
		source := []Source{app, own}[i%2]
		if i == 4 {
			source = own
		}
		s.put(source.Group, "x/"+strconv.Itoa(i%2), start.Add(time.Duration(i)*time.Second), strconv.Itoa(i))
		want = append(want, source.Name+" "+strconv.Itoa(i))
	}
	q := Query{Sources: []Source{app, own, {Name: "none", Group: "/none"}}, Since: start}
	var got []string
	missing, err := NewReader(s).Read(t.Context(), q, texts(&got))
	require.NoError(t, err)
	require.Equal(t, want, got)
	require.Equal(t, []Source{{Name: "none", Group: "/none"}}, missing)

	got = nil
	q.Since, q.Until, q.Sources = start.Add(2*time.Second), start.Add(6*time.Second), []Source{app, {Name: "service", Group: "/s", Prefix: "x/1"}}
	_, err = NewReader(s).Read(t.Context(), q, texts(&got))
	require.NoError(t, err)
	require.Equal(t, []string{"application 2", "service 3", "service 5", "application 6"}, got)

	got, q.Pattern = nil, "5"
	_, err = NewReader(s).Read(t.Context(), q, texts(&got))
	require.NoError(t, err)
	require.Equal(t, []string{"service 5"}, got)
}

func TestRead_stopsAtAnError(t *testing.T) {
	s := &shelf{}
	s.put(app.Group, "x", time.Now(), "line")
	enough := errors.New("enough")
	_, err := NewReader(s).Read(t.Context(), Query{Sources: []Source{app}}, func(Line) error { return enough })
	require.ErrorIs(t, err, enough)
	s.errs = []error{&smithy.GenericAPIError{Code: "AccessDeniedException", Message: "no"}}
	_, err = NewReader(s).Read(t.Context(), Query{Sources: []Source{app}}, nil)
	require.EqualError(t, err, "read log group /a: AccessDeniedException: no")
}

func TestFollow_handsOnEachLineOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, start := &shelf{}, time.Now()
		s.put(app.Group, "x", start, "first")
		after := func(d time.Duration, f func()) { time.AfterFunc(d, f) }
		after(time.Second, func() { s.put(app.Group, "x", time.Now(), "second") })
		after(3*time.Second, func() { s.put(app.Group, "x", start.Add(500*time.Millisecond), "late") })
		after(5*time.Second, func() { s.put(own.Group, "x", time.Now(), "a group that is new") })
		after(30*time.Second, func() { s.put(app.Group, "x", time.Now(), "third") })
		after(35*time.Second, func() { s.put(app.Group, "x", start.Add(2*time.Second), "very late") })
		ctx, cancel := context.WithCancelCause(t.Context())
		left := errors.New("left")
		after(3*time.Minute, func() { cancel(left) })
		var got []string
		var absent []Source
		err := NewReader(s).Follow(ctx, Query{Sources: []Source{app, own}, Since: start}, 2*time.Second,
			func(missing []Source) { absent = missing }, texts(&got))
		require.ErrorIs(t, err, left)
		require.Equal(t, []string{"application first", "application second", "application late", "service a group that is new",
			"application third", "application very late"}, got)
		require.Equal(t, []Source{own}, absent)
		require.Equal(t, 3*time.Minute, time.Since(start))
	})
}

func TestFollow_asksLessOftenWhenItIsAskedTo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, start := &shelf{}, time.Now()
		s.put(app.Group, "x", start, "line")
		for range 3 {
			s.errs = append(s.errs, &smithy.GenericAPIError{Code: "ThrottlingException", Message: "Rate exceeded"})
		}
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(time.Minute, cancel)
		var got []string
		require.ErrorIs(t, NewReader(s).Follow(ctx, Query{Sources: []Source{app}, Since: start}, 2*time.Second, nil, texts(&got)), context.Canceled)
		require.Equal(t, []string{"application line"}, got)
		var at []string
		for _, r := range s.reads[:4] {
			at = append(at, fmt.Sprint(r.Sub(start).Seconds()))
		}
		require.Equal(t, []string{"0", "4", "12", "28"}, at)
	})
}

// Against the sandbox, which has its own idea of pages, patterns and absent groups.
func TestRead_fromTheSandbox(t *testing.T) {
	p, put, _ := sandbox(t, 1)
	group := Group("web", "0123", Service)
	for range 3 {
		put(group)
	}
	r := NewReader(p.api.(*sdk.Client))
	var got []string
	missing, err := r.Read(t.Context(), Query{Sources: []Source{{Name: "service", Group: group, Prefix: "events"},
		{Name: "application", Group: Group("web", "0123", Application)}}, Since: time.Now().Add(-time.Minute), Pattern: "line"}, texts(&got))
	require.NoError(t, err)
	require.Equal(t, []string{"service a line", "service a line", "service a line"}, got)
	require.Len(t, missing, 1)
	require.Equal(t, "application", missing[0].Name)
}
