package state

import (
	"regexp"
	"slices"
)

var softRef = regexp.MustCompile(`\$\{services\.([A-Za-z0-9_-]+)\.url\}`)

// SoftRefs lists the services whose URLs a template names, each once, in order.
func SoftRefs(template string) []string {
	var names []string
	for _, m := range softRef.FindAllStringSubmatch(template, -1) {
		if !slices.Contains(names, m[1]) {
			names = append(names, m[1])
		}
	}
	return names
}

// Expand replaces the soft references of a template by URLs. It reports false, and
// returns "", when url does not know one of them.
func Expand(template string, url func(service string) (string, bool)) (string, bool) {
	known := true
	text := softRef.ReplaceAllStringFunc(template, func(ref string) string {
		u, ok := url(softRef.FindStringSubmatch(ref)[1])
		known = known && ok
		return u
	})
	if !known {
		return "", false
	}
	return text, true
}
