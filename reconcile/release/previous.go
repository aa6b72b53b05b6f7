package release

import (
	"cmp"
	"slices"

	"github.com/apron-deploy/apron/reconcile/plan"
	"github.com/apron-deploy/apron/reconcile/state"
)

// Running finds the release that is live: the newest whose settings are, whatever became
// of it, or else the newest whose image is, or else the newest that succeeded. It returns
// nil when there is none. A rollback stands for the release that it went back to.
func Running(records []Record, service state.Observed) *Record {
	newest := slices.SortedFunc(slices.Values(records), func(a, b Record) int { return cmp.Compare(b.Number, a.Number) })
	live := state.Live{service.Address: service}
	find := func(is func(Record) bool) *Record {
		if i := slices.IndexFunc(newest, is); i >= 0 {
			return original(newest, newest[i])
		}
		return nil
	}
	wanted := func(r Record) []state.Resource {
		all, err := r.Wanted()
		if err != nil {
			return nil
		}
		return slices.DeleteFunc(all, func(w state.Resource) bool { return w.Address != service.Address })
	}
	same := func(r Record) bool {
		w := wanted(r)
		return len(w) > 0 && len(plan.Drifted(w, nil, live)) == 0
	}
	image := func(r Record) bool {
		w := wanted(r)
		return len(w) > 0 && w[0].Value("image") == service.Value("image")
	}
	return cmp.Or(find(same), find(image), find(func(r Record) bool { return r.Result == Succeeded && r.Kind != Destroy }))
}

// original follows rollbacks to what they went back to, as far as it is kept.
func original(records []Record, r Record) *Record {
	for r.Kind == Rollback {
		i := slices.IndexFunc(records, func(o Record) bool { return o.Number == r.Of })
		if i < 0 || r.Of >= r.Number {
			break
		}
		r = records[i]
	}
	return &r
}

// Previous finds the release to go back to from the one that runs: the newest before it
// that succeeded and was another. It returns nil when there is none.
func Previous(records []Record, running Record) *Record {
	var best *Record
	for _, r := range records {
		if r.Number >= running.Number || r.Result != Succeeded || r.Kind == Destroy || r.Kind == Rollback || r.Same(running.Resources) {
			continue
		}
		if best == nil || r.Number > best.Number {
			best = &r
		}
	}
	return best
}
