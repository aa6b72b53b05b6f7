package manifest

import (
	"strings"

	"github.com/apron-deploy/apron/reconcile/pattern"
	"github.com/apron-deploy/apron/reconcile/state"
)

// Secret is a reference to a secret: env:NAME, ssm:/path, secretsmanager:name#key, or
// a full ARN of the latter two. What follows # is KEY:STAGE:VERSION, of which each may be
// left out: App Runner's own form, at the end of an ARN.
// https://docs.aws.amazon.com/apprunner/latest/dg/env-variable-manage.html
type Secret struct {
	Source         state.SecretSource
	Name           string
	Key            string
	Stage, Version string
}

var (
	envName = pattern.Lazy(`^[A-Za-z_][A-Za-z0-9_]*$`)
	// https://docs.aws.amazon.com/systems-manager/latest/APIReference/API_PutParameter.html
	parameterName = pattern.Lazy(`^(/[A-Za-z0-9_.-]+)+$|^[A-Za-z0-9_.-]+$`)
	parameterARN  = pattern.Lazy(`^arn:aws[a-z-]*:ssm:[a-z0-9-]+:[0-9]{12}:parameter(/[A-Za-z0-9_.-]+)+$`)
	// https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_CreateSecret.html
	// A secret that a service manages has the service in front, as in rds!cluster-….
	// https://docs.aws.amazon.com/secretsmanager/latest/userguide/service-linked-secrets.html
	secretName = pattern.Lazy(`^[A-Za-z0-9/_+=.@!-]{1,512}$`)
	secretARN  = pattern.Lazy(`^(arn:aws[a-z-]*:secretsmanager:[a-z0-9-]+:[0-9]{12}:secret:[A-Za-z0-9/_+=.@!-]+)(?::([^:]*):([^:]*):([^:]*))?$`)
)

var (
	// https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_GetSecretValue.html
	versionStage = pattern.Lazy(`^[A-Za-z0-9/_+=.@-]{1,256}$`)
	versionID    = pattern.Lazy(`^[A-Za-z0-9-]{32,64}$`)
)

const secretForms = "write env:NAME, ssm:/path, secretsmanager:name#key or a full ARN"

// parse never lets the text into a message: people write the secret itself there.
func (s *Secret) parse(text string) (wrong, fix string) {
	body, key, keyed := strings.Cut(text, "#")
	if keyed && key == "" {
		return "ends with # and no key", "write secretsmanager:name#key"
	}
	source, name, _ := strings.Cut(body, ":")
	switch {
	case source == "env":
		if !envName().MatchString(name) {
			return "does not name an environment variable after env:", "write env:NAME"
		}
		*s = Secret{Source: state.FromEnv, Name: name}
	case source == "ssm":
		if !parameterName().MatchString(name) {
			return "does not name a parameter after ssm:", "write ssm:/path/to/parameter; a name with / starts with /"
		}
		*s = Secret{Source: state.FromSSM, Name: name}
	case parameterARN().MatchString(body):
		*s = Secret{Source: state.FromSSM, Name: body}
	case source == "secretsmanager":
		if !secretName().MatchString(name) {
			return "does not name a secret after secretsmanager:", "write secretsmanager:name, or secretsmanager:name#key for one key of a JSON secret"
		}
		return s.part(name, key)
	case strings.HasPrefix(body, "arn:") && secretARN().MatchString(body):
		m := secretARN().FindStringSubmatch(body)
		if m[2]+m[3]+m[4] != "" && keyed {
			return "names the JSON key or the version twice", "write ARN#key, or ARN:key:stage:version"
		}
		if !keyed && m[2]+m[3]+m[4] != "" {
			key = m[2] + ":" + m[3] + ":" + m[4]
		}
		return s.part(m[1], key)
	case strings.HasPrefix(body, "arn:"):
		return "is not the ARN of a parameter or a secret", secretForms
	default:
		return "is not a reference to a secret", secretForms + "; the value itself has no place in a manifest"
	}
	if keyed {
		return "has a #key, which only secrets in Secrets Manager have", "leave out #key"
	}
	return "", ""
}

// part reads which part of a secret and which version of it is meant.
func (s *Secret) part(name, text string) (wrong, fix string) {
	const forms = "write name#key, name#key:STAGE or name#key::VERSION-ID"
	key, version, _ := strings.Cut(text, ":")
	stage, id, _ := strings.Cut(version, ":")
	switch {
	case stage != "" && !versionStage().MatchString(stage):
		return "does not name a version stage after the key", forms + "; AWSPREVIOUS is one"
	case id != "" && !versionID().MatchString(id):
		return "does not name a version after the key", forms + "; aws secretsmanager list-secret-version-ids shows them"
	case stage != "" && id != "":
		return "names a version twice, by its stage and by its id", "keep one of the two"
	}
	*s = Secret{Source: state.FromSecretsManager, Name: name, Key: key, Stage: stage, Version: id}
	return "", ""
}

// BuildSecret is where a build secret comes from: env:NAME or file:PATH.
type BuildSecret struct {
	Env  string
	File string
}

// secretFile is a path that fits into the engines' comma-separated options.
var secretFile = pattern.Lazy(`^[^\x00-\x1f,"\\]+$`)

// parse never lets the text into a message, as that of a [Secret].
func (s *BuildSecret) parse(text string) (wrong, fix string) {
	const forms = "write env:NAME or file:PATH"
	source, name, _ := strings.Cut(text, ":")
	switch {
	case source == "env" && !envName().MatchString(name):
		return "does not name an environment variable after env:", "write env:NAME"
	case source == "env":
		*s = BuildSecret{Env: name}
	case source == "file" && !secretFile().MatchString(name):
		return "does not name a file after file:", "write file:PATH, relative to the context, without commas, quotes and backslashes"
	case source == "file":
		*s = BuildSecret{File: name}
	case source == "ssm" || source == "secretsmanager" || source == "arn":
		return "is in AWS, where no builder looks for it", forms + ", and fetch the value into one of them before"
	default:
		return "is not a reference to a build secret", forms + "; the value itself has no place in a manifest"
	}
	return "", ""
}
