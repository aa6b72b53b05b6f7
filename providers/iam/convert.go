package iam

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/iam/types"

	"github.com/apron-deploy/apron/reconcile/state"
)

// policyName is the name of the one inline policy of an instance role.
const policyName = "apron"

// role is a role as this package compares it.
type role struct {
	name, arn string
	trust     document
	policies  []string // ARNs of the attached managed policies, sorted
	inline    map[string]document
	tags      map[string]string
}

// fromRole reads what GetRole tells. It decodes the documents, which IAM sends
// percent-encoded.
func fromRole(r types.Role) (*role, error) {
	trust, err := url.PathUnescape(aws.ToString(r.AssumeRolePolicyDocument))
	if err != nil {
		return nil, fmt.Errorf("trust policy: %w", err)
	}
	got := &role{
		name:   aws.ToString(r.RoleName),
		arn:    aws.ToString(r.Arn),
		trust:  parseTrust(trust),
		inline: map[string]document{},
		tags:   map[string]string{},
	}
	for _, t := range r.Tags {
		got.tags[aws.ToString(t.Key)] = aws.ToString(t.Value)
	}
	return got, nil
}

func toTags(tags map[string]string) []types.Tag {
	var list []types.Tag
	for _, k := range slices.Sorted(maps.Keys(tags)) {
		list = append(list, types.Tag{Key: aws.String(k), Value: aws.String(tags[k])})
	}
	return list
}

// observed shows a live role to the planner. What is attached or written beside apron's
// own policy has fields too, so that it is seen, and removed on the next apply.
func observed(address state.Address, service string, r role) state.Observed {
	fields := []state.Field{{Path: "trust", Value: r.trust.text()}}
	for _, arn := range r.policies {
		fields = append(fields, state.Field{Path: "policy." + arn, Value: attached, Grant: true})
	}
	for name, d := range r.inline {
		if name != policyName {
			fields = append(fields, state.Field{Path: "permission.policy " + name, Value: d.text(), Grant: true, Opaque: true})
			continue
		}
		for _, g := range d.grants {
			fields = append(fields, state.Field{Path: "permission." + g, Value: allow, Grant: true})
		}
		for _, s := range d.rest {
			sum := sha256.Sum256([]byte(s))
			fields = append(fields, state.Field{Path: "permission.statement " + hex.EncodeToString(sum[:4]), Value: s, Grant: true, Opaque: true})
		}
	}
	for k, v := range r.tags {
		fields = append(fields, state.Field{Path: "tags." + k, Value: v})
	}
	owner := state.Theirs
	if r.tags[tagService] == service {
		owner = state.Ours
	}
	return state.Observed{
		Resource: state.Resource{Address: address, Fields: state.Sort(fields), Whole: []string{"permission.", "policy."}},
		ID:       r.arn,
		Owner:    owner,
		Phase:    state.Ready,
	}
}

// wanted is the role that a plan asks for. Its trust is one service or several, as
// [Desired] writes them.
func wanted(r state.Resource) (role, error) {
	want := role{name: r.Address.Name, inline: map[string]document{}, tags: map[string]string{}}
	for _, f := range r.Fields {
		kind, rest, _ := strings.Cut(f.Path, ".")
		switch kind {
		case "trust":
			want.trust = document{grants: strings.Split(f.Value, ", ")}
		case "policy":
			want.policies = append(want.policies, rest)
		case "permission":
			d := want.inline[policyName]
			d.grants = append(d.grants, rest)
			want.inline[policyName] = d
		case "tags":
			want.tags[rest] = f.Value
		default:
			return role{}, fmt.Errorf("role %q: unknown setting %q", want.name, f.Path)
		}
	}
	slices.Sort(want.policies)
	for _, d := range want.inline {
		slices.Sort(d.grants)
	}
	return want, nil
}
