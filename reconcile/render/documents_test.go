package render

import (
	"errors"
	"testing"

	"github.com/hashicorp/go-multierror"
	"github.com/stretchr/testify/require"

	"github.com/apron-deploy/apron/reconcile/plan"
	"github.com/apron-deploy/apron/reconcile/release"
)

// TestComment_asPeopleReadIt has a comment whole, cut, and of a run that lacks a service.
// Its golden files are parsed by TestMarkdown_isGFM, as all are.
func TestComment_asPeopleReadIt(t *testing.T) {
	v := NewPlan(second(t), header())
	c := Comment{Marker: "<!-- apron:plan 1 -->", Short: "<!-- apron:cut 1 -->", Fingerprint: "apron-0123456789ab", Max: 65536,
		Since: &Since{Added: []string{"create ecr/tag/web:v2"}, Changed: []string{"update apprunner/service/web"}, Gone: []string{"delete iam/role/old"}}}
	golden(t, "comment.md", c.Body(v))

	whole := len(c.Body(v))
	c.Max = whole - 1
	golden(t, "comment-cut.md", c.Body(v))
	c.Max = 600
	golden(t, "comment-cut-short.md", c.Body(v))

	c.Max = 65536
	lost := Service{Name: "api"}
	lost.Refuse(Unread, hinted{"arn:aws:apprunner:eu-central-1:123456789012:service/api: describe: AccessDeniedException", "grant apprunner:DescribeService"})
	v.Header.Services = []Service{{Name: "web", Result: Changes}, lost}
	golden(t, "comment-unread.md", c.Body(v))
}

func TestDrift_issueAsPeopleReadIt(t *testing.T) {
	v := NewDrift(header(), nil)
	v.Add("web", release.Recent{}, second(t).Actions, 4)
	golden(t, "issue.md", v.Issue("<!-- apron:drift 1 -->", 65536))
	golden(t, "issue-cut.md", v.Issue("<!-- apron:drift 1 -->", 400))
}

func TestDifference_isReadByPeopleAndMachines(t *testing.T) {
	approved, now := NewPlan(first(t), header()), NewPlan(second(t), header())
	var ids []string
	for _, a := range append(approved.Actions[:1:1], now.Actions[:2]...) {
		ids = append(ids, a.ID)
	}
	everyFormat(t, "difference", NewDifference(approved, now, ids))
	everyFormat(t, "difference-none", NewDifference(approved, NewPlan(&plan.Plan{}, header()), ids[:1]))
}

func TestFailure_isReadByPeopleAndMachines(t *testing.T) {
	err := multierror.Append(nil, hinted{"deploy.yaml:4:3: cpu: 3 vCPU is none of 0.25, 0.5, 1, 2, 4", "write 2 or 4"}, errors.New("deploy.yaml:9:1: there is no key a|b <c>"))
	v := NewFailure(err)
	require.Len(t, v.Errors, 2)
	everyFormat(t, "failure", v)
}
