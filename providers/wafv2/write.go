package wafv2

import (
	"context"
	"fmt"
	"time"

	sdk "github.com/aws/aws-sdk-go-v2/service/wafv2"

	"github.com/apron-deploy/apron/providers/awsapi"
	"github.com/apron-deploy/apron/reconcile/apply"
	"github.com/apron-deploy/apron/reconcile/plan"
	"github.com/apron-deploy/apron/reconcile/state"
)

// Execute implements [apply.Executor].
func (p *Provider) Execute(ctx context.Context, a plan.Action, env apply.Env) (state.Outcome, error) {
	arn := a.Have.ID
	if a.Op != plan.Delete {
		service, _ := a.Want.Get("service")
		addr, _ := service.Target()
		out, ok := env.Lookup(addr)
		if !ok || out.ID == "" {
			return state.Outcome{}, fmt.Errorf("%s is not known", addr)
		}
		arn = out.ID
	}
	var err error
	switch a.Op {
	case plan.Create, plan.Update:
		err = p.associate(ctx, arn, a.Want.Value("web_acl"), func(phase string) {
			if env.Progress != nil {
				env.Progress(apply.Progress{Action: a.ID, Phase: phase})
			}
		})
	case plan.Delete:
		_, err = p.api.DisassociateWebACL(ctx, &sdk.DisassociateWebACLInput{ResourceArn: &arn})
		if awsapi.Is(err, "WAFNonexistentItemException") {
			err = nil
		}
	default:
		err = fmt.Errorf("WAF cannot %s it", a.Op)
	}
	if err != nil {
		return state.Outcome{}, fmt.Errorf("web ACL of service %q: %s: %w", a.Target.Name, a.Op, explain(err))
	}
	return state.Outcome{ID: arn}, nil
}

// associate gives a service its web ACL, in place of another, and looks whether it has it.
// A new web ACL takes its time to be known everywhere.
func (p *Provider) associate(ctx context.Context, arn, acl string, progress func(string)) error {
	deadline := time.Now().Add(p.o.Patience)
	for {
		_, err := p.api.AssociateWebACL(ctx, &sdk.AssociateWebACLInput{ResourceArn: &arn, WebACLArn: &acl})
		switch {
		case err == nil:
			return p.shown(ctx, arn, acl, deadline)
		case !awsapi.Is(err, "WAFUnavailableEntityException") || time.Now().After(deadline):
			return err
		}
		progress("waiting for the web ACL to be known everywhere")
		if err := awsapi.Sleep(ctx, p.o.Poll); err != nil {
			return err
		}
	}
}

// shown waits until a service has its web ACL, which WAF need not show at once.
// https://docs.aws.amazon.com/waf/latest/APIReference/API_AssociateWebACL.html
func (p *Provider) shown(ctx context.Context, arn, acl string, deadline time.Time) error {
	for {
		got, err := p.acl(ctx, arn)
		switch {
		case err != nil || got == acl:
			return err
		case time.Now().After(deadline):
			return fmt.Errorf("it was associated, and the service has %q", got)
		}
		if err := awsapi.Sleep(ctx, p.o.Poll); err != nil {
			return err
		}
	}
}

func explain(err error) error {
	switch {
	case awsapi.Is(err, "WAFNonexistentItemException"):
		return &awsapi.Error{Why: awsapi.Message(err), Err: err,
			Fix: "the web ACL does not exist in this Region, or the service failed or is being deleted: apron status shows it, aws wafv2 list-web-acls --scope REGIONAL the web ACLs"}
	case awsapi.Is(err, "WAFUnavailableEntityException"):
		return &awsapi.Error{Why: awsapi.Message(err), Err: err, Fix: "a new web ACL takes minutes to be known everywhere: apply again"}
	}
	return awsapi.Explain(err)
}
