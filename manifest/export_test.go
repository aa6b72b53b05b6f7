package manifest

import (
	"flag"
	"strings"

	"gopkg.in/yaml.v3"
)

// Update is set to rewrite golden files, the JSON Schema among them.
var Update = flag.Bool("update", false, "rewrite golden files")

// Spread writes a key and its value, given in one line, over several, each with a comment.
func Spread(key, value string) string {
	var y yaml.Node
	if err := yaml.Unmarshal([]byte(key+": "+value), &y); err != nil {
		panic(err)
	}
	var b strings.Builder
	spread(&b, y.Content[0], 0)
	return b.String()
}

func spread(b *strings.Builder, y *yaml.Node, indent int) {
	line := func(text string) { b.WriteString(strings.Repeat(" ", indent) + text + "\n") }
	for i := 0; i < len(y.Content); i++ {
		c, head := y.Content[i], "- "
		if y.Kind == yaml.MappingNode {
			head = c.Value + ": "
			if i++; i < len(y.Content) {
				c = y.Content[i]
			}
		}
		line("# about " + strings.TrimSpace(head))
		if len(c.Content) > 0 && y.Kind == yaml.MappingNode {
			line(strings.TrimSpace(head))
			spread(b, c, indent+2)
			continue
		}
		text, err := yaml.Marshal(&yaml.Node{Kind: c.Kind, Tag: c.Tag, Value: c.Value, Content: c.Content, Style: c.Style})
		if err != nil {
			panic(err)
		}
		line(head + strings.TrimSpace(string(text)) + " # here")
	}
}
