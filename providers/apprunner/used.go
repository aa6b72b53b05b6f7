package apprunner

import (
	"context"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	sdk "github.com/aws/aws-sdk-go-v2/service/apprunner"
	"github.com/aws/aws-sdk-go-v2/service/apprunner/types"
	"golang.org/x/sync/errgroup"

	"github.com/apron-deploy/apron/reconcile/state"
)

// Uses are the ARNs of what a live service refers to, each with its revision; "" is none.
type Uses struct{ Scaling, Tracing, Connector string }

func usesOf(s *types.Service) Uses {
	var u Uses
	if a := s.AutoScalingConfigurationSummary; a != nil {
		u.Scaling = aws.ToString(a.AutoScalingConfigurationArn)
	}
	if o := s.ObservabilityConfiguration; o != nil && o.ObservabilityEnabled {
		u.Tracing = aws.ToString(o.ObservabilityConfigurationArn)
	}
	if n := s.NetworkConfiguration; n != nil && n.EgressConfiguration != nil {
		u.Connector = aws.ToString(n.EgressConfiguration.VpcConnectorArn)
	}
	return u
}

// observeUsed reports what a service refers to that apron did not make. A service that is
// asked for just what it has there keeps it.
func (p *Provider) observeUsed(ctx context.Context, o state.Observed, scaling, tracing bool, keep func(state.Observed)) error {
	uses := o.Detail.(Live).Uses
	foreign := func(path string) bool {
		addr := stateAddress(o.Value(path))
		return !addr.IsZero() && !strings.HasPrefix(addr.Name, "apron-")
	}
	g, ctx := errgroup.WithContext(ctx)
	if scaling && foreign("scaling") && uses.Scaling != "" {
		g.Go(func() error {
			out, err := p.api.DescribeAutoScalingConfiguration(ctx, &sdk.DescribeAutoScalingConfigurationInput{AutoScalingConfigurationArn: &uses.Scaling})
			if err == nil {
				keep(observedScaling(out.AutoScalingConfiguration, nil, nil))
			}
			return gone(uses.Scaling, "describe", err)
		})
	}
	if tracing && foreign("tracing") && uses.Tracing != "" {
		g.Go(func() error {
			out, err := p.api.DescribeObservabilityConfiguration(ctx, &sdk.DescribeObservabilityConfigurationInput{ObservabilityConfigurationArn: &uses.Tracing})
			if err == nil {
				keep(observedTracing(out.ObservabilityConfiguration, nil, nil))
			}
			return gone(uses.Tracing, "describe", err)
		})
	}
	return g.Wait()
}

// scalingFor is the scaling configuration of a manifest's numbers: the one that the service
// has, whoever made it, if those are its numbers, else apron's own, which own then is.
func scalingFor(spec state.Spec, live state.Live) (addr state.Address, own *state.Resource) {
	made := scalingOf(*spec.Scaling)
	used := stateAddress(live[Service(spec.Service)].Value("scaling"))
	have, ok := live[used]
	same := func(path string) bool { return have.Value(path) == made.Value(path) }
	if ok && have.Owner == state.Theirs && same("min") && same("max") && same("concurrency") {
		return used, nil
	}
	return made.Address, &made
}

// tracingFor is where a service sends traces: where it sends them already, if that is X-Ray.
func tracingFor(spec state.Spec, live state.Live) (addr state.Address, own *state.Resource) {
	used := stateAddress(live[Service(spec.Service)].Value("tracing"))
	if have, ok := live[used]; ok && have.Owner == state.Theirs && have.Value("vendor") == xray {
		return used, nil
	}
	return Tracing(tracingName), &state.Resource{Address: Tracing(tracingName), Fields: []state.Field{
		{Path: "tags." + tagManaged, Value: "true"},
		{Path: "vendor", Value: xray, Immutable: true},
	}}
}

// Whole reads a service and all that belongs to it or that it refers to, whatever a
// manifest would ask. A service that is gone is not in the result.
func (p *Provider) Whole(ctx context.Context, arn string) (state.Live, error) {
	found := findings{live: state.Live{}, whole: true}
	live, keep := found.live, found.keep
	name := serviceName(arn)
	g, gctx := errgroup.WithContext(ctx)
	g.Go(func() error {
		o, err := p.describe(gctx, arn, p.hiddenVariables(nil))
		if err != nil || o == nil {
			return err
		}
		keep(*o)
		uses := o.Detail.(Live).Uses
		g, gctx := errgroup.WithContext(gctx)
		g.Go(func() error { return p.observeUsed(gctx, *o, true, true, keep) })
		if strings.HasPrefix(stateAddress(o.Value("scaling")).Name, "apron-") {
			g.Go(func() error {
				c, err := p.describeScaling(gctx, uses.Scaling, map[string]bool{name: true})
				if err == nil && c != nil {
					keep(*c)
				}
				return err
			})
		}
		own := map[state.Address]bool{stateAddress(o.Value("network.egress")): true}
		l := looks{wanted: own, ingress: map[string]bool{name: true}, services: map[string]bool{name: true},
			connectors: uses.Connector != "", tracing: stateAddress(o.Value("tracing")) == Tracing(tracingName)}
		g.Go(func() error { return p.observeBeside(gctx, l, &found) })
		return g.Wait()
	})
	g.Go(func() error { return p.observeDomains(gctx, arn, keep) })
	if err := g.Wait(); err != nil {
		return nil, err
	}
	belong(live)
	return live, nil
}
