package iam

import (
	"fmt"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/apron-deploy/apron/reconcile"
	"github.com/apron-deploy/apron/reconcile/state"
)

// Of many services only the roles that are there are read, wherever they are; who may not
// list roles finds the same.
func TestObserve_ofManyServicesReadsTheRolesThatAreThere(t *testing.T) {
	for name, deny := range map[string]map[string]string{"listed": nil, "not listed": {"ListRoles": "AccessDenied"}} {
		t.Run(name, func(t *testing.T) {
			f := newFake()
			f.deny = deny
			q := reconcile.Query{Account: "123456789012", Region: "us-east-1"}
			for n := range 2 * few {
				q.Specs = append(q.Specs, state.Spec{Service: fmt.Sprint("web", n)})
			}
			f.roles[RoleName(q.Region, "web1", Access)] = &fakeRole{path: Path, trust: "{}", inline: map[string]string{}}
			f.roles[RoleName(q.Region, "web3", Instance)] = &fakeRole{path: "/elsewhere/", trust: "{}", inline: map[string]string{}}
			f.roles["somebody-else"] = &fakeRole{path: "/", trust: "{}"}
			live, _, err := New(f).Observe(t.Context(), q)
			require.NoError(t, err)
			require.Len(t, live, 2)
			require.Contains(t, live, Address(q.Region, "web1", Access))
			require.Contains(t, live, Address(q.Region, "web3", Instance))
			reads := len(slices.DeleteFunc(slices.Clone(f.calls), func(call string) bool { return call != "GetRole" }))
			if deny == nil {
				require.Equal(t, 2, reads)
			} else {
				require.Equal(t, 4*few, reads)
			}
		})
	}
}
