package render

import (
	"testing"

	"github.com/hashicorp/go-multierror"
	"github.com/stretchr/testify/require"

	"github.com/apron-deploy/apron/reconcile/apply"
	"github.com/apron-deploy/apron/reconcile/plan"
)

// fleet is a plan of several services, two of which are left out.
func fleet(t *testing.T) (*plan.Plan, Header) {
	t.Helper()
	p := second(t)
	web, api, gone, hurt := Service{Name: "web", Target: "apprunner"}, Service{Name: "api", Target: "apprunner"}, Service{Name: "gone"}, Service{Name: "b|d.yaml"}
	web.Plan(p, func(a plan.Action) bool { return a.Op != plan.Delete })
	api.Plan(p, func(plan.Action) bool { return false })
	hurt.Refuse(Refused, multierror.Append(nil,
		hinted{"b|d.yaml:3:6: cpu: 300 is not a size App Runner offers", "use 256, 512, 1024, 2048 or 4096"}, hinted{"b|d.yaml:4:7: port: many is no number", ""}))
	gone.Refuse(Locked, hinted{"service \"gone\" is locked by ana", "wait for that run"})
	h := header()
	h.Services = []Service{web, api, hurt, gone}
	return p, h
}

func TestPlan_tellsHowEachOfSeveralServicesFares(t *testing.T) {
	p, h := fleet(t)
	everyFormat(t, "several-planned", NewPlan(p, h))
	h.Environment = ""
	everyFormat(t, "several-unchanged", NewPlan(&plan.Plan{}, h))
}

func TestReport_namesTheServicesThatAreLeftOut(t *testing.T) {
	_, h := fleet(t)
	require.Contains(t, written(t, NewReport(completed(), hinted{"x", ""}, h), Options{}), "Apply incomplete: 2 added, 1 changed, 1 destroyed. 2 services are left out: `\"b\\x7cd.yaml\"` and gone.\n")
	h.Services = h.Services[:3]
	require.Contains(t, written(t, NewReport(&apply.Report{}, nil, h), Options{}), " 1 service is left out: `\"b\\x7cd.yaml\"`.\n")
	for range 5 {
		h.Services = append(h.Services, h.Services[2])
	}
	require.Contains(t, written(t, NewReport(&apply.Report{}, nil, h), Options{}), " 6 services are left out: `\"b\\x7cd.yaml\"`, `\"b\\x7cd.yaml\"`, `\"b\\x7cd.yaml\"`, `\"b\\x7cd.yaml\"`, `\"b\\x7cd.yaml\"` and 1 more.\n")
}

// TestHeader_ofManyManifestsIsShort keeps the head of a plan of a directory readable.
func TestHeader_ofManyManifestsIsShort(t *testing.T) {
	h := Header{}
	for _, n := range "abcdefghijkl" {
		h.Manifests = append(h.Manifests, string(n)+".yaml")
	}
	require.Equal(t, "a.yaml, b.yaml, c.yaml, d.yaml, e.yaml, f.yaml, g.yaml, h.yaml, i.yaml, j.yaml and 2 more", h.facts()[0][1])
}
