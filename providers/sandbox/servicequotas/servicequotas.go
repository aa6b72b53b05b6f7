// Package servicequotas is the sandbox's Service Quotas: the quotas that its services
// enforce, with the numbers that they enforce, and no others. Nobody has raised one, so an
// account's quota is AWS's default.
package servicequotas

import (
	"cmp"
	"context"
	"fmt"
	"slices"

	"github.com/apron-deploy/apron/providers/sandbox/wire"
	"github.com/apron-deploy/apron/reconcile/pattern"
)

// Options configure an API.
type Options struct {
	Account, Region string
	// Values has the number of each quota by its code. A code that this package does not
	// know is a mistake in the sandbox.
	Values map[string]int
}

// about is what AWS says of a quota besides its number.
type about struct {
	service, name, description string
	adjustable                 bool
}

// known are the quotas of the services that the sandbox has.
// https://docs.aws.amazon.com/general/latest/gr/apprunner.html
// https://docs.aws.amazon.com/general/latest/gr/ecr.html
var known = map[string]about{
	"L-69F96A0C": {"apprunner", "Services", "The maximum number of services you can create in the current Region.", true},
	"L-1BDBAAB6": {"apprunner", "Connections", "The maximum number of connections you can create in the current Region.", true},
	"L-1D8C5BDD": {"apprunner", "Auto scaling configuration names", "The maximum number of unique names in the auto scaling configurations in the current Region.", true},
	"L-A0B46A0C": {"apprunner", "Observability configuration names", "The maximum number of unique names in the observability configurations in the current Region.", true},
	"L-F7ADEB8C": {"apprunner", "VPC connectors", "The maximum number of VPC connectors you can create in the current Region.", true},
	"L-CFEB8E8D": {"ecr", "Registered repositories", "The maximum number of repositories that you can create in the current Region.", true},
	"L-03A36CE1": {"ecr", "Images per repository", "The maximum number of images per repository.", true},
}

var services = []serviceInfo{
	{"apprunner", "AWS App Runner"},
	{"ecr", "Amazon Elastic Container Registry (Amazon ECR)"},
}

type serviceInfo struct{ ServiceCode, ServiceName string }

type quota struct {
	ServiceCode, ServiceName, QuotaArn, QuotaCode, QuotaName string
	Value                                                    float64
	Unit                                                     string
	Adjustable, GlobalQuota                                  bool
	Description                                              string `json:",omitempty"`
	QuotaAppliedAtLevel                                      string
}

// service has the quotas in the order of their codes.
type service struct{ quotas []quota }

// API answers for the quotas that have a value.
// https://docs.aws.amazon.com/servicequotas/2019-06-24/apireference/API_Operations.html
func API(o Options) (wire.API, error) {
	var s service
	for code, value := range o.Values {
		a, ok := known[code]
		if !ok {
			return wire.API{}, fmt.Errorf("service quotas: no quota has the code %s", code)
		}
		q := quota{
			ServiceCode: a.service, QuotaCode: code, QuotaName: a.name, Value: float64(value), Unit: "None",
			Adjustable: a.adjustable, Description: a.description, QuotaAppliedAtLevel: "ACCOUNT",
			QuotaArn: fmt.Sprintf("arn:aws:servicequotas:%s:%s:%s/%s", o.Region, o.Account, a.service, code),
		}
		q.ServiceName = services[slices.IndexFunc(services, func(i serviceInfo) bool { return i.ServiceCode == a.service })].ServiceName
		s.quotas = append(s.quotas, q)
	}
	slices.SortFunc(s.quotas, func(a, b quota) int { return cmp.Compare(a.QuotaCode, b.QuotaCode) })
	return wire.API{
		Target:      "ServiceQuotasV20190624",
		Version:     "1.1",
		SigningName: "servicequotas",
		MessageKey:  "Message",
		Operations: map[string]wire.Operation{
			"ListServices":                wire.Handle(s.listServices),
			"ListServiceQuotas":           wire.Handle(s.list),
			"ListAWSDefaultServiceQuotas": wire.Handle(s.list),
			"GetServiceQuota":             wire.Handle(s.get),
			"GetAWSDefaultServiceQuota":   wire.Handle(s.get),
		},
	}, nil
}

var codeRE = pattern.Lazy(`^[a-zA-Z][a-zA-Z0-9-]{1,63}$`)

// checkService refuses a code that names no service of the sandbox.
func checkService(code string) error {
	var c wire.Checks
	c.Present("serviceCode", code != "")
	c.Length("serviceCode", code, 1, 63)
	c.Pattern("serviceCode", code, codeRE)
	return c.Err("ValidationException")
}

func isService(code string) bool {
	return slices.ContainsFunc(services, func(i serviceInfo) bool { return i.ServiceCode == code })
}

type page struct {
	NextToken  string
	MaxResults *int
}

// cut pages items, 100 at a time unless asked for less.
func cut[T any](list string, items []T, key func(T) string, p page) ([]T, string, error) {
	var c wire.Checks
	c.Range("maxResults", p.MaxResults, 1, 100)
	if err := c.Err("ValidationException"); err != nil {
		return nil, "", err
	}
	limit := 100
	if p.MaxResults != nil {
		limit = *p.MaxResults
	}
	out, next, err := wire.Page(list, items, key, p.NextToken, limit)
	if err != nil {
		return nil, "", wire.Errorf("InvalidPaginationTokenException", "The pagination token is not valid.")
	}
	return out, next, nil
}

type listServicesOut struct {
	NextToken string `json:",omitempty"`
	Services  []serviceInfo
}

func (s *service) listServices(_ context.Context, in page) (out listServicesOut, err error) {
	out.Services, out.NextToken, err = cut("ListServices", services, func(i serviceInfo) string { return i.ServiceCode }, in)
	return out, err
}

type listIn struct {
	ServiceCode string
	QuotaCode   string
	page
}

type listOut struct {
	NextToken string `json:",omitempty"`
	Quotas    []quota
}

func (s *service) list(_ context.Context, in listIn) (out listOut, err error) {
	if err := checkService(in.ServiceCode); err != nil {
		return out, err
	}
	if !isService(in.ServiceCode) {
		return out, wire.Errorf("NoSuchResourceException", "The request failed because the specified service does not exist.")
	}
	all := []quota{}
	for _, q := range s.quotas {
		if q.ServiceCode == in.ServiceCode && (in.QuotaCode == "" || q.QuotaCode == in.QuotaCode) {
			all = append(all, q)
		}
	}
	out.Quotas, out.NextToken, err = cut("ListServiceQuotas "+in.ServiceCode, all, func(q quota) string { return q.QuotaCode }, in.page)
	return out, err
}

type getIn struct{ ServiceCode, QuotaCode string }
type getOut struct{ Quota quota }

func (s *service) get(_ context.Context, in getIn) (getOut, error) {
	if err := checkService(in.ServiceCode); err != nil {
		return getOut{}, err
	}
	var c wire.Checks
	c.Present("quotaCode", in.QuotaCode != "")
	if err := c.Err("ValidationException"); err != nil {
		return getOut{}, err
	}
	for _, q := range s.quotas {
		if q.ServiceCode == in.ServiceCode && q.QuotaCode == in.QuotaCode {
			return getOut{q}, nil
		}
	}
	return getOut{}, wire.Errorf("NoSuchResourceException", "The request failed because the specified quota does not exist.")
}
