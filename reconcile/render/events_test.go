package render

import (
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/apron-deploy/apron/reconcile/apply"
	"github.com/apron-deploy/apron/reconcile/plan"
)

// screen is what a terminal shows of what is written to it, as far as the live style
// uses terminals.
type screen struct {
	mu    sync.Mutex
	lines []string // the last one is where the cursor is
	raw   strings.Builder
	write int // how often
}

var upAndClear = regexp.MustCompile(`^\x1b\[(\d+)A\x1b\[J`)

func (s *screen) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.write++
	s.raw.Write(p)
	if s.lines == nil {
		s.lines = []string{""}
	}
	for rest := string(p); rest != ""; {
		if m := upAndClear.FindStringSubmatch(rest); m != nil {
			up, _ := strconv.Atoi(m[1])
			s.lines = append(s.lines[:len(s.lines)-1-up], "")
			rest = rest[len(m[0]):]
			continue
		}
		if rest[0] == '\n' {
			s.lines = append(s.lines, "")
		} else {
			s.lines[len(s.lines)-1] += rest[:1]
		}
		rest = rest[1:]
	}
	return len(p), nil
}

func (s *screen) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return strings.Join(s.lines, "\n")
}

func (s *screen) writes() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.write
}

func started(a plan.Action) apply.Event { return apply.Event{Action: a, Status: apply.Started} }

func act(op plan.Op, addr string) plan.Action {
	return plan.Action{ID: plan.ID(string(op) + " " + addr), Op: op, Target: address(addr)}
}

// story is a run that takes two minutes: it pushes an image, rolls a service out, fails
// and skips.
func story(s *Stream, wait func(time.Duration)) {
	image, service, tag, role := act(plan.Create, "ecr/image/web"), act(plan.Update, "apprunner/service/web"), act(plan.Create, "ecr/tag/web:v1"), act(plan.Delete, "iam/role/old")
	s.Observe(started(image))
	s.Observe(started(role))
	s.Progress(apply.Progress{Action: image.ID, Line: "Step 1/2 : FROM scratch", Source: "docker"})
	s.Observe(apply.Event{Action: role, Status: apply.Done, Took: 400 * time.Millisecond})
	for i := range 30 {
		s.Progress(apply.Progress{Action: image.ID, Phase: "pushing", Done: int64(i) * 1e6, Total: 30e6})
		wait(time.Second)
	}
	s.Observe(apply.Event{Action: image, Status: apply.Done, Took: 30 * time.Second})
	s.Progress(apply.Progress{Action: image.ID, Phase: "too late", Line: "bye", Source: "docker"})
	s.Observe(started(service))
	s.Progress(apply.Progress{Action: service.ID, Phase: "waiting for App Runner to begin"})
	wait(25 * time.Second)
	s.Progress(apply.Progress{Action: service.ID, Phase: "rolling out", Expect: &apply.Expectation{Since: time.Now().Add(-5 * time.Second),
		Usual: 30 * time.Second, Longest: 50 * time.Second, Basis: "as the last 3 of this kind took", Over: "a failing health check takes 18 to 20 minutes"}})
	s.Progress(apply.Progress{Action: service.ID, Line: "Pulling image web from ECR repository.", Source: "app runner"})
	wait(65 * time.Second)
	s.Progress(apply.Progress{Action: service.ID, Line: "panic: \x1b[31mno database", Source: "application"})
	s.Observe(apply.Event{Action: service, Status: apply.Failed, Took: 90 * time.Second, Err: fmt.Errorf("rolled back: %w", hinted{"/health answered 500", "look at the log"})})
	s.Observe(apply.Event{Action: tag, Status: apply.Skipped, Because: service.ID})
	s.Observe(apply.Event{Action: act(plan.Resume, "apprunner/service/idle"), Status: apply.Skipped, Err: errors.New("interrupted")})
}

// pushes is a push of 20 layers, of which three are new and large, five new and small, and a
// copy of which everything is there.
func pushes(s *Stream, wait func(time.Duration)) {
	image, copied := act(plan.Create, "ecr/image/consultation-app:src-c65c12fa9ea0"), act(plan.Create, "ecr/image/copy:src-0123456789ab")
	s.Observe(started(image))
	s.Observe(started(copied))
	digest := func(i int) string { return fmt.Sprintf("sha256:%012x%052d", 0xabcdef000000+i, 0) }
	l := apply.Layers{Total: 20}
	tell := func(p apply.Progress) {
		p.Action = image.ID
		s.Progress(p)
	}
	done := int64(0)
	phase := func() {
		now := l
		tell(apply.Progress{Phase: "pushing", Done: done, Total: 1_000e6, Layers: &now})
	}
	phase()
	for i := range 12 {
		l.Existed, l.Saved, done = l.Existed+1, l.Saved+75e6, done+75e6
		tell(apply.Progress{Layer: &apply.Layer{Digest: digest(i), Arrival: apply.Existed, Bytes: 75e6}})
		phase()
	}
	for i := range 8 {
		sent := apply.Layer{Digest: digest(100 + i), Arrival: apply.Sent, Bytes: 500e3, Took: 100 * time.Millisecond}
		if i < 3 {
			sent.Bytes, sent.Took = 27e6, 9*time.Second
			wait(9 * time.Second)
		}
		l.Sent, l.Bytes, done, l.Rate = l.Sent+1, l.Bytes+sent.Bytes, done+sent.Bytes, 3e6
		tell(apply.Progress{Layer: &sent})
		phase()
	}
	wait(2 * time.Second)
	l.Took = 30 * time.Second
	phase()
	s.Observe(apply.Event{Action: image, Status: apply.Done, Took: 31 * time.Second})
	s.Progress(apply.Progress{Action: copied.ID, Phase: "copying web:1", Done: 5, Total: 5, Layers: &apply.Layers{Total: 3, Existed: 1, Mounted: 2, Saved: 5e6, Took: time.Second}})
	s.Observe(apply.Event{Action: copied, Status: apply.Done, Took: time.Second})
}

func TestEvents_tellOfLayers(t *testing.T) {
	for style, file := range map[Style]string{Lines: "layers.txt", JSONLines: "layers.jsonl"} {
		synctest.Test(t, func(t *testing.T) {
			var w screen
			s := Events(&w, EventOptions{Style: style})
			pushes(s, wait)
			require.NoError(t, s.Close())
			golden(t, file, w.String())
		})
	}
	synctest.Test(t, func(t *testing.T) {
		var w screen
		var frames strings.Builder
		s := Events(&w, EventOptions{Style: Live})
		pushes(s, func(d time.Duration) {
			wait(d)
			fmt.Fprintf(&frames, "=== %s\n%s", time.Now().Format("04:05"), w.String())
		})
		require.NoError(t, s.Close())
		golden(t, "layers.live", frames.String()+"=== closed\n"+w.String())
	})
}

// TestEvents_doNotFloodALogWithLayers has layers of which each would be worth a line.
func TestEvents_doNotFloodALogWithLayers(t *testing.T) {
	var w screen
	s := Events(&w, EventOptions{Tick: make(chan time.Time)})
	for _, name := range []string{"ecr/image/a", "ecr/image/b"} {
		a := act(plan.Create, name)
		s.Observe(started(a))
		for range 100 {
			s.Progress(apply.Progress{Action: a.ID, Layer: &apply.Layer{Digest: "sha256:0123", Arrival: apply.Sent, Bytes: 50e6, Took: time.Minute}})
		}
	}
	require.NoError(t, s.Close())
	require.Equal(t, 2*(1+layerLines), strings.Count(w.String(), "\n"))
}

func TestPushedLine_saysWhatThereIsToSay(t *testing.T) {
	for want, l := range map[string]apply.Layers{
		"":                            {},
		"pushed 1 layer, 5 B in 0.0s": {Total: 1, Sent: 1, Bytes: 5, Took: 1},
		"pushed 2 layers, 5.0 MB in 2.0s (2.5 MB/s)": {Total: 2, Sent: 2, Bytes: 5e6, Took: 2 * time.Second},
		"1 layer already exists, 5.0 kB saved":       {Total: 1, Existed: 1, Saved: 5e3, Took: time.Second},
		"pushed 1 layer, 1.0 MB in 1.0s (1.0 MB/s); 2 layers already exist, 1 layer mounted from another repository, 3.0 MB saved": {Total: 4, Sent: 1, Existed: 2, Mounted: 1,
			Bytes: 1e6, Saved: 3e6, Took: time.Second},
	} {
		require.Equal(t, want, pushedLine(l))
	}
}

// wait lets time pass in a bubble of synctest.
func wait(d time.Duration) {
	<-time.After(d)
	synctest.Wait()
}

func TestEvents_areReadInLogsAndByMachines(t *testing.T) {
	for style, file := range map[Style]string{Lines: "events.txt", JSONLines: "events.jsonl"} {
		synctest.Test(t, func(t *testing.T) {
			var w screen
			s := Events(&w, EventOptions{Style: style})
			story(s, wait)
			require.NoError(t, s.Close())
			golden(t, file, w.String())
		})
	}
}

func TestEvents_liveKeepsAFrameBelowWhatHasEnded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var w screen
		var frames strings.Builder
		s := Events(&w, EventOptions{Style: Live})
		last := ""
		story(s, func(d time.Duration) {
			wait(d)
			if now := w.String(); now != last && (time.Now().Second()%10 == 0) {
				fmt.Fprintf(&frames, "=== %s\n%s", time.Now().Format("04:05"), now)
				last = now
			}
		})
		require.NoError(t, s.Close())
		golden(t, "events.live", frames.String()+"=== closed\n"+w.String())
		require.NotContains(t, w.String(), "█", "nothing of the frame stays")
	})
}

func TestEvents_liveDrawsTenTimesASecondAtMost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var w screen
		s := Events(&w, EventOptions{Style: Live})
		a := act(plan.Create, "ecr/image/web")
		s.Observe(started(a))
		for i := range 10_000 {
			s.Progress(apply.Progress{Action: a.ID, Phase: "pushing", Done: int64(i), Total: 10_000})
			if i%1000 == 999 {
				wait(100 * time.Millisecond)
			}
		}
		require.LessOrEqual(t, w.writes(), 10)
		wait(900 * time.Millisecond)
		quiet := w.writes()
		wait(900 * time.Millisecond)
		require.LessOrEqual(t, w.writes(), quiet+1, "nothing is drawn twice")
		require.NoError(t, s.Close())
	})
}

func TestEvents_liveFitsTheTerminal(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, columns := range []int{5, 20, 40, 80, 200} {
			var w screen
			s := Events(&w, EventOptions{Style: Live, Width: func() int { return columns }})
			for i := range 20 {
				a := act(plan.Create, fmt.Sprintf("ecr/image/日本語-with-a-long-name-%d", i))
				s.Observe(started(a))
				s.Progress(apply.Progress{Action: a.ID, Phase: "waiting for something that takes many words to say", Done: 5, Total: 10})
			}
			wait(time.Second)
			lines := strings.Split(w.String(), "\n")
			require.Len(t, lines, frameMax+1)
			require.Equal(t, "    … and 9 more", lines[frameMax-1])
			for i := range 20 { // the first has one line, the others have two
				a := act(plan.Create, fmt.Sprintf("ecr/image/日本語-with-a-long-name-%d", i+1))
				s.Progress(apply.Progress{Action: a.ID, Phase: "pushing", Done: 123e6, Total: 999e6, Layers: &apply.Layers{Total: 100, Sent: 10, Existed: 22, Mounted: 33, Rate: 12e6}})
			}
			wait(time.Second)
			two := strings.Split(w.String(), "\n")
			require.Len(t, two, frameMax+1)
			require.Equal(t, "    … and 14 more", two[frameMax-1])
			lines = append(lines, two...)
			for _, line := range lines {
				require.Less(t, cells(line), max(columns, 20), line)
			}
			require.NoError(t, s.Close())
		}
	})
}

func TestEvents_liveBoundsWhatWaitsForARedraw(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var w screen
		s := Events(&w, EventOptions{Style: Live})
		a := act(plan.Create, "ecr/image/web")
		s.Observe(started(a))
		for range 2000 {
			s.Progress(apply.Progress{Action: a.ID, Line: strings.Repeat("x", 100), Source: "docker"})
		}
		require.Greater(t, w.writes(), 1)
		require.NoError(t, s.Close())
		require.Equal(t, 2000, strings.Count(w.String(), "\n"), "and loses none")
	})
}

func TestEvents_colourOnlyWhenTold(t *testing.T) {
	for _, style := range []Style{Lines, Live} {
		synctest.Test(t, func(t *testing.T) {
			var plain, colour screen
			a, b := Events(&plain, EventOptions{Style: style}), Events(&colour, EventOptions{Style: style, Color: true})
			story(a, wait)
			story(b, wait)
			require.NoError(t, a.Close())
			require.NoError(t, b.Close())
			require.NotContains(t, plain.raw.String(), "m\x1b")
			require.NotContains(t, plain.raw.String(), "\x1b[0m")
			require.Contains(t, colour.raw.String(), "\x1b[32mdeleted\x1b[0m")
		})
	}
}

func TestEvents_areSafeForConcurrentUse(t *testing.T) {
	for _, style := range []Style{Lines, Live, JSONLines} {
		var w screen
		s := Events(&w, EventOptions{Style: style, Heartbeat: time.Nanosecond})
		var wg sync.WaitGroup
		for i := range 8 {
			wg.Go(func() {
				a := act(plan.Create, fmt.Sprintf("ecr/image/%d", i))
				s.Observe(started(a))
				for j := range 50 {
					s.Progress(apply.Progress{Action: a.ID, Phase: "pushing", Done: int64(j), Total: 50})
					s.Progress(apply.Progress{Action: a.ID, Line: "line"})
				}
				s.Observe(apply.Event{Action: a, Status: apply.Done})
			})
		}
		wg.Wait()
		require.NoError(t, s.Close())
		require.NoError(t, s.Close(), "closing twice is harmless")
	}
}

func TestEvents_closeReportsTheFirstErrorOfAWrite(t *testing.T) {
	full := errors.New("disk full")
	s := Events(failing{full}, EventOptions{})
	s.Observe(started(act(plan.Create, "ecr/image/web")))
	require.ErrorIs(t, s.Close(), full)
}

func TestSize_isForPeople(t *testing.T) {
	for n, want := range map[int64]string{0: "0 B", 999: "999 B", 1000: "1.0 kB", 999_949: "999.9 kB", 999_950: "1.0 MB", 45_600_000: "45.6 MB", 5e15: "5000.0 TB"} {
		require.Equal(t, want, size(n))
	}
}

// folds is a log that shows what is folded.
type folds struct{ strings.Builder }

func (f *folds) Fold(title string) { fmt.Fprintf(f, "<%s>\n", title) }
func (f *folds) Unfold()           { f.WriteString("</>\n") }

func TestLines_foldWhatOthersPrint(t *testing.T) {
	var log folds
	s := Events(&log, EventOptions{Folds: &log, Tick: make(chan time.Time)})
	image, role := act(plan.Create, "ecr/image/web"), act(plan.Create, "iam/role/a")
	line := func(a plan.Action, text string) {
		s.Progress(apply.Progress{Action: a.ID, Line: text, Source: "docker"})
	}
	s.Observe(started(image))
	s.Progress(apply.Progress{Action: image.ID, Phase: "building"})
	line(image, "one")
	line(image, "two")
	s.Progress(apply.Progress{Action: image.ID, Line: "runs as root", Source: "apron"})
	s.Observe(started(role))
	line(image, "three")
	line(role, "four")
	s.Progress(apply.Progress{Action: image.ID, Phase: "pushing"})
	line(image, "five")
	require.NoError(t, s.Close())
	require.Equal(t, `ecr/image/web: creating
ecr/image/web: building
<ecr/image/web: building>
ecr/image/web docker | one
ecr/image/web docker | two
</>
ecr/image/web apron | runs as root
iam/role/a: creating
<ecr/image/web: building>
ecr/image/web docker | three
<iam/role/a: creating>
iam/role/a docker | four
</>
ecr/image/web: pushing
<ecr/image/web: pushing>
ecr/image/web docker | five
</>
`, log.String())
}
