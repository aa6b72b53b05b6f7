package logs_test

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	sdk "github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs/types"
	"github.com/stretchr/testify/require"
)

func TestFilter_mergesStreamsInTheOrderOfTime(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.create("/web", "web/a", "web/b", "other")
	w.put("/web", "web/a", "1", "3", "5")
	w.now = w.now.Add(500 * time.Millisecond)
	w.put("/web", "web/b", "2", "4", "6")
	w.put("/web", "other", "7")
	all := []string{"1", "2", "3", "4", "5", "6", "7"}
	for limit := int32(1); limit <= 8; limit++ {
		got, pages := w.filter(&sdk.FilterLogEventsInput{Limit: &limit})
		require.Equal(t, all, got)
		require.Equal(t, (7+int(limit)-1)/int(limit), pages, "no empty page follows the last event")
		got, _ = w.filter(&sdk.FilterLogEventsInput{Limit: &limit, StartFromHead: aws.Bool(false)})
		slices.Reverse(got)
		require.Equal(t, all, got)
	}
	got, _ := w.filter(&sdk.FilterLogEventsInput{LogStreamNamePrefix: aws.String("web/")})
	require.Equal(t, all[:6], got)
	got, _ = w.filter(&sdk.FilterLogEventsInput{LogStreamNames: []string{"other", "web/b"}})
	require.Equal(t, []string{"2", "4", "6", "7"}, got)

	out, err := w.client.FilterLogEvents(w.ctx, &sdk.FilterLogEventsInput{
		LogGroupIdentifier: aws.String("arn:aws:logs:us-east-1:123456789012:log-group:/web"), Limit: aws.Int32(1),
	})
	require.NoError(t, err)
	e := out.Events[0]
	require.Equal(t, "web/a", *e.LogStreamName)
	require.Equal(t, w.now.Add(-2500*time.Millisecond).UnixMilli(), *e.Timestamp)
	require.Equal(t, w.now.Add(-500*time.Millisecond).UnixMilli(), *e.IngestionTime)
	require.Len(t, *e.EventId, 56)
	require.Empty(t, out.SearchedLogStreams)
}

func TestFilter_takesTimesWithTheirEnd(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.create("/web", "one")
	w.put("/web", "one", "4 s ago", "3 s ago", "2 s ago", "1 s ago", "now")
	for name, tc := range map[string]struct {
		start, end *int64
		filtered   []string
		got        []string
	}{
		"both":  {w.at(3), w.at(1), []string{"3 s ago", "2 s ago", "1 s ago"}, []string{"3 s ago", "2 s ago"}},
		"start": {w.at(1), nil, []string{"1 s ago", "now"}, []string{"1 s ago", "now"}},
		"end":   {nil, w.at(3), []string{"4 s ago", "3 s ago"}, []string{"4 s ago"}},
		"none":  {w.at(-1), nil, nil, nil},
	} {
		filtered, _ := w.filter(&sdk.FilterLogEventsInput{StartTime: tc.start, EndTime: tc.end})
		require.Equal(t, tc.filtered, filtered, name)
		out, err := w.client.GetLogEvents(w.ctx, &sdk.GetLogEventsInput{
			LogGroupName: aws.String("/web"), LogStreamName: aws.String("one"), StartTime: tc.start, EndTime: tc.end,
		})
		require.NoError(t, err)
		require.Equal(t, tc.got, texts(out), name+": GetLogEvents leaves the end out")
	}
}

func texts(out *sdk.GetLogEventsOutput) (texts []string) {
	for _, e := range out.Events {
		texts = append(texts, *e.Message)
	}
	return texts
}

func TestFilter_knowsPatterns(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.create("/web", "one")
	lines := []string{"ERROR in main", "error in main", "WARN: disk full", "ERROR: disk full", `said "hi"`}
	w.put("/web", "one", lines...)
	for pattern, want := range map[string][]int{
		"":                 {0, 1, 2, 3, 4},
		"  ERROR  ":        {0, 3},
		"ERROR main":       {0},
		"?WARN ?main":      {0, 1, 2},
		"ERROR -main":      {3},
		`"disk full"`:      {2, 3},
		`-"disk full"`:     {0, 1, 4},
		`"ERROR:"`:         {3},
		`"\"hi\""`:         {4},
		"disk ?nope":       {2, 3},
		"RROR":             {0, 3}, // a term is found inside a word too
		"nothing_has_this": nil,
	} {
		var expected []string
		for _, i := range want {
			expected = append(expected, lines[i])
		}
		got, _ := w.filter(&sdk.FilterLogEventsInput{FilterPattern: &pattern, Limit: aws.Int32(2)})
		require.Equal(t, expected, got, "pattern %s", pattern)
	}
}

func TestGet_readsBothWaysToAnUnchangedToken(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.create("/web", "one")
	w.put("/web", "one", "1", "2", "3", "4", "5")
	read := func(token *string, head bool) *sdk.GetLogEventsOutput {
		out, err := w.client.GetLogEvents(w.ctx, &sdk.GetLogEventsInput{
			LogGroupName: aws.String("/web"), LogStreamName: aws.String("one"), Limit: aws.Int32(2), StartFromHead: &head, NextToken: token,
		})
		require.NoError(t, err)
		return out
	}
	newest := read(nil, false)
	require.Equal(t, []string{"4", "5"}, texts(newest), "the newest, in the order of time")
	older := read(newest.NextBackwardToken, false)
	require.Equal(t, []string{"2", "3"}, texts(older))
	oldest := read(older.NextBackwardToken, false)
	require.Equal(t, []string{"1"}, texts(oldest))
	start := read(oldest.NextBackwardToken, false)
	require.Empty(t, start.Events)
	require.Equal(t, oldest.NextBackwardToken, start.NextBackwardToken)
	require.Equal(t, []string{"1", "2"}, texts(read(start.NextForwardToken, true)), "turned round")

	end := read(newest.NextForwardToken, true)
	require.Empty(t, end.Events)
	require.Equal(t, newest.NextForwardToken, end.NextForwardToken)
	require.Equal(t, []string{"4", "5"}, texts(read(end.NextBackwardToken, false)), "turned round")
	w.put("/web", "one", "6")
	require.Equal(t, []string{"6"}, texts(read(end.NextForwardToken, true)), "a tail goes on")

	var all []string
	pages := sdk.NewGetLogEventsPaginator(w.client, &sdk.GetLogEventsInput{
		LogGroupName: aws.String("/web"), LogStreamName: aws.String("one"), Limit: aws.Int32(4), StartFromHead: aws.Bool(true),
	}, func(o *sdk.GetLogEventsPaginatorOptions) { o.StopOnDuplicateToken = true })
	for pages.HasMorePages() {
		out, err := pages.NextPage(w.ctx)
		require.NoError(t, err)
		all = append(all, texts(out)...)
	}
	require.Equal(t, []string{"1", "2", "3", "4", "5", "6"}, all)
}

func TestPages_holdAMegabyte(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.create("/web", "one")
	line := strings.Repeat("x", 300_000)
	for range 5 {
		w.put("/web", "one", line)
	}
	got, pages := w.filter(&sdk.FilterLogEventsInput{})
	require.Len(t, got, 5)
	require.Equal(t, 2, pages)
	out, err := w.client.GetLogEvents(w.ctx, &sdk.GetLogEventsInput{LogGroupName: aws.String("/web"), LogStreamName: aws.String("one")})
	require.NoError(t, err)
	require.Len(t, out.Events, 3)
}

func TestPut_rejectsByTimeAndKeepsTheRest(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.create("/web", "one")
	put := func(ages ...time.Duration) *types.RejectedLogEventsInfo {
		in := &sdk.PutLogEventsInput{LogGroupName: aws.String("/web"), LogStreamName: aws.String("one")}
		for _, age := range ages {
			in.LogEvents = append(in.LogEvents, types.InputLogEvent{Message: aws.String(age.String()), Timestamp: aws.Int64(w.now.Add(-age).UnixMilli())})
		}
		out, err := w.client.PutLogEvents(w.ctx, in)
		require.NoError(t, err)
		return out.RejectedLogEventsInfo
	}
	const day = 24 * time.Hour
	require.Nil(t, put(time.Hour, -time.Hour))
	require.Equal(t, &types.RejectedLogEventsInfo{TooNewLogEventStartIndex: aws.Int32(1)}, put(time.Minute, -121*time.Minute, -122*time.Minute))
	require.Equal(t, &types.RejectedLogEventsInfo{TooOldLogEventEndIndex: aws.Int32(2)}, put(14*day+2*time.Second, 14*day+time.Second, 14*day-time.Minute))
	_, err := w.client.PutRetentionPolicy(w.ctx, &sdk.PutRetentionPolicyInput{LogGroupName: aws.String("/web"), RetentionInDays: aws.Int32(3)})
	require.NoError(t, err)
	require.Equal(t, &types.RejectedLogEventsInfo{ExpiredLogEventEndIndex: aws.Int32(1)}, put(3*day+time.Minute, 3*day-time.Minute))
	got, _ := w.filter(&sdk.FilterLogEventsInput{})
	require.Equal(t, []string{"71h59m0s", "1h0m0s", "1m0s", "-1h0m0s"}, got, "what retention leaves")
	w.now = w.now.Add(3*day - time.Minute)
	got, _ = w.filter(&sdk.FilterLogEventsInput{})
	require.Equal(t, []string{"1m0s", "-1h0m0s"}, got)
}

func TestService_putsForOthers(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.service.Put("/web", "one", w.now, "line 1")
	w.service.Put("/web", "one", w.now, "line 2")
	w.open()
	w.service.Put("/web", "one", w.now, "line 3")
	got, _ := w.filter(&sdk.FilterLogEventsInput{})
	require.Equal(t, []string{"line 1", "line 2", "line 3"}, got, "in the order of arrival within a millisecond, across a restart")
}

func TestState_outlivesACutLine(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.service.Put("/web", "one", w.now, "whole")
	entries, err := os.ReadDir(filepath.Join(w.dir, "logs"))
	require.NoError(t, err)
	require.Len(t, entries, 1)
	f, err := os.OpenFile(filepath.Join(w.dir, "logs", entries[0].Name()), os.O_APPEND|os.O_WRONLY, 0)
	require.NoError(t, err)
	_, err = f.WriteString(`{"t":1,"m":"cut`)
	require.NoError(t, err)
	require.NoError(t, f.Close())
	stray := filepath.Join(w.dir, "logs", "stray")
	require.NoError(t, os.WriteFile(stray, nil, 0o600))
	w.open()
	w.service.Put("/web", "one", w.now, "next")
	got, _ := w.filter(&sdk.FilterLogEventsInput{})
	require.Equal(t, []string{"whole", "next"}, got)
	require.NoFileExists(t, stray)
}

func TestFiles_dropTheOldestOfAChattyStream(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.maxFile = 2000
	w.open()
	for n := range 100 {
		w.service.Put("/web", "one", w.now, fmt.Sprintf("line %02d", n))
	}
	got, _ := w.filter(&sdk.FilterLogEventsInput{})
	require.Equal(t, "line 99", got[len(got)-1])
	require.Less(t, len(got), 80)
	require.Greater(t, len(got), 20)
	require.IsIncreasing(t, got)
	entries, err := os.ReadDir(filepath.Join(w.dir, "logs"))
	require.NoError(t, err)
	for _, e := range entries {
		info, err := e.Info()
		require.NoError(t, err)
		require.LessOrEqual(t, info.Size(), int64(2000))
	}
}
