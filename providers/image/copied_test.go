package image_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/apron-deploy/apron/providers/image"
	"github.com/apron-deploy/apron/providers/image/origin"
	"github.com/apron-deploy/apron/reconcile/approval"
	"github.com/apron-deploy/apron/reconcile/plan"
	"github.com/apron-deploy/apron/reconcile/state"
)

// TestCopied_isApprovedByItsWholeDigest has two images whose digests begin alike, which takes
// whoever makes images seconds to find: the tag is the same, and an approval of one is none of
// the other.
func TestCopied_isApprovedByItsWholeDigest(t *testing.T) {
	of := func(end string) (state.Address, string) {
		r := image.Copied(state.Spec{Service: "web"}, &origin.Pin{Digest: "sha256:" + strings.Repeat("0", 60) + end, Platform: "linux/amd64"}, origin.Options{})
		p, err := plan.Build(state.Desired{r.Address: r}, state.Live{}, plan.Options{})
		require.NoError(t, err)
		return r.Address, approval.Of(p, "123456789012", "us-east-1").String()
	}
	one, approved := of("beef")
	two, now := of("cafe")
	require.Equal(t, one, two)
	require.NotEqual(t, approved, now)
	_, again := of("beef")
	require.Equal(t, approved, again)
}
