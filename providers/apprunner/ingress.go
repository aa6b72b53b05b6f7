package apprunner

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	sdk "github.com/aws/aws-sdk-go-v2/service/apprunner"
	"github.com/aws/aws-sdk-go-v2/service/apprunner/types"

	"github.com/apron-deploy/apron/providers/awsapi"
	"github.com/apron-deploy/apron/reconcile/plan"
	"github.com/apron-deploy/apron/reconcile/state"
)

// ingress makes, changes or deletes a VPC ingress connection and waits until that is done.
func (r run) ingress(ctx context.Context) (state.Outcome, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, r.p.o.Timeout, errIngressTime)
	defer cancel()
	vpc := &types.IngressVpcConfiguration{VpcId: aws.String(r.a.Want.Value("vpc")), VpcEndpointId: aws.String(r.a.Want.Value("endpoint"))}
	arn := r.a.Have.ID
	switch r.a.Op {
	case plan.Create:
		service, ok := r.env.Lookup(stateAddress(r.a.Want.Value("service")))
		if !ok {
			return state.Outcome{}, fmt.Errorf("%s is not known", r.a.Want.Value("service"))
		}
		out, err := r.p.api.CreateVpcIngressConnection(ctx, &sdk.CreateVpcIngressConnectionInput{VpcIngressConnectionName: aws.String(r.name()),
			ServiceArn: aws.String(service.ID), IngressVpcConfiguration: vpc, Tags: tags(r.a.Want)}, onlyThrottled)
		if err != nil {
			if o := r.ingressThere(ctx); awsapi.Code(err) == "" && o != nil { // the answer got lost
				return r.ingressSettles(ctx, o.ID)
			}
			return r.fail("create", err)
		}
		return r.ingressSettles(ctx, aws.ToString(out.VpcIngressConnection.VpcIngressConnectionArn))
	case plan.Update:
		tagged := func(c plan.Change) bool { return strings.HasPrefix(c.Path, "tags.") }
		if slices.ContainsFunc(r.a.Changes, tagged) {
			if _, err := r.p.api.TagResource(ctx, &sdk.TagResourceInput{ResourceArn: &arn, Tags: tags(r.a.Want)}); err != nil {
				return r.fail("tag", err)
			}
		}
		if r.a.Rebuild || slices.ContainsFunc(r.a.Changes, func(c plan.Change) bool { return !tagged(c) }) {
			if r.a.Have.Phase == state.Busy {
				if _, err := r.ingressIdle(ctx, arn); err != nil {
					return state.Outcome{}, err
				}
			}
			if _, err := r.p.api.UpdateVpcIngressConnection(ctx, &sdk.UpdateVpcIngressConnectionInput{VpcIngressConnectionArn: &arn, IngressVpcConfiguration: vpc}); err != nil {
				return r.fail("update", err)
			}
		}
		return r.ingressSettles(ctx, arn)
	case plan.Delete:
		if o, err := r.ingressIdle(ctx, arn); err != nil || o == nil {
			return state.Outcome{}, err
		}
		if _, err := r.p.api.DeleteVpcIngressConnection(ctx, &sdk.DeleteVpcIngressConnectionInput{VpcIngressConnectionArn: &arn}); err != nil {
			return state.Outcome{}, gone(arn, "delete", err)
		}
		o, err := r.ingressIdle(ctx, arn)
		if err == nil && o != nil { // and not gone
			err = fmt.Errorf("VPC ingress connection %q: its deletion ended as %s", r.name(), o.Note)
		}
		return state.Outcome{}, err
	}
	return state.Outcome{}, fmt.Errorf("%s: App Runner cannot %s it", r.a.Target, r.a.Op)
}

var errIngressTime = errors.New("the VPC ingress connection took longer than the time for one operation")

// stateAddress is the address that a field of ours holds.
func stateAddress(text string) state.Address {
	a, _ := state.ParseAddress(text) // none is found by no look-up
	return a
}

// ingressThere finds the connection of this name once the answer to its creation got lost.
func (r run) ingressThere(ctx context.Context) (found *state.Observed) {
	l := looks{ingress: map[string]bool{stateAddress(r.a.Want.Value("service")).Name: true}}
	_ = r.p.observeIngress(ctx, l, func(o state.Observed) { // then it is not found
		if o.Address == r.a.Target && o.Owner == state.Ours {
			found = &o
		}
	})
	return found
}

// ingressIdle waits until nothing is under way, and returns nil once it is deleted.
func (r run) ingressIdle(ctx context.Context, arn string) (*state.Observed, error) {
	for {
		o, err := r.p.describeIngress(ctx, arn)
		if err != nil || o == nil || o.Phase != state.Busy {
			return o, err
		}
		r.progress(strings.ReplaceAll(strings.ToLower(o.Note), "_", " "))
		if err := awsapi.Sleep(ctx, r.p.o.Poll); err != nil {
			return nil, err
		}
	}
}

// ingressSettles waits until the connection is available, and compares it with what was
// asked.
func (r run) ingressSettles(ctx context.Context, arn string) (state.Outcome, error) {
	o, err := r.ingressIdle(ctx, arn)
	switch {
	case err != nil:
		return state.Outcome{}, err
	case o == nil:
		return state.Outcome{}, fmt.Errorf("VPC ingress connection %q is gone", r.name())
	case o.Phase != state.Ready:
		return state.Outcome{}, &IngressError{Name: r.name(), Status: o.Note}
	}
	if differs := differences(r.a.Want, *o); len(differs) > 0 {
		return state.Outcome{}, fmt.Errorf("VPC ingress connection %q: these still differ from what was asked: %s", r.name(), strings.Join(differs, ", "))
	}
	return state.Outcome{ID: arn}, nil
}

// IngressError says that a VPC ingress connection was not made or changed. App Runner
// gives no reason.
type IngressError struct{ Name, Status string }

var _ error = (*IngressError)(nil)

func (e *IngressError) Error() string {
	return fmt.Sprintf("VPC ingress connection %q ended as %s", e.Name, e.Status)
}

// Hint says what to look at.
func (e *IngressError) Hint() string {
	return "App Runner tells no more: check that the endpoint is in that VPC, is available and is one for com.amazonaws.REGION.apprunner.requests, and apply again"
}
