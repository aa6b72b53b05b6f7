package main

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/apron-deploy/apron/reconcile/state"
)

func TestCheckError_saysWhereAVariableIsChanged(t *testing.T) {
	e := &checkError{place: "deploy.yaml:9", check: state.Check{Path: "roles.instance", Text: "does not exist", Fix: "make the role"}}
	require.EqualError(t, e, "deploy.yaml:9: roles.instance: does not exist; nothing was changed")
	require.Equal(t, "make the role; --no-verify goes on all the same", e.Hint())
	e.from = "${ROLE:-app}"
	require.Equal(t, "make the role (roles.instance is ${ROLE:-app}); --no-verify goes on all the same", e.Hint())
}
