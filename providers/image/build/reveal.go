package build

import (
	"os"
	"strings"

	"github.com/apron-deploy/apron/reconcile/pattern"
)

// secretMax is how large a file BuildKit takes as a secret, in bytes. Nothing that is
// larger is looked for in what a build prints.
// https://github.com/moby/buildkit/blob/master/session/secrets/secretsprovider/secretsprovider.go
const secretMax = 500 << 10

// Revealing is what must not be seen of the files that are the build's secrets, as far as
// they are there: what each holds, and what stands in it as a password or a token, in the
// manner of .npmrc, .netrc and pip.conf.
func Revealing(r Request) []string {
	var all []string
	for _, id := range sortedKeys(r.Build.Secrets) {
		s := r.Build.Secrets[id]
		if s.File == "" {
			continue
		}
		info, err := os.Stat(r.path(s.File))
		if err != nil || !info.Mode().IsRegular() || info.Size() > secretMax {
			continue // whether it can be a secret is for the build to say
		}
		data, err := os.ReadFile(r.path(s.File))
		if err != nil {
			continue
		}
		text := strings.TrimSpace(string(data))
		all = append(all, text)
		for _, m := range given().FindAllStringSubmatch(text, -1) {
			if value := strings.Join(m[1:], ""); plausible(value) {
				all = append(all, value)
			}
		}
	}
	return all
}

// given finds what a file gives as a password or a token: NAME=VALUE, "NAME": "VALUE",
// password VALUE, ://user:VALUE@. Of names, auth must be a word of its own, as npm has both
// _auth and always-auth, and a key must not be an attribute of XML, where it is only a name.
// https://docs.npmjs.com/cli/configuring-npm/npmrc
// https://learn.microsoft.com/nuget/reference/nuget-config-file
var given = pattern.Lazy(`(?im)(?:token|passw(?:or)?d|secret|(?:^|[^a-z0-9-])auth|(?:^[ \t]*|[^a-z \t]|access|account|api|auth|license|private|secret)key)` +
	`["']?[ \t]*[=:][ \t]*(?:(?:basic|bearer)[ \t]+)?(?:"([^"\r\n]+)"|'([^'\r\n]+)'|["']?([^\s"',;]+))` +
	`|\bpassword[ \t]+(\S+)|://[^/\s:@]*:([^/\s@]+)@`)

// plausibleMin is the length from which a part of a file is taken for a secret: what is
// shorter is in other words, and all that is printed would be full of masks.
const plausibleMin = 8

// plausible reports whether a part of a file can be a secret. The words that are none and too
// short to be one, such as true, none, basic and always, need no mention.
func plausible(value string) bool {
	if len(value) < plausibleMin || reference().MatchString(value) {
		return false
	}
	switch strings.ToLower(value) {
	case "anonymous", "automatic", "disabled", "encrypted", "optional", "password", "plaintext", "required", "undefined":
		return false
	}
	return true
}

// reference is a variable that stands for the value, which is elsewhere.
var reference = pattern.Lazy(`^\$(?:[A-Z_][A-Z0-9_]*|\{[^{}]*\})$`)
