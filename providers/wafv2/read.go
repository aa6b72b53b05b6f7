package wafv2

import (
	"context"
	"fmt"
	"sync"

	"github.com/aws/aws-sdk-go-v2/aws"
	sdk "github.com/aws/aws-sdk-go-v2/service/wafv2"

	"github.com/apron-deploy/apron/providers/awsapi"
	"github.com/apron-deploy/apron/reconcile"
	"github.com/apron-deploy/apron/reconcile/state"
)

// Observe implements [reconcile.Provider]. It asks about the services alone whose
// manifests speak of web ACLs.
func (p *Provider) Observe(ctx context.Context, q reconcile.Query) (state.Live, []state.Note, error) {
	var names []string
	for _, s := range q.Specs {
		if s.WebACL != "" {
			names = append(names, s.Service)
		}
	}
	if len(names) == 0 {
		return state.Live{}, nil, nil
	}
	arns, err := p.o.ARNs(ctx, names)
	if err != nil {
		return nil, nil, err
	}
	live := state.Live{}
	var mu sync.Mutex
	reads, ctx := reconcile.NewReads(ctx)
	for name, arn := range arns {
		reads.Go(func() error {
			acl, err := p.acl(ctx, arn)
			if err != nil || acl == "" {
				return awsapi.Unread(Address(name), err)
			}
			mu.Lock()
			defer mu.Unlock()
			service := state.Address{Target: "apprunner", Kind: "service", Name: name}
			live[Address(name)] = state.Observed{
				Resource: state.Resource{Address: Address(name), Fields: fields(service, acl)},
				ID:       arn, Owner: state.Ours, Phase: state.Ready, // the planner makes it theirs whose the service is
			}
			return nil
		})
	}
	if err := reads.Wait(); err != nil {
		return nil, nil, err
	}
	return live, nil, nil
}

// acl is the ARN of a service's web ACL, or "". A service that failed or is being deleted
// has none.
func (p *Provider) acl(ctx context.Context, arn string) (string, error) {
	out, err := p.api.GetWebACLForResource(ctx, &sdk.GetWebACLForResourceInput{ResourceArn: &arn})
	switch {
	case awsapi.Is(err, "WAFNonexistentItemException"):
		return "", nil
	case err != nil:
		return "", fmt.Errorf("%s: get its web ACL: %w", arn, awsapi.Explain(err))
	case out.WebACL == nil:
		return "", nil
	}
	return aws.ToString(out.WebACL.ARN), nil
}
