package render

import (
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/require"

	"github.com/apron-deploy/apron/reconcile/plan"
	"github.com/apron-deploy/apron/reconcile/release"
	"github.com/apron-deploy/apron/reconcile/state"
)

// hostileDrift is that of two services, of which one has n settings with a value.
func hostileDrift(value string, n int) *Drift {
	v := NewDrift(Header{Services: []Service{{Name: "web"}, {Name: "api"}}}, nil)
	addr := state.Address{Target: "apprunner", Kind: "service", Name: "web"}
	a := plan.Action{ID: "update web", Op: plan.Update, Target: addr}
	for range n {
		f := state.Field{Path: "env.A", Value: value}
		a.Changes = append(a.Changes, plan.Change{Path: "env.A", Old: &f})
	}
	v.Add("web", release.Recent{}, []plan.Action{a}, 1)
	v.Add("api", release.Recent{}, nil, 1)
	return v
}

func TestDrift_issueIsOfOneService(t *testing.T) {
	v := hostileDrift("x", 1)
	require.True(t, v.Of("web").Drifted)
	require.False(t, v.Of("api").Drifted)
	require.NotContains(t, v.Of("api").Issue("<!-- m -->", 65536), "web")
	require.True(t, strings.HasPrefix(v.Of("web").Issue("<!-- m -->", 65536), "<!-- m -->\n**Drift: 1 setting changed.**\n"))
}

func TestDrift_issueEscapesNamesAndIsCut(t *testing.T) {
	v := hostileDrift("--> <!-- a|b`c @all db.internal", 1).Named(Names(map[string]string{"db.internal": "HOST"}))
	body := v.Issue("<!-- m -->", 65536)
	require.NotContains(t, body, "db.internal")
	require.Contains(t, body, "${HOST}")
	plain := hostileDrift("x", 1).Issue("<!-- m -->", 65536)
	for _, mark := range []string{"\n", "`", "|"} {
		require.Equal(t, strings.Count(plain, mark), strings.Count(body, mark), "%q in\n%s", mark, body)
	}
	long := hostileDrift("x", 3000).Issue("<!-- m -->", 65536)
	require.LessOrEqual(t, utf8.RuneCountInString(long), 65536)
	require.Contains(t, long, "more than an issue can hold")
}
