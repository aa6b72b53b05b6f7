package ecr

import (
	"crypto/sha256"
	"encoding/hex"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	sdk "github.com/aws/aws-sdk-go-v2/service/ecr"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/stretchr/testify/require"
)

func TestPrune(t *testing.T) {
	now := time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)
	ago := func(days int) time.Time { return now.AddDate(0, 0, -days) }
	src := func(name string) string {
		sum := sha256.Sum256([]byte(name))
		return "src-" + hex.EncodeToString(sum[:])[:20]
	}
	built := func(digest string, pushed, pulled int, tags ...string) Stored {
		s := Stored{Digest: digest, PushedAt: ago(pushed), Tags: append([]string{src(digest)}, tags...)}
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
			want:   map[string]string{"x": "has no tag, and goes only with an index that holds it", "a": "is one of the newest 2", "b": "is one of the newest 2", "c": ""},
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
		"what has no tag goes with an index alone": {
			images: []Stored{{Digest: "index", PushedAt: ago(90), Index: true, Tags: []string{"src-0123456789ab"}}, {Digest: "part", PushedAt: ago(90)}},
			want:   map[string]string{"index": "", "part": "has no tag, and goes only with an index that holds it"},
		},
		"only what apron writes is a tag of its own": {
			images: []Stored{
				{Digest: "a", PushedAt: ago(90), Tags: []string{"src-main"}}, {Digest: "b", PushedAt: ago(90), Tags: []string{"src-0123456789abcdef"}},
				{Digest: "c", PushedAt: ago(90), Tags: []string{"src-0123456789AB"}}, {Digest: "d", PushedAt: ago(90), Tags: []string{"src-0123456789ab", "src-main"}},
				{Digest: "e", PushedAt: ago(90), Tags: []string{"src-0123456789ab"}}, {Digest: "f", PushedAt: ago(90), Tags: []string{"src-0123456789abcdef0123"}},
			},
			want: map[string]string{"a": "was not pushed by apron", "b": "was not pushed by apron", "c": "was not pushed by apron", "d": "is named src-main", "e": "", "f": ""},
		},
		"a record that cannot be read may need any of them": {
			images: []Stored{built("a", 90, -1), built("b", 1, -1)},
			o:      PruneOptions{Unread: []string{"web 3", "web 5"}},
			want:   map[string]string{"a": "may be what web 3, web 5 can be rolled back to: that record cannot be read", "b": "was used on 2026-11-23"},
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

func TestPrune_takesAlongOnlyWhatNothingElseNeeds(t *testing.T) {
	now := time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)
	o := PruneOptions{Unused: 30 * 24 * time.Hour, Now: now, Deployed: map[string][]string{"run": {"web"}}, Released: map[string][]string{"back": {"web 1"}}}
	for name, tc := range map[string]struct {
		stored Stored
		want   bool
	}{
		"pushed again lately":   {Stored{PushedAt: now}, true},
		"pulled long ago":       {Stored{PulledAt: now.AddDate(0, 0, -31)}, true},
		"pulled lately":         {Stored{PulledAt: now.AddDate(0, 0, -29)}, false},
		"with a tag":            {Stored{Tags: []string{"mine"}}, false},
		"it runs":               {Stored{Digest: "run"}, false},
		"it can be rolled back": {Stored{Digest: "back"}, false},
	} {
		require.Equal(t, tc.want, o.Along(tc.stored), name)
	}
}

// TestRemove_leavesWhatHasGotAnotherName has a tag put between the look at an image and its
// end.
func TestRemove_leavesWhatHasGotAnotherName(t *testing.T) {
	r := newRig(t, 1)
	_, err := r.client.CreateRepository(t.Context(), &sdk.CreateRepositoryInput{RepositoryName: aws.String("web")})
	require.NoError(t, err)
	img := imageFor(t, "amd64")
	require.NoError(t, remote.Write(r.ref("web", "src-0123456789ab"), img, r.auth()))
	images, err := r.Inventory(t.Context(), "web")
	require.NoError(t, err)
	require.NoError(t, remote.Write(r.ref("web", "live-web"), img, r.auth()))
	require.ErrorContains(t, r.Remove(t.Context(), "web", images[0]), "stays under a tag that it has got meanwhile: live-web")

	images, err = r.Inventory(t.Context(), "web")
	require.NoError(t, err)
	require.Equal(t, []string{"live-web"}, images[0].Tags)
	require.NoError(t, r.Remove(t.Context(), "web", images[0]))
	require.NoError(t, r.Remove(t.Context(), "web", images[0]), "it is gone already")
	images, err = r.Inventory(t.Context(), "web")
	require.NoError(t, err)
	require.Empty(t, images)
}

// TestRemoveIndex has two indexes with a part in common, one of which holds an index.
func TestRemoveIndex(t *testing.T) {
	r := newRig(t, 1)
	_, err := r.client.CreateRepository(t.Context(), &sdk.CreateRepositoryInput{RepositoryName: aws.String("web")})
	require.NoError(t, err)
	amd, arm, riscv, named := imageFor(t, "amd64"), imageFor(t, "arm64"), imageFor(t, "riscv64"), imageFor(t, "amd64")
	index := func(tag string, all ...mutate.Appendable) v1.ImageIndex {
		index := v1.ImageIndex(empty.Index)
		for _, one := range all {
			index = mutate.AppendManifests(index, mutate.IndexAddendum{Add: one})
		}
		if tag != "" {
			require.NoError(t, remote.WriteIndex(r.ref("web", tag), index, r.auth()))
		}
		return index
	}
	inner := index("", riscv)
	goes, stays := index("src-0123456789ab", amd, arm, named, inner), index("src-0123456789ac", arm)
	require.NoError(t, remote.Write(r.ref("web", "mine"), named, r.auth()))
	digest := func(of interface{ Digest() (v1.Hash, error) }) string {
		d, err := of.Digest()
		require.NoError(t, err)
		return d.String()
	}
	images, err := r.Inventory(t.Context(), "web")
	require.NoError(t, err)
	stored := func(digest string) Stored {
		for _, s := range images {
			if s.Digest == digest {
				return s
			}
		}
		t.Fatalf("image %s is not there", digest)
		return Stored{}
	}
	may := func(digest string) (Stored, bool) {
		s := stored(digest)
		return s, PruneOptions{}.Along(s)
	}
	with, err := r.RemoveIndex(t.Context(), "web", stored(digest(goes)), may)
	require.NoError(t, err)
	require.ElementsMatch(t, []string{digest(amd), digest(inner), digest(riscv)}, with)
	images, err = r.Inventory(t.Context(), "web")
	require.NoError(t, err)
	var left []string
	for _, s := range images {
		left = append(left, s.Digest)
		require.True(t, s.PulledAt.IsZero(), "to list images is no use of them")
	}
	require.ElementsMatch(t, []string{digest(arm), digest(named), digest(stays)}, left)
	require.ErrorContains(t, r.Remove(t.Context(), "web", stored(digest(arm))), "stays while an index holds it: ")
}
