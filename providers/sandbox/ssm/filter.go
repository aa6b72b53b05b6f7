package ssm

import (
	"cmp"
	"slices"
	"strings"

	"github.com/apron-deploy/apron/providers/sandbox/wire"
)

// filter is one condition of a list; all must hold.
// https://docs.aws.amazon.com/systems-manager/latest/APIReference/API_ParameterStringFilter.html
type filter struct {
	Key, Option string
	Values      []string
}

// options are what each key can be compared by; the first is the default.
var options = map[string][]string{
	"Name":     {"Equals", "BeginsWith", "Contains"},
	"Path":     {"OneLevel", "Recursive"},
	"Type":     {"Equals", "BeginsWith"},
	"KeyId":    {"Equals", "BeginsWith"},
	"Tier":     {"Equals"},
	"DataType": {"Equals"},
	"Label":    {"Equals", "BeginsWith", "Contains"},
	"tag:":     {"Equals", "BeginsWith"},
}

func (f filter) kind() string {
	if strings.HasPrefix(f.Key, "tag:") {
		return "tag:"
	}
	return f.Key
}

func (f filter) check() error {
	allowed, known := options[f.kind()]
	switch {
	case !known:
		return wire.Errorf("InvalidFilterKey", "The following filter key is not valid: %s.", f.Key)
	case f.Option != "" && !slices.Contains(allowed, f.Option):
		return wire.Errorf("InvalidFilterOption", "The following filter option is not valid: %s. Valid options include: [%s].", f.Option, strings.Join(allowed, ", "))
	case len(f.Values) == 0 && f.kind() != "tag:":
		return wire.Errorf("InvalidFilterValue", "The following filter values are missing : null for filter key %s.", f.Key)
	case f.Key == "Path" && slices.ContainsFunc(f.Values, func(v string) bool { return !strings.HasPrefix(v, "/") }):
		return wire.Errorf("ValidationException", "The parameter doesn't meet the parameter name requirements. The parameter name must begin with a forward slash \"/\". It can't be prefixed with \"aws\" or \"ssm\" (case-insensitive).")
	}
	return nil
}

// passes tells whether any of the filter's values fits the parameter.
func (f filter) passes(p *parameter) bool {
	var have string
	switch f.kind() {
	case "Name":
		return f.any(strings.TrimPrefix(p.Name, "/"), func(v string) string { return strings.TrimPrefix(v, "/") })
	case "Path":
		return slices.ContainsFunc(f.Values, func(v string) bool {
			rest, below := strings.CutPrefix(p.Name, strings.TrimSuffix(v, "/")+"/")
			return below && (f.Option == "Recursive" || !strings.Contains(rest, "/"))
		})
	case "tag:":
		value, tagged := p.Tags[strings.TrimPrefix(f.Key, "tag:")]
		if !tagged || len(f.Values) == 0 {
			return tagged
		}
		have = value
	case "Type":
		have = p.Type
	case "KeyId":
		have = p.KeyID
	case "Tier":
		have = p.Tier
	case "DataType":
		have = p.DataType
	case "Label":
		return false // the sandbox keeps no labels
	}
	return f.any(have, func(v string) string { return v })
}

func (f filter) any(have string, normal func(string) string) bool {
	return slices.ContainsFunc(f.Values, func(v string) bool {
		v = normal(v)
		switch cmp.Or(f.Option, "Equals") {
		case "BeginsWith":
			return strings.HasPrefix(have, v)
		case "Contains":
			return strings.Contains(have, v)
		}
		return have == v
	})
}
