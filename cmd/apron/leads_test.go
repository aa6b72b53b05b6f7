package main

import (
	"path/filepath"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	r53sdk "github.com/aws/aws-sdk-go-v2/service/route53"
	"github.com/aws/aws-sdk-go-v2/service/route53/types"
	"github.com/stretchr/testify/require"
)

// TestLeads_anotherEnvironmentsRecordIsNotOurs has a manifest that names the same domain for
// two environments, as one does that forgets to override it.
func TestLeads_anotherEnvironmentsRecordIsNotOurs(t *testing.T) {
	t.Parallel()
	const staging = "environments:\n  staging: {service: shop-staging}\n"
	c := newCheckout(t, small+"domains: [{name: app.example.com, route53: true}]\n"+staging, built.tiny)
	c.write("bare.yaml", small+staging)
	w := newWorld(t, c, filepath.Join(t.TempDir(), "state"), 0)
	client := r53sdk.NewFromConfig(w.config())
	zone, err := client.CreateHostedZone(t.Context(), &r53sdk.CreateHostedZoneInput{Name: aws.String("example.com"), CallerReference: aws.String("1")})
	require.NoError(t, err)
	run := func(code int, args ...string) string {
		t.Helper()
		got, out := w.run(t.Context(), args...)
		require.Equal(t, code, got, out)
		return out
	}
	leadsTo := func() (to []string) {
		t.Helper()
		out, err := client.ListResourceRecordSets(t.Context(), &r53sdk.ListResourceRecordSetsInput{HostedZoneId: zone.HostedZone.Id})
		require.NoError(t, err)
		for _, s := range out.ResourceRecordSets {
			if aws.ToString(s.Name) == "app.example.com." && s.Type == types.RRTypeCname {
				to = append(to, aws.ToString(s.ResourceRecords[0].Value))
			}
		}
		return to
	}
	run(exitOK, "apply", "--yes")
	require.Equal(t, []string{"shop.localhost"}, leadsTo())
	require.Contains(t, run(exitOK, "plan"), "No changes")

	require.Contains(t, run(exitError, "apply", "-e", "staging", "--yes"), "app.example.com leads to shop.localhost")
	w.manifest = "bare.yaml"
	run(exitOK, "apply", "-e", "staging", "--yes")
	w.manifest = ""
	out := run(exitOK, "destroy", "-e", "staging", "--yes")
	require.NotContains(t, out, "route53/records")
	require.Equal(t, []string{"shop.localhost"}, leadsTo(), "production goes on")

	run(exitOK, "destroy", "--yes")
	require.Empty(t, leadsTo())
}
