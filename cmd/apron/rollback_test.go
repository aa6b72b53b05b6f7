package main

import (
	"io/fs"
	"path/filepath"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	ecrsdk "github.com/aws/aws-sdk-go-v2/service/ecr"
	"github.com/aws/aws-sdk-go-v2/service/ecr/types"
	"github.com/stretchr/testify/require"

	"github.com/apron-deploy/apron/manifest"
	"github.com/apron-deploy/apron/providers/records"
	"github.com/apron-deploy/apron/reconcile/release"
	"github.com/apron-deploy/apron/reconcile/state"
)

func TestChooseRelease(t *testing.T) {
	place := records.Place{Repository: "shop", Service: "web"}
	all := []release.Record{ // the newest first
		{Number: 5, Kind: release.Destroy, Result: release.Succeeded},
		{Number: 4, Kind: release.Apply, Result: release.Failed, Image: release.Image{Version: "v2"}},
		{Number: 3, Kind: release.Apply, Result: release.Succeeded, Image: release.Image{Version: "v1"}, Manifest: "c"},
		{Number: 2, Kind: release.Apply, Result: release.Succeeded, Image: release.Image{Version: "v1"}, Manifest: "b"},
	}
	for name, tc := range map[string]struct {
		number  int
		version string
		want    int
		err     string
	}{
		"a number":             {number: 2, want: 2},
		"a version, newest":    {version: "v1", want: 3},
		"what was destroyed":   {want: 3},
		"one that failed":      {number: 4, err: "release 4 of web has failed"},
		"a destroy":            {number: 5, err: "is a destroy"},
		"none of that number":  {number: 9, err: "release 9 of web is not recorded"},
		"none of that version": {version: "v2", err: "a release that succeeded with version v2 of web is not recorded"},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := chooseRelease(place, all, state.Observed{}, tc.number, tc.version)
			if tc.err != "" {
				require.ErrorContains(t, err, tc.err)
				return
			}
			require.NoError(t, err)
			require.Equal(t, tc.want, got.Number)
		})
	}
}

// unversioned is a service whose image has no version, in a world of its own, and what runs
// apron there and expects an exit code.
func unversioned(t *testing.T) (c *checkout, w *world, run func(code int, args ...string) string) {
	t.Helper()
	c = newCheckout(t, small, built.app)
	c.replace("deploy.yaml", "version: v1, ", "")
	w = newWorld(t, c, filepath.Join(t.TempDir(), "state"), 0)
	return c, w, func(code int, args ...string) string {
		t.Helper()
		got, out := w.run(t.Context(), args...)
		require.Equal(t, code, got, out)
		return out
	}
}

// TestRollback_refusesWithoutTheImage also looks at what a release leaves that failed.
func TestRollback_refusesWithoutTheImage(t *testing.T) {
	t.Parallel()
	c, w, run := unversioned(t)
	run(exitOK, "apply", "--yes")
	c.replace("app/Dockerfile", "VERSION=one", "VERSION=two")
	run(exitOK, "apply", "--yes")
	c.replace("app/Dockerfile", "VERSION=two", "VERSION=three")
	run(exitOK, "apply", "--yes")

	cfg := aws.Config{Region: w.Info().Region, BaseEndpoint: aws.String(w.Info().Endpoint()),
		Credentials: credentials.NewStaticCredentialsProvider(w.Info().AccessKey, w.Info().SecretKey, "")}
	second, _, err := records.New(cfg).Read(t.Context(), records.Place{Repository: "shop", Service: "shop"}, []int{2})
	require.NoError(t, err)
	_, err = ecrsdk.NewFromConfig(cfg).BatchDeleteImage(t.Context(), &ecrsdk.BatchDeleteImageInput{RepositoryName: aws.String("shop"),
		ImageIds: []types.ImageIdentifier{{ImageDigest: &second[0].Image.Digest}}})
	require.NoError(t, err)
	out := run(exitError, "rollback", "--yes")
	require.Contains(t, out, "release 2 of shop cannot be brought back")
	require.Contains(t, out, "is gone from the repository; nothing was changed")
	require.Contains(t, out, "release 1 is the newest other one that still has its image")
	require.Contains(t, run(exitOK, "rollback", "1", "--yes"), "Back to release 1")

	// A release that fails is recorded as that, and is no drift.
	c.replace("app/Dockerfile", "HEALTH=200", "HEALTH=500")
	c.replace("deploy.yaml", "max: 2", "max: 3")
	require.Contains(t, run(exitFailed, "apply", "--yes"), "rolled back")
	require.Regexp(t, `(?m)^5 .* failed$`, run(exitOK, "history"))
	require.Contains(t, run(exitOK, "history", "show", "5"), "why")
	require.Contains(t, run(exitOK, "plan"), "# pending")
	require.NotContains(t, run(exitOK, "plan"), "# drift")
	run(exitOK, "drift")
}

// TestRestored_seesWhatAnOverlayHides is about a key that goes from an overlay, and is in
// what all environments share.
func TestRestored_seesWhatAnOverlayHides(t *testing.T) {
	load := func(text, environment string) *manifest.Set {
		t.Helper()
		set, err := manifest.Load(manifest.Options{Environment: environment, LookupEnv: func(string) (string, bool) { return "", false },
			ReadFile: func(name string) ([]byte, error) {
				if name == "deploy.yaml" {
					return []byte(text), nil
				}
				return nil, fs.ErrNotExist
			}})
		require.NoError(t, err)
		return set
	}
	const head = "version: 1\nservice: shop\n"
	const text = head + "port: 80\nenvironments:\n  prod:\n    port: 81\n    command: run\n"
	now, then := load(text, "prod"), load(head, "")
	edits, err := manifest.Restore(&now.Documents[0], &then.Documents[0])
	require.NoError(t, err)
	out, _, err := manifest.Rewrite("deploy.yaml", []byte(text), manifest.EditOptions{Environment: "prod", Literal: true}, edits)
	require.NoError(t, err)
	s := &session{a: &app{environment: "prod"}}
	err = s.restored(load(string(out), "prod"), &now.Documents[0], &then.Documents[0])
	require.EqualError(t, flatten(err)[0], "deploy.yaml:6:11: port: would be what all environments share, once it is taken out here")
	require.Len(t, flatten(err), 1, "the command is gone")
	require.NoError(t, s.restored(then, &now.Documents[0], &then.Documents[0]))
}
