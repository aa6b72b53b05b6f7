package manifest

import "strings"

// Masked lists the paths whose values [Render] has masked, in a document that was loaded
// from what it wrote. A build's are left out: nothing is built from such a text.
func (d *Document) Masked() []string {
	var paths []string
	var walk func(n *node, path string)
	walk = func(n *node, path string) {
		switch {
		case n == nil || strings.HasPrefix(path, "image.build"):
		case n.masked():
			paths = append(paths, path)
		default:
			for i, item := range n.items {
				walk(item, path+index(i))
			}
			for _, f := range n.fields {
				walk(f.value, join(path, f.key))
			}
		}
	}
	walk(d.root, "")
	return paths
}
