package manifest

import (
	"strconv"
	"strings"
)

// LiveText writes a live value as a manifest has it. path is the manifest's, value as AWS
// knows it: CPU in units, memory in MiB; present is the text that stands there, or "", whose
// form is kept.
func LiveText(path, value, present string) string {
	n, err := strconv.Atoi(value)
	bare := present != "" && strings.Trim(present, "0123456789") == ""
	switch {
	case path == "cpu" && err == nil && !bare:
		return CPU(n).String()
	case path == "memory" && err == nil && !bare:
		return Memory(n).String()
	case bare && strings.HasSuffix(value, "s") && (path == "health.interval" || path == "health.timeout"):
		return strings.TrimSuffix(value, "s")
	}
	return strings.ReplaceAll(value, "$", "$$") // a dollar sign that is no variable's
}

// Source is the text of the single value at a path, as it was written, where it was made
// from variables, and else "".
func (d *Document) Source(path string) string {
	if n := d.root.find(path); n != nil && n.value.varied {
		return n.text
	}
	return ""
}

// Text is the text of the single value at a path, as it was written, or "".
func (d *Document) Text(path string) string {
	if n := d.root.find(path); n != nil && n.kind == scalar {
		return n.text
	}
	return ""
}
