package manifest

import (
	"math"
	"regexp"
	"slices"
	"strings"

	"github.com/apron-deploy/apron/reconcile/pattern"
)

// public prefixes mark variables that a front end ships to every browser.
var public = []string{"NEXT_PUBLIC_", "VITE_", "REACT_APP_", "NUXT_PUBLIC_", "EXPO_PUBLIC_", "GATSBY_", "PUBLIC_"}

// harmless endings turn a name that speaks of a secret into one that only points at it.
var harmless = pattern.Lazy(`(PUBLISHABLE_KEY|PUBLIC_KEY|_ID|_ARN|_NAME|_URL|_URI|_PATH|_FILE|_TTL|_EXPIRY|_EXPIRES(_IN)?|_LENGTH|_LIMIT|_SIZE|_COUNT|_AGE|_LIFETIME|_DURATION|_EXPIRATION|_SECONDS|_MINUTES|_HOURS|_DAYS|_ALGORITHM|_TYPE|_HEADER|_ISSUER|_ENDPOINT|_REGION|_ENABLED)$`)

var secretWords = pattern.Lazy(`(^|_)(SECRETS?|PASSPHRASE|PASS|PWD|TOKEN|APIKEY|CREDENTIALS?)(_|$)` +
	`|(PASSWORD|PASSWD)(_|$)` + // PGPASSWORD
	`|(^|_)(API|SECRET|PRIVATE|ACCESS|ENCRYPTION|SIGNING|MASTER|AUTH|SERVICE_ROLE|LICENSE)_?KEY(_|$)`)

// SecretLooking reports whether a variable of that name usually holds a secret. Keys
// that a front end publishes, NEXT_PUBLIC_… for one, are not secrets.
func SecretLooking(name string) bool {
	name = strings.ToUpper(strings.NewReplacer("-", "_", ".", "_").Replace(name))
	return !published(name) && !harmless().MatchString(name) && secretWords().MatchString(name)
}

func published(name string) bool {
	return slices.ContainsFunc(public, func(p string) bool { return strings.HasPrefix(name, p) })
}

const (
	passwordURL = "a URL with a password"
	// https://api.slack.com/messaging/webhooks, https://discord.com/developers/docs/resources/webhook
	webhookURL = "a webhook's URL, which is its secret"
)

// signatures are values that say themselves what they are.
var signatures = []struct {
	pattern func() *regexp.Regexp
	what    string
}{
	{pattern.Lazy(`\b(AKIA|ASIA)[A-Z0-9]{16}\b`), "an AWS access key"},
	{pattern.Lazy(`\b[sr]k_(live|test)_[A-Za-z0-9]{8,}`), "a secret API key"},
	{pattern.Lazy(`\bsk-[A-Za-z0-9_-]{20,}`), "a secret API key"},
	{pattern.Lazy(`\bgh[pousr]_[A-Za-z0-9]{20,}|\bgithub_pat_[A-Za-z0-9_]{20,}`), "a GitHub token"},
	{pattern.Lazy(`\bglpat-[A-Za-z0-9_-]{16,}`), "a GitLab token"},
	{pattern.Lazy(`\bxox[abprs]-[A-Za-z0-9-]{10,}`), "a Slack token"},
	{pattern.Lazy(`\bwhsec_[A-Za-z0-9+/=]{16,}`), "a webhook's signing secret"},
	{pattern.Lazy(`\bAIza[A-Za-z0-9_-]{35}`), "a Google API key"},
	{pattern.Lazy(`\bhf_[A-Za-z0-9]{30,}`), "a Hugging Face token"},
	{pattern.Lazy(`\bnpm_[A-Za-z0-9]{36}`), "an npm token"},
	{pattern.Lazy(`\bSG\.[A-Za-z0-9_-]{16,}\.[A-Za-z0-9_-]{16,}`), "a SendGrid key"},
	{pattern.Lazy(`-----BEGIN [A-Z ]*PRIVATE KEY`), "a private key"},
	{pattern.Lazy(`\beyJ[A-Za-z0-9_-]{10,}\.eyJ[A-Za-z0-9_-]{10,}`), "a JSON web token"},
	{pattern.Lazy(`\bhooks\.slack(-gov)?\.com/(services|workflows|triggers)/\w+/\w+/\w{6,}`), webhookURL},
	{pattern.Lazy(`\bdiscord(app)?\.com/api/(v[0-9]+/)?webhooks/[0-9]{6,}/[A-Za-z0-9_-]{16,}`), webhookURL},
	{pattern.Lazy(`://[^/\s:@]*:[^/\s@]+@`), passwordURL},
	// A password may hold a slash, and then it is told from a port by what is no digit.
	{pattern.Lazy(`://[^/\s:@[]*:[^/\s@,{}<>$]*[^0-9/\s@,{}<>$][^/\s@,{}<>$]*/[^\s@,?#]*@`), passwordURL},
}

// Signature says what secret is in a text by its own form, such as "an AWS access key", or
// "".
func Signature(text string) string {
	for _, s := range signatures {
		if s.pattern().MatchString(text) {
			return s.what
		}
	}
	return ""
}

// SessionCredential reports whether a manifest must not name a variable: it is one of
// whoever deploys.
func SessionCredential(name string) bool { return refused(name) }

// revealing says what secret the value of a variable seems to be, or "".
func revealing(name, value string) string {
	if what := Signature(value); what != "" {
		return what
	}
	if published(name) || harmless().MatchString(strings.ToUpper(name)) || strings.HasPrefix(value, "pk_") {
		return ""
	}
	if digestName().MatchString(strings.ToUpper(name)) && digestValue().MatchString(value) {
		return ""
	}
	if random(value) {
		return randomKey
	}
	return ""
}

// LooksSecret says what secret a variable of a name and a value seems to hold, or "".
func LooksSecret(name, value string) string {
	what := revealing(name, value)
	if what == "" && value != "" && SecretLooking(name) {
		return "a secret by its name"
	}
	return what
}

// randomKey is what [revealing] says of a value that only looks random.
const randomKey = "a random key"

// digests are names and values of commits and checksums, which look random and are not
// secret.
var (
	digestName  = pattern.Lazy(`(^|_)(SHA|SHA1|SHA256|COMMIT|REVISION|REV|DIGEST|CHECKSUM)$`)
	digestValue = pattern.Lazy(`^([0-9a-f]{40}|[0-9a-f]{64})$`)
)

var run = pattern.Lazy(`[A-Za-z0-9]{24,}`)

// random reports whether value holds a long run of letters and digits that no person
// would have made up. Digests, URLs and ARNs name things and are left out.
func random(value string) bool {
	if strings.Contains(value, "://") || strings.HasPrefix(value, "arn:") || strings.HasPrefix(value, "sha256:") {
		return false
	}
	return slices.ContainsFunc(run().FindAllString(value, -1), func(s string) bool {
		return strings.ContainsAny(s, "0123456789") && strings.Trim(s, "0123456789") != "" && entropy(s) >= 3.4
	})
}

// entropy is in bits per character.
func entropy(s string) float64 {
	var counts [256]int
	for i := range len(s) {
		counts[s[i]]++
	}
	sum := 0.0
	for _, n := range counts {
		if n > 0 {
			p := float64(n) / float64(len(s))
			sum -= p * math.Log2(p)
		}
	}
	return sum
}
