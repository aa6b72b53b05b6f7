package apprunner

import (
	"cmp"
	"maps"
	"slices"
	"time"
)

// Instance is a container that serves, as the sandbox's console shows it: App Runner
// itself tells of instances by metrics alone.
type Instance struct {
	Service     string    `json:"service"` // ARN
	ID          string    `json:"id"`      // its application log stream ends with it
	Since       time.Time `json:"since"`   // healthy
	InFlight    int       `json:"in_flight"`
	CPUSeconds  float64   `json:"cpu_seconds"`
	MemoryBytes int64     `json:"memory_bytes"`
}

// Instances lists what serves now, by service and age.
func (s *Service) Instances() []Instance {
	s.mu.Lock()
	apps := slices.Collect(maps.Values(s.apps))
	s.mu.Unlock()
	arns := map[string]string{}
	s.doc.View(func(st *state) {
		for _, r := range st.Services {
			arns[r.ID] = r.ARN
		}
	})
	all := []Instance{}
	for _, a := range apps {
		f := a.fleet.Load()
		if f == nil {
			continue
		}
		f.mu.Lock()
		members := slices.Clone(f.members)
		inflight := make([]int, len(members))
		for i, m := range members {
			inflight[i] = m.inflight
		}
		f.mu.Unlock()
		for i, m := range members {
			one := Instance{Service: arns[a.id], ID: m.id, Since: m.since.UTC(), InFlight: inflight[i]}
			if stats, err := m.run.Stats(); err == nil { // one that has just ended has none
				one.CPUSeconds, one.MemoryBytes = stats.CPUSeconds, stats.MemoryBytes
			}
			all = append(all, one)
		}
	}
	slices.SortFunc(all, func(a, b Instance) int {
		return cmp.Or(cmp.Compare(a.Service, b.Service), a.Since.Compare(b.Since), cmp.Compare(a.ID, b.ID))
	})
	return all
}
