// Package logs reads the CloudWatch log groups of App Runner services, and handles them
// as what App Runner leaves behind: they never expire and survive their service, so that
// destroy can take them along when it is told to.
//
//	logs/group/NAME   /aws/apprunner/SERVICE/ID/service, …/application
package logs

import (
	"context"
	"fmt"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	sdk "github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs"

	"github.com/apron-deploy/apron/providers/awsapi"
	"github.com/apron-deploy/apron/reconcile"
	"github.com/apron-deploy/apron/reconcile/apply"
	"github.com/apron-deploy/apron/reconcile/plan"
	"github.com/apron-deploy/apron/reconcile/state"
)

// Type is the address type of a log group.
const Type = "logs/group"

// api is the part of the SDK's client that this package calls.
type api interface {
	DescribeLogGroups(context.Context, *sdk.DescribeLogGroupsInput, ...func(*sdk.Options)) (*sdk.DescribeLogGroupsOutput, error)
	DeleteLogGroup(context.Context, *sdk.DeleteLogGroupInput, ...func(*sdk.Options)) (*sdk.DeleteLogGroupOutput, error)
}

var _ api = (*sdk.Client)(nil)

// Provider handles log groups.
type Provider struct{ api api }

var _ reconcile.Provider = (*Provider)(nil)

// New returns a provider that calls CloudWatch Logs through client, an [sdk.Client].
func New(client api) *Provider { return &Provider{client} }

// Types implements [reconcile.Provider].
func (p *Provider) Types() []string { return []string{Type} }

// Observe implements [reconcile.Provider]. Log groups are looked at only before
// something is deleted; no manifest asks for them.
func (p *Provider) Observe(ctx context.Context, q reconcile.Query) (state.Live, []state.Note, error) {
	live := state.Live{}
	if !q.Users {
		return live, nil, nil
	}
	reads, ctx := reconcile.NewReads(ctx)
	reads.SetLimit(1) // five calls a second are all there are
	for _, spec := range q.Specs {
		reads.Go(func() error { return awsapi.Unread(Below(spec.Service), p.observe(ctx, spec.Service, live)) })
	}
	if err := reads.Wait(); err != nil {
		return nil, nil, err
	}
	return live, nil, nil
}

func (p *Provider) observe(ctx context.Context, service string, live state.Live) error {
	below := prefix(service)
	pages := sdk.NewDescribeLogGroupsPaginator(p.api, &sdk.DescribeLogGroupsInput{LogGroupNamePrefix: &below})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return fmt.Errorf("list log groups below %s: %w", below, awsapi.Explain(err))
		}
		for _, g := range page.LogGroups {
			addr := group(aws.ToString(g.LogGroupName))
			live[addr] = state.Observed{Resource: state.Resource{Address: addr}, ID: aws.ToString(g.Arn), Owner: state.Ours, Phase: state.Ready}
		}
	}
	return nil
}

// prefix is what the names of a service's log groups begin with.
func prefix(service string) string { return "/aws/apprunner/" + service + "/" }

// Below is the address that stands for all log groups of a service.
func Below(service string) state.Address { return group(prefix(service)) }

func group(name string) state.Address {
	return state.Address{Target: "logs", Kind: "group", Name: name}
}

// Last returns the id of the last service of a name that left log groups behind, or "". It
// is the one whose groups were made last: they outlive the service, and the next of the
// same name has another id.
func (p *Provider) Last(ctx context.Context, service string) (string, error) {
	below := prefix(service)
	var id string
	var made int64
	pages := sdk.NewDescribeLogGroupsPaginator(p.api, &sdk.DescribeLogGroupsInput{LogGroupNamePrefix: &below})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return "", fmt.Errorf("list log groups below %s: %w", below, awsapi.Explain(err))
		}
		for _, g := range page.LogGroups {
			if at := aws.ToInt64(g.CreationTime); id == "" || at > made {
				id, _, _ = strings.Cut(strings.TrimPrefix(aws.ToString(g.LogGroupName), below), "/")
				made = at
			}
		}
	}
	return id, nil
}

// Execute implements [apply.Executor]: log groups are only ever deleted.
func (p *Provider) Execute(ctx context.Context, a plan.Action, _ apply.Env) (state.Outcome, error) {
	if a.Op != plan.Delete {
		return state.Outcome{}, fmt.Errorf("%s: a log group is not apron's to %s", a.Target, a.Op)
	}
	_, err := p.api.DeleteLogGroup(ctx, &sdk.DeleteLogGroupInput{LogGroupName: &a.Target.Name})
	if err != nil && !awsapi.Is(err, "ResourceNotFoundException") {
		return state.Outcome{}, fmt.Errorf("delete log group %s: %w", a.Target.Name, awsapi.Explain(err))
	}
	return state.Outcome{}, nil
}
