// Package wafv2 gives App Runner services their web ACLs. It makes and changes no web ACL:
// who made one keeps it.
//
//	wafv2/association/SERVICE   which web ACL inspects the requests to a service
//
// App Runner's own API knows nothing of web ACLs, and a service has one at most.
// https://docs.aws.amazon.com/apprunner/latest/dg/waf.html
package wafv2

import (
	"context"
	"time"

	sdk "github.com/aws/aws-sdk-go-v2/service/wafv2"

	"github.com/apron-deploy/apron/reconcile"
	"github.com/apron-deploy/apron/reconcile/state"
)

const (
	target = "wafv2"
	kind   = "association"
	// None, instead of an ARN, asks for a service without a web ACL.
	None = "none"
)

// api is the part of the SDK's client that this package calls.
type api interface {
	AssociateWebACL(context.Context, *sdk.AssociateWebACLInput, ...func(*sdk.Options)) (*sdk.AssociateWebACLOutput, error)
	DisassociateWebACL(context.Context, *sdk.DisassociateWebACLInput, ...func(*sdk.Options)) (*sdk.DisassociateWebACLOutput, error)
	GetWebACLForResource(context.Context, *sdk.GetWebACLForResourceInput, ...func(*sdk.Options)) (*sdk.GetWebACLForResourceOutput, error)
}

var _ api = (*sdk.Client)(nil)

// Options steer a [Provider].
type Options struct {
	// ARNs finds the ARNs of services by their names; those that do not exist are left out.
	ARNs func(ctx context.Context, names []string) (map[string]string, error)
	// Patience is how long a new web ACL may take to be known everywhere: five minutes by
	// default.
	Patience time.Duration
	// Poll is the longest pause between two attempts: 10 seconds by default.
	Poll time.Duration
}

// Provider observes and changes associations.
type Provider struct {
	api api
	o   Options
}

var _ reconcile.Provider = (*Provider)(nil)

// New returns a provider that calls WAF through client, an [sdk.Client].
func New(client api, o Options) *Provider {
	if o.Patience == 0 {
		o.Patience = 5 * time.Minute
	}
	if o.Poll == 0 {
		o.Poll = 10 * time.Second
	}
	return &Provider{client, o}
}

// Types implements [reconcile.Provider].
func (p *Provider) Types() []string { return []string{target + "/" + kind} }

// Address is the address of a service's association.
func Address(service string) state.Address {
	return state.Address{Target: target, Kind: kind, Name: service}
}

// Desired is what a manifest asks of WAF. service is the address of its service.
func Desired(spec state.Spec, service state.Address) []state.Resource {
	if spec.WebACL == "" || spec.WebACL == None {
		return nil
	}
	return []state.Resource{{Address: Address(spec.Service), Fields: fields(service, spec.WebACL)}}
}

func fields(service state.Address, acl string) []state.Field {
	return []state.Field{
		{Path: "service", Value: service.String(), Ref: true, Immutable: true},
		{Path: "web_acl", Value: acl},
	}
}
