package manifest

import (
	"cmp"
	"reflect"
	"slices"
	"strings"
)

// didYouMean names the candidate nearest to word, or returns otherwise.
func didYouMean(word string, candidates []string, otherwise string) string {
	if c, ok := nearest(word, candidates); ok {
		return "did you mean " + c + "?"
	}
	return otherwise
}

func nearest(word string, candidates []string) (string, bool) {
	best, least := "", 1+max(1, len(word)/3)
	for _, c := range candidates {
		if len(word) >= 3 && strings.HasPrefix(strings.ToLower(c), strings.ToLower(word)) {
			return c, true
		}
		if d := distance(strings.ToLower(word), strings.ToLower(c)); d < least {
			best, least = c, d
		}
	}
	return best, best != ""
}

// distance counts the edits between a and b, a swap of neighbours being one.
func distance(a, b string) int {
	prev2, prev := []int(nil), make([]int, len(b)+1)
	for j := range prev {
		prev[j] = j
	}
	for i := range len(a) {
		row := make([]int, len(b)+1)
		row[0] = i + 1
		for j := range len(b) {
			cost := 1
			if a[i] == b[j] {
				cost = 0
			}
			row[j+1] = min(prev[j]+cost, prev[j+1]+1, row[j]+1)
			if i > 0 && j > 0 && a[i] == b[j-1] && a[i-1] == b[j] {
				row[j+1] = min(row[j+1], prev2[j-1]+1)
			}
		}
		prev2, prev = prev, row
	}
	return prev[len(b)]
}

// synonyms are the names that other tools use for the same thing.
var synonyms = map[string]string{
	"name": "service", "service_name": "service", "servicename": "service",
	"platform": "target or image.build.platform", "compute": "target",
	"environment": "env", "environment_variables": "env", "variables": "env", "env_vars": "env",
	"runtimeenvironmentvariables": "env", "runtimeenvironmentsecrets": "secrets", "secret": "secrets",
	"health_check": "health", "healthcheck": "health", "healthcheckconfiguration": "health",
	"autoscaling": "scaling", "auto_scaling": "scaling", "scale": "scaling", "instances": "scaling",
	"min_size": "min", "minsize": "min", "max_size": "max", "maxsize": "max",
	"max_concurrency": "concurrency", "maxconcurrency": "concurrency",
	"healthy_threshold": "healthy", "unhealthy_threshold": "unhealthy",
	"healthythreshold": "healthy", "unhealthythreshold": "unhealthy",
	"start_command": "command", "startcommand": "command", "ports": "port",
	"buildargs": "args", "build_args": "args", "dir": "context", "path": "context", "file": "dockerfile",
	"repo": "repository", "auto_deployments_enabled": "auto_deploy", "autodeploy": "auto_deploy",
	"domain": "domains", "custom_domains": "domains", "vpc": "network.egress",
	"access_role": "roles.access", "instance_role": "roles.instance", "role": "roles.instance",
}

// suggestKey finds what somebody who wrote an unknown key in t may have meant.
func suggestKey(key string, t reflect.Type) string {
	known := keysOf(t)
	if s := synonym(key, t, known); s != "" {
		return "did you mean " + s + "?"
	}
	switch p, _ := outside(key, t, manifestType, ""); {
	case strings.Contains(p, "."):
		return "did you mean " + p + "?"
	case p != "":
		return "it belongs at the top level"
	}
	if c, ok := nearest(key, known); ok {
		return "did you mean " + c + "?"
	}
	if p := elsewhere(key, manifestType, ""); p != "" {
		return "did you mean " + p + "?"
	}
	if t == manifestType {
		return "top-level keys that apron should ignore start with x-"
	}
	return "known are " + strings.Join(known, ", ")
}

// synonym is the key of t that another tool's key means. At the top level it is a path where
// the key is further in.
func synonym(key string, t reflect.Type, known []string) string {
	s, ok := synonyms[strings.ToLower(key)]
	switch {
	case !ok || slices.Contains(known, s):
		return s
	case t != manifestType:
		return ""
	case strings.Contains(s, "."):
		return s
	}
	return cmp.Or(elsewhere(key, manifestType, ""), elsewhere(s, manifestType, ""))
}

// outside finds the innermost object around t, within another, that does have the key, and
// reports whether t is there at all. What every manifest has at its top is not missed there.
func outside(key string, t, in reflect.Type, path string) (at string, found bool) {
	fields := schemaFields(in)
	for _, f := range fields {
		s := structOf(f.typ)
		if s == nil || f.key == "environments" {
			continue
		}
		if found = s == t; !found {
			at, found = outside(key, t, s, join(path, f.key))
		}
		if !found {
			continue
		}
		if at == "" && slices.ContainsFunc(fields, func(f schemaField) bool { return f.key == key && f.tag.Get("required") == "" }) {
			at = join(path, key)
		}
		return at, true
	}
	return "", false
}

// elsewhere finds where in the schema a key of that name does exist.
func elsewhere(key string, t reflect.Type, path string) string {
	for _, f := range schemaFields(t) {
		p := join(path, f.key)
		if f.key == key && path != "" {
			return p
		}
		if f.key == "environments" {
			continue
		}
		if s := structOf(f.typ); s != nil {
			if found := elsewhere(key, s, p); found != "" {
				return found
			}
		}
	}
	return ""
}
