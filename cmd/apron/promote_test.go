package main

import (
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

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
