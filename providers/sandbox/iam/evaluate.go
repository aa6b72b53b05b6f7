package iam

import (
	"errors"
	"fmt"
	"path"
	"strings"
)

// What [Service.Assume] refuses for.
var (
	ErrNoRole   = errors.New("the role does not exist")
	ErrTrust    = errors.New("the role does not trust the principal")
	ErrNotReady = errors.New("the role's trust has not reached the service yet")
)

// Assume tells whether the service principal, such as "build.apprunner.amazonaws.com",
// can assume the role at this moment: nil, or one of the errors above, wrapped.
func (s *Service) Assume(roleARN, principal string) error {
	err := ErrNoRole
	s.role(roleARN, func(r *role) {
		seen := s.seenTrust(r)
		switch {
		case trusts(seen, principal):
			err = nil
		case seen != r.Trust && trusts(r.Trust, principal):
			err = ErrNotReady
		default:
			err = ErrTrust
		}
	})
	if err != nil {
		return fmt.Errorf("assume %s as %s: %w", roleARN, principal, err)
	}
	return nil
}

// Allowed tells whether the role's policies, inline and managed, allow the action on
// the resource.
func (s *Service) Allowed(roleARN, action, resource string) bool {
	allowed, denied := s.permissions(roleARN, action, resource)
	return allowed && !denied
}

// permissions tells whether a role's policies allow an action, and whether they deny it.
func (s *Service) permissions(roleARN, action, resource string) (allowed, denied bool) {
	s.role(roleARN, func(r *role) {
		documents := make([]string, 0, len(r.Attached)+len(r.Inline))
		for _, arn := range r.Attached {
			documents = append(documents, managed[arn])
		}
		for _, text := range r.Inline {
			documents = append(documents, text)
		}
		for _, text := range documents {
			a, d := evaluate(text, action, resource)
			allowed, denied = allowed || a, denied || d
		}
	})
	return allowed, denied
}

// role calls f with the role of that ARN, if there is one.
func (s *Service) role(arn string, f func(*role)) {
	s.doc.View(func(a *account) {
		if r := a.Roles[path.Base(arn)]; r != nil && s.arn(r) == arn {
			f(r)
		}
	})
}

// seenTrust is the trust policy that other services know of: "" for none yet.
func (s *Service) seenTrust(r *role) string {
	if s.now().Sub(r.TrustSince) < s.propagation {
		return r.OldTrust
	}
	return r.Trust
}

// trusts tells whether the trust policy lets the service principal assume the role.
func trusts(policy, principal string) bool {
	d, err := parse(policy)
	if err != nil {
		return false
	}
	allowed := false
	for _, s := range d.Statement {
		if !s.covers("sts:AssumeRole") || s.Principal == nil || !s.Principal.includes(principal) {
			continue
		}
		if s.Effect == "Deny" && len(s.Condition) == 0 {
			return false
		}
		allowed = allowed || s.Effect == "Allow"
	}
	return allowed
}

func (p *principal) includes(service string) bool {
	if p.Any {
		return true
	}
	for _, name := range p.ByKind["Service"] {
		if name == service {
			return true
		}
	}
	return false
}

func evaluate(policy, action, resource string) (allowed, denied bool) {
	d, err := parse(policy)
	if err != nil {
		return false, false
	}
	for _, s := range d.Statement {
		if !s.covers(action) || !s.reaches(resource) {
			continue
		}
		switch {
		case s.Effect == "Allow":
			allowed = true
		case len(s.Condition) == 0:
			denied = true
		}
	}
	return allowed, denied
}

// covers tells whether the statement speaks of the action; actions have no case.
func (s *statement) covers(action string) bool {
	action = strings.ToLower(action)
	for _, pattern := range s.Action {
		if match(strings.ToLower(pattern), action) {
			return true
		}
	}
	for _, pattern := range s.NotAction {
		if match(strings.ToLower(pattern), action) {
			return false
		}
	}
	return len(s.NotAction) > 0
}

// reaches tells whether the statement speaks of the resource.
func (s *statement) reaches(resource string) bool {
	for _, pattern := range s.Resource {
		if match(pattern, resource) {
			return true
		}
	}
	for _, pattern := range s.NotResource {
		if match(pattern, resource) {
			return false
		}
	}
	return len(s.NotResource) > 0
}

// match compares text with a pattern of * (any characters) and ? (any one).
func match(pattern, text string) bool {
	star, resume := -1, 0
	p, t := 0, 0
	for t < len(text) {
		switch {
		case p < len(pattern) && pattern[p] == '*':
			star, resume = p, t
			p++
		case p < len(pattern) && (pattern[p] == '?' || pattern[p] == text[t]):
			p++
			t++
		case star >= 0:
			resume++
			p, t = star+1, resume
		default:
			return false
		}
	}
	return strings.Trim(pattern[p:], "*") == ""
}
