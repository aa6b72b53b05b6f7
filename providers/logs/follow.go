package logs

import (
	"context"
	"time"

	"github.com/apron-deploy/apron/providers/awsapi"
)

// Lines arrive late: by seconds as a rule, and by minutes after a failure. So that none
// is missed, each look goes back a little beyond the newest line, and one a minute goes
// far back.
const (
	overlap   = 15 * time.Second
	lag       = 5 * time.Minute
	deepEvery = time.Minute
)

// Tail hands on the lines of a query as they arrive, each of them once.
type Tail struct {
	r      *Reader
	q      Query
	newest time.Time            // of the lines handed on
	deep   time.Time            // when it last went far back
	seen   map[string]time.Time // group and id of what was handed on lately → its time
}

// Tail returns a tail that starts at the query's Since; Until does not count.
func (r *Reader) Tail(q Query) *Tail {
	q.Until = time.Time{}
	return &Tail{r: r, q: q, seen: map[string]time.Time{}}
}

// Next hands on what has arrived since the last time, in order of time as far as it has
// arrived in order, and returns the sources whose groups do not exist yet.
func (t *Tail) Next(ctx context.Context, emit func(Line) error) (missing []Source, err error) {
	q, now := t.q, time.Now()
	back := overlap
	if now.Sub(t.deep) >= deepEvery {
		back, t.deep = lag, now
	}
	if from := t.newest.Add(-back); !t.newest.IsZero() && from.After(q.Since) {
		q.Since = from
	}
	missing, err = t.r.Read(ctx, q, func(l Line) error {
		key := l.Source.Group + " " + l.ID
		if _, twice := t.seen[key]; twice {
			return nil
		}
		if err := emit(l); err != nil {
			return err
		}
		t.seen[key] = l.At
		if l.At.After(t.newest) {
			t.newest = l.At
		}
		return nil
	})
	for key, at := range t.seen {
		if at.Before(t.newest.Add(-lag)) {
			delete(t.seen, key)
		}
	}
	return missing, err
}

// maxPause is the longest pause between two looks, after CloudWatch Logs has asked for
// fewer of them.
const maxPause = 30 * time.Second

// Follow hands on lines until ctx ends, whose cause it returns, looking again after every
// pause. CloudWatch Logs allows five looks a second in an account and Region; when it
// asks for fewer, the pauses grow. first, if not nil, is called after the first look with
// the sources whose groups do not exist yet: Follow waits for them.
func (r *Reader) Follow(ctx context.Context, q Query, pause time.Duration, first func(missing []Source), emit func(Line) error) error {
	tail := r.Tail(q)
	for wait := pause; ; {
		missing, err := tail.Next(ctx, emit)
		switch {
		case ctx.Err() != nil:
			return context.Cause(ctx)
		case throttled(err):
			wait = min(2*wait, maxPause)
		case err != nil:
			return err
		default:
			wait = pause
			if first != nil {
				first(missing)
				first = nil
			}
		}
		if err := awsapi.Sleep(ctx, wait); err != nil {
			return err
		}
	}
}

func throttled(err error) bool {
	return awsapi.Is(err, "ThrottlingException", "LimitExceededException", "ServiceUnavailableException")
}
