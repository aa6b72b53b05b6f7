package sandbox

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/apron-deploy/apron/providers/sandbox/apprunner"
	"github.com/apron-deploy/apron/providers/sandbox/wire"
)

// crashAfter is the prefix of the scenario that is the server's own: the process dies
// after so many calls more, as after a SIGKILL.
const crashAfter = "crash-after="

// Scenarios lists what can be rehearsed, with what happens.
func Scenarios() [][2]string {
	return append(apprunner.Scenarios(), [2]string{crashAfter + "N", "the sandbox dies after N calls more; its next start takes up what was under way"})
}

// Rehearse makes a scenario happen to a service, or to all with "". "none" ends it.
func (s *Server) Rehearse(name, service string) error {
	if n, ok := strings.CutPrefix(name, crashAfter); ok {
		calls, err := strconv.ParseInt(n, 10, 32)
		if err != nil || calls < 1 || service != "" {
			return fmt.Errorf("%q: the number of calls must be 1 or more, and is for all services", name)
		}
		s.doomed.Store(s.calls.Load() + calls)
		return nil
	}
	if name == "none" {
		name = ""
		if service == "" {
			s.doomed.Store(0)
		}
	}
	s.mu.RLock()
	defer s.mu.RUnlock()
	if s.world == nil {
		return ErrStopped
	}
	return s.world.apprunner.Rehearse(apprunner.Scenario(name), service)
}

// rehearsed is the fault of a call that a scenario makes.
func (s *Server) rehearsed(call wire.Call, n int64) Fault {
	if doomed := s.doomed.Load(); doomed != 0 && n >= doomed {
		return Fault{When: After, Crash: true}
	}
	if call.Service == "apprunner" && n%2 == 0 && s.world != nil && s.world.apprunner.Throttled() {
		return Throttle()
	}
	return Fault{}
}

// serveScenario begins what the form's name and service say.
func (s *Server) serveScenario(w http.ResponseWriter, r *http.Request) {
	if err := s.Rehearse(r.URL.Query().Get("name"), r.URL.Query().Get("service")); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	w.WriteHeader(http.StatusNoContent)
}

// serveClock turns the clock forward and answers with its time.
func (s *Server) serveClock(w http.ResponseWriter, r *http.Request) {
	d, err := time.ParseDuration(r.URL.Query().Get("by"))
	if err == nil {
		err = s.options.Clock.Turn(d)
	}
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(s.options.Clock.Now()) // a client that has gone needs no answer
}

// Rehearse makes a scenario happen in the sandbox of a directory. It returns
// [ErrNotRunning] if none runs.
func Rehearse(ctx context.Context, dir, name, service string) error {
	state, err := Status(ctx, dir)
	if err != nil {
		return err
	}
	if !state.Running {
		return ErrNotRunning
	}
	return post(ctx, state.Info, "/_apron/scenario?"+url.Values{"name": {name}, "service": {service}}.Encode())
}

// TurnClock turns the clock of the sandbox of a directory forward and returns its time.
func TurnClock(ctx context.Context, dir string, by time.Duration) (now time.Time, err error) {
	state, err := Status(ctx, dir)
	if err != nil {
		return now, err
	}
	if !state.Running {
		return now, ErrNotRunning
	}
	response, err := request(ctx, state.Info, http.MethodPost, "/_apron/clock?"+url.Values{"by": {by.String()}}.Encode())
	if err != nil {
		return now, err
	}
	defer response.Body.Close()
	text, err := io.ReadAll(io.LimitReader(response.Body, 4096))
	if err != nil {
		return now, err
	}
	if response.StatusCode != http.StatusOK {
		return now, fmt.Errorf("turn the sandbox's clock: %s", strings.TrimSpace(string(text)))
	}
	return now, json.Unmarshal(text, &now)
}
