package iam

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"unicode"

	"github.com/apron-deploy/apron/providers/sandbox/wire"
	"github.com/apron-deploy/apron/reconcile/pattern"
)

// document is a policy.
// https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_grammar.html
type document struct {
	Version   string
	ID        string `json:"Id"`
	Statement statements
}

type statement struct {
	Sid                   string
	Effect                string
	Principal             *principal
	NotPrincipal          *principal
	Action, NotAction     texts
	Resource, NotResource texts
	Condition             map[string]map[string]any
}

// texts is one string or a list of them.
type texts []string

func (t *texts) UnmarshalJSON(b []byte) error {
	var one string
	if json.Unmarshal(b, &one) == nil {
		*t = texts{one}
		return nil
	}
	return json.Unmarshal(b, (*[]string)(t))
}

// statements is one statement or a list of them.
type statements []statement

func (s *statements) UnmarshalJSON(b []byte) error {
	var one statement
	if len(b) > 0 && b[0] == '{' {
		if err := json.Unmarshal(b, &one); err != nil {
			return err
		}
		*s = statements{one}
		return nil
	}
	return json.Unmarshal(b, (*[]statement)(s))
}

// principal is "*" or kinds of principals with their names.
type principal struct {
	Any    bool
	ByKind map[string]texts
}

func (p *principal) UnmarshalJSON(b []byte) error {
	var all string
	if json.Unmarshal(b, &all) == nil {
		if all != "*" {
			return fmt.Errorf("principal %q", all)
		}
		p.Any = true
		return nil
	}
	return json.Unmarshal(b, &p.ByKind)
}

func malformed(format string, args ...any) error {
	return wire.Errorf("MalformedPolicyDocument", format, args...)
}

// parse reads a document and checks what trust and identity policies have in common.
func parse(text string) (document, error) {
	var d document
	if !json.Valid([]byte(text)) {
		return d, malformed("This policy contains invalid Json")
	}
	if err := json.Unmarshal([]byte(text), &d); err != nil {
		return d, malformed("Syntax errors in policy.")
	}
	if d.Version != "" && d.Version != "2012-10-17" && d.Version != "2008-10-17" || len(d.Statement) == 0 {
		return d, malformed("Syntax errors in policy.")
	}
	sids := map[string]bool{}
	for _, s := range d.Statement {
		switch {
		case s.Effect != "Allow" && s.Effect != "Deny":
			return d, malformed("Syntax errors in policy.")
		case s.Sid != "" && sids[s.Sid]:
			return d, malformed("Statement IDs (SID) in a single policy must be unique.")
		case len(s.Action)+len(s.NotAction) == 0:
			return d, malformed("Policy statement must contain actions.")
		}
		sids[s.Sid] = true
		for _, action := range slices.Concat(s.Action, s.NotAction) {
			if vendor, _, ok := strings.Cut(action, ":"); action != "*" && (!ok || vendor == "") {
				return d, malformed("Actions/Conditions must be prefaced by a vendor, e.g., iam, sdb, ec2, etc.")
			}
		}
	}
	return d, nil
}

// sizeOf counts characters as IAM's quotas do: white space is free.
func sizeOf(text string) int {
	n := 0
	for _, r := range text {
		if !unicode.IsSpace(r) {
			n++
		}
	}
	return n
}

var serviceRE = pattern.Lazy(`^[a-z0-9.-]+\.amazonaws\.com(\.cn)?$`)

// checkTrust refuses what cannot be a role's trust policy.
func checkTrust(text string) error {
	d, err := parse(text)
	if err != nil {
		return err
	}
	if sizeOf(text) > maxTrust {
		return quota("ACLSizePerRole", maxTrust)
	}
	for _, s := range d.Statement {
		switch {
		case len(s.Resource)+len(s.NotResource) > 0:
			return malformed("Has prohibited field Resource")
		case s.Principal == nil && s.NotPrincipal == nil:
			return malformed("Missing required field Principal")
		case s.NotPrincipal != nil && s.Effect == "Allow":
			return malformed("Allow with NotPrincipal is not allowed.")
		}
		for _, action := range slices.Concat(s.Action, s.NotAction) {
			if action != "*" && !strings.HasPrefix(strings.ToLower(action), "sts:") {
				return malformed("AssumeRole policy may only specify STS AssumeRole actions.")
			}
		}
		if s.Principal == nil {
			continue
		}
		for _, service := range s.Principal.ByKind["Service"] {
			if !serviceRE().MatchString(service) {
				return malformed("Invalid principal in policy: \"SERVICE\":%q", service)
			}
		}
	}
	return nil
}

// checkIdentityPolicy refuses what cannot be attached to a role.
func checkIdentityPolicy(text string) error {
	d, err := parse(text)
	if err != nil {
		return err
	}
	for _, s := range d.Statement {
		switch {
		case s.Principal != nil || s.NotPrincipal != nil:
			return malformed("Policy document should not specify a principal.")
		case len(s.Resource)+len(s.NotResource) == 0:
			return malformed("Policy statement must contain resources.")
		}
		for _, resource := range slices.Concat(s.Resource, s.NotResource) {
			if resource != "*" && strings.Count(resource, ":") < 5 {
				return malformed("Resource %s must be in ARN format or \"*\".", resource)
			}
		}
	}
	return nil
}
