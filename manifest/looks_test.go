package manifest_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/apron-deploy/apron/manifest"
)

func TestSignature_knowsSecretsInURLs(t *testing.T) {
	const password, webhook = "a URL with a password", "a webhook's URL, which is its secret"
	for text, want := range map[string]string{
		"postgres://user:hunter2@db.example.com/app":                                           password,
		"redis://:s3cret@cache:6379":                                                           password,
		"postgres://u:pa/ss@h":                                                                 password,
		"postgres://u:pa/ss/w0rd@h:5432/app":                                                   password,
		"mongodb+srv://u:p4@cluster.example.com/?retryWrites=true":                             password,
		"https://hooks.slack.com/services/T01AB2CD3/B04EF5GH6/a1B2c3D4":                        webhook,
		"https://hooks.slack.com/triggers/T01AB2CD3/4501234567890/a1b2c3d4e5f6":                webhook,
		"https://discord.com/api/webhooks/123456789012345678/Ab-cd_efghijklmnopqrstuvwxyz":     webhook,
		"https://discordapp.com/api/v10/webhooks/123456789012345678/Abcdefghijklmnopqrstuvwxy": webhook,
		"https://canary.discord.com/api/webhooks/123456789012345678/Abcdefghijklmnopqrstuvwxy": webhook,

		"postgres://db.internal/app":                     "",
		"http://user@host":                               "",
		"redis://cache.example.com:6379":                 "",
		"redis://cache.example.com:6379/0":               "",
		"tcp://:8080":                                    "",
		"http://:8080/a@b":                               "",
		"https://cdn.example.com:443/npm/pkg@1.2.3":      "",
		"http://[::1]:8080/a@b":                          "",
		"http://{{host}}:{{port}}/a@b":                   "",
		"http://$HOST:$PORT/a@b":                         "",
		"a:80,http://b:80/x,c@d":                         "",
		"http://a:80,http://b:80/x@y":                    "",
		"https://host/a:b/c@d":                           "",
		"ssh://git@github.com:22/org/repo":               "",
		"https://hooks.slack.com/services/":              "",
		"https://hooks.slack.com/services/T…/B…/…":       "",
		"https://discord.com/api/webhooks":               "",
		"https://discord.com/channels/12345678/98765432": "",
	} {
		require.Equal(t, want, manifest.Signature(text), text)
	}
}

func TestSecretLooking(t *testing.T) {
	for name, want := range map[string]bool{
		"PASSWORD": true, "DB_PASSWORD": true, "PGPASSWORD": true, "DBPASSWORD": true, "MYSQLPASSWD": true,
		"dbPassword": true, "PGPASSWORD_PROD": true, "API_KEY": true,

		"PGPASSWORD_FILE": false, "RESET_PASSWORD_URL": false, "PASSWORDLESS": false, "PASSWORDLESS_LOGIN": false,
		"PASSWORDS_PER_PAGE": false, "PGUSER": false, "NEXT_PUBLIC_DBPASSWORD": false, "KEYBOARD": false,
	} {
		require.Equal(t, want, manifest.SecretLooking(name), name)
	}
}
