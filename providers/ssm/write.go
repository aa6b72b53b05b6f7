package ssm

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"strconv"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	sdk "github.com/aws/aws-sdk-go-v2/service/ssm"
	"github.com/aws/aws-sdk-go-v2/service/ssm/types"
	"github.com/aws/smithy-go"

	"github.com/apron-deploy/apron/providers/awsapi"
	"github.com/apron-deploy/apron/reconcile/state"
)

// writer is what changing parameters calls.
type writer interface {
	PutParameter(context.Context, *sdk.PutParameterInput, ...func(*sdk.Options)) (*sdk.PutParameterOutput, error)
	AddTagsToResource(context.Context, *sdk.AddTagsToResourceInput, ...func(*sdk.Options)) (*sdk.AddTagsToResourceOutput, error)
	DeleteParameters(context.Context, *sdk.DeleteParametersInput, ...func(*sdk.Options)) (*sdk.DeleteParametersOutput, error)
}

// consistency is Parameter Store's: somebody writes at the same moment, or what was just
// written is not seen everywhere yet.
var consistency = awsapi.Consistency{Patience: time.Minute, FirstLook: 200 * time.Millisecond, LastLook: 4 * time.Second,
	Never: errors.New("not shown by Parameter Store as it was written"),
	Heals: func(err error) bool {
		return awsapi.Is(err, "ParameterAlreadyExists", "TooManyUpdates", "InvalidResourceId")
	}}

// ensure makes a parameter look as wanted: it reads, writes what differs, and reads
// again until nothing does. So it does not matter what an earlier, interrupted call has
// done. A parameter of somebody else is changed only if adopt is set.
func (p *Provider) ensure(ctx context.Context, want parameter, adopt bool) (out state.Outcome, err error) {
	var wrote int64 // the version that holds the wanted value, once written
	err = consistency.Settle(ctx, fmt.Sprintf("parameter %q", want.name), func(ctx context.Context) (bool, error) {
		live, err := readOne(ctx, p.api, want.name)
		switch {
		case err != nil:
			return false, err
		case live == nil && want.value == nil:
			return false, errors.New("there is no value to create it with")
		case live == nil && wrote > 0: // not seen yet
			return false, nil
		case live == nil:
			wrote, err = p.put(ctx, want, false)
			return false, err
		case !adopt && wrote == 0 && live.tags[tagService] != want.tags[tagService]:
			return false, &OwnerError{Parameter: want.name, Service: want.tags[tagService]}
		case want.kind != live.kind:
			return false, fmt.Errorf("it is a %s, and Parameter Store cannot make it a %s", live.kind, want.kind)
		}
		out = state.Outcome{ID: live.ARN, Version: strconv.FormatInt(max(live.Version, wrote), 10)}
		done := true
		missing := maps.Clone(want.tags)
		maps.DeleteFunc(missing, func(k, v string) bool { have, ok := live.tags[k]; return ok && have == v })
		if len(missing) > 0 {
			done = false
			if err := p.tag(ctx, want.name, missing); err != nil {
				return false, err
			}
		}
		switch {
		case want.value == nil, live.value != nil && *live.value == *want.value:
		case wrote > 0 && live.Version < wrote: // not seen yet
			done = false
		case wrote > 0 && live.value == nil: // seen, as far as it can be
		default:
			done = false
			if wrote, err = p.put(ctx, want, true); err != nil {
				return false, err
			}
		}
		return done, nil
	})
	return out, err
}

// put writes the value and returns the version that holds it. A new parameter gets its
// tags in the same call, so that it is never nobody's.
func (p *Provider) put(ctx context.Context, want parameter, overwrite bool) (int64, error) {
	in := &sdk.PutParameterInput{
		Name:      &want.name,
		Value:     aws.String(want.value.Reveal()),
		Type:      types.ParameterType(want.kind),
		Overwrite: &overwrite,
		Tier:      types.ParameterTierStandard, // whatever the account's default is: one that is advanced stays so, and costs
	}
	if !overwrite {
		in.Tags = toTags(want.tags)
	}
	if err := p.writes.Wait(ctx); err != nil {
		return 0, err
	}
	out, err := p.api.PutParameter(ctx, in)
	if overwrite && awsapi.Is(err, "ValidationException") && strings.Contains(awsapi.Message(err), "advanced") {
		in.Tier = "" // it is advanced already
		out, err = p.api.PutParameter(ctx, in)
	}
	if err != nil {
		return 0, withhold(err, want.value.Reveal())
	}
	return out.Version, nil
}

// withhold drops the text of an error that quotes a secret, and keeps its code.
func withhold(err error, secret string) error {
	if !strings.Contains(err.Error(), secret) {
		return err
	}
	return &smithy.GenericAPIError{Code: awsapi.Code(err), Message: "the value was refused; AWS's message quotes it and is left out"}
}

func (p *Provider) tag(ctx context.Context, name string, tags map[string]string) error {
	if err := p.writes.Wait(ctx); err != nil {
		return err
	}
	_, err := p.api.AddTagsToResource(ctx, &sdk.AddTagsToResourceInput{
		ResourceId: &name, ResourceType: types.ResourceTypeForTaggingParameter, Tags: toTags(tags),
	})
	return err
}

// remove deletes a parameter of a service, and returns when it is gone.
func (p *Provider) remove(ctx context.Context, name, service string) error {
	return consistency.Settle(ctx, fmt.Sprintf("parameter %q", name), func(ctx context.Context) (bool, error) {
		live, err := readOne(ctx, p.api, name)
		if err != nil || live == nil {
			return err == nil, err
		}
		if service == "" || live.tags[tagService] != service {
			return false, &OwnerError{Parameter: name, Service: service}
		}
		if err := p.writes.Wait(ctx); err != nil {
			return false, err
		}
		_, err = p.api.DeleteParameters(ctx, &sdk.DeleteParametersInput{Names: []string{name}})
		return false, err // one that is gone already is no error to Parameter Store
	})
}

// OwnerError says that a parameter exists that is not the service's.
type OwnerError struct{ Parameter, Service string }

var _ error = (*OwnerError)(nil)

func (e *OwnerError) Error() string {
	return fmt.Sprintf("parameter %q exists and is not tagged %s=%s, so it belongs to somebody else; it was not changed", e.Parameter, tagService, e.Service)
}

// Hint says what to do about it.
func (e *OwnerError) Hint() string {
	return "take it over with --adopt, or delete it, and run again"
}
