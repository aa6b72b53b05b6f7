package apprunner

import (
	"maps"
	"net/http"
	"slices"
	"sync"
	"time"
)

// Measurement is one value of a service's metric.
// https://docs.aws.amazon.com/apprunner/latest/dg/monitor-cw.html
type Measurement struct {
	Service, ServiceID string
	Name               string // "RequestLatency"
	Unit               string // one of CloudWatch's
	At                 time.Time
	Value              float64
}

// sampled is how often instances are looked at: often enough for a minute's average to be
// one.
const sampled = 5 * time.Second

// least is the time over which the use of a CPU can be told: the kernel counts in
// hundredths of a second.
const least = 500 * time.Millisecond

// put hands a value on.
func (a *app) put(name, unit string, value float64) {
	a.s.o.Metrics(Measurement{Service: a.name, ServiceID: a.id, Name: name, Unit: unit, At: a.s.o.Clock.Now(), Value: value})
}

// measured counts a request and its answer. What the client broke off is counted, too.
func (a *app) measured(next http.Handler) http.Handler {
	if a.s.o.Metrics == nil {
		return next
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		start, seen := time.Now(), &statusWriter{ResponseWriter: w, status: http.StatusOK}
		defer func() {
			a.put("Requests", "Count", 1)
			a.put("RequestLatency", "Milliseconds", float64(time.Since(start).Microseconds())/1000)
			switch seen.status / 100 {
			case 2:
				a.put("2xxStatusResponses", "Count", 1)
			case 4:
				a.put("4xxStatusResponses", "Count", 1)
			case 5:
				a.put("5xxStatusResponses", "Count", 1)
			}
		}()
		next.ServeHTTP(seen, r)
	})
}

// statusWriter remembers the status.
type statusWriter struct {
	http.ResponseWriter
	status int
	once   sync.Once
}

func (w *statusWriter) WriteHeader(status int) {
	if status >= 200 { // 1xx are not the answer
		w.once.Do(func() { w.status = status })
	}
	w.ResponseWriter.WriteHeader(status)
}

// Unwrap is for http.ResponseController.
func (w *statusWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// sample measures in intervals until the emulator closes.
func (s *Service) sample() {
	t := time.NewTicker(sampled)
	defer t.Stop()
	for {
		s.Measure()
		select {
		case <-s.ctx.Done():
			return
		case <-t.C:
		}
	}
}

// Measure takes a sample of every service that serves, now.
func (s *Service) Measure() {
	if s.o.Metrics == nil {
		return
	}
	s.mu.Lock()
	apps := slices.Collect(maps.Values(s.apps))
	s.mu.Unlock()
	for _, a := range apps {
		if f := a.fleet.Load(); f != nil {
			f.sample()
		}
	}
}

// use is what an instance had used when it was last looked at.
type use struct {
	at  time.Time
	cpu float64 // seconds
}

func (f *fleet) sample() {
	f.mu.Lock()
	members := slices.Clone(f.members)
	concurrency, active := max(f.inflight, f.busiest), 0
	f.busiest = f.inflight
	for _, m := range members {
		if m.inflight > 0 || m.served {
			active++
		}
		m.served = m.inflight > 0
	}
	f.mu.Unlock()
	f.a.put("Concurrency", "Count", float64(concurrency))
	f.a.put("ActiveInstances", "Count", float64(active))
	now := time.Now()
	for _, m := range members {
		stats, err := m.run.Stats()
		if err != nil {
			continue // it has just ended
		}
		f.mu.Lock()
		before := m.used
		passed := now.Sub(before.at)
		if passed >= least {
			m.used = use{now, stats.CPUSeconds}
		}
		f.mu.Unlock()
		if !before.at.IsZero() && passed >= least && f.rev.cpu > 0 {
			f.a.put("CPUUtilization", "Percent", 100*max(stats.CPUSeconds-before.cpu, 0)/passed.Seconds()/(float64(f.rev.cpu)/1024))
		}
		if f.rev.memory > 0 {
			f.a.put("MemoryUtilization", "Percent", 100*float64(stats.MemoryBytes)/(float64(f.rev.memory)*(1<<20)))
		}
	}
}
