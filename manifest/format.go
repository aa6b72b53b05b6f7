package manifest

import (
	"regexp"

	"github.com/apron-deploy/apron/reconcile/pattern"
)

// format is the shape a text may have.
type format struct {
	pattern func() *regexp.Regexp
	what    string // completes "X is not …"
	fix     string
}

func shape(text, what, fix string) format {
	return format{pattern: pattern.Lazy(text), what: what, fix: fix}
}

// formats is read only. Patterns are in the common part of Go's and ECMA's syntax,
// because the JSON Schema shows them too.
var formats = map[string]format{
	// https://docs.aws.amazon.com/apprunner/latest/api/API_CreateService.html
	"service": shape(`^[A-Za-z0-9][A-Za-z0-9_-]{3,39}$`,
		"a service name", "use 4 to 40 letters, digits, - and _, and start with a letter or a digit"),
	"region": shape(`^[a-z]{2,4}(-[a-z]+)+-[0-9]$`,
		"an AWS Region", "write it like us-east-1"),
	"account": shape(`^[0-9]{12}$`,
		"an AWS account id", "an account id has twelve digits; aws sts get-caller-identity shows yours"),
	// https://docs.aws.amazon.com/AmazonECR/latest/APIReference/API_CreateRepository.html
	"repository": shape(`^[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*(/[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*)*$`,
		"a name ECR accepts for a repository", "use 2 to 256 lower-case letters and digits, with single . _ / or hyphens between them"),
	"imagetag": shape(`^[A-Za-z0-9_][A-Za-z0-9._-]{0,127}$`,
		"an image tag", "use up to 128 letters, digits, . _ and -, and do not start with . or -"),
	"envname": shape(`^[A-Za-z_][A-Za-z0-9_]*$`,
		"the name of an environment variable", "use letters, digits and _, and do not start with a digit"),
	"urlpath": shape(`^/[!-~]*$`,
		"a URL path", "start with / and leave out spaces and the host name"),
	"path": shape(`^[^/\\\x00-\x1f][^\\\x00-\x1f]*$`,
		"a relative path", "write it relative, with forward slashes"),
	"builder": shape(`^(auto|docker|buildx(:[A-Za-z0-9][A-Za-z0-9._-]{0,127})?|podman|buildah|builtin)$`,
		"a builder", "use auto, docker, buildx, buildx:INSTANCE, podman, buildah or builtin"),
	"cache": shape(`^(gha(:[A-Za-z0-9][A-Za-z0-9._/-]*)?|registry:[a-z0-9][A-Za-z0-9._:/@-]*|local:[^\\\x00-\x1f,]+)$`,
		"a build cache", "write gha, gha:SCOPE, registry:REFERENCE or local:DIRECTORY"),
	"date": shape(`^20[0-9]{2}-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])$`,
		"a date", "write it like 2027-01-31"),
	"line": shape(`^[^\x00-\x1f]+$`,
		"a single line of text", ""),
	// https://docs.aws.amazon.com/apprunner/latest/api/API_ImageConfiguration.html
	"command": shape(`^[^\x00\x0a\x0d]*$`,
		"a command on one line", "leave the key out to use the image's own command"),
	"word": shape(`^[^\x00]+$`,
		"a word of a command", ""),
	// https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_iam-quotas.html
	"role": shape(`^(auto|none|[A-Za-z0-9+=,.@_-]{1,64}|arn:aws[a-z-]*:iam::[0-9]{12}:role/[!-~]{1,576})$`,
		"auto, the name of an IAM role or its ARN", "auto lets apron make the role; a role of your own looks like arn:aws:iam::123456789012:role/NAME"),
	"domain": shape(`^(\*\.)?([A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?\.)+[A-Za-z]{2,63}$`,
		"a domain name", "write the name alone, without https:// and path"),
	"subnet":   shape(`^subnet-[0-9a-f]{8,17}$`, "a subnet id", "it looks like subnet-0123456789abcdef0"),
	"vpc":      shape(`^vpc-[0-9a-f]{8,17}$`, "a VPC id", "it looks like vpc-0123456789abcdef0"),
	"endpoint": shape(`^vpce-[0-9a-f]{8,17}$`, "a VPC endpoint id", "it looks like vpce-0123456789abcdef0"),
	// https://docs.aws.amazon.com/waf/latest/APIReference/API_AssociateWebACL.html
	"webacl": shape(`^(none|arn:aws[a-z-]*:wafv2:[a-z0-9-]+:[0-9]{12}:regional/webacl/[A-Za-z0-9_-]{1,128}/[0-9a-f-]{36})$`,
		"none or the ARN of a regional web ACL", "aws wafv2 list-web-acls --scope REGIONAL shows them; one for CloudFront does not fit App Runner"),
	"group": shape(`^sg-[0-9a-f]{8,17}$`, "a security group id", "it looks like sg-0123456789abcdef0"),
	// https://docs.aws.amazon.com/apprunner/latest/api/API_EncryptionConfiguration.html
	"key": shape(`^arn:aws[a-z-]*:kms:[a-z0-9-]+:[0-9]{12}:key/[0-9a-f-]{36}$`,
		"the ARN of a KMS key", "App Runner takes a full key ARN, not an alias: aws kms describe-key shows it"),
	"cluster": shape(`^[A-Za-z0-9_-]{1,255}$`, "the name of an ECS cluster", ""),
	"money":   shape(`^[0-9]+(\.[0-9]{1,2})? USD$`, "an amount", "write it like 10 USD"),
	"percent": shape(`^[0-9]{1,4}%$`, "a percentage", "write it like 80%"),
	"email":   shape(`^[^@\s]+@[^@\s]+\.[^@\s]+$`, "an e-mail address", ""),
	// https://docs.aws.amazon.com/scheduler/latest/UserGuide/schedule-types.html
	"cron": shape(`^cron\([^ ()]+( [^ ()]+){5}\)$`,
		"a schedule", "write cron(MINUTE HOUR DAY MONTH WEEKDAY YEAR), such as cron(0 20 ? * MON-FRI *)"),
	"zone": shape(`^[A-Za-z]+([/_+-][A-Za-z0-9]+)*$`, "a time zone", "write it like Europe/Paris"),
	// https://docs.aws.amazon.com/apprunner/latest/api/API_Tag.html
	"tagvalue": shape(`^[\p{L}\p{Z}\p{N}_.:/=+@-]{0,256}$`,
		"a tag value", "use up to 256 letters, digits, spaces and _ . : / = + - @"),
}

// keyFormats are the shapes of the keys of free mappings.
var keyFormats = map[string]format{
	"env": shape(`^[A-Za-z_][A-Za-z0-9_.-]{0,255}$`,
		"the name of an environment variable", "use letters, digits and _, and do not start with a digit"),
	"label": shape(`^[A-Za-z0-9][A-Za-z0-9._/-]{0,255}$`,
		"a name", "use letters, digits and . _ / -"),
	"secretid": shape(`^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$`,
		"the id of a build secret", "use letters, digits and . _ -, as in RUN --mount=type=secret,id=ID"),
	"tag": shape(`^[\p{L}\p{Z}\p{N}_.:/=+@-]{1,128}$`,
		"a tag key", "use 1 to 128 letters, digits, spaces and _ . : / = + - @"),
	"environment": shape(`^[A-Za-z0-9][A-Za-z0-9_-]{0,39}$`,
		"the name of an environment", "use up to 40 letters, digits, - and _"),
}
