// Package route53 writes the records of a service's own domains into the hosted zones of
// the account: where the domain leads, and what proves whose it is.
//
//	route53/records/DOMAIN   the records of one domain
//
// Record sets have no tags, so whose they are follows from where they lead: a record that
// leads to the service is the service's, and anything else that stands under the name is
// somebody else's, even another service of App Runner's, and adopted only when asked.
// Validation records are deleted with the domain
// that asks for them, and no others.
// https://docs.aws.amazon.com/apprunner/latest/dg/manage-custom-domains.html
package route53

import (
	"context"
	"sync"
	"time"

	sdk "github.com/aws/aws-sdk-go-v2/service/route53"

	"github.com/apron-deploy/apron/reconcile"
	"github.com/apron-deploy/apron/reconcile/state"
)

// api is the part of the SDK's client that this package calls.
type api interface {
	ChangeResourceRecordSets(context.Context, *sdk.ChangeResourceRecordSetsInput, ...func(*sdk.Options)) (*sdk.ChangeResourceRecordSetsOutput, error)
	GetChange(context.Context, *sdk.GetChangeInput, ...func(*sdk.Options)) (*sdk.GetChangeOutput, error)
	ListHostedZones(context.Context, *sdk.ListHostedZonesInput, ...func(*sdk.Options)) (*sdk.ListHostedZonesOutput, error)
	ListResourceRecordSets(context.Context, *sdk.ListResourceRecordSetsInput, ...func(*sdk.Options)) (*sdk.ListResourceRecordSetsOutput, error)
}

var _ api = (*sdk.Client)(nil)

// Options steer a [Provider].
type Options struct {
	Region string // of the services
	// Required waits until App Runner has said which records a domain of a service needs:
	// none for a domain that the service does not have.
	Required func(ctx context.Context, serviceARN, domain string) ([]Record, error)
	// Leads finds the names that lead to a service: its default domain, and those that its
	// own domains have to lead to; none for a service that does not exist.
	Leads func(ctx context.Context, service string) ([]string, error)
	// Patience is how long a change may take to be at all name servers: five minutes by
	// default, of which Route 53 usually needs one.
	Patience time.Duration
	// Poll is the longest pause between two looks at a change: 5 seconds by default.
	Poll time.Duration
}

// Provider observes and changes the records of domains.
type Provider struct {
	api api
	o   Options

	mu    sync.Mutex
	zones []Zone // nil until they were listed; guarded by mu
}

var _ reconcile.Provider = (*Provider)(nil)

// New returns a provider that calls Route 53 through client, an [sdk.Client].
func New(client api, o Options) *Provider {
	if o.Patience == 0 {
		o.Patience = 5 * time.Minute
	}
	if o.Poll == 0 {
		o.Poll = 5 * time.Second
	}
	return &Provider{api: client, o: o}
}

// Types implements [reconcile.Provider].
func (p *Provider) Types() []string { return []string{"route53/records"} }

// Record is a record that a domain needs: Name leads to Value. Names are in lower case and
// have no dot at their end.
type Record struct {
	Name, Value string
	// Validation says that the record proves whose the domain is, rather than leading to
	// the service.
	Validation bool
}

// Address is the address of a domain's records.
func Address(domain string) state.Address {
	return state.Address{Target: "route53", Kind: "records", Name: domain}
}

// detail is what the executor of an action needs beside fields.
type detail struct {
	service state.Address
	zone    Zone
}

// Desired are the records that a manifest asks apron to write. zones are those of its
// domains, by name, and required the records of those domains that say already which ones
// they need.
func Desired(spec state.Spec, service state.Address, zones map[string]Zone, required map[string][]Record) []state.Resource {
	var resources []state.Resource
	for _, d := range spec.Domains {
		zone, ok := zones[d.Name]
		if !d.Route53 || !ok {
			continue
		}
		r := state.Resource{Address: Address(d.Name), Detail: detail{service, zone}, Fields: fixed(d.Name, zone)}
		r.Fields = state.Sort(append(r.Fields, values(d, required[d.Name])...))
		resources = append(resources, r)
	}
	return resources
}

// fixed are the fields of a domain's records that are known from the start.
func fixed(domain string, zone Zone) []state.Field {
	return []state.Field{
		{Path: "domain", Value: state.Address{Target: "apprunner", Kind: "domain", Name: domain}.String(), Ref: true, Immutable: true},
		{Path: "zone", Value: zone.ID},
	}
}

// values are the records as fields: their values, once the domain says them.
func values(d state.Domain, required []Record) []state.Field {
	fields := []state.Field{}
	validation := false
	for _, r := range required {
		fields = append(fields, state.Field{Path: path(r.Validation, r.Name), Value: r.Value, Later: true})
		validation = validation || r.Validation
	}
	if len(required) == 0 {
		for _, name := range names(d) {
			fields = append(fields, state.Field{Path: path(false, name), Later: true})
		}
	}
	if !validation {
		fields = append(fields, state.Field{Path: "validation", Later: true})
	}
	return fields
}

// names are those that lead to the service.
func names(d state.Domain) []string {
	if d.WWW {
		return []string{d.Name, "www." + d.Name}
	}
	return []string{d.Name}
}

// path is the field of a record.
func path(validation bool, name string) string {
	if validation {
		return "validation." + name
	}
	return "target." + name
}
