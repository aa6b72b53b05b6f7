package render

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/apron-deploy/apron/reconcile/state"
)

func TestChecks_areReadByPeopleAndMachines(t *testing.T) {
	all := []state.Check{
		{Service: "web", Path: "region", Verdict: state.Passed, Text: "App Runner answers in us-east-1"},
		{Service: "web", Path: "image", Verdict: state.Unchecked, Text: "it is not built yet; apply looks at it before it is pushed"},
		{Service: "web", Path: "roles.instance", Verdict: state.Broken, Blame: state.BlamePermission,
			Text: "role reader may not ssm:GetParameters on arn:aws:ssm:us-east-1:123456789012:parameter/key", Fix: "let it, or write roles.instance: auto"},
		{Service: "web", Path: "secrets.KEY", Verdict: state.Unchecked, Text: "exists; whether it has `a|b` is not checked \x1b[31m"},
	}
	h := header()
	h.Services = h.Services[:1]
	everyFormat(t, "checks-failed", NewChecks(all, h))
	everyFormat(t, "checks-ok", NewChecks(all[:1], Header{}))
	require.Contains(t, written(t, NewChecks(all[:2], Header{}), Options{}), "as far as it could be checked: 1 ok, 0 failed, 1 not checked.")
	require.Contains(t, written(t, NewChecks(nil, Header{}), Options{Format: JSON}), `"checks": []`)
}

func TestChecks_nameTheServiceWhereThereAreSeveral(t *testing.T) {
	h := Header{Services: []Service{{Name: "web"}, {Name: "api"}}}
	all := []state.Check{{Service: "api", Path: "region", Verdict: state.Passed, Text: "fine"}}
	require.Contains(t, written(t, NewChecks(all, h), Options{}), "ok           api region  fine\n")
}
