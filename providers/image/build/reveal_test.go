package build_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/apron-deploy/apron/providers/image/build"
	"github.com/apron-deploy/apron/reconcile/state"
)

func TestRevealing_isWhatTheFilesOfSecretsHold(t *testing.T) {
	for desc, tc := range map[string]struct {
		text string
		want []string
	}{
		"a token alone": {"s3cr3t\n", []string{"s3cr3t"}},
		"npm's":         {"registry=https://npm.example.com:443/\n//npm.example.com/:_authToken=\"s3cr3t\"\n", []string{"s3cr3t"}},
		"netrc":         {"machine a login b\n  password s3cr3t\n", []string{"s3cr3t"}},
		"pip's":         {"[global]\nindex-url = https://me:s3cr3t@pip.example.com/simple\n", []string{"s3cr3t"}},
		"docker's":      {`{"auths": {"a": {"auth": "c2VjcmV0"}}}`, []string{"c2VjcmV0"}},
		"several":       {"API_KEY: one\nclient_secret = two # not three\n", []string{"one", "two"}},
		"nothing else":  {"user=me\nhost=example.com\n", nil},
	} {
		t.Run(desc, func(t *testing.T) {
			r := request(t, checkout(t, map[string]string{"Dockerfile": "FROM scratch\n", "file": tc.text, "large": strings.Repeat("x", 500<<10+1)}),
				state.Build{Secrets: map[string]state.BuildSecret{"a": {File: "file"}, "b": {Env: "NPM_TOKEN"}, "c": {File: "none"}, "d": {File: "."}, "e": {File: "large"}}})
			got := build.Revealing(r)
			require.Equal(t, strings.TrimSpace(tc.text), got[0])
			require.Subset(t, got, tc.want)
			require.Len(t, slices.Compact(got[1:]), len(tc.want)-strings.Count(desc, "alone"))
		})
	}
}
