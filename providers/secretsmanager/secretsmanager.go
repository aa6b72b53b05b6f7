// Package secretsmanager looks up the secrets that a manifest refers to: what a secret is,
// and what is in it only to hide that in output, to check it when asked, or to start a
// container on this machine. It changes nothing: who made the secret keeps it.
package secretsmanager

import (
	"context"
	"fmt"
	"strings"
	"time"

	sdk "github.com/aws/aws-sdk-go-v2/service/secretsmanager"

	"github.com/apron-deploy/apron/providers/awsapi"
	"github.com/apron-deploy/apron/reconcile"
	"github.com/apron-deploy/apron/reconcile/state"
)

// api is what this package calls of Secrets Manager.
type api interface {
	GetSecretValue(context.Context, *sdk.GetSecretValueInput, ...func(*sdk.Options)) (*sdk.GetSecretValueOutput, error)
	GetResourcePolicy(context.Context, *sdk.GetResourcePolicyInput, ...func(*sdk.Options)) (*sdk.GetResourcePolicyOutput, error)
	DescribeSecret(context.Context, *sdk.DescribeSecretInput, ...func(*sdk.Options)) (*sdk.DescribeSecretOutput, error)
}

var _ api = (*sdk.Client)(nil)

// Options steer [New].
type Options struct {
	// Region is where the secrets are. References to other Regions are not checked.
	Region string
}

// Resolver looks up secrets.
type Resolver struct {
	api    api
	region string
}

// New returns a resolver that calls Secrets Manager through client, an [sdk.Client].
func New(client api, o Options) *Resolver { return &Resolver{client, o.Region} }

// Reference is what is known of a secret that a manifest refers to.
type Reference struct {
	ARN string // whole, with the six characters at its end; empty if it does not exist
	// LastModified is when the secret changed last. Secrets Manager counts its value,
	// and its tags and description too.
	LastModified time.Time
	// Version is the ID of the version that is read: the one staged AWSCURRENT. Empty if it
	// is not known.
	Version string
	// Staged are the IDs of the versions by their labels, AWSCURRENT among them.
	Staged map[string]string
	Exists bool
	// Deleting says that the secret is marked for deletion, which makes it unreadable;
	// Exists is then not set, and restoring it brings it back.
	Deleting bool
	// Unchecked says that nobody but App Runner will find out whether the secret exists:
	// it is in another Region, or this identity may not describe it. Exists is then set.
	Unchecked bool
	// Key is the customer managed KMS key that the secret is encrypted with, if any. The
	// instance role then needs kms:Decrypt on it too.
	Key string
}

// KeyARN is the ARN of the key, as policies name it, or "": there is none of a key that is
// known by an alias only, which names no resource that a policy can allow the use of.
// https://docs.aws.amazon.com/kms/latest/developerguide/alias-authorization.html
func (r Reference) KeyARN() string {
	parts := strings.Split(r.ARN, ":") // arn partition service region account resource…
	switch {
	case strings.Contains(r.Key, ":key/"):
		return r.Key
	case r.Key == "" || strings.Contains(r.Key, "alias/") || len(parts) < 6:
		return ""
	}
	return "arn:" + parts[1] + ":kms:" + parts[3] + ":" + parts[4] + ":key/" + r.Key
}

// parallel is how many secrets are looked up at once.
const parallel = 8

// Named is the address of a secret that a manifest refers to.
func Named(ref string) state.Address {
	return state.Address{Target: "secretsmanager", Kind: "secret", Name: ref}
}

// Resolve looks up secrets by name or ARN, with or without a JSON key at the end of the
// ARN. The result has an entry for every reference. Its error tells which of them could not
// be looked up, as [reconcile.Unread] takes it apart.
func (r *Resolver) Resolve(ctx context.Context, refs []string) (map[string]Reference, error) {
	found := make([]Reference, len(refs))
	reads, ctx := reconcile.NewReads(ctx)
	reads.SetLimit(parallel)
	for i, ref := range refs {
		reads.Go(func() (err error) {
			found[i], err = r.describe(ctx, ref)
			return awsapi.Unread(Named(ref), err)
		})
	}
	if err := reads.Wait(); err != nil {
		return nil, err
	}
	all := map[string]Reference{}
	for i, ref := range refs {
		all[ref] = found[i]
	}
	return all, nil
}

func (r *Resolver) describe(ctx context.Context, ref string) (Reference, error) {
	id, region := split(ref)
	if region != "" && region != r.region {
		return Reference{ARN: id, Exists: true, Unchecked: true}, nil
	}
	out, err := r.api.DescribeSecret(ctx, &sdk.DescribeSecretInput{SecretId: &id})
	switch {
	case awsapi.Is(err, "ResourceNotFoundException"):
		return Reference{}, nil
	case region != "" && awsapi.Is(err, "AccessDeniedException"):
		// An ARN is all that App Runner needs; only a name depends on the look-up.
		return Reference{ARN: id, Exists: true, Unchecked: true}, nil
	case err != nil:
		return Reference{}, fmt.Errorf("look up secret %q: %w", ref, awsapi.Explain(err))
	}
	return reference(out), nil
}

// HasPolicy reports whether a secret has a policy of its own, which may let others read it.
func (r *Resolver) HasPolicy(ctx context.Context, ref string) (bool, error) {
	id, _ := split(ref)
	out, err := r.api.GetResourcePolicy(ctx, &sdk.GetResourcePolicyInput{SecretId: &id})
	if err != nil {
		return false, fmt.Errorf("look up the policy of secret %q: %w", ref, err)
	}
	return out.ResourcePolicy != nil, nil
}

// arnParts is how many parts the ARN of a secret has. App Runner's references may go on
// with a JSON key, a version stage and a version.
const arnParts = 7

// split cuts what follows a secret's ARN, and tells the ARN's Region.
func split(ref string) (id, region string) {
	parts := strings.Split(ref, ":")
	if parts[0] != "arn" || len(parts) < arnParts {
		return ref, ""
	}
	return strings.Join(parts[:arnParts], ":"), parts[3]
}

// ValueFrom is what App Runner reads: the whole secret, or the value of one key of a
// secret that holds a JSON object, of the current version or of one named by its stage or
// its id.
// https://docs.aws.amazon.com/apprunner/latest/dg/env-variable-manage.html
func ValueFrom(arn, key, stage, version string) string {
	if key+stage+version == "" {
		return arn
	}
	return strings.Join([]string{arn, key, stage, version}, ":")
}
