package render

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

func TestCut_betweenBlocks(t *testing.T) {
	text := "**Plan: 1 to add.**\n\n| a |\n|---|\n| b |\n\n<details>\n<summary>x</summary>\n\n```text\n<details>\n\n```\n\n</details>\n\nthe end, " + strings.Repeat("x", 200) + "\n"
	require.Equal(t, text, Cut(text, len(text)))
	cut := Cut(text, len(text)-1)
	require.Equal(t, text[:strings.Index(text, "the end")]+cutNote, cut)
	room := strings.Index(text, "</details>") + len(cutNote)
	require.Equal(t, text[:strings.Index(text, "<details>")]+cutNote, Cut(text, room), "not within what is folded")
	require.Equal(t, cutNote, Cut(text, len(cutNote)))
	require.Empty(t, Cut(text, 3))
}

func TestCut_neverExceedsItsRoom(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		parts := rapid.SliceOf(rapid.SampledFrom([]string{"text\n", "\n", "<details>\n", "</details>\n", "```\n", "é", strings.Repeat("long ", 40)})).Draw(t, "parts")
		most := rapid.IntRange(0, 400).Draw(t, "most")
		if got := Cut(strings.Join(parts, ""), most); len(got) > most {
			t.Fatalf("%d bytes for %d", len(got), most)
		}
	})
}
