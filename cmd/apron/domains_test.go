package main

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/apron-deploy/apron/providers/apprunner"
	"github.com/apron-deploy/apron/providers/dns"
)

func TestWaits_saysEachRecordAndWhatStandsInTheWay(t *testing.T) {
	records := []apprunner.Record{
		{Name: "app.example.com", Type: "CNAME", Value: "x.awsapprunner.com"},
		{Name: "_a.app.example.com", Type: "CNAME", Value: "_b.acm-validations.aws", Validation: true},
	}
	found := func(verdicts ...dns.Finding) foundDomain {
		d := foundDomain{CustomDomain: apprunner.CustomDomain{Name: "app.example.com", Status: "PENDING_CERTIFICATE_DNS_VALIDATION", Records: records}}
		for i, f := range verdicts {
			f.Record = dns.Record{Name: records[i].Name, Value: records[i].Value}
			d.Findings = append(d.Findings, f)
		}
		return d
	}
	for name, tc := range map[string]struct {
		first, second dns.Finding
		lines         []string
		warns         bool
	}{
		"nothing yet": {dns.Finding{Verdict: dns.NotSeen}, dns.Finding{Verdict: dns.NotSeen}, []string{
			"app.example.com CNAME x.awsapprunner.com: not seen", "_a.app.example.com CNAME _b.acm-validations.aws: not seen"}, false},
		"a wildcard": {dns.Finding{Verdict: dns.NotSeen}, dns.Finding{Verdict: dns.WrongValue, Got: "cdn.example.net", Why: "a wildcard record of app.example.com answers for it"}, []string{
			"app.example.com CNAME x.awsapprunner.com: not seen",
			"_a.app.example.com CNAME _b.acm-validations.aws: wrong value, cdn.example.net: a wildcard record of app.example.com answers for it"}, false},
		"the CNAME alone": {dns.Finding{Verdict: dns.Seen}, dns.Finding{Verdict: dns.NotSeen}, []string{
			"app.example.com CNAME x.awsapprunner.com: seen", "_a.app.example.com CNAME _b.acm-validations.aws: not seen"}, true},
		"nobody to ask": {dns.Finding{Verdict: dns.NotChecked, Why: "i/o timeout"}, dns.Finding{Verdict: dns.Seen}, []string{
			"app.example.com CNAME x.awsapprunner.com: not checked, i/o timeout", "_a.app.example.com CNAME _b.acm-validations.aws: seen"}, false},
	} {
		t.Run(name, func(t *testing.T) {
			lines, warnings := found(tc.first, tc.second).waits()
			require.Equal(t, append([]string{"is pending certificate dns validation: App Runner looks for these records in DNS"}, tc.lines...), lines)
			require.Equal(t, tc.warns, len(warnings) == 1)
			if tc.warns {
				require.Contains(t, warnings[0], "the CNAME of app.example.com is there before a validation record below it")
			}
		})
	}
}
