package plan

import (
	"cmp"
	"slices"
)

// order sorts actions so that each comes after what it needs, and otherwise by rank,
// address and op: Kahn's algorithm with an ordered set of what is ready.
func order(actions []Action) ([]Action, error) {
	byID := make(map[ID]Action, len(actions))
	waits := make(map[ID]int, len(actions))
	unblocks := map[ID][]ID{}
	for _, a := range actions {
		byID[a.ID] = a
		waits[a.ID] = len(a.Needs)
		for _, n := range a.Needs {
			unblocks[n] = append(unblocks[n], a.ID)
		}
	}
	var ready []Action
	for _, a := range actions {
		if waits[a.ID] == 0 {
			ready = append(ready, a)
		}
	}
	slices.SortFunc(ready, earlier)
	sorted := make([]Action, 0, len(actions))
	for len(ready) > 0 {
		next := ready[0]
		ready = ready[1:]
		sorted = append(sorted, next)
		for _, id := range unblocks[next.ID] {
			if waits[id]--; waits[id] == 0 {
				i, _ := slices.BinarySearchFunc(ready, byID[id], earlier)
				ready = slices.Insert(ready, i, byID[id])
			}
		}
	}
	if len(sorted) < len(actions) {
		return nil, &CycleError{IDs: cycle(byID, waits)}
	}
	return sorted, nil
}

func earlier(a, b Action) int {
	return cmp.Or(a.Target.Compare(b.Target), cmp.Compare(a.ID, b.ID))
}

// cycle follows needs among the actions that never became ready until one comes again.
func cycle(byID map[ID]Action, waits map[ID]int) []ID {
	var blocked []ID
	for id, n := range waits {
		if n > 0 {
			blocked = append(blocked, id)
		}
	}
	slices.Sort(blocked)
	var path []ID
	for id := blocked[0]; ; {
		if i := slices.Index(path, id); i >= 0 {
			return append(path[i:], id)
		}
		path = append(path, id)
		for _, n := range byID[id].Needs {
			if waits[n] > 0 {
				id = n
				break
			}
		}
	}
}
