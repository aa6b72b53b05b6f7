package render

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"github.com/yuin/goldmark"
	"github.com/yuin/goldmark/ast"
	"github.com/yuin/goldmark/extension"
	gfm "github.com/yuin/goldmark/extension/ast"
	"github.com/yuin/goldmark/text"
	"pgregory.net/rapid"
)

var (
	parser = goldmark.New(goldmark.WithExtensions(extension.GFM)).Parser()
	// tags is the HTML that Markdown of ours may have; a marker is a comment.
	tags = regexp.MustCompile(`^(</?(details|summary|code)>|<br>|<!-- apron:[^<>]* -->)$`)
	tag  = regexp.MustCompile(`<!--.*?-->|<[^>]*>`)
)

// parsed is what a GFM parser makes of a document: a node a line, without what stands
// within code, and everything that a reader would not see as it is meant.
func parsed(md string) (tree string, wrong []string) {
	src := []byte(md)
	var b strings.Builder
	depth := 0
	_ = ast.Walk(parser.Parse(text.NewReader(src)), func(n ast.Node, entering bool) (ast.WalkStatus, error) {
		if !entering {
			depth--
			return ast.WalkContinue, nil
		}
		depth++
		line := n.Kind().String()
		switch n := n.(type) {
		case *ast.Text:
			if n.Parent().Kind() == ast.KindCodeSpan {
				break // foreign
			}
			s := string(n.Segment.Value(src))
			line += " " + s
			if strings.Contains(s, "|") {
				wrong = append(wrong, fmt.Sprintf("a row outside a table: %q", s))
			}
		case *gfm.TableRow:
			if cells, want := n.ChildCount(), len(n.Alignments); cells != want {
				wrong = append(wrong, fmt.Sprintf("%d cells in a row of %d", cells, want))
			}
		case *ast.FencedCodeBlock:
			line += " " + string(n.Language(src))
		case *ast.HTMLBlock:
			found, odd := tagsOf(n.Lines().Value(src))
			line, wrong = line+found, append(wrong, odd...)
		case *ast.RawHTML:
			found, odd := tagsOf(n.Segments.Value(src))
			line, wrong = line+found, append(wrong, odd...)
		case *ast.Link, *ast.AutoLink, *ast.Image, *ast.Heading, *gfm.Strikethrough:
			wrong = append(wrong, "unexpected "+line)
		}
		fmt.Fprintf(&b, "%s%s\n", strings.Repeat(" ", depth), line)
		return ast.WalkContinue, nil
	})
	return b.String(), wrong
}

// tagsOf returns the tags of HTML, and those that we do not write.
func tagsOf(src []byte) (found string, odd []string) {
	for _, t := range tag.FindAllString(string(src), -1) {
		found += " " + t
		if !tags.MatchString(t) {
			odd = append(odd, "HTML: "+t)
		}
	}
	return found, odd
}

// TestMarkdown_isGFM parses every golden file: tables are tables with as many cells as
// columns, folds open and close, and nothing is a link, a heading or HTML by accident.
func TestMarkdown_isGFM(t *testing.T) {
	files, err := filepath.Glob("testdata/*.md")
	require.NoError(t, err)
	require.Greater(t, len(files), 20)
	for _, file := range files {
		src, err := os.ReadFile(file)
		require.NoError(t, err)
		tree, wrong := parsed(string(src))
		assert.Empty(t, wrong, file)
		tables := regexp.MustCompile(`(?m)^\|(---:?\|)+$`).FindAllString(string(src), -1)
		assert.Equal(t, len(tables), strings.Count(tree, " Table\n"), "%s: tables that a parser sees", file)
		assert.Equal(t, strings.Count(tree, "<details>"), strings.Count(tree, "</details>"), file)
		assert.Equal(t, strings.Count(string(src), "<details>"), strings.Count(tree, "<details>"), "%s: folds within something else", file)
	}
}

func TestComment_isGFMWithTheSameStructureWhateverItHolds(t *testing.T) {
	body := func(s string) string {
		c := Comment{Marker: "<!-- apron:1 -->", Fingerprint: s, Since: &Since{Added: []string{s}, Changed: []string{s}, Gone: []string{s}}, Max: 1 << 20}
		return c.Body(foreignView(s))
	}
	want, wrong := parsed(body("x"))
	require.Empty(t, wrong)
	for _, part := range []string{"Table", "FencedCodeBlock mermaid", "Blockquote", "ListItem", "<details>", "<!-- apron:1 -->"} {
		require.Contains(t, want, part, "the test can see its structure")
	}
	rapid.Check(t, func(t *rapid.T) {
		s := drawForeign(t)
		got, wrong := parsed(body(s))
		if got != want || len(wrong) > 0 {
			t.Fatalf("%q: %v\n%s", s, wrong, body(s))
		}
	})
}
