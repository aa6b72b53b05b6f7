package release

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/apron-deploy/apron/reconcile/state"
)

func TestPrevious(t *testing.T) {
	of := func(n int, kind Kind, result Result, image, cpu string) Record {
		return Record{Number: n, Kind: kind, Result: result, Resources: []Resource{{Address: web.String(),
			Fields: []Field{{Path: "cpu", Value: cpu}, {Path: "image", Value: image}}}}}
	}
	ok := func(n int, image, cpu string) Record { return of(n, Apply, Succeeded, image, cpu) }
	back := func(n, to int, image, cpu string) Record {
		r := of(n, Rollback, Succeeded, image, cpu)
		r.Of = to
		return r
	}
	for name, tc := range map[string]struct {
		records    []Record
		image, cpu string // live
		running    int
		previous   int
	}{
		"the one before": {[]Record{ok(1, "a", "1"), ok(2, "b", "1")}, "b", "1", 2, 1},
		"one that changed the configuration only": {[]Record{ok(1, "a", "1"), ok(2, "a", "2")}, "a", "2", 2, 1},
		"somebody changed what runs":              {[]Record{ok(1, "a", "1"), ok(2, "b", "1")}, "b", "9", 2, 1},
		"what runs has failed":                    {[]Record{ok(1, "a", "1"), of(2, Apply, Failed, "b", "1")}, "b", "1", 2, 1},
		"a failure was undone":                    {[]Record{ok(1, "a", "1"), ok(2, "b", "1"), of(3, Apply, Failed, "c", "1")}, "b", "1", 2, 1},
		"failures are no aim":                     {[]Record{ok(1, "a", "1"), of(2, Apply, Failed, "b", "1"), ok(3, "c", "1")}, "c", "1", 3, 1},
		"a rollback goes on":                      {[]Record{ok(1, "a", "1"), ok(2, "b", "1"), ok(3, "c", "1"), back(4, 2, "b", "1")}, "b", "1", 2, 1},
		"a rollback of a rollback":                {[]Record{ok(1, "a", "1"), ok(2, "b", "1"), back(3, 1, "a", "1"), back(4, 3, "a", "1")}, "a", "1", 1, 0},
		"the same once more is no other":          {[]Record{ok(1, "a", "1"), ok(2, "b", "1"), ok(3, "b", "1")}, "b", "1", 3, 1},
		"nothing is known of what runs":           {[]Record{ok(1, "a", "1"), ok(2, "b", "1")}, "z", "9", 2, 1},
		"a destroy is no aim":                     {[]Record{ok(1, "a", "1"), {Number: 2, Kind: Destroy, Result: Succeeded}, ok(3, "b", "1")}, "b", "1", 3, 1},
		"the first":                               {[]Record{ok(1, "a", "1")}, "a", "1", 1, 0},
		"none":                                    {nil, "a", "1", 0, 0},
	} {
		t.Run(name, func(t *testing.T) {
			live := state.Observed{Resource: state.Resource{Address: web, Fields: []state.Field{{Path: "cpu", Value: tc.cpu}, {Path: "image", Value: tc.image}}}}
			running := Running(tc.records, live)
			if tc.running == 0 {
				require.Nil(t, running)
				return
			}
			require.Equal(t, tc.running, running.Number)
			previous := Previous(tc.records, *running)
			if tc.previous == 0 {
				require.Nil(t, previous)
				return
			}
			require.Equal(t, tc.previous, previous.Number)
		})
	}
}
