package plan_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/apron-deploy/apron/reconcile/plan"
	"github.com/apron-deploy/apron/reconcile/state"
)

// A version names one image for ever. V is what it names, W what is wanted, R what runs.
func TestBuild_versions(t *testing.T) {
	var (
		image   = at("ecr", "image", "app:src-w")
		earlier = at("ecr", "image", "app:src-v")
		runs    = at("ecr", "tag", "app:live-web")
		version = at("ecr", "tag", "app:v1")
	)
	tagged := func(addr, image state.Address, id string) state.Observed {
		o := live(state.Derived, state.Ready, state.Resource{Address: addr, Fields: []state.Field{ref("image", image)}})
		o.ID = id
		return o
	}
	built := func(addr state.Address, id string) state.Observed {
		return state.Observed{Resource: state.Resource{Address: addr}, ID: id, Owner: state.Derived, Phase: state.Ready}
	}
	wanted := func(fields ...state.Field) state.Desired {
		return desired(state.Resource{Address: image, Fields: fields},
			state.Resource{Address: version, Fields: []state.Field{
				{Path: "after", Value: runs.String(), Ref: true, Order: true},
				{Path: "image", Value: image.String(), Ref: true, Once: true, Fix: "set image.version: v2"}}})
	}
	const (
		taken   = "ecr/tag/app:v1: names sha256:v already, and the manifest's image is another"
		unknown = "ecr/tag/app:v1: names sha256:v already, which is not what runs, and the manifest's image is not built yet"
		warning = "names the image that runs, and is never moved: if the build gives another image, that is deployed without this name; set image.version: v2, or leave image.version away"
	)
	for name, tc := range map[string]struct {
		want    state.Desired
		have    state.Live
		actions []plan.ID
		warns   string
		refused string
	}{
		"no such version": {
			want:    wanted(),
			actions: []plan.ID{"create ecr/image/app:src-w", "create ecr/tag/app:v1"},
		},
		"V = W": {
			want: wanted(),
			have: lives(built(image, "sha256:v"), tagged(version, image, "sha256:v")),
		},
		"V = W by another name": {
			want: wanted(),
			have: lives(built(image, "sha256:v"), tagged(version, earlier, "sha256:v")),
		},
		"V ≠ W": {
			want:    wanted(),
			have:    lives(built(image, "sha256:w"), tagged(version, earlier, "sha256:v"), tagged(runs, earlier, "sha256:v")),
			refused: taken,
		},
		"V ≠ W, which runs": {
			want:    wanted(),
			have:    lives(built(image, "sha256:w"), tagged(version, earlier, "sha256:v"), tagged(runs, image, "sha256:w")),
			refused: taken,
		},
		"V = W, which is pinned": {
			want:    wanted(state.Field{Path: "digest", Value: "sha256:v", Provenance: true}),
			have:    lives(tagged(version, earlier, "sha256:v")),
			actions: []plan.ID{"create ecr/image/app:src-w"},
		},
		"V ≠ W, which is pinned": {
			want:    wanted(state.Field{Path: "digest", Value: "sha256:w", Provenance: true}),
			have:    lives(tagged(version, earlier, "sha256:v"), tagged(runs, earlier, "sha256:v")),
			refused: taken,
		},
		"V = R, W not built": {
			want:    wanted(),
			have:    lives(tagged(version, earlier, "sha256:v"), tagged(runs, earlier, "sha256:v")),
			actions: []plan.ID{"create ecr/image/app:src-w", "update ecr/tag/app:v1"},
			warns:   warning,
		},
		"V ≠ R, W not built": {
			want:    wanted(),
			have:    lives(tagged(version, earlier, "sha256:v"), tagged(runs, earlier, "sha256:r")),
			refused: unknown,
		},
		"nothing runs, W not built": {
			want:    wanted(),
			have:    lives(tagged(version, earlier, "sha256:v")),
			refused: unknown,
		},
	} {
		t.Run(name, func(t *testing.T) {
			p, err := plan.Build(tc.want, tc.have, plan.Options{})
			if tc.refused != "" {
				var refused *plan.RefusedError
				require.ErrorAs(t, err, &refused)
				require.EqualError(t, refused, tc.refused)
				require.True(t, refused.Policy)
				require.Equal(t, "set image.version: v2, or leave image.version away", refused.Hint())
				return
			}
			require.NoError(t, err)
			require.Equal(t, tc.actions, ids(p))
			if tc.warns == "" {
				require.Empty(t, p.Notes)
				return
			}
			require.Equal(t, []state.Note{{Target: version, Warning: true, Text: tc.warns}}, p.Notes)
		})
	}
}
