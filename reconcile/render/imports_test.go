package render

import (
	"os/exec"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestPackage_importsOnlyWhatItShows(t *testing.T) {
	out, err := exec.CommandContext(t.Context(), "go", "list", "-deps", "-f", "{{if not .Standard}}{{.ImportPath}}{{end}}", ".").Output()
	require.NoError(t, err)
	require.ElementsMatch(t, []string{
		"github.com/guptarohit/asciigraph",
		"github.com/hashicorp/errwrap",
		"github.com/hashicorp/go-multierror",
		"github.com/apron-deploy/apron/reconcile/state",
		"github.com/apron-deploy/apron/reconcile/plan",
		"github.com/apron-deploy/apron/reconcile/orphan",
		"github.com/apron-deploy/apron/reconcile/pattern",
		"github.com/apron-deploy/apron/reconcile/apply",
		"github.com/apron-deploy/apron/reconcile/release",
		"github.com/apron-deploy/apron/reconcile/render",
	}, strings.Fields(string(out)))
}
