package manifest

import (
	"slices"
	"strings"
)

// Named is what a file says of names, in all its documents and whichever environment is
// chosen.
type Named struct {
	Services     []string // as written; each once
	Environments []string
	// Open says that a variable decides a service's name.
	Open bool
}

// NamesIn reads the names in a file that is perhaps a manifest, and takes nothing from the
// environment. It reports false for what is no YAML, or not all of it can be read.
func NamesIn(data []byte) (Named, bool) {
	var n Named
	f := &findings{}
	roots := parse("", data, f)
	if len(f.errors) > 0 {
		return Named{}, false
	}
	service := func(of *node) {
		at := of.get("service")
		if at == nil || at.kind != scalar {
			return
		}
		n.Open = n.Open || strings.Contains(at.text, "$")
		if !slices.Contains(n.Services, at.text) {
			n.Services = append(n.Services, at.text)
		}
	}
	for _, root := range roots {
		service(root)
		envs := root.get("environments")
		if envs == nil {
			continue
		}
		for _, e := range envs.fields {
			service(e.value)
			if !slices.Contains(n.Environments, e.key) {
				n.Environments = append(n.Environments, e.key)
			}
		}
	}
	return n, true
}
