package main

import (
	"path/filepath"
	"regexp"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	ecrsdk "github.com/aws/aws-sdk-go-v2/service/ecr"
	"github.com/aws/aws-sdk-go-v2/service/ecr/types"
	"github.com/stretchr/testify/require"
)

// forget deletes all release records of a repository.
func forget(t *testing.T, cfg aws.Config, repository string) {
	t.Helper()
	client := ecrsdk.NewFromConfig(cfg)
	for _, tag := range tagsOf(t, cfg, repository) {
		if regexp.MustCompile(`^release-|\.release$`).MatchString(tag) {
			out, err := client.BatchDeleteImage(t.Context(), &ecrsdk.BatchDeleteImageInput{RepositoryName: &repository, ImageIds: []types.ImageIdentifier{{ImageTag: &tag}}})
			require.NoError(t, err)
			require.Empty(t, out.Failures)
		}
	}
}

func tagsOf(t *testing.T, cfg aws.Config, repository string) []string {
	t.Helper()
	out, err := ecrsdk.NewFromConfig(cfg).ListImages(t.Context(), &ecrsdk.ListImagesInput{RepositoryName: &repository})
	require.NoError(t, err)
	var tags []string
	for _, id := range out.ImageIds {
		if id.ImageTag != nil {
			tags = append(tags, *id.ImageTag)
		}
	}
	return tags
}

// TestDrift_revertsWithoutARecordToTheImageThatRuns: the sources are others by now, and their
// image has nothing to do with what somebody has changed.
func TestDrift_revertsWithoutARecordToTheImageThatRuns(t *testing.T) {
	t.Parallel()
	c := newCheckout(t, small, built.tiny)
	w := newWorld(t, c, filepath.Join(t.TempDir(), "state"), 0)
	run := func(code int, args ...string) string {
		t.Helper()
		got, out := w.run(t.Context(), args...)
		require.Equal(t, code, got, out)
		return out
	}
	image := func() string {
		t.Helper()
		return regexp.MustCompile(`src-[0-9a-f]+`).FindString(run(exitOK, "status"))
	}
	run(exitOK, "apply", "--yes")
	runs := image()
	require.NotEmpty(t, runs)
	forget(t, w.config(), "shop")
	require.Contains(t, run(exitOK, "history"), "No release of shop is recorded")
	c.replace("app/Dockerfile", "VERSION=one", "VERSION=two")
	c.replace("deploy.yaml", "version: v1", "version: v2")
	run(exitOK, "drift")
	require.NoError(t, resizeByHand(t.Context(), w.config(), "shop", "512", "1024"))

	out := run(exitChanges, "drift")
	require.Contains(t, out, "cpu:")
	require.NotContains(t, out, "image")
	out = run(exitOK, "drift", "--revert", "--yes")
	require.NotContains(t, out, "building")
	require.Equal(t, runs, image())
	require.NotContains(t, tagsOf(t, w.config(), "shop"), "v2", "a version that was not released is not used up")
	run(exitOK, "drift")
	run(exitOK, "apply", "--yes")
	require.NotEqual(t, runs, image())

	run(exitOK, "rollback", "--yes")
	require.Equal(t, runs, image(), "what was brought back is a release")
}
