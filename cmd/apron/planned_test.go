package main

import (
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/stretchr/testify/require"

	"github.com/apron-deploy/apron/reconcile/plan"
	"github.com/apron-deploy/apron/reconcile/state"
)

// TestPlanned_concernsWhatLeadsToAService deletes what no manifest names any more, and what
// refers to a service, or to something that does.
func TestPlanned_concernsWhatLeadsToAService(t *testing.T) {
	shop := state.Spec{Service: "shop"}
	to := func(kind, name string, target state.Address) state.Observed {
		return state.Observed{Resource: state.Resource{Address: state.Address{Target: "apprunner", Kind: kind, Name: name},
			Fields: []state.Field{{Path: "of", Value: target.String(), Ref: true}}}}
	}
	domain := to("domain", "shop.example.com", serviceAddress(shop))
	records := to("records", "shop.example.com", domain.Address)
	other := to("domain", "api.example.com", serviceAddress(state.Spec{Service: "api"}))
	p := planned{recording: &recording{}, facts: facts{live: state.Live{domain.Address: domain, records.Address: records, other.Address: other}}}
	for _, tc := range []struct {
		have state.Observed
		want bool
	}{{domain, true}, {records, true}, {other, false}} {
		a := plan.Action{Op: plan.Delete, Target: tc.have.Address, Have: tc.have}
		require.Equal(t, tc.want, p.concerns(shop, a), tc.have.Address)
		require.Equal(t, tc.want, p.about(shop, a), "and takes its lock")
	}
}

func TestSession_whatTheSandboxAgreesToIsNotAgreedToOnAWS(t *testing.T) {
	s := &session{a: &app{}, cfg: aws.Config{Region: "us-east-1"}}
	p := planned{plan: &plan.Plan{}}
	real := s.fingerprint(p).String()
	s.a.sandbox.on = true
	require.NotEqual(t, real, s.fingerprint(p).String())
}
