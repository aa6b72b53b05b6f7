package apprunner

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/apron-deploy/apron/reconcile/pattern"
	"github.com/apron-deploy/apron/reconcile/state"
)

var (
	imageAbsent = pattern.Lazy(`ECR image doesn't exist`)
	copyFailed  = pattern.Lazy(`Failed to copy the image from ECR`)
	roleInvalid = pattern.Lazy(`Invalid Access Role`)
	noSecretKey = pattern.Lazy(`(?i)\bsecrets?\b.*(?:has no key|did not contain json key)`)
	noSecret    = pattern.Lazy(`(?i)(?:unable to|could not|failed to|can't) (?:retrieve|pull|read|fetch|get) .*\b(?:secrets?|parameters?)\b|\b(?:secrets?|parameters?)\b .*(?:denied|not authorized|may not|not ?found|not exist|doesn't exist|can't|invalid)`)
	notDeployed = pattern.Lazy(`Failed to deploy your application image`)
)

// unpulled is what keeps App Runner from starting a container. The "Invalid Access Role"
// line counts last: App Runner also prints it while it rolls back after a mere failure of
// the health check, which has been looked for by now.
func (e *evidence) unpulled() (finding, bool) {
	const secretKey = "compare what follows the # under secrets: with the keys of the secret"
	const secret = "each reference under secrets: must exist, and the instance role must be allowed to read it"
	unstarted := finding{}
	if slices.ContainsFunc(e.want.Fields, func(f state.Field) bool { return strings.HasPrefix(f.Path, "secrets.") }) {
		unstarted = finding{"the container was not started, most likely because one of its secrets could not be read", secret}
	}
	for _, sign := range []struct {
		match func() *regexp.Regexp
		look  []string // what to look at again, by keys of the manifest
		finding
		place string
	}{
		{imageAbsent, []string{"image"}, finding{"the image is not in the repository", "apply again: it is built and pushed before the rollout"}, ""},
		{copyFailed, []string{"image", "roles.access"}, finding{"App Runner could not copy the image: it has no linux/amd64 part, or the access role may not read it",
			"build with platform: linux/amd64"}, "image"},
		{noSecretKey, []string{"secrets"}, finding{"a secret does not have the key that is asked of it", secretKey}, "secrets"},
		{noSecret, []string{"roles.instance", "secrets"}, finding{"a secret could not be read", secret}, "secrets"},
		{notDeployed, []string{"roles.instance", "secrets"}, unstarted, "secrets"},
		{roleInvalid, []string{"roles.access"}, finding{"App Runner could not use the access role",
			"it must trust build.apprunner.amazonaws.com and carry AWSAppRunnerServicePolicyForECRAccess"}, "roles.access"},
	} {
		for _, l := range e.service {
			if !sign.match().MatchString(l.text) {
				continue
			}
			if f, ok := e.broken(sign.look...); ok {
				if sign.cause != "" && sign.cause != unstarted.cause {
					f.cause = fmt.Sprintf("%s: %s", sign.cause, f.cause)
				}
				return f, true
			}
			if sign.cause != "" {
				return finding{sign.cause, e.at(sign.fix, sign.place)}, true
			}
		}
	}
	return finding{}, false
}
