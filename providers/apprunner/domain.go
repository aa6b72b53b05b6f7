package apprunner

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	sdk "github.com/aws/aws-sdk-go-v2/service/apprunner"
	"github.com/aws/aws-sdk-go-v2/service/apprunner/types"

	"github.com/apron-deploy/apron/providers/awsapi"
	"github.com/apron-deploy/apron/reconcile/plan"
	"github.com/apron-deploy/apron/reconcile/state"
)

// Records is the address of the records that apron writes for a domain: the domain becomes
// active only after them.
func Records(name string) state.Address {
	return state.Address{Target: "route53", Kind: "records", Name: name}
}

// domainsOf are the domains that a manifest asks for, and which of them to wait for.
func domainsOf(spec state.Spec) []state.Resource {
	var resources []state.Resource
	for _, d := range spec.Domains {
		resources = append(resources, state.Resource{Address: Domain(d.Name), Fields: []state.Field{
			{Path: "service", Value: Service(spec.Service).String(), Ref: true, Immutable: true},
			{Path: "www", Value: strconv.FormatBool(d.WWW), Immutable: true},
		}})
		if !d.Wait {
			continue
		}
		active := activeOf(d.Name)
		if d.Route53 {
			active.Fields = state.Sort(append(active.Fields, state.Field{Path: "records", Value: Records(d.Name).String(), Ref: true, Order: true}))
		}
		resources = append(resources, active)
	}
	return resources
}

func activeOf(name string) state.Resource {
	return state.Resource{Address: Active(name), Fields: []state.Field{
		{Path: "domain", Value: Domain(name).String(), Ref: true, Immutable: true},
		{Path: "status", Value: "active"},
	}}
}

// domain associates a service with a domain name, or ends that.
func (r run) domain(ctx context.Context) (state.Outcome, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, r.p.o.Timeout, &DomainTimeoutError{Domain: r.name(), After: r.p.o.Timeout})
	defer cancel()
	switch r.a.Op {
	case plan.Create:
		return r.associate(ctx)
	case plan.Update: // what is left of a failed association stands in the way of another
		if err := r.disassociate(ctx, r.a.Have.ID); err != nil {
			return state.Outcome{}, err
		}
		return r.associate(ctx)
	case plan.Delete:
		return state.Outcome{}, r.disassociate(ctx, r.a.Have.ID)
	}
	return state.Outcome{}, fmt.Errorf("%s: App Runner cannot %s it", r.a.Target, r.a.Op)
}

// associate associates, and waits until App Runner has said which records it asks for.
// https://docs.aws.amazon.com/apprunner/latest/api/API_AssociateCustomDomain.html
func (r run) associate(ctx context.Context) (state.Outcome, error) {
	addr := stateAddress(r.a.Want.Value("service"))
	service, ok := r.env.Lookup(addr)
	if !ok || service.ID == "" {
		return state.Outcome{}, fmt.Errorf("%s is not known", addr)
	}
	arn := service.ID
	// One that is on its way out would make the association fail.
	if err := r.untilGone(ctx, arn, func(d *CustomDomain) bool {
		return d.Status != types.CustomDomainAssociationStatusDeleting
	}); err != nil {
		return state.Outcome{}, err
	}
	r.progress("associating")
	err := r.whenIdle(ctx, arn, func() error {
		_, err := r.p.api.AssociateCustomDomain(ctx, &sdk.AssociateCustomDomainInput{ServiceArn: &arn,
			DomainName: aws.String(r.name()), EnableWWWSubdomain: aws.Bool(r.a.Want.Value("www") == "true")})
		return err
	})
	if err != nil {
		// The answer to a call that took effect may have got lost.
		if d, lookErr := r.domainThere(ctx, arn); lookErr != nil || d == nil || strconv.FormatBool(d.WWW) != r.a.Want.Value("www") {
			return r.fail("associate", domainError(err))
		}
	}
	for {
		d, err := r.domainThere(ctx, arn)
		switch {
		case err != nil:
			return state.Outcome{}, err
		case d == nil:
			return state.Outcome{}, fmt.Errorf("domain %q was associated and is gone", r.name())
		case d.Status == types.CustomDomainAssociationStatusCreateFailed:
			return state.Outcome{}, &DomainError{Domain: r.name(), Records: d.Records}
		case d.known():
			r.progress(fmt.Sprintf("associated; %d records have to be in DNS", len(d.Records)))
			return state.Outcome{ID: arn}, nil
		}
		r.progress("waiting for the validation records")
		if err := awsapi.Sleep(ctx, r.p.o.Poll); err != nil {
			return state.Outcome{}, err
		}
	}
}

func domainError(err error) error {
	if strings.Contains(awsapi.Message(err), "is already associated with") {
		return &awsapi.Error{Why: awsapi.Message(err), Err: err,
			Fix: "another service has it, of this account or another: take it from that one first. What was disassociated a moment ago may take minutes to be free"}
	}
	return err
}

func (r run) domainThere(ctx context.Context, arn string) (*CustomDomain, error) {
	all, err := r.p.allDomains(ctx, arn)
	for i := range all {
		if all[i].Name == r.name() {
			return &all[i], err
		}
	}
	return nil, err
}

// untilGone waits until the domain is not among the service's, or enough is true of it.
func (r run) untilGone(ctx context.Context, arn string, enough func(*CustomDomain) bool) error {
	for {
		d, err := r.domainThere(ctx, arn)
		if err != nil || d == nil || enough(d) {
			return err
		}
		r.progress("disassociating")
		if err := awsapi.Sleep(ctx, r.p.o.Poll); err != nil {
			return err
		}
	}
}

// disassociate ends an association and waits until it is over.
func (r run) disassociate(ctx context.Context, arn string) error {
	d, err := r.domainThere(ctx, arn)
	if err != nil || d == nil {
		return err
	}
	if d.Status != types.CustomDomainAssociationStatusDeleting {
		err := r.whenIdle(ctx, arn, func() error {
			_, err := r.p.api.DisassociateCustomDomain(ctx, &sdk.DisassociateCustomDomainInput{ServiceArn: &arn, DomainName: aws.String(r.name())})
			return err
		})
		if err != nil && !strings.Contains(awsapi.Message(err), "No custom domain") {
			if err := gone(arn, "disassociate "+r.name(), err); err != nil {
				return err
			}
		}
	}
	failed := false
	err = r.untilGone(ctx, arn, func(d *CustomDomain) bool {
		failed = d.Status == types.CustomDomainAssociationStatusDeleteFailed
		return failed
	})
	if err == nil && failed {
		err = fmt.Errorf("domain %q: its disassociation failed; App Runner tells no reason", r.name())
	}
	return err
}

// active waits until the domain is active. There is nothing to make and nothing to delete.
func (r run) active(ctx context.Context) (state.Outcome, error) {
	if r.a.Op == plan.Delete {
		return state.Outcome{}, nil
	}
	out, ok := r.env.Lookup(stateAddress(r.a.Want.Value("domain")))
	if !ok || out.ID == "" {
		return state.Outcome{}, fmt.Errorf("%s is not known", r.a.Want.Value("domain"))
	}
	late := &DomainTimeoutError{Domain: r.name(), After: r.p.o.Timeout}
	ctx, cancel := context.WithTimeoutCause(ctx, r.p.o.Timeout, late)
	defer cancel()
	for {
		d, err := r.domainThere(ctx, out.ID)
		switch {
		case err != nil && errors.Is(context.Cause(ctx), late):
			return state.Outcome{}, late
		case err != nil:
			return state.Outcome{}, err
		case d == nil:
			return state.Outcome{}, fmt.Errorf("domain %q is gone", r.name())
		case d.Validated():
			return state.Outcome{ID: out.ID}, nil
		case d.Status == types.CustomDomainAssociationStatusCreateFailed:
			return state.Outcome{}, &DomainError{Domain: r.name(), Records: d.Records}
		}
		late.Waits = d.pending()
		r.progress(strings.ReplaceAll(strings.ToLower(string(d.Status)), "_", " "))
		if err := awsapi.Sleep(ctx, r.p.o.Poll); err != nil {
			return state.Outcome{}, err
		}
	}
}

// pending are the validation records that App Runner has not seen yet.
func (d CustomDomain) pending() []Record {
	return slices.DeleteFunc(slices.Clone(d.Records), func(r Record) bool {
		return !r.Validation || r.Status == string(types.CertificateValidationRecordStatusSuccess)
	})
}

// Required waits until App Runner has said which records a domain of a service needs, or
// has given the domain up. It returns nil for a domain that the service has not, and a
// *[DomainTimeoutError] when the time for one operation is over.
func (p *Provider) Required(ctx context.Context, arn, domain string) (*CustomDomain, error) {
	late := &DomainTimeoutError{Domain: domain, After: p.o.Timeout}
	ctx, cancel := context.WithTimeoutCause(ctx, p.o.Timeout, late)
	defer cancel()
	for {
		all, err := p.Domains(ctx, arn)
		if err != nil {
			if errors.Is(context.Cause(ctx), late) {
				err = late
			}
			return nil, err
		}
		i := slices.IndexFunc(all, func(d CustomDomain) bool { return d.Name == domain })
		if i < 0 {
			return nil, nil
		}
		if d := all[i]; d.known() || d.Status == types.CustomDomainAssociationStatusCreateFailed {
			return &d, nil
		}
		if err := awsapi.Sleep(ctx, p.o.Poll); err != nil {
			return nil, err
		}
	}
}

// DomainError says that App Runner gave a domain up: it saw no validation record in time.
type DomainError struct {
	Domain  string
	Records []Record
}

var _ error = (*DomainError)(nil)

func (e *DomainError) Error() string {
	text := fmt.Sprintf("domain %q: App Runner gave up on its certificate", e.Domain)
	for _, r := range e.Records {
		if r.Validation && r.Status != string(types.CertificateValidationRecordStatusSuccess) {
			text += fmt.Sprintf("\n  not seen | %s %s %s", r.Name, r.Type, r.Value)
		}
	}
	return text
}

// Hint says what to do.
func (e *DomainError) Hint() string {
	return "add the records, see that a CAA record of the domain allows amazon.com, and apply again, which associates anew: " +
		"https://docs.aws.amazon.com/apprunner/latest/dg/manage-custom-domain-troubleshoot.html"
}

// DomainTimeoutError says that a domain took longer than apron waits.
type DomainTimeoutError struct {
	Domain string
	After  time.Duration
	Waits  []Record // validation records that App Runner has not seen
}

var _ error = (*DomainTimeoutError)(nil)

func (e *DomainTimeoutError) Error() string {
	text := fmt.Sprintf("domain %q is not active after %s", e.Domain, e.After.Round(time.Second))
	for _, r := range e.Waits {
		text += fmt.Sprintf("\n  not seen | %s %s %s", r.Name, r.Type, r.Value)
	}
	return text
}

// Hint says how to go on.
func (e *DomainTimeoutError) Hint() string {
	return "App Runner goes on looking for up to three days, and the service itself is not concerned: " +
		"look with `apron status`, or leave out wait: true"
}

// DeadlineExceeded marks the error as a time-out, for the exit code.
func (e *DomainTimeoutError) DeadlineExceeded() bool { return true }
