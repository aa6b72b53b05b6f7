package render

import (
	"encoding/json"
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/apron-deploy/apron/reconcile/orphan"
	"github.com/apron-deploy/apron/reconcile/plan"
)

// leftovers are one orphan for each reason.
func leftovers() Leftovers {
	one := func(name, file, environment string, why orphan.Reason) orphan.Orphan {
		return orphan.Orphan{Service: orphan.Service{Name: name, ID: "arn:aws:apprunner:us-east-1:123456789012:service/" + name + "/1", URL: "https://" + name + ".example", Region: "us-east-1"},
			Origin: orphan.Origin{Repository: "github.com/acme/shop", File: file, Environment: environment}, Reason: why}
	}
	found := []orphan.Orphan{
		one("api", "services/api.yaml", "", orphan.FileGone), one("api-test", "services/the api.yaml", "test", orphan.FileGone),
		one("web-test", "deploy.yaml", "test", orphan.EnvironmentGone), one("old", "deploy.yaml", "production", orphan.Unclaimed),
	}
	found[1].URL = ""
	return NewLeftovers(found)
}

func TestOrphans_areReadByPeopleAndMachines(t *testing.T) {
	p := NewPlan(&plan.Plan{}, header())
	p.Leftovers = leftovers()
	everyFormat(t, "orphans", p)
	var back Plan
	require.NoError(t, json.Unmarshal([]byte(written(t, p, Options{Format: JSON})), &back))
	require.Equal(t, written(t, p, Options{}), written(t, &back, Options{}), "the JSON holds all that the text says")

	d := NewDrift(header(), nil)
	d.Unchecked = "find services by their tags: AccessDeniedException: no"
	everyFormat(t, "orphans-unchecked", d)
}

func TestOrphans_areShownAsFarAsThereIsRoom(t *testing.T) {
	p := NewPlan(&plan.Plan{}, header())
	for n := range 25 {
		p.Orphans = append(p.Orphans, Orphan{Service: fmt.Sprintf("web-%02d", n)})
	}
	for _, f := range []Format{Text, Markdown} {
		out := written(t, p, Options{Format: f})
		require.Contains(t, out, "25 services have no manifest")
		require.Contains(t, out, "web-19")
		require.NotContains(t, out, "web-20")
		require.Contains(t, out, "And 5 more: --json has all of them.\n")
	}
	require.Contains(t, written(t, p, Options{Format: JSON}), "web-24")
}

func TestOrphans_areNamedWhereACommentIsCut(t *testing.T) {
	p := NewPlan(first(t), header())
	p.Leftovers = leftovers()
	c := Comment{Max: 1000}
	require.Contains(t, c.Body(p), "left out: the order of the actions, the settings, the orphans.\n")
	p.Leftovers = Leftovers{}
	require.Contains(t, c.Body(p), "left out: the order of the actions, the settings.\n")
}

func TestOrphans_makeAnotherComment(t *testing.T) {
	with, without := NewPlan(first(t), header()), NewPlan(first(t), header())
	require.True(t, with.Displayed().Same(without.Displayed()))
	with.Leftovers = leftovers()
	require.False(t, with.Displayed().Same(without.Displayed()))
	require.Empty(t, with.Displayed().Unlike(without.Displayed()), "what would be done is the same")
	with.Leftovers, without.Leftovers = Leftovers{Unchecked: "request 1"}, Leftovers{Unchecked: "request 2"}
	require.True(t, with.Displayed().Same(without.Displayed()))

	d := NewDrift(header(), nil)
	d.Leftovers = leftovers()
	require.Empty(t, d.Of("web").Orphans, "an issue is about one service")
}
