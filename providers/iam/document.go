package iam

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// A policy document can say the same in many ways: statements in any order, one value
// or a list of one, one statement or several. What follows brings documents into one
// form, so that equal rights are equal texts.
// https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_grammar.html

// document is the canonical form of a policy document.
type document struct {
	// grants are "action resource" for a permissions policy and principals for a trust
	// policy, sorted, each once.
	grants []string
	// rest are the statements that say more than that (conditions, denials, other
	// principals), each as compact JSON, sorted.
	rest []string
}

func (d document) equal(e document) bool {
	return slices.Equal(d.grants, e.grants) && slices.Equal(d.rest, e.rest)
}

// text is the whole document in one line.
func (d document) text() string { return strings.Join(slices.Concat(d.grants, d.rest), ", ") }

// parseTrust reads the document that says who may take on a role.
func parseTrust(text string) document {
	return parse(text, func(s map[string]any) ([]string, bool) {
		principal, ok := s["Principal"].(map[string]any)
		if !ok || !only(s, "Sid", "Effect", "Principal", "Action") || !only(principal, "Service") {
			return nil, false
		}
		actions := list(s["Action"])
		services := list(principal["Service"])
		return services, s["Effect"] == "Allow" && slices.Equal(actions, []string{"sts:AssumeRole"}) && services != nil
	})
}

// parsePermissions reads a document that says what a role may do.
func parsePermissions(text string) document {
	return parse(text, func(s map[string]any) ([]string, bool) {
		actions, resources := list(s["Action"]), list(s["Resource"])
		if s["Effect"] != "Allow" || actions == nil || resources == nil || !only(s, "Sid", "Effect", "Action", "Resource") {
			return nil, false
		}
		var grants []string
		for _, r := range resources {
			for _, a := range actions {
				grants = append(grants, a+" "+r)
			}
		}
		return grants, true
	})
}

// parse reads a document's statements, of which plain understands the simple ones. A
// text that is no document is kept as it is: it differs from everything wanted, and
// people see it.
func parse(text string, plain func(statement map[string]any) ([]string, bool)) document {
	var outer struct{ Statement json.RawMessage }
	if err := json.Unmarshal([]byte(text), &outer); err != nil || outer.Statement == nil {
		return document{rest: []string{text}}
	}
	var statements []map[string]any
	if err := json.Unmarshal(outer.Statement, &statements); err != nil {
		var one map[string]any
		if err := json.Unmarshal(outer.Statement, &one); err != nil {
			return document{rest: []string{text}}
		}
		statements = []map[string]any{one}
	}
	var d document
	for _, s := range statements {
		if grants, ok := plain(s); ok {
			d.grants = append(d.grants, grants...)
			continue
		}
		d.rest = append(d.rest, compact(s))
	}
	slices.Sort(d.grants)
	d.grants = slices.Compact(d.grants)
	slices.Sort(d.rest)
	d.rest = slices.Compact(d.rest)
	return d
}

// only reports whether m has no other keys than these.
func only(m map[string]any, keys ...string) bool {
	for k := range m {
		if !slices.Contains(keys, k) {
			return false
		}
	}
	return true
}

// list reads a text or a list of texts; it returns nil for anything else.
func list(v any) []string {
	switch v := v.(type) {
	case string:
		return []string{v}
	case []any:
		var texts []string
		for _, e := range v {
			s, ok := e.(string)
			if !ok {
				return nil
			}
			texts = append(texts, s)
		}
		return texts
	}
	return nil
}

type statement struct {
	Effect    string
	Principal map[string][]string `json:",omitempty"`
	Action    []string
	Resource  []string `json:",omitempty"`
}

// trustText writes the document that lets services take on a role.
func trustText(services []string) string {
	return documentText([]statement{{
		Effect:    "Allow",
		Principal: map[string][]string{"Service": services},
		Action:    []string{"sts:AssumeRole"},
	}})
}

// permissionsText writes the shortest plain document that grants exactly these
// "action resource" pairs: resources with the same actions share a statement.
func permissionsText(grants []string) string {
	actions := map[string][]string{} // by resource
	for _, g := range slices.Compact(slices.Sorted(slices.Values(grants))) {
		action, resource, _ := strings.Cut(g, " ")
		actions[resource] = append(actions[resource], action)
	}
	resources := map[string][]string{} // by actions
	for _, r := range slices.Sorted(maps.Keys(actions)) {
		key := strings.Join(actions[r], " ")
		resources[key] = append(resources[key], r)
	}
	var statements []statement
	for _, key := range slices.Sorted(maps.Keys(resources)) {
		statements = append(statements, statement{Effect: "Allow", Action: strings.Fields(key), Resource: resources[key]})
	}
	return documentText(statements)
}

func documentText(statements []statement) string {
	return compact(struct {
		Version   string
		Statement []statement
	}{"2012-10-17", statements})
}

// compact is v as JSON in one line, with map keys sorted.
func compact(v any) string {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		panic(fmt.Sprintf("iam: encode %T: %v", v, err)) // only maps, lists and texts come here
	}
	return strings.TrimSpace(b.String())
}

// trusts reports whether a trust policy lets a service take on the role, on whatever
// conditions.
func trusts(text, service string) bool {
	d := parseTrust(text)
	if slices.Contains(d.grants, service) {
		return true
	}
	for _, r := range d.rest {
		var s struct {
			Effect            string
			Principal, Action any
		}
		if json.Unmarshal([]byte(r), &s) != nil || s.Effect != "Allow" {
			continue
		}
		var services []string
		if p, ok := s.Principal.(map[string]any); ok {
			services = list(p["Service"])
		}
		actions := list(s.Action)
		if slices.Contains(services, service) &&
			(slices.Contains(actions, "sts:AssumeRole") || slices.Contains(actions, "sts:*") || slices.Contains(actions, "*")) {
			return true
		}
	}
	return false
}
