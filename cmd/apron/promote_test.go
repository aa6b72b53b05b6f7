package main

import (
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	apprunnersdk "github.com/aws/aws-sdk-go-v2/service/apprunner"
	"github.com/aws/aws-sdk-go-v2/service/apprunner/types"
	ecrsdk "github.com/aws/aws-sdk-go-v2/service/ecr"
	ecrtypes "github.com/aws/aws-sdk-go-v2/service/ecr/types"
	"github.com/stretchr/testify/require"
)

// TestInBoth_findsTheDocumentByEitherName has a name that stands for one service in one
// environment and for another one in the other, and a document that is wrong in one.
func TestInBoth_findsTheDocumentByEitherName(t *testing.T) {
	document := func(name, staging, production string) string {
		return "version: 1\nservice: " + name + "\nenvironments:\n  staging: {" + staging + "}\n  production: {" + production + "}\n"
	}
	file := filepath.Join(t.TempDir(), "deploy.yaml")
	require.NoError(t, os.WriteFile(file, []byte(strings.Join([]string{
		document("web", "service: web-staging", "service: web-production"),
		document("blue", "service: green-1", "service: blue"),
		document("red", "service: blue", "service: red-1"),
		document("broken", "port: many", ""),
	}, "---\n")), 0o644))
	for only, want := range map[string][2]string{
		"web-staging":    {"web-staging", "web-production"},
		"web-production": {"web-staging", "web-production"},
		"blue":           {"green-1", "blue"},
		"green-1":        {"green-1", "blue"},
		"red-1":          {"blue", "red-1"},
	} {
		t.Run(only, func(t *testing.T) {
			a := newApp(strings.NewReader(""), io.Discard, io.Discard)
			a.files = []string{file}
			here, there, err := a.inBoth(only, "staging", "production")
			require.NoError(t, err)
			require.Equal(t, [][]string{{want[0]}, {want[1]}}, [][]string{here, there})
		})
	}
	a := newApp(strings.NewReader(""), io.Discard, io.Discard)
	a.files = []string{file}
	_, _, err := a.inBoth("broken", "staging", "production")
	require.ErrorContains(t, err, "port:")
	here, there, err := a.inBoth("", "staging", "production")
	require.NoError(t, err)
	require.Empty(t, append(here, there...))
}

// TestPromote_theTargetRunsTheSameDigest has the sources change in between, so that nothing
// but the image of staging has that digest; one target has a repository of its own.
func TestPromote_theTargetRunsTheSameDigest(t *testing.T) {
	t.Parallel()
	c := newCheckout(t, strings.Replace(small, "version: v1, ", "repository: shop, ", 1)+
		"environments:\n  staging: {service: shop-staging}\n  production: {service: shop-production}\n  elsewhere: {service: shop-elsewhere, image: {repository: other}}\n", built.tiny)
	w := newWorld(t, c, filepath.Join(t.TempDir(), "state"), 0)
	run := func(args ...string) {
		t.Helper()
		code, out := w.run(t.Context(), args...)
		require.Equal(t, exitOK, code, out)
	}
	// runs is the repository and the digest of what App Runner has a service run.
	runs := func(service string) (repository, digest string) {
		t.Helper()
		client := apprunnersdk.NewFromConfig(w.config())
		list, err := client.ListServices(t.Context(), &apprunnersdk.ListServicesInput{})
		require.NoError(t, err)
		i := slices.IndexFunc(list.ServiceSummaryList, func(s types.ServiceSummary) bool { return *s.ServiceName == service })
		out, err := client.DescribeService(t.Context(), &apprunnersdk.DescribeServiceInput{ServiceArn: list.ServiceSummaryList[i].ServiceArn})
		require.NoError(t, err)
		_, name, _ := strings.Cut(*out.Service.SourceConfiguration.ImageRepository.ImageIdentifier, "/")
		repository, tag, _ := strings.Cut(name, ":")
		images, err := ecrsdk.NewFromConfig(w.config()).DescribeImages(t.Context(), &ecrsdk.DescribeImagesInput{RepositoryName: &repository, ImageIds: []ecrtypes.ImageIdentifier{{ImageTag: &tag}}})
		require.NoError(t, err)
		return repository, *images.ImageDetails[0].ImageDigest
	}
	run("apply", "-e", "staging", "--yes")
	_, want := runs("shop-staging")
	c.replace("app/Dockerfile", "VERSION=one", "VERSION=two")
	for _, environment := range []string{"production", "elsewhere"} {
		run("apply", "-e", environment, "--yes")
		_, before := runs("shop-" + environment)
		require.NotEqual(t, want, before, "of other sources")
		run("promote", "--from", "staging", "--to", environment, "--yes")
		_, digest := runs("shop-" + environment)
		require.Equal(t, want, digest, environment)
	}
	repository, _ := runs("shop-production")
	require.Equal(t, "shop", repository)
	repository, _ = runs("shop-elsewhere")
	require.Equal(t, "other", repository)
}
