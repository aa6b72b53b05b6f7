package secretsmanager

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	sdk "github.com/aws/aws-sdk-go-v2/service/secretsmanager"

	"github.com/apron-deploy/apron/providers/awsapi"
)

// Value names a secret whose value is read: by name or ARN, and the version by its stage
// or its id, which are empty for the current one.
type Value struct{ Name, Stage, Version string }

// ParseValue reads what [ValueFrom] writes.
func ParseValue(from string) Value {
	v := Value{}
	v.Name, _ = split(from)
	rest := strings.Split(strings.TrimPrefix(from, v.Name), ":") // "", key, stage, version
	if len(rest) > 2 {
		v.Stage = rest[2]
	}
	if len(rest) > 3 {
		v.Version = rest[3]
	}
	return v
}

// Values reads what secrets hold, so that it can be kept out of what is printed: the text
// of each, and every value in it when it is JSON. It goes on after a secret that cannot be
// read. Those of other Regions are left out.
// https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_GetSecretValue.html
func (r *Resolver) Values(ctx context.Context, refs []Value) ([]string, error) {
	var values []string
	var errs []error
	for _, ref := range refs {
		id, region := split(ref.Name)
		if region != "" && region != r.region {
			continue
		}
		in := &sdk.GetSecretValueInput{SecretId: &id}
		if ref.Stage != "" {
			in.VersionStage = &ref.Stage
		}
		if ref.Version != "" {
			in.VersionId = &ref.Version
		}
		out, err := r.api.GetSecretValue(ctx, in)
		switch {
		case awsapi.Is(err, "ResourceNotFoundException", "InvalidRequestException"): // the latter when it is being deleted
		case err != nil:
			errs = append(errs, fmt.Errorf("read secret %s: %w", id, awsapi.Explain(err)))
		default:
			text := aws.ToString(out.SecretString)
			values = append(values, text)
			values = append(values, fieldsOf(text)...)
		}
	}
	return values, errors.Join(errs...)
}

// fieldsOf are the values in a secret that is JSON: of a string its text, of anything else
// both what stands there and what Go prints of it, as ECS's agent passes it on. That a
// value is true, false or null is no secret, and those words are everywhere.
func fieldsOf(text string) []string {
	var fields map[string]json.RawMessage
	if json.Unmarshal([]byte(text), &fields) != nil {
		return nil
	}
	var values []string
	for _, raw := range fields {
		var v any
		if json.Unmarshal(raw, &v) != nil {
			continue
		}
		switch v := v.(type) {
		case nil, bool:
		case string:
			values = append(values, v)
		default:
			values = append(values, fmt.Sprint(v), string(raw))
		}
	}
	return values
}
