// Package ssm keeps the secrets whose values come from the environment: each is a
// SecureString parameter /apron/<service>/<KEY>, which App Runner reads when it starts
// the application. It also looks up parameters that a manifest only refers to.
//
// A value is compared in memory and goes nowhere but to Parameter Store.
//
//	set here   live                 the value is
//	yes        absent               created
//	yes        readable             compared, and written if it differs
//	yes        not readable         written by every apply; a plan only says so
//	no         there                kept, whatever it is
//	no         absent               missing: a plan warns, an apply refuses to start
//
// An empty environment variable counts as not set: Parameter Store holds no empty value,
// and CI systems expand a secret they lack to nothing.
package ssm

import (
	"context"
	"fmt"
	"time"

	sdk "github.com/aws/aws-sdk-go-v2/service/ssm"
	"golang.org/x/time/rate"

	"github.com/apron-deploy/apron/providers/awsapi"
	"github.com/apron-deploy/apron/reconcile"
	"github.com/apron-deploy/apron/reconcile/apply"
	"github.com/apron-deploy/apron/reconcile/plan"
	"github.com/apron-deploy/apron/reconcile/state"
)

// Type is the type of the addresses this package handles.
const Type = "ssm/parameter"

// ParameterName is the name of the parameter that holds a service's secret.
func ParameterName(service, key string) string { return prefix(service) + key }

func prefix(service string) string { return "/apron/" + service + "/" }

// Address is the address of the parameter that holds a service's secret.
func Address(service, key string) state.Address { return address(ParameterName(service, key)) }

// Below is the address that stands for all parameters of a service.
func Below(service string) state.Address { return address(prefix(service)) }

// Named is the address of a parameter that a manifest refers to by its name or ARN.
func Named(ref string) state.Address { return address(ref) }

func address(name string) state.Address {
	return state.Address{Target: "ssm", Kind: "parameter", Name: name}
}

// ARN is the ARN of a parameter, whose name has a slash in front or no slash at all.
func ARN(partition, region, account, name string) string {
	if name == "" || name[0] != '/' {
		name = "/" + name
	}
	return "arn:" + partition + ":ssm:" + region + ":" + account + ":parameter" + name
}

// Parameter is what is known of a live parameter besides its value. It is the Detail of
// what [Provider.Observe] returns.
type Parameter struct {
	ARN          string
	Version      int64
	LastModified time.Time
	// Readable says that the value could be decrypted and is compared.
	Readable bool
}

// api is what this package calls of Systems Manager.
type api interface {
	reader
	writer
}

var _ api = (*sdk.Client)(nil)

// Options steer [New].
type Options struct {
	// Region and Account are where the parameters are. References to others are not
	// checked.
	Region, Account string
	// Writes limits how often Parameter Store is written to. Nil means three times a
	// second, AWS's default quota.
	// https://docs.aws.amazon.com/general/latest/gr/ssm.html
	Writes *rate.Limiter
}

// Provider observes and changes the parameters of services.
type Provider struct {
	api             api
	region, account string
	writes          *rate.Limiter
}

var _ reconcile.Provider = (*Provider)(nil)

// New returns a provider that calls Systems Manager through client, an [sdk.Client].
func New(client api, o Options) *Provider {
	if o.Writes == nil {
		o.Writes = rate.NewLimiter(3, 3)
	}
	return &Provider{client, o.Region, o.Account, o.Writes}
}

// Types implements [reconcile.Provider].
func (p *Provider) Types() []string { return []string{Type} }

// parallel is how many reads are under way at once, well within the quota of 40 a second.
const parallel = 8

// Observe implements [reconcile.Provider]. It reports every parameter below a service's
// path, so that a secret that left the manifest can be removed.
func (p *Provider) Observe(ctx context.Context, q reconcile.Query) (state.Live, []state.Note, error) {
	found := make([][]parameter, len(q.Specs))
	reads, ctx := reconcile.NewReads(ctx)
	reads.SetLimit(parallel)
	for i, spec := range q.Specs {
		reads.Go(func() (err error) {
			found[i], err = readPath(ctx, p.api, prefix(spec.Service))
			return awsapi.Unread(Below(spec.Service), err)
		})
	}
	if err := reads.Wait(); err != nil {
		return nil, nil, err
	}
	live := state.Live{}
	for i, spec := range q.Specs {
		for _, got := range found[i] {
			o := observed(spec.Service, got)
			live[o.Address] = o
		}
	}
	return live, nil, nil
}

// Execute implements [reconcile.Provider]. The outcome's ID is the parameter's ARN, and its
// Version that of the value.
func (p *Provider) Execute(ctx context.Context, a plan.Action, _ apply.Env) (state.Outcome, error) {
	name := a.Target.Name
	switch a.Op {
	case plan.Create, plan.Update:
		want, err := wanted(a.Want)
		if err != nil {
			return state.Outcome{}, err
		}
		adopt := a.Op == plan.Update && a.Have.Owner == state.Theirs
		return p.ensure(ctx, want, adopt)
	case plan.Delete:
		return state.Outcome{}, p.remove(ctx, name, a.Have.Value("tags."+tagService))
	default:
		return state.Outcome{}, fmt.Errorf("parameter %q: cannot %s a parameter", name, a.Op)
	}
}
