package apprunner

import (
	"slices"
	"strconv"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/apprunner/types"

	"github.com/apron-deploy/apron/reconcile/state"
)

// Record is a record that a domain needs in DNS. Names have no dot at their end.
type Record struct {
	Name  string
	Type  string // CNAME; ALIAS where a zone's own name can have no CNAME
	Value string
	// Validation says that the record proves whose the domain is, rather than leading to
	// the service.
	Validation bool
	// Status is what App Runner says of a validation record: PENDING_VALIDATION, SUCCESS
	// or FAILED. It looks now and then only.
	Status string
}

// CustomDomain is an associated domain as it is live.
type CustomDomain struct {
	Name   string
	WWW    bool
	Status types.CustomDomainAssociationStatus
	// Target is the name that the domain has to lead to.
	Target string
	// Records are what has to be in DNS. App Runner takes a while to say the validation
	// records.
	Records []Record
}

// Validated reports whether the domain waits for no record any more.
func (d CustomDomain) Validated() bool { return d.Status == types.CustomDomainAssociationStatusActive }

// known reports whether App Runner has said what it asks for.
func (d CustomDomain) known() bool {
	return d.Status != types.CustomDomainAssociationStatusCreating && slices.ContainsFunc(d.Records, func(r Record) bool { return r.Validation })
}

// customDomain reads a domain. target is where its service is: the default domain, or, of a
// service that is not public, that of its VPC.
func customDomain(d types.CustomDomain, target string) CustomDomain {
	bare := func(s *string) string { return strings.ToLower(strings.TrimSuffix(aws.ToString(s), ".")) }
	out := CustomDomain{Name: bare(d.DomainName), WWW: aws.ToBool(d.EnableWWWSubdomain), Status: upper(d.Status), Target: bare(&target)}
	names := []string{out.Name}
	if out.WWW {
		names = append(names, "www."+out.Name)
	}
	for _, name := range names {
		out.Records = append(out.Records, Record{Name: name, Type: "CNAME", Value: out.Target})
	}
	var validation []Record
	for _, r := range d.CertificateValidationRecords {
		validation = append(validation, Record{Name: bare(r.Name), Type: aws.ToString(r.Type), Value: bare(r.Value), Validation: true, Status: string(upper(r.Status))})
	}
	slices.SortFunc(validation, func(a, b Record) int { return strings.Compare(a.Name, b.Name) })
	out.Records = append(out.Records, validation...)
	return out
}

// domainPhases maps a status to what can be done with the association.
var domainPhases = map[types.CustomDomainAssociationStatus]state.Phase{
	types.CustomDomainAssociationStatusCreateFailed: state.Failed,
	types.CustomDomainAssociationStatusDeleteFailed: state.Stuck,
}

// observedDomain is a domain as the planner sees it. Whose it is follows from its service.
func observedDomain(d CustomDomain, service state.Address, arn string) state.Observed {
	o := state.Observed{
		Resource: state.Resource{Address: Domain(d.Name), Detail: d, Fields: []state.Field{
			{Path: "service", Value: service.String(), Ref: true, Immutable: true},
			{Path: "www", Value: strconv.FormatBool(d.WWW), Immutable: true},
		}},
		ID: arn, Owner: state.Theirs, Phase: state.Ready,
	}
	if phase, ok := domainPhases[d.Status]; ok {
		o.Phase, o.Note = phase, string(d.Status)
	}
	return o
}
