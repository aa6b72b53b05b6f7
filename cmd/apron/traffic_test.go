package main

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"sync"

	"github.com/rogpeppe/go-internal/testscript"
)

// traffic is a visitor who does not rest, as several of them.
type traffic struct {
	stop   chan struct{}
	done   sync.WaitGroup
	mu     sync.Mutex
	served int
	failed []error
}

// visitors is how many requests are under way at a time.
const visitors = 3

func visit(url string) *traffic {
	v := &traffic{stop: make(chan struct{})}
	for range visitors {
		v.done.Go(func() {
			for {
				select {
				case <-v.stop:
					return
				default:
				}
				err := get(url)
				v.mu.Lock()
				if err != nil {
					v.failed = append(v.failed, err)
				} else {
					v.served++
				}
				v.mu.Unlock()
			}
		})
	}
	return v
}

func get(url string) error {
	res, err := loopback.Get(url)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	if _, err := io.Copy(io.Discard, res.Body); err != nil {
		return err
	}
	if res.StatusCode != http.StatusOK {
		return fmt.Errorf("%s: %s", url, res.Status)
	}
	return nil
}

// calm ends the visits and returns how many there were, and what went wrong.
func (v *traffic) calm() (int, error) {
	close(v.stop)
	v.done.Wait()
	if len(v.failed) > 3 {
		v.failed = append(v.failed[:3], fmt.Errorf("and %d more", len(v.failed)-3))
	}
	return v.served, errors.Join(v.failed...)
}

// visits are those of the running scripts.
var visits sync.Map // *testscript.TestScript → *traffic

func scriptTraffic(ts *testscript.TestScript, neg bool, args []string) {
	if len(args) != 2 || neg {
		ts.Fatalf("usage: traffic SERVICE PATH")
	}
	v := visit(pageURL(ts, args[0], args[1]))
	visits.Store(ts, v)
	ts.Defer(func() {
		if left, ok := visits.LoadAndDelete(ts); ok {
			_, _ = left.(*traffic).calm() // the script has failed already
		}
	})
}

func scriptCalm(ts *testscript.TestScript, neg bool, args []string) {
	v, ok := visits.LoadAndDelete(ts)
	if !ok || neg || len(args) > 0 {
		ts.Fatalf("usage: calm, after traffic")
	}
	served, err := v.(*traffic).calm()
	if err != nil {
		ts.Fatalf("requests failed: %v", err)
	}
	if served < visitors {
		ts.Fatalf("only %d requests were served: nothing was proven", served)
	}
	ts.Logf("%d requests were served", served)
}
