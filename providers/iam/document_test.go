package iam

import (
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

func TestParsePermissions_readsEveryWayToSayIt(t *testing.T) {
	want := []string{"s3:GetObject a", "s3:GetObject b", "s3:PutObject a", "s3:PutObject b"}
	for name, text := range map[string]string{
		"lists":            `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":["s3:PutObject","s3:GetObject"],"Resource":["b","a"]}]}`,
		"single values":    `{"Statement":[{"Effect":"Allow","Action":"s3:GetObject","Resource":"b"},{"Effect":"Allow","Action":"s3:PutObject","Resource":"b"},{"Effect":"Allow","Action":["s3:GetObject","s3:PutObject"],"Resource":"a"}]}`,
		"one statement":    `{"Statement":{"Sid":"Files","Effect":"Allow","Action":["s3:GetObject","s3:PutObject"],"Resource":["a","b"]}}`,
		"said repeatedly":  `{"Statement":[{"Effect":"Allow","Action":["s3:GetObject","s3:PutObject"],"Resource":["a","b"]},{"Effect":"Allow","Action":"s3:GetObject","Resource":"a"}]}`,
		"with white space": "{\n \"Statement\": [ { \"Effect\": \"Allow\", \"Action\": [\"s3:GetObject\", \"s3:PutObject\"], \"Resource\": [\"a\", \"b\"] } ]\n}",
	} {
		t.Run(name, func(t *testing.T) {
			require.Equal(t, document{grants: want}, parsePermissions(text))
		})
	}
}

func TestParsePermissions_keepsWhatIsNotPlain(t *testing.T) {
	for name, statement := range map[string]string{
		"a denial":      `{"Action":"s3:*","Effect":"Deny","Resource":"*"}`,
		"a condition":   `{"Action":"s3:GetObject","Condition":{"Bool":{"aws:SecureTransport":"true"}},"Effect":"Allow","Resource":"*"}`,
		"an exception":  `{"Effect":"Allow","NotAction":"iam:*","Resource":"*"}`,
		"not resources": `{"Action":"s3:GetObject","Effect":"Allow","NotResource":"a"}`,
		"odd values":    `{"Action":["s3:GetObject",7],"Effect":"Allow","Resource":"a"}`,
	} {
		t.Run(name, func(t *testing.T) {
			got := parsePermissions(`{"Statement":[` + statement + `,{"Effect":"Allow","Action":"s3:ListBucket","Resource":"a"}]}`)
			require.Equal(t, document{grants: []string{"s3:ListBucket a"}, rest: []string{statement}}, got)
		})
	}
	for _, text := range []string{"", "{", "[]", `{"Statement":7}`, `{"Version":"2012-10-17"}`} {
		require.Equal(t, document{rest: []string{text}}, parsePermissions(text))
	}
}

func TestPermissionsText_saysExactlyWhatItIsAsked(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		action := rapid.SampledFrom([]string{"s3:GetObject", "s3:PutObject", "ssm:GetParameters", "sqs:*"})
		resource := rapid.SampledFrom([]string{"*", "arn:aws:s3:::a/*", "arn:aws:s3:::b", "arn:aws:ssm:r:1:parameter/<&>"})
		grants := rapid.SliceOfN(rapid.Custom(func(t *rapid.T) string {
			return action.Draw(t, "action") + " " + resource.Draw(t, "resource")
		}), 1, 20).Draw(t, "grants")
		text := permissionsText(grants)

		slices.Sort(grants)
		require.Equal(t, document{grants: slices.Compact(slices.Clone(grants))}, parsePermissions(text))
		slices.Reverse(grants)
		require.Equal(t, text, permissionsText(grants), "the order does not matter")
	})
}

func TestPermissionsText_sharesStatements(t *testing.T) {
	require.Equal(t,
		`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":["s3:GetObject","s3:PutObject"],"Resource":["a","b"]},{"Effect":"Allow","Action":["sqs:SendMessage"],"Resource":["q"]}]}`,
		permissionsText([]string{"s3:PutObject b", "s3:GetObject a", "s3:PutObject a", "s3:GetObject b", "sqs:SendMessage q"}))
}

func TestParseTrust(t *testing.T) {
	for name, tc := range map[string]struct {
		text string
		want string
	}{
		"as apron writes it":   {trustText([]string{"build.apprunner.amazonaws.com"}), "build.apprunner.amazonaws.com"},
		"a single value":       {`{"Statement":{"Effect":"Allow","Principal":{"Service":"build.apprunner.amazonaws.com"},"Action":"sts:AssumeRole"}}`, "build.apprunner.amazonaws.com"},
		"two services":         {`{"Statement":[{"Effect":"Allow","Principal":{"Service":["b","a"]},"Action":"sts:AssumeRole"}]}`, "a, b"},
		"an account":           {`{"Statement":[{"Effect":"Allow","Principal":{"AWS":"1"},"Action":"sts:AssumeRole"}]}`, `{"Action":"sts:AssumeRole","Effect":"Allow","Principal":{"AWS":"1"}}`},
		"anybody":              {`{"Statement":[{"Effect":"Allow","Principal":"*","Action":"sts:AssumeRole"}]}`, `{"Action":"sts:AssumeRole","Effect":"Allow","Principal":"*"}`},
		"a service with a tag": {`{"Statement":[{"Effect":"Allow","Principal":{"Service":"a"},"Action":["sts:AssumeRole","sts:TagSession"]}]}`, `{"Action":["sts:AssumeRole","sts:TagSession"],"Effect":"Allow","Principal":{"Service":"a"}}`},
	} {
		t.Run(name, func(t *testing.T) { require.Equal(t, tc.want, parseTrust(tc.text).text()) })
	}
}

func TestTrusts_looksThroughConditions(t *testing.T) {
	conditional := `{"Statement":[{"Effect":"Allow","Principal":{"Service":"a"},"Action":"sts:AssumeRole","Condition":{"StringEquals":{"aws:SourceAccount":"1"}}}]}`
	require.True(t, trusts(conditional, "a"))
	require.False(t, trusts(conditional, "b"))
	require.False(t, trusts(`{"Statement":[{"Effect":"Deny","Principal":{"Service":"a"},"Action":"sts:AssumeRole"}]}`, "a"))
	require.False(t, trusts(`{"Statement":[{"Effect":"Allow","Principal":{"AWS":"*"},"Action":"sts:AssumeRole"}]}`, "a"))
}
