package iam

import (
	"context"
	"path"

	"github.com/apron-deploy/apron/providers/sandbox/wire"
	"github.com/apron-deploy/apron/reconcile/pattern"
)

type simulateIn struct {
	PolicySourceArn string
	ActionNames     []string
	ResourceArns    []string
	MaxItems        *int
	Marker          string
}

// evaluation is one decision: allowed, explicitDeny or implicitDeny.
type evaluation struct{ EvalActionName, EvalResourceName, EvalDecision string }

type simulateOut struct {
	EvaluationResults []evaluation
	IsTruncated       bool
	Marker            string
}

var actionRE = pattern.Lazy(`^[A-Za-z0-9-]+:[A-Za-z0-9*]+$`)

// simulate tells what the policies of a role say of actions on resources; without
// resources, on all.
// https://docs.aws.amazon.com/IAM/latest/APIReference/API_SimulatePrincipalPolicy.html
func (s *Service) simulate(_ context.Context, in simulateIn) (out simulateOut, err error) {
	var c wire.Checks
	c.Present("policySourceArn", in.PolicySourceArn != "")
	c.Length("policySourceArn", in.PolicySourceArn, 20, 2048)
	c.Present("actionNames", len(in.ActionNames) > 0)
	if err := c.Err("ValidationError"); err != nil {
		return out, err
	}
	known := false
	s.role(in.PolicySourceArn, func(*role) { known = true })
	if !known {
		return out, noSuchEntity("The role with name %s cannot be found.", path.Base(in.PolicySourceArn))
	}
	resources := in.ResourceArns
	if len(resources) == 0 {
		resources = []string{"*"}
	}
	var all []evaluation
	for _, action := range in.ActionNames {
		if !actionRE().MatchString(action) {
			return out, wire.Errorf("InvalidInput", "Invalid Action: %s", action)
		}
		for _, resource := range resources {
			all = append(all, evaluation{action, resource, s.decide(in.PolicySourceArn, action, resource)})
		}
	}
	out.EvaluationResults, out.Marker, err = cut("SimulatePrincipalPolicy "+in.PolicySourceArn, all,
		func(e evaluation) string { return e.EvalActionName + " " + e.EvalResourceName }, in.Marker, in.MaxItems)
	out.IsTruncated = out.Marker != ""
	return out, err
}

func (s *Service) decide(roleARN, action, resource string) string {
	switch allowed, denied := s.permissions(roleARN, action, resource); {
	case denied:
		return "explicitDeny"
	case allowed:
		return "allowed"
	}
	return "implicitDeny"
}
