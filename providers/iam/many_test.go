package iam

import (
	"fmt"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/apron-deploy/apron/reconcile"
	"github.com/apron-deploy/apron/reconcile/state"
)

// Of many services the roles are found in the details of the account, wherever they are.
// Who may not read those has the roles read that are there, and who may not list roles
// either finds the same by asking for each.
func TestObserve_ofManyServicesReadsTheRolesThatAreThere(t *testing.T) {
	q := reconcile.Query{Account: "123456789012", Region: "us-east-1"}
	for n := range 2 * few {
		q.Specs = append(q.Specs, state.Spec{Service: fmt.Sprint("web", n)})
	}
	var first state.Live
	for _, tc := range []struct {
		name  string
		deny  map[string]string
		reads int // of single roles
	}{
		{"in the details", nil, 0},
		{"listed", map[string]string{"GetAccountAuthorizationDetails": "AccessDenied"}, 2},
		{"not listed", map[string]string{"GetAccountAuthorizationDetails": "AccessDenied", "ListRoles": "AccessDenied"}, 4 * few},
	} {
		t.Run(tc.name, func(t *testing.T) {
			f := newFake()
			f.deny = tc.deny
			allow := func(action string) string {
				return `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"` + action + `","Resource":"arn:aws:s3:::a+b/%20"}]}`
			}
			f.roles[RoleName(q.Region, "web1", Access)] = &fakeRole{path: Path, trust: "{}", tags: map[string]string{"apron:service": "web1"},
				attached: []string{"arn:aws:iam::aws:policy/B", "arn:aws:iam::aws:policy/A"}, inline: map[string]string{}}
			f.roles[RoleName(q.Region, "web3", Instance)] = &fakeRole{path: "/elsewhere/", trust: `{"Statement":[]}`,
				inline: map[string]string{policyName: allow("s3:GetObject"), "other": allow("s3:PutObject")}}
			f.roles["somebody-else"] = &fakeRole{path: "/", trust: "{}"}
			live, _, err := New(f).Observe(t.Context(), q)
			require.NoError(t, err)
			require.Len(t, live, 2)
			if first == nil {
				first = live
			}
			require.Equal(t, first, live)
			require.Equal(t, "attached", live[Address(q.Region, "web1", Access)].Value("policy.arn:aws:iam::aws:policy/A"))
			require.NotEmpty(t, live[Address(q.Region, "web3", Instance)].Value("permission.policy other"))
			reads := len(slices.DeleteFunc(slices.Clone(f.calls), func(call string) bool { return call != "GetRole" }))
			require.Equal(t, tc.reads, reads)
		})
	}
}
