package main

import (
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/apron-deploy/apron/manifest"
	"github.com/apron-deploy/apron/providers/apprunner"
	"github.com/apron-deploy/apron/reconcile/plan"
	"github.com/apron-deploy/apron/reconcile/state"
)

// TestAccepting_turnsDriftIntoEdits is what drift --accept makes of each kind of difference.
func TestAccepting_turnsDriftIntoEdits(t *testing.T) {
	dir := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(dir, "Dockerfile"), []byte("FROM scratch\n"), 0o600))
	file := filepath.Join(dir, "deploy.yaml")
	require.NoError(t, os.WriteFile(file, []byte("version: 1\nservice: shop\nregion: us-east-1\nimage: {build: {context: .}}\ncpu: 256\nmemory: 1 GB\n"+
		"scaling: {min: 1, max: 2}\nhealth: {interval: 5s}\nenv: {MODE: fast}\n"), 0o600))
	set, err := manifest.Load(manifest.Options{Paths: []string{file}, LookupEnv: func(string) (string, bool) { return "", false }})
	require.NoError(t, err)
	field := func(path, value string) *state.Field { return &state.Field{Path: path, Value: value} }
	set1 := func(path, value string) manifest.Edit { return manifest.Edit{Path: path, Value: value} }
	for name, tc := range map[string]struct {
		change plan.Change
		edits  []manifest.Edit
		left   string
	}{
		"a number that stands bare":     {change: plan.Change{Path: "cpu", Old: field("cpu", "512")}, edits: []manifest.Edit{set1("cpu", "512")}},
		"a number with a unit":          {change: plan.Change{Path: "memory", Old: field("memory", "2048")}, edits: []manifest.Edit{set1("memory", "2 GB")}},
		"a duration":                    {change: plan.Change{Path: "health.interval", Old: field("health.interval", "7s")}, edits: []manifest.Edit{set1("health.interval", "7s")}},
		"a variable with a dollar sign": {change: plan.Change{Path: "env.MODE", Old: field("env.MODE", "$slow")}, edits: []manifest.Edit{set1("env.MODE", "$$slow")}},
		"a variable that is gone":       {change: plan.Change{Path: "env.MODE", New: field("env.MODE", "fast")}, edits: []manifest.Edit{{Path: "env.MODE", Remove: true}}},
		"a tag":                         {change: plan.Change{Path: "tags.team", Old: field("tags.team", "ops")}, edits: []manifest.Edit{set1("tags.team", "ops")}},
		"apron's own tag":               {change: plan.Change{Path: "tags.apron:service", Old: field("tags.apron:service", "x")}, left: "tags.apron:service: no edit of the manifest says this"},
		"a secret":                      {change: plan.Change{Path: "env.KEY", Old: &state.Field{Path: "env.KEY", Value: "s3cret", Secret: true}}, left: "env.KEY: is a secret, or was one"},
		"what became a secret":          {change: plan.Change{Path: "env.KEY", Old: field("env.KEY", "x"), New: &state.Field{Path: "env.KEY", Secret: true}}, left: "env.KEY: is a secret, or was one"},
		"scaling that apron made": {change: plan.Change{Path: "scaling", Old: field("scaling", "apprunner/scaling/apron-2-9-80")},
			edits: []manifest.Edit{set1("scaling.min", "2"), set1("scaling.max", "9"), set1("scaling.concurrency", "80")}},
		"scaling that somebody made": {change: plan.Change{Path: "scaling", Old: field("scaling", "apprunner/scaling/black-friday")},
			left: "scaling: what is live is black-friday, which somebody made by hand, and a manifest says numbers: write those of it at " + file + ":7, or bring back what was with --revert"},
		"another image": {change: plan.Change{Path: "image", Old: field("image", "ecr/image/shop:src-x")}, left: "image: what runs was built from other sources; apron rollback goes back to a release"},
		"another role":  {change: plan.Change{Path: "access_role", Old: field("access_role", "x")}, left: "access_role: no edit of the manifest says this"},
	} {
		t.Run(name, func(t *testing.T) {
			edits, left := accepting(&set.Documents[0], []plan.Action{{Op: plan.Update, Target: apprunner.Service("shop"), Changes: []plan.Change{tc.change}}})
			require.Equal(t, tc.edits, edits)
			if tc.left == "" {
				require.Empty(t, left)
			} else {
				require.Equal(t, []string{tc.left}, left)
			}
		})
	}
	_, left := accepting(&set.Documents[0], []plan.Action{{Op: plan.Create, Target: apprunner.Service("shop")}})
	require.Equal(t, []string{"apprunner/service/shop: no key of the manifest says this"}, left)
}

// TestAccept_seesWhatTakingOutOfAnOverlayUncovers has a variable that somebody took away by
// hand, and that both an environment and the part that all share have.
func TestAccept_seesWhatTakingOutOfAnOverlayUncovers(t *testing.T) {
	const text = "version: 1\nservice: shop\nregion: us-east-1\nimage: {build: {context: .}}\nenv: {MODE: slow}\n" +
		"environments:\n  prod:\n    env:\n      MODE: fast\n      COLOUR: blue\n"
	dir := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(dir, "Dockerfile"), []byte("FROM scratch\n"), 0o600))
	file := filepath.Join(dir, "deploy.yaml")
	accept := func(paths ...string) (string, error) {
		t.Helper()
		require.NoError(t, os.WriteFile(file, []byte(text), 0o600))
		a := newApp(strings.NewReader(""), io.Discard, io.Discard)
		a.environment, a.files, a.lookup = "prod", []string{file}, func(string) (string, bool) { return "", false }
		set, err := a.load()
		require.NoError(t, err)
		action := plan.Action{Op: plan.Update, Target: apprunner.Service("shop")}
		for _, path := range paths {
			action.Changes = append(action.Changes, plan.Change{Path: path, New: &state.Field{Path: path, Value: "x"}})
		}
		_, err = (&session{a: a, set: set}).accept(map[string][]plan.Action{"shop": {action}})
		written, readErr := os.ReadFile(file)
		require.NoError(t, readErr)
		return string(written), err
	}
	written, err := accept("env.COLOUR")
	require.NoError(t, err)
	require.Equal(t, strings.Replace(text, "      COLOUR: blue\n", "", 1), written)

	written, err = accept("env.COLOUR", "env.MODE")
	require.ErrorContains(t, err, "nothing was written")
	require.Len(t, flatten(err), 1)
	require.ErrorContains(t, err, file+":9:13: env.MODE: would be what all environments share, once it is taken out here")
	require.Contains(t, flatten(err)[0].(interface{ Hint() string }).Hint(), "write null there")
	require.Equal(t, text, written)
}
