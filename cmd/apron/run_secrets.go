package main

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/apron-deploy/apron/manifest"
	"github.com/apron-deploy/apron/providers/secretsmanager"
	"github.com/apron-deploy/apron/providers/ssm"
	"github.com/apron-deploy/apron/reconcile/state"
)

// secretValues reads what the secrets of a manifest hold, from this machine's environment
// or from AWS.
func (a *app) secretValues(ctx context.Context, d *manifest.Document) (map[string]string, error) {
	values := map[string]string{}
	var w *wiring
	for _, key := range slices.Sorted(maps.Keys(d.Spec.Secrets)) {
		ref := d.Spec.Secrets[key]
		if ref.Set {
			values[key] = ref.Value.Reveal()
			continue
		}
		if w == nil {
			s, err := a.open(ctx, false)
			if err != nil && ref.Source == state.FromEnv {
				err = fmt.Errorf("secrets.%s: %s is not set here, and what apron keeps cannot be read: %w", key, ref.Name, err)
			}
			if err != nil {
				return nil, err
			}
			wired := s.wire(applyFlags{})
			w = &wired
		}
		value, err := w.value(ctx, d.Spec.Service, key, ref)
		if err != nil {
			return nil, err
		}
		values[key] = value
	}
	return values, nil
}

// value reads what a service's secret is in AWS.
func (w *wiring) value(ctx context.Context, service, key string, ref state.SecretRef) (string, error) {
	var value string
	var err error
	switch ref.Source {
	case state.FromEnv:
		var found []string
		if found, err = w.ssm.Values(ctx, []string{ssm.ParameterName(service, key)}); err == nil && len(found) == 0 {
			return "", &ssm.MissingError{Secret: key, Variable: ref.Name, Parameter: ssm.ParameterName(service, key)}
		}
		value = strings.Join(found, "")
	case state.FromSSM:
		var found []string
		if found, err = w.ssm.Values(ctx, []string{ref.Name}); err == nil && len(found) == 0 {
			err = notFound("parameter", ref.Name)
		}
		value = strings.Join(found, "")
	case state.FromSecretsManager:
		value, err = w.secretValue(ctx, ref)
	}
	if err != nil {
		return "", fmt.Errorf("secrets.%s: %w", key, err)
	}
	return value, nil
}

// notFound says that a value was not found. One with an ARN may only be out of reach: those of
// another account or Region are not looked up.
func notFound(what, name string) error {
	if strings.HasPrefix(name, "arn:") {
		return fmt.Errorf("%s %s does not exist, or is of another account or Region, of which apron reads no values: put its value into .env under the name of an env: secret to run it here", what, name)
	}
	return fmt.Errorf("%s %s does not exist", what, name)
}

// secretValue reads a secret of Secrets Manager, or the one key of it that is meant.
func (w *wiring) secretValue(ctx context.Context, ref state.SecretRef) (string, error) {
	found, err := w.secrets.Values(ctx, []secretsmanager.Value{{Name: ref.Name, Stage: ref.Stage, Version: ref.Version}})
	switch {
	case err != nil:
		return "", err
	case len(found) == 0:
		return "", notFound("secret", ref.Name)
	case ref.Key == "":
		return found[0], nil
	}
	var fields map[string]json.RawMessage
	if err := json.Unmarshal([]byte(found[0]), &fields); err != nil {
		return "", &keyError{secret: ref.Name, why: "is not JSON, and has no key " + ref.Key}
	}
	field, ok := fields[ref.Key]
	if !ok {
		return "", &keyError{secret: ref.Name, why: "has no key " + ref.Key}
	}
	text, ok := passedOn(field)
	if !ok {
		return "", &keyError{secret: ref.Name, why: "holds no string as " + ref.Key + ", and AWS passes what it holds on in another form than it has there",
			fix: "put it into quotes in the secret"}
	}
	return text, nil
}

// passedOn is what a container gets of a JSON value: the text of a string, and else what
// Go prints of it, which is no JSON any more of null, lists, objects and some numbers.
// https://github.com/aws/amazon-ecs-agent/blob/master/agent/asm/asm.go
func passedOn(value json.RawMessage) (text string, intact bool) {
	var v any
	if json.Unmarshal(value, &v) != nil {
		return "", false
	}
	if text, ok := v.(string); ok {
		return text, true
	}
	text = fmt.Sprint(v)
	return text, text == string(value)
}

// keyError says what is wrong with the key of a secret that is asked for.
type keyError struct{ secret, why, fix string }

var _ error = (*keyError)(nil)

func (e *keyError) Error() string { return "secret " + e.secret + " " + e.why }

// Hint says what to do about it.
func (e *keyError) Hint() string {
	return cmp.Or(e.fix, "compare what follows the # with the keys of the secret")
}
