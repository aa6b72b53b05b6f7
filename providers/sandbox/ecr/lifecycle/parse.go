package lifecycle

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// maxRules and maxStars are ECR's limits per policy and per pattern.
// https://docs.aws.amazon.com/AmazonECR/latest/userguide/service-quotas.html
const (
	maxRules = 50
	maxStars = 4
)

var errShape = errors.New("instance failed to match exactly one schema (matched 0 out of 2)")

// reason is why ECR refuses a policy: a sentence of its own, with the capital and the
// full stop that it has there.
type reason string

var _ error = reason("")

func (r reason) Error() string { return string(r) }

func because(format string, args ...any) reason { return reason(fmt.Sprintf(format, args...)) }

// Parse reads a policy and refuses what ECR refuses. The errors' texts are ECR's own
// reasons where those are known, without the preamble.
func Parse(text string) (*Policy, error) {
	top, err := object(json.RawMessage(text), []string{"rules"}, nil)
	if errors.Is(err, errSyntax) {
		return nil, reason("Could not map policyString into LifecyclePolicy.")
	}
	if err != nil {
		return nil, err
	}
	var raw []json.RawMessage
	if err := json.Unmarshal(top["rules"], &raw); err != nil {
		return nil, missing("rules")
	}
	if len(raw) == 0 || len(raw) > maxRules {
		return nil, fmt.Errorf("a policy has 1 to %d rules, found: %d", maxRules, len(raw))
	}
	p := &Policy{}
	for _, r := range raw {
		rule, err := parseRule(r)
		if err != nil {
			return nil, err
		}
		p.Rules = append(p.Rules, rule)
	}
	slices.SortStableFunc(p.Rules, func(a, b Rule) int { return cmp.Compare(a.Priority, b.Priority) })
	return p, p.check()
}

// check holds the rules against each other.
func (p *Policy) check() error {
	type class struct {
		archived bool
		tags     string
	}
	seen := map[class]bool{}
	for i, r := range p.Rules {
		if i > 0 && r.Priority == p.Rules[i-1].Priority {
			return because("Rule priorities must be unique, found %d more than once.", r.Priority)
		}
		tags := slices.Sorted(slices.Values(r.Selection.Patterns))
		c := class{r.Selection.Archived, r.Selection.TagStatus + " " + strings.Join(tags, ",")}
		if seen[class{c.archived, Any + " "}] {
			return reason("Rule for tagStatus=ANY must have the lowest priority per storage class")
		}
		switch {
		case seen[c] && r.Selection.TagStatus == Untagged:
			return reason("Only one rule can select Untagged images per storage class.")
		case seen[c]:
			return because("Only one rule can select the tags %s per storage class.", strings.Join(tags, ", "))
		}
		seen[c] = true
	}
	return nil
}

func parseRule(raw json.RawMessage) (Rule, error) {
	m, err := object(raw, []string{"rulePriority", "selection", "action"}, []string{"description"})
	if err != nil {
		return Rule{}, err
	}
	var r Rule
	if err := json.Unmarshal(m["rulePriority"], &r.Priority); err != nil {
		return Rule{}, errShape
	}
	if r.Priority < 1 {
		return Rule{}, tooLow(r.Priority)
	}
	if r.Selection, err = parseSelection(m["selection"]); err != nil {
		return Rule{}, err
	}
	r.Action, err = parseAction(m["action"], r.Selection)
	return r, err
}

func parseAction(raw json.RawMessage, s Selection) (Action, error) {
	if _, err := object(raw, []string{"type"}, []string{"targetStorageClass"}); err != nil {
		return "", err
	}
	var a struct {
		Type               Action
		TargetStorageClass string
	}
	if err := json.Unmarshal(raw, &a); err != nil {
		return "", errShape
	}
	switch a.Type {
	case Expire:
		if a.TargetStorageClass != "" {
			return "", errShape
		}
	case Transition:
		if a.TargetStorageClass != "archive" || s.Archived {
			return "", errShape
		}
	default:
		return "", notIn(string(a.Type), string(Expire), string(Transition))
	}
	return a.Type, nil
}

func parseSelection(raw json.RawMessage) (Selection, error) {
	_, err := object(raw, []string{"tagStatus", "countType", "countNumber"},
		[]string{"tagPatternList", "tagPrefixList", "storageClass", "countUnit"})
	if err != nil {
		return Selection{}, err
	}
	var in struct {
		TagStatus, CountType, CountUnit, StorageClass string
		TagPatternList, TagPrefixList                 []string
		CountNumber                                   int
	}
	if err := json.Unmarshal(raw, &in); err != nil {
		return Selection{}, errShape
	}
	s := Selection{
		TagStatus: in.TagStatus, CountType: in.CountType, CountNumber: in.CountNumber,
		Patterns: in.TagPatternList, Archived: in.StorageClass == "archive",
	}
	for _, prefix := range in.TagPrefixList {
		s.Patterns = append(s.Patterns, prefix+"*")
	}
	tagged := in.TagStatus == Tagged
	switch {
	case !slices.Contains([]string{Tagged, Untagged, Any}, in.TagStatus):
		return s, notIn(in.TagStatus, Any, Tagged, Untagged)
	case !slices.Contains([]string{"", "standard", "archive"}, in.StorageClass):
		return s, notIn(in.StorageClass, "archive", "standard")
	case tagged && len(s.Patterns) == 0:
		return s, reason("Must specify tagPrefixList or tagPatternList when tagStatus=TAGGED.")
	case in.TagPatternList != nil && in.TagPrefixList != nil:
		return s, reason("Cannot specify both tagPrefixList and tagPatternList in one rule.")
	case !tagged && (in.TagPatternList != nil || in.TagPrefixList != nil):
		return s, because("Cannot specify tagPrefixList or tagPatternList when tagStatus=%s.", strings.ToUpper(in.TagStatus))
	case slices.ContainsFunc(in.TagPatternList, func(p string) bool { return strings.Count(p, "*") > maxStars }):
		return s, because("A tag pattern holds at most %d wildcards.", maxStars)
	case in.CountNumber < 1:
		return s, tooLow(in.CountNumber)
	}
	return s, s.checkCount(in.CountUnit)
}

func (s Selection) checkCount(unit string) error {
	switch s.CountType {
	case MoreThan:
		if unit != "" {
			return errShape
		}
	case SincePushed, SincePulled, SinceTransitioned:
		if unit != "days" || (s.CountType == SinceTransitioned) && !s.Archived {
			return errShape
		}
	default:
		return errShape
	}
	return nil
}

var errSyntax = errors.New("not a JSON object")

// object checks an object's members: all of the required, none beyond the optional,
// and no nulls.
func object(raw json.RawMessage, required, optional []string) (map[string]json.RawMessage, error) {
	var m map[string]json.RawMessage
	if err := json.Unmarshal(raw, &m); err != nil || m == nil {
		return nil, errSyntax
	}
	var absent, unknown []string
	for _, k := range required {
		if _, ok := m[k]; !ok {
			absent = append(absent, k)
		}
	}
	if len(absent) > 0 {
		return nil, missing(absent...)
	}
	for _, k := range slices.Sorted(maps.Keys(m)) {
		if !slices.Contains(required, k) && !slices.Contains(optional, k) {
			unknown = append(unknown, k)
		} else if string(m[k]) == "null" {
			return nil, errShape
		}
	}
	if len(unknown) > 0 {
		return nil, fmt.Errorf("object instance has properties which are not allowed by the schema: (%s)", list(unknown))
	}
	return m, nil
}

func missing(names ...string) error {
	return fmt.Errorf("object has missing required properties (%s)", list(slices.Sorted(slices.Values(names))))
}

func notIn(value string, allowed ...string) error {
	return fmt.Errorf("instance value (%q) not found in enum (possible values: %s)", value, list(allowed))
}

func tooLow(n int) error {
	return fmt.Errorf("numeric instance is lower than the required minimum (minimum: 1, found: %d)", n)
}

func list(names []string) string {
	quoted := make([]string, len(names))
	for i, n := range names {
		quoted[i] = fmt.Sprintf("%q", n)
	}
	return "[" + strings.Join(quoted, ",") + "]"
}
