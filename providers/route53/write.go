package route53

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	sdk "github.com/aws/aws-sdk-go-v2/service/route53"
	"github.com/aws/aws-sdk-go-v2/service/route53/types"

	"github.com/apron-deploy/apron/providers/awsapi"
	"github.com/apron-deploy/apron/reconcile/apply"
	"github.com/apron-deploy/apron/reconcile/plan"
	"github.com/apron-deploy/apron/reconcile/state"
)

// Execute implements [apply.Executor].
func (p *Provider) Execute(ctx context.Context, a plan.Action, env apply.Env) (state.Outcome, error) {
	r := a.Want
	if a.Op == plan.Delete {
		r = a.Have.Resource
	}
	d, ok := r.Detail.(detail)
	if !ok {
		return state.Outcome{}, fmt.Errorf("%s: the plan names no hosted zone", a.Target)
	}
	zone := d.zone
	say := func(phase string) {
		if env.Progress != nil {
			env.Progress(apply.Progress{Action: a.ID, Phase: phase})
		}
	}
	var changes []types.Change
	var required []Record
	if service, known := env.Lookup(d.service); known {
		say("asking App Runner for the records")
		var err error
		if required, err = p.o.Required(ctx, service.ID, a.Target.Name); err != nil {
			return state.Outcome{}, err
		}
	}
	sets, err := p.sets(ctx, zone, base(a.Target.Name))
	if err != nil {
		return state.Outcome{}, err
	}
	switch {
	case a.Op == plan.Delete:
		changes = removals(sets, required, a.Have)
	case a.Op == plan.Create || a.Op == plan.Update:
		if len(required) == 0 {
			return state.Outcome{}, fmt.Errorf("records of %s: no service of this plan has the domain", a.Target.Name)
		}
		if changes, err = p.additions(sets, required, zone); err != nil {
			return state.Outcome{}, err
		}
	default:
		return state.Outcome{}, fmt.Errorf("%s: Route 53 cannot %s it", a.Target, a.Op)
	}
	if len(changes) == 0 {
		return state.Outcome{ID: zone.ID}, nil
	}
	say(fmt.Sprintf("writing %d changes to %s", len(changes), zone.Name))
	if err := p.change(ctx, zone, changes, say); err != nil {
		return state.Outcome{}, fmt.Errorf("hosted zone %s (%s): change the records of %s: %w", zone.ID, zone.Name, a.Target.Name, err)
	}
	return state.Outcome{ID: zone.ID}, nil
}

// additions are the changes after which the records are as required. What leads elsewhere
// goes in the same batch: a name has one CNAME, or none.
func (p *Provider) additions(sets []types.ResourceRecordSet, required []Record, zone Zone) ([]types.Change, error) {
	var changes []types.Change
	for _, r := range required {
		want := set(r, zone, p.o.Region)
		if a := want.AliasTarget; a != nil && aws.ToString(a.HostedZoneId) == "" || want.AliasTarget != nil && !strings.HasSuffix(r.Value, ".awsapprunner.com") {
			return nil, &ApexError{Domain: r.Name, Target: r.Value, Region: p.o.Region}
		}
		there := false
		for _, live := range sets {
			switch {
			case plain(aws.ToString(live.Name)) != r.Name || !routes(live.Type):
			case same(live, want):
				there = true
			case live.Type != want.Type || live.SetIdentifier != nil:
				changes = append(changes, types.Change{Action: types.ChangeActionDelete, ResourceRecordSet: &live})
			}
		}
		if !there {
			changes = append(changes, types.Change{Action: types.ChangeActionUpsert, ResourceRecordSet: &want})
		}
	}
	return changes, nil
}

// removals are the records that the domain asks for, just as it does, and what leads to
// where the plan saw it lead.
func removals(sets []types.ResourceRecordSet, required []Record, have state.Observed) []types.Change {
	var changes []types.Change
	for _, live := range sets {
		name, to := plain(aws.ToString(live.Name)), leads(live)
		goes := slices.ContainsFunc(required, func(r Record) bool { return r.Name == name && r.Value == to && routes(live.Type) })
		if f, ok := have.Get(path(false, name)); ok && routes(live.Type) && f.Value == to && toAppRunner(to) {
			goes = true
		}
		if goes {
			changes = append(changes, types.Change{Action: types.ChangeActionDelete, ResourceRecordSet: &live})
		}
	}
	return changes
}

// change writes a batch, all or nothing, and waits until every name server has it.
func (p *Provider) change(ctx context.Context, zone Zone, changes []types.Change, say func(string)) error {
	ctx, cancel := context.WithTimeoutCause(ctx, p.o.Patience, errSync)
	defer cancel()
	var out *sdk.ChangeResourceRecordSetsOutput
	for {
		var err error
		out, err = p.api.ChangeResourceRecordSets(ctx, &sdk.ChangeResourceRecordSetsInput{HostedZoneId: &zone.ID,
			ChangeBatch: &types.ChangeBatch{Changes: changes, Comment: aws.String("apron")}})
		if err == nil {
			break
		}
		if !awsapi.Is(err, "PriorRequestNotComplete") {
			return explain(err)
		}
		say("waiting for another change of the zone")
		if err := awsapi.Sleep(ctx, p.o.Poll); err != nil {
			return err
		}
	}
	info := out.ChangeInfo
	for info.Status != types.ChangeStatusInsync {
		say("waiting for the name servers")
		if err := awsapi.Sleep(ctx, p.o.Poll); err != nil {
			return err
		}
		got, err := p.api.GetChange(ctx, &sdk.GetChangeInput{Id: info.Id})
		if err != nil {
			return awsapi.Explain(err)
		}
		info = got.ChangeInfo
	}
	return nil
}

var errSync = errors.New("the change is made, and not at all name servers after the time for it")

func explain(err error) error {
	if awsapi.Is(err, "InvalidChangeBatch") {
		return &awsapi.Error{Why: awsapi.Message(err), Err: err, Fix: "nothing was changed, for a batch is all or nothing: somebody else may have changed the zone; plan again"}
	}
	return awsapi.Explain(err)
}

// ApexError says that a zone's own name cannot lead to a service: it can have no CNAME, and
// an alias only leads to App Runner's own names.
type ApexError struct{ Domain, Target, Region string }

var _ error = (*ApexError)(nil)

func (e *ApexError) Error() string {
	return fmt.Sprintf("domain %s: it is its zone's own name, and no alias can lead to %s in %s", e.Domain, e.Target, e.Region)
}

// Hint says what to do instead.
func (e *ApexError) Hint() string {
	return "use a name below it, such as www." + e.Domain + ". Sandbox names end in .localhost, which no alias of Route 53 knows"
}
