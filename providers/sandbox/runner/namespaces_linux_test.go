package runner

import (
	"testing"
)

func TestNamespaces_conforms(t *testing.T) {
	e := open(t, "namespaces")
	n := e.(*namespaces)
	t.Log(e.Describe())
	t.Run("claims", func(t *testing.T) { runConformance(t, e, traits{limits: n.limits != nil, isolated: true}) })
}
