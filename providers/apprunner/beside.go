package apprunner

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	sdk "github.com/aws/aws-sdk-go-v2/service/apprunner"
	"github.com/aws/aws-sdk-go-v2/service/apprunner/types"

	"github.com/apron-deploy/apron/providers/awsapi"
	"github.com/apron-deploy/apron/reconcile/plan"
	"github.com/apron-deploy/apron/reconcile/state"
)

// beside changes what a service refers to, or what refers to it.
func (r run) beside(ctx context.Context) (state.Outcome, error) {
	switch kind, op := r.a.Target.Kind, r.a.Op; {
	case kind == kindIngress:
		return r.ingress(ctx)
	case op == plan.Update:
		return r.tagOnly(ctx)
	case kind == kindConnector && op == plan.Create:
		return r.createShared(ctx, r.createConnector)
	case kind == kindTracing && op == plan.Create:
		return r.createShared(ctx, r.createTracing)
	case kind == kindConnector && op == plan.Delete:
		return state.Outcome{}, r.deleteShared(ctx, func() error {
			_, err := r.p.api.DeleteVpcConnector(ctx, &sdk.DeleteVpcConnectorInput{VpcConnectorArn: &r.a.Have.ID})
			return err
		})
	case kind == kindTracing && op == plan.Delete:
		return state.Outcome{}, r.deleteShared(ctx, func() error {
			_, err := r.p.api.DeleteObservabilityConfiguration(ctx, &sdk.DeleteObservabilityConfigurationInput{ObservabilityConfigurationArn: &r.a.Have.ID})
			return err
		})
	}
	return state.Outcome{}, fmt.Errorf("%s: App Runner cannot %s it", r.a.Target, r.a.Op)
}

// letGo covers the time that App Runner takes to know that a service has let go of
// something: the service's own operation has ended before that.
const letGo = 2 * time.Minute

// deleteShared deletes what this plan's services have let go of a moment ago.
func (r run) deleteShared(ctx context.Context, remove func() error) error {
	deadline := time.Now().Add(letGo)
	for {
		err := remove()
		used := awsapi.Is(err, "InvalidRequestException") && strings.Contains(awsapi.Message(err), "used by")
		if !used || time.Now().After(deadline) {
			return deleted(r.a.Have.ID, err)
		}
		r.progress("waiting for App Runner to know that nothing uses it")
		if err := awsapi.Sleep(ctx, r.p.o.Poll); err != nil {
			return err
		}
	}
}

// deleted takes what is deleted already for success. App Runner tells it by a text as long
// as it remembers the resource.
func deleted(arn string, err error) error {
	if awsapi.Is(err, "InvalidRequestException") && strings.Contains(awsapi.Message(err), "has been deleted") {
		return nil
	}
	return gone(arn, "delete", err)
}

// createShared makes what is named by its content. One of apron's under this name has this
// content: it may have come up since the plan, or the answer got lost.
func (r run) createShared(ctx context.Context, create func(context.Context) (*string, error)) (state.Outcome, error) {
	there, err := r.sharedThere(ctx)
	if err != nil || there != "" {
		return state.Outcome{ID: there}, err
	}
	arn, err := create(ctx)
	if err != nil {
		if awsapi.Code(err) == "" { // no answer
			if there, lookErr := r.sharedThere(ctx); lookErr == nil && there != "" {
				return state.Outcome{ID: there}, nil
			}
		}
		return r.fail("create", err)
	}
	return state.Outcome{ID: aws.ToString(arn)}, nil
}

func (r run) createConnector(ctx context.Context) (*string, error) {
	out, err := r.p.api.CreateVpcConnector(ctx, &sdk.CreateVpcConnectorInput{VpcConnectorName: aws.String(r.name()),
		Subnets: strings.Fields(r.a.Want.Value("subnets")), SecurityGroups: strings.Fields(r.a.Want.Value("security_groups")),
		Tags: tags(r.a.Want)}, onlyThrottled)
	if err != nil {
		return nil, taken(err)
	}
	return out.VpcConnector.VpcConnectorArn, nil
}

// taken says what to do about security groups that have a connector: as users report it, one
// combination of them has one, whatever its subnets are.
// https://github.com/pulumi/pulumi-aws/issues/5364
func taken(err error) error {
	said := awsapi.Message(err)
	if !awsapi.Is(err, "InvalidRequestException") || !strings.Contains(said, "security groups") || !strings.Contains(said, "exist") {
		return err
	}
	return &awsapi.Error{Why: awsapi.Code(err) + ": " + said, Err: err,
		Fix: "name a security group of its own for these subnets, or apply once with network: {egress: {subnets: []}}, which takes the connector away that has the group"}
}

func (r run) createTracing(ctx context.Context) (*string, error) {
	out, err := r.p.api.CreateObservabilityConfiguration(ctx, &sdk.CreateObservabilityConfigurationInput{
		ObservabilityConfigurationName: aws.String(r.name()), Tags: tags(r.a.Want),
		TraceConfiguration: &types.TraceConfiguration{Vendor: types.TracingVendor(r.a.Want.Value("vendor"))}}, onlyThrottled)
	if err != nil {
		return nil, err
	}
	return out.ObservabilityConfiguration.ObservabilityConfigurationArn, nil
}

// sharedThere returns the ARN of the wanted resource if apron has made it already.
func (r run) sharedThere(ctx context.Context) (string, error) {
	l := looks{wanted: map[state.Address]bool{r.a.Target: true}}
	found := findings{live: state.Live{}}
	nobody := func() (map[string][]string, error) { return nil, nil }
	observe := r.p.observeTracing
	if r.a.Target.Kind == kindConnector {
		observe = r.p.observeConnectors
	}
	err := observe(ctx, l, nobody, &found)
	if o := found.live[r.a.Target]; err == nil && o.Owner == state.Shared && len(differences(r.a.Want, o)) == 0 {
		return o.ID, nil
	}
	return "", err
}
