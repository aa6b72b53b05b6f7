package apprunner

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	sdk "github.com/aws/aws-sdk-go-v2/service/apprunner"
	"github.com/aws/aws-sdk-go-v2/service/apprunner/types"
	"github.com/stretchr/testify/require"
)

// zone is a DNS that a test controls.
type zone struct {
	mu     sync.Mutex
	cnames map[string]string
	asked  map[string]int
	down   bool
}

func newZone() *zone { return &zone{cnames: map[string]string{}, asked: map[string]int{}} }

func (z *zone) CNAME(_ context.Context, name string) (string, error) {
	z.mu.Lock()
	defer z.mu.Unlock()
	z.asked[name]++
	if z.down {
		return "", errors.New("no server answers")
	}
	return z.cnames[name], nil
}

// write makes records exist, as their owner would.
func (z *zone) write(records ...types.CertificateValidationRecord) {
	z.mu.Lock()
	defer z.mu.Unlock()
	for _, v := range records {
		z.cnames[*v.Name] = *v.Value
	}
}

func (z *zone) seen(name string) int {
	z.mu.Lock()
	defer z.mu.Unlock()
	return z.asked[name]
}

func (r *rig) associate(arn *string, name string, www *bool) (*sdk.AssociateCustomDomainOutput, error) {
	return r.api.AssociateCustomDomain(context.Background(), &sdk.AssociateCustomDomainInput{ServiceArn: arn, DomainName: &name, EnableWWWSubdomain: www})
}

func (r *rig) disassociate(arn *string, name string) (*sdk.DisassociateCustomDomainOutput, error) {
	return r.api.DisassociateCustomDomain(context.Background(), &sdk.DisassociateCustomDomainInput{ServiceArn: arn, DomainName: &name})
}

func (r *rig) domains(arn *string) []types.CustomDomain {
	r.t.Helper()
	out, err := r.api.DescribeCustomDomains(context.Background(), &sdk.DescribeCustomDomainsInput{ServiceArn: arn})
	require.NoError(r.t, err)
	return out.CustomDomains
}

// reach waits until a service's only domain has a status.
func (r *rig) reach(arn *string, status string) (d types.CustomDomain) {
	r.t.Helper()
	r.eventually(func() bool {
		all := r.domains(arn)
		require.Len(r.t, all, 1)
		d = all[0]
		return string(d.Status) == status
	})
	return d
}

func TestDomain_isActiveOnceItsRecordsResolve(t *testing.T) {
	t.Parallel()
	dns := newZone()
	r := newRig(t, func(o *Options) { o.Resolver = dns })
	s := r.create()
	out, err := r.associate(s.ServiceArn, "Shop.example.com", nil)
	require.NoError(t, err)
	require.Equal(t, "shop.localhost", *out.DNSTarget)
	require.Equal(t, *s.ServiceArn, *out.ServiceArn)
	require.Empty(t, out.VpcDNSTargets)
	require.Equal(t, types.CustomDomain{DomainName: aws.String("Shop.example.com"), EnableWWWSubdomain: aws.Bool(true), Status: "creating"}, *out.CustomDomain,
		"www is the default, and there are no records yet")
	require.Equal(t, types.ServiceStatusRunning, r.describe(s.ServiceArn).Status, "it is no operation")

	d := r.reach(s.ServiceArn, "pending_certificate_dns_validation")
	records := d.CertificateValidationRecords
	require.Len(t, records, 3)
	for i, name := range []string{`shop\.example\.com\.`, `www\.shop\.example\.com\.`, `[0-9a-f]{32}\.shop\.example\.com\.`} {
		require.Regexp(t, `^_[0-9a-f]{32}\.`+name+`$`, *records[i].Name)
		require.Regexp(t, `^_[0-9a-f]{32}\.[0-9a-f]{10}\.acm-validations\.aws\.$`, *records[i].Value)
		require.Equal(t, "CNAME", *records[i].Type)
		require.Equal(t, types.CertificateValidationRecordStatusPendingValidation, records[i].Status)
	}

	wrong := records[1]
	wrong.Value = aws.String("elsewhere.example.com.")
	dns.write(records[0], wrong)
	r.eventually(func() bool {
		return r.domains(s.ServiceArn)[0].CertificateValidationRecords[0].Status == types.CertificateValidationRecordStatusSuccess
	})
	n := dns.seen(*wrong.Name)
	r.eventually(func() bool { return dns.seen(*wrong.Name) > n+1 })
	d = r.domains(s.ServiceArn)[0]
	require.Equal(t, "pending_certificate_dns_validation", string(d.Status), "all records must be right")
	require.Equal(t, types.CertificateValidationRecordStatusPendingValidation, d.CertificateValidationRecords[1].Status)

	r.close()
	r.open() // and it is followed still
	dns.write(records...)
	d = r.reach(s.ServiceArn, "active")
	for _, v := range d.CertificateValidationRecords {
		require.Equal(t, types.CertificateValidationRecordStatusSuccess, v.Status)
	}

	gone, err := r.disassociate(s.ServiceArn, "shop.example.com")
	require.NoError(t, err)
	require.Equal(t, "deleting", string(gone.CustomDomain.Status))
	require.Equal(t, "shop.localhost", *gone.DNSTarget)
	r.eventually(func() bool { return len(r.domains(s.ServiceArn)) == 0 })

	dns.mu.Lock()
	clear(dns.cnames)
	dns.mu.Unlock()
	_, err = r.associate(s.ServiceArn, "shop.example.com", nil)
	require.NoError(t, err)
	d = r.reach(s.ServiceArn, "active")
	require.Equal(t, *records[0].Value, *d.CertificateValidationRecords[0].Value, "the certificate is there still")
}

func TestDomain_waitsForRecordsThatNobodyKnows(t *testing.T) {
	t.Parallel()
	dns := newZone()
	dns.down = true
	r := newRig(t, func(o *Options) { o.Resolver = dns })
	s := r.create()
	_, err := r.associate(s.ServiceArn, "*.example.com", nil)
	require.NoError(t, err)
	d := r.reach(s.ServiceArn, "pending_certificate_dns_validation")
	require.False(t, *d.EnableWWWSubdomain, "a wildcard has no www")
	require.Len(t, d.CertificateValidationRecords, 2)
	name := *d.CertificateValidationRecords[0].Name
	require.Regexp(t, `^_[0-9a-f]{32}\.example\.com\.$`, name)
	r.eventually(func() bool { return dns.seen(name) > 2 })
	require.Equal(t, d, r.domains(s.ServiceArn)[0])

	// 72 hours are too long.
	require.NoError(t, r.s.doc.Update(func(st *state) error {
		st.service(*s.ServiceId).Domains[0].CreatedAt.Time = time.Now().Add(-73 * time.Hour)
		return nil
	}))
	d = r.reach(s.ServiceArn, "create_failed")
	require.Equal(t, types.CertificateValidationRecordStatusFailed, d.CertificateValidationRecords[0].Status)
	_, err = r.disassociate(s.ServiceArn, "*.example.com")
	require.NoError(t, err, "so that it can be tried again")
	r.eventually(func() bool { return len(r.domains(s.ServiceArn)) == 0 })
}

func TestDomain_isRefusedAsAWSRefusesIt(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	s := r.create()
	try := func(name string, www *bool) error { _, err := r.associate(s.ServiceArn, name, www); return err }
	for _, name := range []string{"localhost", "login*.example.com", "*.*.example.com", "www.*.example.com", "a..b", "-a.example.com", "example.c"} {
		refused(t, try(name, nil), "InvalidRequestException", "The domain name "+name+" isn't valid.")
	}
	refused(t, try("*.example.com", aws.Bool(true)), "InvalidRequestException", "EnableWWWSubdomain can't be used with the wildcard domain *.example.com.")
	refused(t, try("exämple.com", nil), "InvalidRequestException", "1 validation error detected: Value 'exämple.com' at 'domainName' failed to satisfy constraint: Member must satisfy regular expression pattern: [A-Za-z0-9*.-]{1,255}")
	missing := *s.ServiceArn + "0"
	_, err := r.associate(&missing, "example.com", nil)
	refused(t, err, "InvalidRequestException", "Service with the provided ARN doesn't exist: "+missing+".")
	_, err = r.disassociate(&missing, "example.com")
	refused(t, err, "ResourceNotFoundException", "Service with the provided ARN doesn't exist: "+missing+".")
	_, err = r.disassociate(s.ServiceArn, "example.com")
	refused(t, err, "ResourceNotFoundException", "No custom domain example.com found for the provided service "+*s.ServiceArn+".")

	require.NoError(t, try("example.com", nil))
	other := r.create(func(in *sdk.CreateServiceInput) { in.ServiceName = aws.String("other") })
	_, err = r.associate(other.ServiceArn, "WWW.example.com", aws.Bool(false))
	refused(t, err, "InvalidRequestException", "WWW.example.com is already associated with an App Runner service.")
	refused(t, try("example.com", nil), "InvalidRequestException", "example.com is already associated with an App Runner service.")
	for _, name := range []string{"b", "c", "d", "e"} {
		require.NoError(t, try(name+".example.org", aws.Bool(false)))
	}
	refused(t, try("f.example.org", nil), "InvalidRequestException", "A service can have at most 5 custom domains.")

	var found []string
	pages := sdk.NewDescribeCustomDomainsPaginator(r.api, &sdk.DescribeCustomDomainsInput{ServiceArn: s.ServiceArn, MaxResults: aws.Int32(2)})
	for pages.HasMorePages() {
		page, err := pages.NextPage(context.Background())
		require.NoError(t, err)
		require.Equal(t, "shop.localhost", *page.DNSTarget)
		for _, d := range page.CustomDomains {
			found = append(found, *d.DomainName)
		}
	}
	require.Equal(t, "example.com b.example.org c.example.org d.example.org e.example.org", strings.Join(found, " "))

	out, err := r.api.DeleteService(context.Background(), &sdk.DeleteServiceInput{ServiceArn: s.ServiceArn})
	require.NoError(t, err)
	r.follow(s.ServiceArn, out.OperationId)
	require.Empty(t, r.domains(s.ServiceArn))
	_, err = r.associate(other.ServiceArn, "example.com", nil)
	require.NoError(t, err, "a deleted service has none")
}

func TestResolvers_answerInTurn(t *testing.T) {
	t.Parallel()
	first, second := newZone(), newZone()
	all := Resolvers{first, second}
	second.cnames["a."] = "b."
	got, err := all.CNAME(t.Context(), "a.")
	require.NoError(t, err)
	require.Equal(t, "b.", got)
	got, err = all.CNAME(t.Context(), "none.")
	require.NoError(t, err)
	require.Empty(t, got)
	first.down = true
	got, err = all.CNAME(t.Context(), "a.")
	require.NoError(t, err)
	require.Equal(t, "b.", got)
	_, err = all.CNAME(t.Context(), "none.")
	require.EqualError(t, err, "no server answers")
}
