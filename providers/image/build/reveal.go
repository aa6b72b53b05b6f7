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
			all = append(all, strings.Join(m[1:], ""))
		}
	}
	return all
}

// given finds what a file gives as a password or a token: NAME=VALUE, "NAME": "VALUE",
// password VALUE, ://user:VALUE@.
var given = pattern.Lazy(`(?i)(?:token|passw(?:or)?d|auth|secret|key)["']?[ \t]*[=:][ \t]*["']?([^\s"',;]+)` +
	`|\bpassword[ \t]+(\S+)|://[^/\s:@]*:([^/\s@]+)@`)
