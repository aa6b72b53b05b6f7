package state_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/apron-deploy/apron/reconcile/state"
)

func TestUntagged(t *testing.T) {
	for reference, want := range map[string]string{
		"web": "web", "web:v1": "web", "web@sha256:0": "web", "web:v1@sha256:0": "web",
		"localhost:5000/web": "localhost:5000/web", "localhost:5000/web:v1": "localhost:5000/web", "": "",
	} {
		require.Equal(t, want, state.Untagged(reference), reference)
	}
}
