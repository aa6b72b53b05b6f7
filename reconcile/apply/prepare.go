package apply

import (
	"slices"

	"github.com/apron-deploy/apron/reconcile/plan"
)

// preparations are nodes that actions wait for, beside what they need: those of whatever
// they belong to.
type preparations struct {
	preparer Preparer
	actions  []int          // that each is of
	begun    map[int]bool   // actions that have one
	parts    [][]string     // of every action
	failed   map[string]int // the first action in the plan, by part, whose preparation failed
	discards []func()
}

// together is the part that everything is of where nothing is told apart.
var together = []string{""}

func (r *run) addPreparations() {
	preparer, ok := r.ex.(Preparer)
	if !ok {
		return
	}
	r.preparations = preparations{preparer: preparer, begun: map[int]bool{}, failed: map[string]int{}}
	for i := range r.report.Results {
		parts := together
		if r.o.Parts != nil {
			parts = r.o.Parts(r.action(i))
		}
		r.parts = append(r.parts, parts)
		if preparer.Prepares(r.action(i)) {
			r.actions = append(r.actions, i)
			r.begun[i] = true
		}
	}
	for _, i := range r.actions {
		var waiters []int
		for w := range r.report.Results {
			if w == i || share(r.parts[w], r.parts[i]) {
				waiters = append(waiters, w)
				r.waiting[w]++
			}
		}
		r.waiters = append(r.waiters, waiters)
		r.waiting = append(r.waiting, 0)
	}
}

func share(a, b []string) bool {
	return slices.ContainsFunc(a, func(part string) bool { return slices.Contains(b, part) })
}

// of returns the action that a node is, or is the preparation of.
func (r *run) of(node int) int {
	if n := len(r.index); node >= n {
		return r.actions[node-n]
	}
	return node
}

// prepared reports whether a node is an action that began with its preparation.
func (r *run) prepared(node int) bool { return node < len(r.index) && r.begun[node] }

// fail notes that the preparation of action i failed.
func (r *run) fail(i int) {
	for _, part := range r.parts[i] {
		if first, ok := r.failed[part]; !ok || i < first {
			r.failed[part] = i
		}
	}
}

// pointless returns the failed preparation that makes action i one that nobody wants: the
// first in the plan, if there is one in everything that the action belongs to.
func (r *run) pointless(i int) (root plan.ID, ok bool) {
	if len(r.failed) == 0 {
		return "", false
	}
	first := len(r.report.Results)
	for _, part := range r.parts[i] {
		failed, ok := r.failed[part]
		if !ok {
			return "", false
		}
		first = min(first, failed)
	}
	if first == len(r.report.Results) {
		return "", false
	}
	return r.action(first).ID, true
}

// discard lets go of what was prepared.
func (r *run) discard() {
	for _, discard := range r.discards {
		discard()
	}
}
