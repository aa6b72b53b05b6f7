package main

import (
	"fmt"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	smsdk "github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	ssmsdk "github.com/aws/aws-sdk-go-v2/service/ssm"
	"github.com/stretchr/testify/require"

	"github.com/apron-deploy/apron/providers/sandbox"
)

// TestRollback_namesTheReferencesWhoseVersionMoved has references to a parameter and to a
// secret: as it is, by a label that stays, by one that moves, and by a version.
func TestRollback_namesTheReferencesWhoseVersionMoved(t *testing.T) {
	t.Parallel()
	c := newCheckout(t, small, built.tiny)
	w := newWorldOf(t, c, sandbox.Options{Dir: filepath.Join(t.TempDir(), "state"), Speed: 1000, Engine: inProcessEngine})
	secrets, parameters := smsdk.NewFromConfig(w.config()), ssmsdk.NewFromConfig(w.config())
	value := func(n int) *string { return aws.String(fmt.Sprintf(`{"KEY": "%s-%d"}`, canary, n)) }
	put := func(n int, stages ...string) string {
		t.Helper()
		out, err := secrets.PutSecretValue(t.Context(), &smsdk.PutSecretValueInput{SecretId: aws.String("prod/shop"), SecretString: value(n), VersionStages: stages})
		require.NoError(t, err)
		return *out.VersionId
	}
	parameter := func(n int) {
		t.Helper()
		_, err := parameters.PutParameter(t.Context(), &ssmsdk.PutParameterInput{Name: aws.String("/prod/database"), Type: "SecureString", Value: value(n), Overwrite: aws.Bool(n > 1)})
		require.NoError(t, err)
	}
	run := func(args ...string) string {
		t.Helper()
		code, out := w.run(t.Context(), args...)
		require.Equal(t, exitOK, code, out)
		require.NotContains(t, out, canary)
		return out
	}
	first, err := secrets.CreateSecret(t.Context(), &smsdk.CreateSecretInput{Name: aws.String("prod/shop"), SecretString: value(1)})
	require.NoError(t, err)
	put(2, "STAYS")
	moves := put(3, "MOVES")
	parameter(1)
	c.replace("deploy.yaml", `{KEY: "env:KEY"}`, strings.Join([]string{`{KEY: "env:KEY"`, `DATABASE: "ssm:/prod/database"`, `CURRENT: "secretsmanager:prod/shop#KEY"`,
		`STAYS: "secretsmanager:prod/shop#KEY:STAYS"`, `MOVES: "secretsmanager:prod/shop#KEY:MOVES"`, `PINNED: "secretsmanager:prod/shop#KEY::` + *first.VersionId + `"}`}, ", "))
	run("apply", "--yes", "--no-verify")
	c.replace("deploy.yaml", "cpu: 256", "cpu: 512")
	c.replace("deploy.yaml", "memory: 512", "memory: 1024")
	run("apply", "--yes", "--no-verify")

	current, moved := put(4), put(5, "MOVES")
	parameter(2)
	out := run("rollback", "--yes")
	told := map[string]string{}
	for _, m := range regexp.MustCompile(`secrets\.(\w+): its value has changed since release 1 \((.*)\) and stays as it is`).FindAllStringSubmatch(out, -1) {
		told[m[1]] = m[2]
	}
	require.Equal(t, map[string]string{
		"DATABASE": "version 1 then, 2 now",
		"CURRENT":  "version " + *first.VersionId + " then, " + current + " now",
		"MOVES":    "version " + moves + " then, " + moved + " now",
	}, told, out)
	require.Regexp(t, `cpu: +512 → 256`, out)
}
