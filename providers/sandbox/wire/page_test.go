package wire_test

import (
	"fmt"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/apron-deploy/apron/providers/sandbox/wire"
)

func itself(s string) string { return s }

// Whatever the size of the pages, and whatever becomes of the items of pages that were
// read, each item that stays is seen once.
func TestPage_showsEachItemOnce(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		var items, seen []string
		for i := range rapid.IntRange(0, 12).Draw(t, "items") {
			items = append(items, fmt.Sprint("item-", i))
		}
		all := slices.Clone(items)
		for token := ""; ; {
			limit := rapid.IntRange(1, 4).Draw(t, "limit")
			page, next, err := wire.Page("letters", items, itself, token, limit)
			require.NoError(t, err)
			require.LessOrEqual(t, len(page), limit)
			seen = append(seen, page...)
			if next == "" {
				break
			}
			token = next
			gone := rapid.SliceOf(rapid.SampledFrom(seen)).Draw(t, "gone")
			items = slices.DeleteFunc(slices.Clone(items), func(s string) bool { return slices.Contains(gone, s) })
		}
		require.Equal(t, all, seen)
	})
}

func TestPage_goesOnWhenBothItemsOfTheMarkHaveGone(t *testing.T) {
	t.Parallel()
	_, token, err := wire.Page("letters", []string{"a", "b", "c", "d"}, itself, "", 2)
	require.NoError(t, err)
	page, next, err := wire.Page("letters", []string{"a", "x", "d"}, itself, token, 2)
	require.NoError(t, err)
	require.Equal(t, []string{"d"}, page)
	require.Empty(t, next)
	page, _, err = wire.Page("letters", []string{"a"}, itself, token, 2)
	require.NoError(t, err)
	require.Empty(t, page)
}

func TestPage_refusesForeignTokens(t *testing.T) {
	t.Parallel()
	items := []string{"a", "b"}
	_, token, err := wire.Page("letters", items, itself, "", 1)
	require.NoError(t, err)
	for name, bad := range map[string]string{"another list's": token, "no base64": "%%%", "no JSON": "YWJj"} {
		list := "letters"
		if bad == token {
			list = "numbers"
		}
		_, _, err := wire.Page(list, items, itself, bad, 1)
		require.ErrorIs(t, err, wire.ErrToken, name)
	}
}
