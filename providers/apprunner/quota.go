package apprunner

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	sdk "github.com/aws/aws-sdk-go-v2/service/apprunner"
	"github.com/aws/aws-sdk-go-v2/service/apprunner/types"
	"github.com/aws/aws-sdk-go-v2/service/servicequotas"
	"golang.org/x/sync/errgroup"

	"github.com/apron-deploy/apron/providers/awsapi"
	"github.com/apron-deploy/apron/reconcile/state"
)

// quotasAPI tells what an account may have.
type quotasAPI interface {
	GetServiceQuota(context.Context, *servicequotas.GetServiceQuotaInput, ...func(*servicequotas.Options)) (*servicequotas.GetServiceQuotaOutput, error)
}

var _ quotasAPI = (*servicequotas.Client)(nil)

// Codes of quotas, and what every account gets.
// https://docs.aws.amazon.com/general/latest/gr/apprunner.html
const (
	quotaServices   = "L-69F96A0C"
	quotaScalings   = "L-1D8C5BDD"
	defaultServices = 30
	defaultScalings = 10
)

// Usage is how much of the quotas of an account and Region is used.
type Usage struct {
	Services int      // every one that is not deleted, failed ones too
	Scalings int      // names of scaling configurations but for the one that every account has
	Unused   []string // those of them that no service uses
	// Limits are 0 where Service Quotas did not say.
	ServicesLimit, ScalingsLimit int
}

// Usage counts what there is, and asks what there may be.
func (p *Provider) Usage(ctx context.Context) (Usage, error) {
	var u Usage
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { return p.countServices(ctx, &u) })
	g.Go(func() error { return p.countScalings(ctx, &u) })
	g.Go(func() error { u.ServicesLimit = p.limit(ctx, quotaServices); return nil })
	g.Go(func() error { u.ScalingsLimit = p.limit(ctx, quotaScalings); return nil })
	return u, g.Wait()
}

func (p *Provider) countServices(ctx context.Context, u *Usage) error {
	pages := sdk.NewListServicesPaginator(p.api, &sdk.ListServicesInput{})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return fmt.Errorf("list services: %w", awsapi.Explain(err))
		}
		for _, s := range page.ServiceSummaryList {
			if s.Status != types.ServiceStatusDeleted {
				u.Services++
			}
		}
	}
	return nil
}

// outOfTheBox is the configuration that every account has: no quota counts it.
const outOfTheBox = "DefaultConfiguration"

func (p *Provider) countScalings(ctx context.Context, u *Usage) error {
	pages := sdk.NewListAutoScalingConfigurationsPaginator(p.api, &sdk.ListAutoScalingConfigurationsInput{})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return fmt.Errorf("list scaling configurations: %w", awsapi.Explain(err))
		}
		for _, s := range page.AutoScalingConfigurationSummaryList {
			name := aws.ToString(s.AutoScalingConfigurationName)
			if !strings.EqualFold(string(s.Status), "active") || name == outOfTheBox {
				continue
			}
			u.Scalings++
			if !aws.ToBool(s.HasAssociatedService) && !aws.ToBool(s.IsDefault) {
				u.Unused = append(u.Unused, name)
			}
		}
	}
	slices.Sort(u.Unused)
	return nil
}

// limit is the value of a quota, or 0 where it is not told: it never was raised, then, or
// this identity may not ask.
// https://docs.aws.amazon.com/servicequotas/2019-06-24/apireference/API_GetServiceQuota.html
func (p *Provider) limit(ctx context.Context, code string) int {
	out, err := p.quotas.GetServiceQuota(ctx, &servicequotas.GetServiceQuotaInput{ServiceCode: aws.String("apprunner"), QuotaCode: &code})
	if err != nil || out.Quota == nil {
		return 0
	}
	return int(aws.ToFloat64(out.Quota.Value))
}

// CheckServices says whether another service fits.
func (u Usage) CheckServices(service string) state.Check {
	return fits(service, "quota.services", "services", u.Services, u.ServicesLimit, defaultServices, nil)
}

// CheckScalings says whether another name of a scaling configuration fits.
func (u Usage) CheckScalings(service string) state.Check {
	return fits(service, "quota.scaling", "names of scaling configurations", u.Scalings, u.ScalingsLimit, defaultScalings, u.Unused)
}

// fits says whether another resource fits into a quota. A limit of 0 was not told: AWS's
// default may have been raised, so that a count above it proves nothing.
func fits(service, path, what string, used, limit, byDefault int, unused []string) state.Check {
	c := state.Check{Service: service, Path: path, Verdict: state.Passed}
	if limit > 0 {
		c.Text = fmt.Sprintf("%d of %d %s are used", used, limit, what)
	} else {
		limit = byDefault
		c.Verdict = state.Unchecked
		c.Text = fmt.Sprintf("%d %s are used, and AWS's default quota is %d; whether it was raised is not known", used, what, limit)
	}
	if used < limit {
		c.Verdict = state.Passed
		return c
	}
	if c.Verdict == state.Passed {
		c.Verdict = state.Broken
	}
	c.Fix = wayOut(unused)
	return c
}

func wayOut(unused []string) string {
	fix := "raise the quota in Service Quotas, or delete what is not used"
	if len(unused) > 0 {
		fix += ": no service uses " + strings.Join(unused, ", ")
	}
	return fix
}
