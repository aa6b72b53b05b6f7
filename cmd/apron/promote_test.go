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

	"github.com/apron-deploy/apron/reconcile/release"
	"github.com/apron-deploy/apron/reconcile/state"
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

func TestPromotable(t *testing.T) {
	at := state.Address{Target: "apprunner", Kind: "service", Name: "web"}
	record := func(number int, result release.Result, tag, cpu string) release.Record {
		return release.New(release.Record{Number: number, Service: "web", Kind: release.Apply, Result: result, Image: release.Image{Repository: "shop", Tag: tag}},
			release.Run{Wanted: []state.Resource{{Address: at, Fields: []state.Field{
				{Path: "cpu", Value: cpu}, {Path: "image", Value: "ecr/image/shop:" + tag, Ref: true}, {Path: "tags.team", Value: tag}}}}})
	}
	live := func(phase state.Phase, tag, cpu string) state.Observed {
		return state.Observed{Phase: phase, Resource: state.Resource{Address: at, Fields: []state.Field{
			{Path: "cpu", Value: cpu}, {Path: "image", Value: "ecr/image/shop:" + tag, Ref: true}, {Path: "tags.team", Value: "other"}}}}
	}
	good, bad := record(1, release.Succeeded, "src-a", "256"), record(2, release.Failed, "src-b", "256")
	for name, tc := range map[string]struct {
		recent release.Recent
		live   state.Observed
		note   string
		err    string
	}{
		"what runs":      {recent: release.Recent{Success: &good}, live: live(state.Ready, "src-a", "256")},
		"what is paused": {recent: release.Recent{Success: &good}, live: live(state.Paused, "src-a", "256")},
		"other settings": {recent: release.Recent{Success: &good}, live: live(state.Ready, "src-a", "512")},
		"no record":      {live: live(state.Ready, "src-a", "256"), err: "no release of web is recorded"},
		"something else": {recent: release.Recent{Success: &good}, live: live(state.Ready, "src-c", "256"), err: "web does not run the image of release 1, the last one, by now"},
		"a rollback":     {recent: release.Recent{Success: &good, Attempts: []release.Record{bad}}, live: live(state.Ready, "src-a", "256"), note: "release 2 of web has failed, and what release 1 left runs"},
		"what failed":    {recent: release.Recent{Success: &good, Attempts: []release.Record{bad}}, live: live(state.Ready, "src-b", "256"), err: "release 2 of web, the last one, has failed"},
		"only the image": {recent: release.Recent{Success: &good, Attempts: []release.Record{bad}}, live: live(state.Ready, "src-a", "512"), err: "release 2 of web, the last one, has failed"},
		"under way":      {recent: release.Recent{Success: &good, Attempts: []release.Record{bad}}, live: live(state.Busy, "src-a", "256"), err: "release 2 of web, the last one, has failed"},
		"the same again": {recent: release.Recent{Success: &good, Attempts: []release.Record{record(2, release.Interrupted, "src-a", "256")}}, live: live(state.Ready, "src-a", "256"),
			note: "release 2 of web was interrupted, and what release 1 left runs"},
		"never any": {recent: release.Recent{Attempts: []release.Record{bad}}, live: live(state.Ready, "src-b", "256"), err: "release 2 of web, the last one, has failed"},
		"a destroy": {recent: release.Recent{Success: &release.Record{Number: 3, Kind: release.Destroy}}, err: "release 3 of web, the last one, has destroyed it"},
	} {
		t.Run(name, func(t *testing.T) {
			got, note, err := promotable("staging", "web", tc.recent, tc.live)
			require.Equal(t, tc.note, note)
			if tc.err != "" {
				require.ErrorContains(t, err, tc.err)
				return
			}
			require.NoError(t, err)
			require.Equal(t, good, got)
		})
	}
}
