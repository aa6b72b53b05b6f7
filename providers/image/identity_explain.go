package image

import (
	"cmp"
	"slices"
)

// Change is an input in which two identities differ.
type Change struct {
	Input string // "context main.go", "arg VERSION"
	Op    string // "+" only the new one has it, "-" only the old one, "~" both do; "?" nobody can tell
}

// Explain lists the inputs in which two identities differ, by name. Both lists of inputs
// must be sorted, as those of [Identify] and [Recall] are.
func Explain(old, now Identity) []Change {
	var list []Change
	a, b := old.Inputs, now.Inputs
	for len(a) > 0 || len(b) > 0 {
		order := 0
		switch {
		case len(a) == 0:
			order = 1
		case len(b) == 0:
			order = -1
		default:
			order = cmp.Compare(a[0].Name, b[0].Name)
		}
		switch {
		case order < 0:
			list, a = append(list, Change{a[0].Name, "-"}), a[1:]
		case order > 0:
			list, b = append(list, Change{b[0].Name, "+"}), b[1:]
		default:
			switch {
			case a[0].Digest == "" || b[0].Digest == "":
				list = append(list, Change{a[0].Name, "?"})
			case !same(a[0].Digest, b[0].Digest):
				list = append(list, Change{a[0].Name, "~"})
			}
			a, b = a[1:], b[1:]
		}
	}
	return list
}

// same compares digests, of which one may have been shortened by [Recall].
func same(a, b string) bool {
	if len(a) == brief || len(b) == brief {
		a, b = shorten(a), shorten(b)
	}
	return a == b
}

// Diff names the inputs in which two identities differ, sorted.
func Diff(a, b Identity) []string {
	a.Inputs, b.Inputs = sorted(a.Inputs), sorted(b.Inputs)
	var names []string
	for _, c := range Explain(a, b) {
		names = append(names, c.Input)
	}
	return names
}

func sorted(list []Input) []Input {
	byName := func(a, b Input) int { return cmp.Compare(a.Name, b.Name) }
	if slices.IsSortedFunc(list, byName) {
		return list
	}
	return slices.SortedFunc(slices.Values(list), byName)
}
