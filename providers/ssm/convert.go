package ssm

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ssm/types"

	"github.com/apron-deploy/apron/reconcile/state"
)

// parameter is a parameter as this package compares it.
type parameter struct {
	name, kind string
	// value is nil when it is not known: not readable, or not set here.
	value *state.Sensitive
	tags  map[string]string
	Parameter
}

// fromParameter reads what AWS tells. The value of a SecureString that was not
// decrypted is of no use.
func fromParameter(got types.Parameter, decrypted bool) parameter {
	p := parameter{
		name: aws.ToString(got.Name),
		kind: string(got.Type),
		Parameter: Parameter{
			ARN:          aws.ToString(got.ARN),
			Version:      got.Version,
			LastModified: aws.ToTime(got.LastModifiedDate),
			Readable:     decrypted || got.Type != types.ParameterTypeSecureString,
		},
	}
	if p.Readable {
		value := state.Sensitive(aws.ToString(got.Value))
		p.value = &value
	}
	return p
}

func fromTags(list []types.Tag) map[string]string {
	tags := map[string]string{}
	for _, t := range list {
		tags[aws.ToString(t.Key)] = aws.ToString(t.Value)
	}
	return tags
}

func toTags(tags map[string]string) []types.Tag {
	var list []types.Tag
	for _, k := range slices.Sorted(maps.Keys(tags)) {
		list = append(list, types.Tag{Key: aws.String(k), Value: aws.String(tags[k])})
	}
	return list
}

// observed shows a live parameter to the planner.
func observed(service string, p parameter) state.Observed {
	fields := []state.Field{{Path: "type", Value: p.kind, Immutable: true}}
	if p.value != nil {
		fields = append(fields, state.Field{Path: "value", Value: p.value.Reveal(), Secret: true, Version: strconv.FormatInt(p.Version, 10)})
	}
	for k, v := range p.tags {
		fields = append(fields, state.Field{Path: "tags." + k, Value: v})
	}
	owner := state.Theirs
	if p.tags[tagService] == service {
		owner = state.Ours
	}
	return state.Observed{
		Resource: state.Resource{Address: address(p.name), Fields: state.Sort(fields), Detail: p.Parameter},
		ID:       p.ARN,
		Owner:    owner,
		Phase:    state.Ready,
	}
}

// wanted is the parameter that a plan asks for.
func wanted(r state.Resource) (parameter, error) {
	want := parameter{name: r.Address.Name, tags: map[string]string{}}
	for _, f := range r.Fields {
		key, isTag := strings.CutPrefix(f.Path, "tags.")
		switch {
		case isTag:
			want.tags[key] = f.Value
		case f.Path == "type":
			want.kind = f.Value
		case f.Path == "value":
			value := state.Sensitive(f.Value)
			want.value = &value
		default:
			return parameter{}, fmt.Errorf("parameter %q: unknown setting %q", want.name, f.Path)
		}
	}
	return want, nil
}
