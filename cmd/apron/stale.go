package main

import (
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/apron-deploy/apron/providers/apprunner"
	"github.com/apron-deploy/apron/providers/ssm"
	"github.com/apron-deploy/apron/reconcile/state"
)

// stale names the secrets that changed after the running deployment started: it still
// has what they held before.
func stale(spec state.Spec, f facts) string {
	service, ok := f.live[serviceAddress(spec)]
	if !ok {
		return ""
	}
	detail, _ := service.Detail.(apprunner.Live)
	if detail.DeployedAt.IsZero() {
		return ""
	}
	var names []string
	for _, key := range slices.Sorted(maps.Keys(spec.Secrets)) {
		var changed time.Time
		switch ref := spec.Secrets[key]; ref.Source {
		case state.FromEnv:
			p, _ := f.live[ssm.Address(spec.Service, key)].Detail.(ssm.Parameter)
			changed = p.LastModified
		case state.FromSSM:
			changed = f.parameters[ref.Name].LastModified
		case state.FromSecretsManager:
			if ref.Version == "" { // one version never changes; a stage moves
				changed = f.secrets[ref.Name].LastModified
			}
		}
		if changed.After(detail.DeployedAt) {
			names = append(names, key)
		}
	}
	return strings.Join(names, ", ")
}

// markStale adds to a live service what it has not read yet.
func markStale(live state.Live, addr state.Address, names string) {
	o := live[addr]
	o.Fields = state.Sort(append(slices.Clone(o.Fields), state.Field{Path: "deployment.secrets", Value: "older than " + names}))
	live[addr] = o
}
