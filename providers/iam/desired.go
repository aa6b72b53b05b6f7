package iam

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/hashicorp/go-multierror"

	"github.com/apron-deploy/apron/reconcile/state"
)

// auto is the role setting that lets apron make and keep the role.
const auto = "auto"

const (
	tagService = "apron:service"
	tagManaged = "apron:managed"
)

// maxInline is how much all inline policies of a role may hold, white space aside.
// https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_iam-quotas.html
const maxInline = 10240

// Inputs are what a desired role depends on besides the manifest.
type Inputs struct {
	Account   string
	Region    string
	Partition string // empty means aws
	// Secrets are the ARNs of the parameters and secrets that the application reads. A
	// JSON key at the end of a secret's ARN is left out of the permission.
	Secrets []string
	// Instance says that the service's instance role is there and apron's. It stays when
	// the manifest asks for no permission any more, because App Runner cannot take it from
	// the service; it is wanted then so that it loses its permissions.
	Instance bool
	// Live are the fields of that role, of which those stay that the manifest says nothing
	// about.
	Live []state.Field
}

// Desired returns the roles that a manifest leaves to apron.
func Desired(spec state.Spec, in Inputs) ([]state.Resource, []state.Note, error) {
	grants, err := grants(spec, in.Secrets)
	if err != nil {
		return nil, nil, err
	}
	var (
		roles []state.Resource
		notes []state.Note
	)
	if spec.Roles.Access == auto {
		policy := "arn:" + cmp.Or(in.Partition, "aws") + ":iam::aws:policy/service-role/AWSAppRunnerServicePolicyForECRAccess"
		roles = append(roles, resource(spec, in.Region, Access, state.Field{Path: "policy." + policy, Value: attached, Grant: true}))
	}
	if in.Instance {
		grants = state.Sort(append(grants, left(spec, in.Live)...))
	}
	if spec.Tracing == "xray" {
		policy := "arn:" + cmp.Or(in.Partition, "aws") + ":iam::aws:policy" + tracing
		grants = state.Sort(append(grants, state.Field{Path: "policy." + policy, Value: attached, Grant: true}))
	}
	switch {
	case spec.Roles.Instance == "none":
		// asked for: the manifest's check has refused what would need one
	case len(grants) == 0 && !(in.Instance && (spec.Permissions != nil || spec.Secrets != nil || spec.Tracing != "")):
	case spec.Roles.Instance == auto:
		r := resource(spec, in.Region, Instance, grants...)
		if size := len(permissionsText(grantTexts(r))); size > maxInline {
			return nil, nil, &LimitError{Service: spec.Service, Size: size}
		}
		roles = append(roles, r)
	case spec.Roles.Instance == "":
		notes = append(notes, state.Note{
			Target:  Address(in.Region, spec.Service, Instance),
			Text:    "roles.instance is left out; the role that the service has must allow " + summary(grants),
			Warning: true,
		})
	default:
		notes = append(notes, state.Note{
			Target: Address(in.Region, spec.Service, Instance),
			Text:   fmt.Sprintf("role %q is not apron's to change; it must allow %s", spec.Roles.Instance, summary(grants)),
		})
	}
	return roles, notes, nil
}

const (
	attached = "attached"
	allow    = "allow"
)

// resource is a role with what all roles have in common and its own fields.
func resource(spec state.Spec, region string, purpose Purpose, fields ...state.Field) state.Resource {
	fields = append(fields, state.Field{Path: "trust", Value: purpose.Principal()})
	for k, v := range spec.Tags {
		if k != tagService && k != tagManaged {
			fields = append(fields, state.Field{Path: "tags." + k, Value: v})
		}
	}
	fields = append(fields,
		state.Field{Path: "tags." + tagService, Value: spec.Service},
		state.Field{Path: "tags." + tagManaged, Value: "true"})
	return state.Resource{
		Address: Address(region, spec.Service, purpose),
		Fields:  state.Sort(fields),
		Whole:   []string{"permission.", "policy."},
	}
}

// grants are the permission fields of an instance role: the manifest's own and the
// reading of each secret.
func grants(spec state.Spec, secrets []string) ([]state.Field, error) {
	var errs *multierror.Error
	all := map[string]bool{}
	for _, p := range spec.Permissions {
		all[p.Action+" "+p.Resource] = true
	}
	for _, arn := range secrets {
		grant, err := reading(arn)
		if err != nil {
			errs = multierror.Append(errs, err)
			continue
		}
		all[grant] = true
	}
	var fields []state.Field
	for g := range all {
		action, resource, _ := strings.Cut(g, " ")
		fields = append(fields, state.Field{Path: "permission." + g, Value: allow, Grant: true,
			Wildcard: resource == "*" || action == "*" || strings.HasSuffix(action, ":*")})
	}
	return state.Sort(fields), errs.ErrorOrNil()
}

// tracing is how the ARN of the managed policy ends that lets traces be sent.
// https://docs.aws.amazon.com/apprunner/latest/dg/monitor-xray.html
const tracing = "/AWSXRayDaemonWriteAccess"

// left are the live permissions that a manifest leaves alone: those to read secrets, when
// it says nothing of secrets, all when it says nothing of permissions either, and that to
// send traces when it says nothing of tracing.
func left(spec state.Spec, live []state.Field) []state.Field {
	if spec.Roles.Instance != auto || spec.Secrets == nil && spec.Permissions == nil && spec.Tracing == "" {
		return nil // somebody else's role, or nothing that concerns it
	}
	var kept []state.Field
	for _, f := range live {
		if spec.Tracing == "" && strings.HasPrefix(f.Path, "policy.") && strings.HasSuffix(f.Path, tracing) {
			kept = append(kept, f)
		}
		if spec.Secrets != nil {
			continue
		}
		grant, ok := strings.CutPrefix(f.Path, "permission.")
		action, resource, _ := strings.Cut(grant, " ")
		reads := action == "ssm:GetParameters" || action == "secretsmanager:GetSecretValue" || action == "kms:Decrypt"
		if ok && strings.Contains(action, ":") && resource != "" && (reads || spec.Permissions == nil) &&
			!slices.Contains(spec.Permissions, state.Permission{Action: action, Resource: resource}) {
			kept = append(kept, f)
		}
	}
	return kept
}

// reading is the permission to read one secret, or to use the key of one.
// https://docs.aws.amazon.com/apprunner/latest/dg/env-variable.html
func reading(arn string) (string, error) {
	parts := strings.Split(arn, ":") // arn partition service region account resource…
	switch {
	case len(parts) >= 6 && parts[2] == "ssm" && strings.HasPrefix(parts[5], "parameter/"):
		return "ssm:GetParameters " + arn, nil
	case len(parts) == 6 && parts[2] == "kms" && strings.HasPrefix(parts[5], "key/"):
		return "kms:Decrypt " + arn, nil
	case len(parts) >= 7 && parts[2] == "secretsmanager" && parts[5] == "secret":
		return "secretsmanager:GetSecretValue " + strings.Join(parts[:7], ":"), nil
	}
	return "", fmt.Errorf("%q is the ARN of no parameter, secret or key", arn)
}

// grantTexts are the "action resource" pairs of a role.
func grantTexts(r state.Resource) []string {
	var texts []string
	for _, f := range r.Fields {
		if g, ok := strings.CutPrefix(f.Path, "permission."); ok {
			texts = append(texts, g)
		}
	}
	return texts
}

// summary names grants in a sentence.
func summary(grants []state.Field) string {
	var texts []string
	for _, f := range grants {
		if policy, ok := strings.CutPrefix(f.Path, "policy."); ok {
			texts = append(texts, "what "+policy+" allows")
			continue
		}
		action, resource, _ := strings.Cut(strings.TrimPrefix(f.Path, "permission."), " ")
		texts = append(texts, action+" on "+resource)
	}
	slices.Sort(texts)
	return strings.Join(texts, ", ")
}

// LimitError says that a service's permissions do not fit a role.
type LimitError struct {
	Service string
	Size    int
}

var _ error = (*LimitError)(nil)

func (e *LimitError) Error() string {
	return fmt.Sprintf("service %q: its secrets and permissions make a policy of %d characters; IAM allows %d in a role", e.Service, e.Size, maxInline)
}

// Hint says what to do about it.
func (e *LimitError) Hint() string {
	return "put the permissions into a role of your own and name it under roles.instance"
}
