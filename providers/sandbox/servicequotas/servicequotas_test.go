package servicequotas_test

import (
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	sdk "github.com/aws/aws-sdk-go-v2/service/servicequotas"
	"github.com/stretchr/testify/require"

	"github.com/apron-deploy/apron/providers/sandbox/apprunner"
	"github.com/apron-deploy/apron/providers/sandbox/ecr"
	"github.com/apron-deploy/apron/providers/sandbox/servicequotas"
	"github.com/apron-deploy/apron/providers/sandbox/wire"
	"github.com/apron-deploy/apron/providers/sandbox/wire/wiretest"
)

func client(t *testing.T, values map[string]int) *sdk.Client {
	t.Helper()
	api, err := servicequotas.API(servicequotas.Options{Account: wiretest.Account, Region: wiretest.Region, Values: values})
	require.NoError(t, err)
	return sdk.NewFromConfig(wiretest.Config(t, func(m *wire.Mux) { m.Add(api) }))
}

func TestQuotas_areTheOnesEnforced(t *testing.T) {
	t.Parallel()
	for service, values := range map[string]map[string]int{"apprunner": apprunner.Quotas(), "ecr": ecr.Quotas()} {
		c := client(t, values)
		got := map[string]int{}
		pages := sdk.NewListServiceQuotasPaginator(c, &sdk.ListServiceQuotasInput{ServiceCode: &service, MaxResults: aws.Int32(1)})
		for pages.HasMorePages() {
			page, err := pages.NextPage(t.Context())
			require.NoError(t, err)
			for _, q := range page.Quotas {
				got[*q.QuotaCode] = int(*q.Value)
				one, err := c.GetServiceQuota(t.Context(), &sdk.GetServiceQuotaInput{ServiceCode: &service, QuotaCode: q.QuotaCode})
				require.NoError(t, err)
				require.Equal(t, q, *one.Quota)
				usual, err := c.GetAWSDefaultServiceQuota(t.Context(), &sdk.GetAWSDefaultServiceQuotaInput{ServiceCode: &service, QuotaCode: q.QuotaCode})
				require.NoError(t, err)
				require.Equal(t, q, *usual.Quota)
			}
		}
		require.Equal(t, values, got, "each has a name that AWS gives it")
	}
	require.Equal(t, 30, apprunner.Quotas()["L-69F96A0C"])
}

func TestQuotas_thatAreNoneAreRefused(t *testing.T) {
	t.Parallel()
	c := client(t, map[string]int{"L-69F96A0C": 30})
	_, err := c.GetServiceQuota(t.Context(), &sdk.GetServiceQuotaInput{ServiceCode: aws.String("apprunner"), QuotaCode: aws.String("L-00000000")})
	wiretest.Refused(t, err, "NoSuchResourceException", "quota does not exist")
	_, err = c.ListServiceQuotas(t.Context(), &sdk.ListServiceQuotasInput{ServiceCode: aws.String("lambda")})
	wiretest.Refused(t, err, "NoSuchResourceException", "service does not exist")
	_, err = c.ListServiceQuotas(t.Context(), &sdk.ListServiceQuotasInput{ServiceCode: aws.String("1")})
	wiretest.Refused(t, err, "ValidationException", "Value '1' at 'serviceCode'")
	_, err = servicequotas.API(servicequotas.Options{Values: map[string]int{"L-1": 1}})
	require.ErrorContains(t, err, "L-1")
	services, err := c.ListServices(t.Context(), &sdk.ListServicesInput{})
	require.NoError(t, err)
	require.Len(t, services.Services, 2)
}
