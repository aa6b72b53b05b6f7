package build_test

import (
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
		"a token alone": {"s3cr3t\n", nil},
		"npm's":         {"registry=https://npm.example.com:443/\n//npm.example.com/:_authToken=\"npm_s3cr3t\"\n", []string{"npm_s3cr3t"}},
		"npm's, older":  {"_auth=bWU6czNjcjN0\n//npm.example.com:443/:_password=czNjcjN0czNjcjN0\nalways-auth=true\n", []string{"bWU6czNjcjN0", "czNjcjN0czNjcjN0"}},
		"npm's, all":    {"always-auth=for-every-registry\nalways-auth = true\n_auth = true\n", nil},
		"yarn's":        {"npmRegistries:\n  //npm.example.com:\n    npmAlwaysAuth: true\n    npmAuthToken: \"s3cr3t-s3cr3t\"\n", []string{"s3cr3t-s3cr3t"}},
		"netrc":         {"machine a login b\n  password s3cr3t-s3cr3t\n", []string{"s3cr3t-s3cr3t"}},
		"pip's":         {"[global]\nindex-url = https://me:s3cr3t-s3cr3t@pip.example.com/simple\n", []string{"s3cr3t-s3cr3t"}},
		"docker's":      {`{"auths": {"a": {"auth": "c2VjcmV0"}}, "credsStore": "desktop-keychain"}`, []string{"c2VjcmV0"}},
		"AWS's":         {"[default]\naws_access_key_id = AKIAIOSFODNN7EXAMPLE\naws_secret_access_key = wJalrXUtnFEMI/K7MDENG\n", []string{"wJalrXUtnFEMI/K7MDENG"}},
		"NuGet's":       {`<add key="Username" value="somebody" /><add key="ClearTextPassword" value="x" />`, nil},
		"several":       {"API_KEY: one-one-1\nclient_secret = two-two-2 # not three-three\n", []string{"one-one-1", "two-two-2"}},
		"other names": {"password=p1p1p1p1\napi_key=p2p2p2p2\napikey=p3p3p3p3\nsecret=p4p4p4p4\naccess_token=p5p5p5p5\nDB_PASSWORD=p6p6p6p6\n" +
			"x-api-key: p7p7p7p7\nsecretKey: p8p8p8p8\n\"key\": \"p9p9p9p9\"\n  key: q1q1q1q1\nPASSWD=q2q2q2q2\nauth=q3q3q3q3\n",
			[]string{"p1p1p1p1", "p2p2p2p2", "p3p3p3p3", "p4p4p4p4", "p5p5p5p5", "p6p6p6p6", "p7p7p7p7", "p8p8p8p8", "p9p9p9p9", "q1q1q1q1", "q2q2q2q2", "q3q3q3q3"}},
		"a scheme before it": {"auth: Bearer s3cr3t-s3cr3t\ntoken = basic c2VjcmV0Cg==\n", []string{"s3cr3t-s3cr3t", "c2VjcmV0Cg=="}},
		"several words":      {"password = \"correct horse battery\"\nsecret: 'it has, commas; too'\n", []string{"correct horse battery", "it has, commas; too"}},
		"variables":          {"//a/:_authToken=${NPM_TOKEN}\n//b/:_authToken=$NPM_TOKEN\n//c/:_authToken=${NPM_TOKEN-none}\nurl=https://me:${PASSWORD}@host/\npassword=pre${PASSWORD}\npassword=$Ecr3t-s3cr3t\n", []string{"pre${PASSWORD}", "$Ecr3t-s3cr3t"}},
		"ordinary words":     {"auth=none\ntoken: null\npassword: false\nsecret = never\nauth: Bearer\nkey=undefined\nauth: \"required\"\ntoken=DISABLED\npassword = password\nmonkey=see-monkey-do\n", nil},
		"short ones":         {"password=hunter2\ntoken: a1b2c3d\n", nil},
		"nothing else":       {"user=me\nhost=example.com\n", nil},
	} {
		t.Run(desc, func(t *testing.T) {
			r := request(t, checkout(t, map[string]string{"Dockerfile": "FROM scratch\n", "file": tc.text, "large": strings.Repeat("x", 500<<10+1)}),
				state.Build{Secrets: map[string]state.BuildSecret{"a": {File: "file"}, "b": {Env: "NPM_TOKEN"}, "c": {File: "none"}, "d": {File: "."}, "e": {File: "large"}}})
			got := build.Revealing(r)
			require.Equal(t, strings.TrimSpace(tc.text), got[0])
			require.ElementsMatch(t, tc.want, got[1:])
		})
	}
}
