package manifest

import (
	"slices"
	"strings"
)

// overlay lays an environment over the manifest: maps merge, lists and scalars replace,
// null removes. It returns a new tree.
func overlay(base, over *node) *node {
	if over.kind != mapping {
		return over
	}
	out := *over
	out.fields = nil
	if base != nil && base.kind == mapping {
		out.at = base.at
		out.fields = slices.Clone(base.fields)
	}
	for _, f := range over.fields {
		i := slices.IndexFunc(out.fields, func(b field) bool { return b.key == f.key })
		switch {
		case f.value.kind == null:
			out.remove(f.key)
		case i < 0:
			out.fields = append(out.fields, field{f.key, f.at, overlay(nil, f.value)})
		default:
			out.fields[i] = field{f.key, f.at, overlay(out.fields[i].value, f.value)}
		}
	}
	return &out
}

// choose returns the tree for the environment that was asked for, "" for none.
func choose(root *node, environment string, f *findings) *node {
	envs, has := root.field("environments")
	out := *root
	out.fields = slices.Clone(root.fields)
	out.remove("environments")
	if environment == "" {
		return &out
	}
	var names []string
	if has {
		for _, e := range envs.value.fields {
			names = append(names, e.key)
		}
	}
	if !slices.Contains(names, environment) {
		at, fix := envs.at, "add it under environments, {} if it changes nothing"
		if len(names) == 0 {
			at = root.at
		} else {
			fix = didYouMean(environment, names, "known are "+strings.Join(names, ", "))
		}
		f.fail(at, "environments", fix, "there is no environment %q", environment)
		return &out
	}
	over := envs.value.get(environment)
	if over.kind != mapping {
		return &out // an empty one; any other kind is refused where overlays are checked
	}
	return overlay(&out, over)
}
