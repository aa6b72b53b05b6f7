package sandbox

import (
	"context"
	"crypto/subtle"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"strings"
	"time"

	"github.com/apron-deploy/apron/providers/sandbox/apprunner"
	"github.com/apron-deploy/apron/providers/sandbox/console"
	"github.com/apron-deploy/apron/providers/sandbox/ecr"
	"github.com/apron-deploy/apron/providers/sandbox/wire"
)

// Health is what /_apron/health tells. It holds no secret.
type Health struct {
	Instance  string  `json:"instance"`
	Build     string  `json:"build"`
	Pid       int     `json:"pid"`
	Account   string  `json:"account"`
	Region    string  `json:"region"`
	Engine    string  `json:"engine"`
	Isolation string  `json:"isolation"` // how the engine separates containers, in a sentence
	Speed     float64 `json:"speed"`
	Uptime    float64 `json:"uptime_seconds"`
	Calls     int64   `json:"calls"`
}

func (s *Server) health() Health {
	return Health{
		Instance: s.id, Build: s.options.Build, Pid: os.Getpid(), Account: s.options.Account, Region: s.options.Region,
		Engine: s.engine.Name(), Isolation: s.engine.Describe(), Speed: max(s.options.Speed, 1),
		Uptime: time.Since(s.started).Seconds(), Calls: s.calls.Load(),
	}
}

// tokenHeader carries the token of the info file.
const tokenHeader = console.TokenHeader

func (s *Server) serveAdmin(w http.ResponseWriter, r *http.Request) {
	if r.Method == http.MethodGet && r.URL.Path == "/_apron/health" {
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(s.health()) // a client that has gone needs no answer
		return
	}
	if r.URL.Path == console.Path || strings.HasPrefix(r.URL.Path, console.Path+"/") {
		s.console.ServeHTTP(w, r)
		return
	}
	known := r.URL.Path == "/_apron/stop" || r.URL.Path == "/_apron/reset" || r.URL.Path == "/_apron/resolver" ||
		r.URL.Path == "/_apron/scenario" || r.URL.Path == "/_apron/clock"
	switch {
	case !known:
		http.NotFound(w, r)
	case r.Method != http.MethodPost:
		http.Error(w, "use POST", http.StatusMethodNotAllowed)
	case subtle.ConstantTimeCompare([]byte(r.Header.Get(tokenHeader)), []byte(s.options.Token)) != 1:
		http.Error(w, "the token of the sandbox's info file is missing or wrong", http.StatusForbidden)
	case r.URL.Path == "/_apron/stop":
		w.WriteHeader(http.StatusNoContent)
		s.stop(ErrStopped)
	case r.URL.Path == "/_apron/resolver":
		s.serveResolver(w, r)
	case r.URL.Path == "/_apron/scenario":
		s.serveScenario(w, r)
	case r.URL.Path == "/_apron/clock":
		s.serveClock(w, r)
	default:
		if err := s.Reset(r.Context()); err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		w.WriteHeader(http.StatusNoContent)
	}
}

// Reset stops all containers and forgets all state. Calls wait meanwhile.
func (s *Server) Reset(ctx context.Context) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.world == nil {
		return ErrStopped
	}
	if err := s.world.close(ctx); err != nil {
		s.log.Warn("reset: stop containers", "error", err)
	}
	s.world = nil
	if err := os.RemoveAll(stateDir(s.options.Dir)); err != nil {
		return fmt.Errorf("sandbox: reset: %w", err)
	}
	var err error
	if s.world, err = s.assemble(); err != nil {
		return fmt.Errorf("sandbox: reset: %w", err)
	}
	return nil
}

// SetScan decides what ECR says it found in an image: a rehearsal's vulnerabilities.
func (s *Server) SetScan(repository, digest string, scan ecr.Scan) error {
	s.mu.RLock()
	defer s.mu.RUnlock()
	if s.world == nil {
		return ErrStopped
	}
	return s.world.registry.SetScan(repository, digest, scan)
}

// newConsole makes the page for people.
func (s *Server) newConsole() http.Handler {
	return console.Handler(console.Options{
		Token: s.options.Token,
		Calls: &s.recent,
		Operation: func(service, operation string) (wire.Operation, bool) {
			s.mu.RLock()
			defer s.mu.RUnlock()
			if s.world == nil {
				return nil, false
			}
			run, known := s.world.operations[service][operation]
			return run, known
		},
		Facts: func() any {
			return struct {
				Health
				Now float64 `json:"now"` // of the sandbox's clock, in Unix seconds
			}{s.health(), float64(s.options.Clock.Now().UnixMilli()) / 1000}
		},
		Instances: func() any {
			s.mu.RLock()
			defer s.mu.RUnlock()
			if s.world == nil {
				return []apprunner.Instance{}
			}
			return s.world.apprunner.Instances()
		},
	})
}

// Console is the address of the console's page, with the token that it needs.
func (i Info) Console() string { return i.Endpoint() + console.Path + "?token=" + i.Token }
