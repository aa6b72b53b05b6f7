package ecr

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// policy is a lifecycle policy that apron understands: rules of one pattern each, in
// the order of their priority.
// https://docs.aws.amazon.com/AmazonECR/latest/userguide/lifecycle_policy_parameters.html
type policy []rule

// rule keeps the newest Keep images whose tags match Pattern, or expires untagged images
// after Days.
type rule struct {
	Pattern string
	Keep    int
	Days    int
}

// retention is the policy of a manifest. What runs and what records a release are
// matched first, which shields them from the rules that follow.
func retention(keep, days *int) policy {
	p := policy{{Pattern: "live-*", Keep: 1000}, {Pattern: "release-*", Keep: 200}}
	if keep != nil {
		p = append(p, rule{Pattern: "src-*", Keep: *keep})
	}
	if days != nil {
		p = append(p, rule{Days: *days})
	}
	return p
}

// String is the canonical form that plans compare and show.
func (p policy) String() string {
	parts := make([]string, len(p))
	for i, r := range p {
		if r.Pattern == "" {
			parts[i] = fmt.Sprintf("untagged: %d days", r.Days)
		} else {
			parts[i] = fmt.Sprintf("%s: keep %d", r.Pattern, r.Keep)
		}
	}
	return strings.Join(parts, "; ")
}

// parseCanonical reads what [policy.String] wrote.
func parseCanonical(text string) (policy, error) {
	var p policy
	for part := range strings.SplitSeq(text, "; ") {
		var r rule
		pattern, count, ok := strings.Cut(part, ": keep ")
		var err error
		if ok {
			r.Pattern = pattern
			r.Keep, err = strconv.Atoi(count)
		} else {
			_, err = fmt.Sscanf(part, "untagged: %d days", &r.Days)
		}
		if err != nil {
			return nil, fmt.Errorf("lifecycle policy %q is not of apron's form", part)
		}
		p = append(p, r)
	}
	return p, nil
}

// document is the wire form of a lifecycle policy.
type document struct {
	Rules []documentRule `json:"rules"`
}

type documentRule struct {
	Priority    int       `json:"rulePriority"`
	Description string    `json:"description,omitempty"`
	Selection   selection `json:"selection"`
	Action      struct {
		Type string `json:"type"`
	} `json:"action"`
}

type selection struct {
	TagStatus   string   `json:"tagStatus"`
	Patterns    []string `json:"tagPatternList,omitempty"`
	CountType   string   `json:"countType"`
	CountUnit   string   `json:"countUnit,omitempty"`
	CountNumber int      `json:"countNumber"`
}

// text is the policy as ECR takes it.
func (p policy) text() string {
	var d document
	for i, r := range p {
		w := documentRule{Priority: i + 1, Description: "apron"}
		w.Action.Type = "expire"
		if r.Pattern == "" {
			w.Selection = selection{TagStatus: "untagged", CountType: "sinceImagePushed", CountUnit: "days", CountNumber: r.Days}
		} else {
			w.Selection = selection{TagStatus: "tagged", Patterns: []string{r.Pattern}, CountType: "imageCountMoreThan", CountNumber: r.Keep}
		}
		d.Rules = append(d.Rules, w)
	}
	b, err := json.Marshal(d)
	if err != nil {
		panic(err) // strings and integers always marshal
	}
	return string(b)
}

// parse reads the text that ECR returns, which is the text that was put. Priorities order
// the rules, wherever they stand. A policy of another shape is returned as compact JSON,
// so that it still compares and shows.
func parse(text string) string {
	var d document
	dec := json.NewDecoder(strings.NewReader(text))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&d); err != nil {
		return compact(text)
	}
	slices.SortStableFunc(d.Rules, func(a, b documentRule) int { return cmp.Compare(a.Priority, b.Priority) })
	var p policy
	for _, r := range d.Rules {
		s := r.Selection
		switch {
		case r.Action.Type == "expire" && s.TagStatus == "tagged" && len(s.Patterns) == 1 && s.CountType == "imageCountMoreThan":
			p = append(p, rule{Pattern: s.Patterns[0], Keep: s.CountNumber})
		case r.Action.Type == "expire" && s.TagStatus == "untagged" && s.CountType == "sinceImagePushed" && s.CountUnit == "days":
			p = append(p, rule{Days: s.CountNumber})
		default:
			return compact(text)
		}
	}
	return p.String()
}

func compact(text string) string {
	var b bytes.Buffer
	if err := json.Compact(&b, []byte(text)); err != nil {
		return text
	}
	return b.String()
}
