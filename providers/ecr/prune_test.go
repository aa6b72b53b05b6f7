package ecr

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestPrune(t *testing.T) {
	now := time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)
	ago := func(days int) time.Time { return now.AddDate(0, 0, -days) }
	built := func(digest string, pushed, pulled int, tags ...string) Stored {
		s := Stored{Digest: digest, PushedAt: ago(pushed), Tags: append([]string{"src-" + digest}, tags...)}
		if pulled >= 0 {
			s.PulledAt = ago(pulled)
		}
		return s
	}
	for name, tc := range map[string]struct {
		images []Stored
		o      PruneOptions
		want   map[string]string // what goes → "", what stays → why
	}{
		"what nobody used for long goes": {
			images: []Stored{built("a", 5, 1), built("b", 40, 31), built("c", 90, -1), built("d", 90, 2)},
			want:   map[string]string{"a": "was used on 2026-11-23", "b": "", "c": "", "d": "was used on 2026-11-22"},
		},
		"the newest stay whatever their age, and only apron's count": {
			images: []Stored{{Digest: "x", PushedAt: ago(50)}, built("a", 60, -1), built("b", 70, -1), built("c", 80, -1)},
			o:      PruneOptions{Keep: 2},
			want:   map[string]string{"x": "was not pushed by apron", "a": "is one of the newest 2", "b": "is one of the newest 2", "c": ""},
		},
		"what runs, what has a name and what apron did not push stay": {
			images: []Stored{built("a", 90, -1, "v1.0.0"), built("b", 90, -1, "live-web"), built("c", 90, -1), {Digest: "d", PushedAt: ago(90), Tags: []string{"mine"}}},
			o:      PruneOptions{Deployed: map[string][]string{"c": {"web", "web-staging"}}},
			want: map[string]string{"a": "is named v1.0.0", "b": "is named live-web", "c": "runs as web, web-staging",
				"d": "was not pushed by apron"},
		},
		"what can be rolled back to stays": {
			images: []Stored{built("a", 90, -1), built("b", 90, -1)},
			o:      PruneOptions{Released: map[string][]string{"a": {"web 41", "web 42"}}},
			want:   map[string]string{"a": "can be rolled back to: web 41, web 42", "b": ""},
		},
		"what an index holds stays with it and goes with it": {
			images: []Stored{
				{Digest: "index", PushedAt: ago(90), Tags: []string{"src-index", "v2"}, Members: []string{"a"}},
				{Digest: "old", PushedAt: ago(90), Tags: []string{"src-old"}, Members: []string{"b"}},
				built("a", 90, -1), built("b", 90, -1),
			},
			want: map[string]string{"index": "is named v2", "old": "", "a": "belongs to an index that stays", "b": ""},
		},
	} {
		t.Run(name, func(t *testing.T) {
			tc.o.Now, tc.o.Unused = now, 30*24*time.Hour
			got := map[string]string{}
			for _, v := range Prune(tc.images, tc.o) {
				require.NotEmpty(t, v.Why)
				if got[v.Digest] = v.Why; v.Delete {
					got[v.Digest] = ""
				}
			}
			require.Equal(t, tc.want, got)
		})
	}
}
