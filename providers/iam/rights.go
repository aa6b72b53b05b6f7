package iam

import (
	"cmp"
	"context"
	"slices"

	"github.com/aws/aws-sdk-go-v2/aws"
	sdk "github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/iam/types"
	"golang.org/x/sync/errgroup"

	"github.com/apron-deploy/apron/providers/awsapi"
)

// simulator is what asking about rights calls.
type simulator interface {
	SimulatePrincipalPolicy(context.Context, *sdk.SimulatePrincipalPolicyInput, ...func(*sdk.Options)) (*sdk.SimulatePrincipalPolicyOutput, error)
}

// Right is an action on a resource.
type Right struct{ Action, Resource string }

// Decision is what a role's policies say of a right.
type Decision string

const (
	Allowed Decision = "allowed"
	Denied  Decision = "denied" // by a statement: nothing else can allow it
	// NotAllowed is said by no statement. A policy of the resource itself may still allow it.
	NotAllowed Decision = "not allowed"
	// Unknown depends on a condition that is met, or not, when the role is used.
	Unknown Decision = "unknown"
)

// Rights asks IAM what a role may do, as far as its own policies say: AWS's evaluation, not
// one of ours. Absent from the result is what IAM did not answer.
// https://docs.aws.amazon.com/IAM/latest/APIReference/API_SimulatePrincipalPolicy.html
func (p *Provider) Rights(ctx context.Context, roleARN string, rights []Right) (map[Right]Decision, error) {
	byAction := map[string][]string{}
	for _, r := range rights {
		if !slices.Contains(byAction[r.Action], r.Resource) {
			byAction[r.Action] = append(byAction[r.Action], r.Resource)
		}
	}
	// A call is about every action on every resource: actions on the same go together.
	type question struct{ actions, resources []string }
	var questions []question
	for action, resources := range byAction {
		slices.Sort(resources)
		i := slices.IndexFunc(questions, func(q question) bool { return slices.Equal(q.resources, resources) })
		if i < 0 {
			questions = append(questions, question{resources: resources})
			i = len(questions) - 1
		}
		questions[i].actions = append(questions[i].actions, action)
	}
	answers := make([][]types.EvaluationResult, len(questions))
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(parallel)
	for i, q := range questions {
		slices.Sort(q.actions)
		g.Go(func() error {
			pages := sdk.NewSimulatePrincipalPolicyPaginator(p.api, &sdk.SimulatePrincipalPolicyInput{
				PolicySourceArn: &roleARN, ActionNames: q.actions, ResourceArns: q.resources})
			for pages.HasMorePages() {
				page, err := pages.NextPage(ctx)
				if err != nil {
					return awsapi.Explain(err)
				}
				answers[i] = append(answers[i], page.EvaluationResults...)
			}
			return nil
		})
	}
	if err := g.Wait(); err != nil {
		return nil, err
	}
	said := map[Right]Decision{}
	for _, a := range slices.Concat(answers...) {
		said[Right{aws.ToString(a.EvalActionName), cmp.Or(aws.ToString(a.EvalResourceName), "*")}] = decision(a)
	}
	return said, nil
}

func decision(a types.EvaluationResult) Decision {
	switch {
	case a.EvalDecision == types.PolicyEvaluationDecisionTypeAllowed:
		return Allowed
	case len(a.MissingContextValues) > 0:
		return Unknown
	case a.EvalDecision == types.PolicyEvaluationDecisionTypeExplicitDeny:
		return Denied
	}
	return NotAllowed
}
