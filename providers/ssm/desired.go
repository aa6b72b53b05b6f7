package ssm

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/hashicorp/go-multierror"

	"github.com/apron-deploy/apron/reconcile/pattern"
	"github.com/apron-deploy/apron/reconcile/state"
)

const (
	tagService = "apron:service"
	tagManaged = "apron:managed"
)

const secure = "SecureString"

// maxValue is how many bytes a standard parameter holds.
// https://docs.aws.amazon.com/systems-manager/latest/userguide/parameter-store-advanced-parameters.html
const maxValue = 4096

// legalKey is what may stand between the slashes of a parameter's name.
// https://docs.aws.amazon.com/systems-manager/latest/userguide/sysman-paramstore-su-create.html
var legalKey = pattern.Lazy(`^[A-Za-z0-9_.-]+$`)

// nests matches what Parameter Store takes for the name of another parameter.
// https://docs.aws.amazon.com/systems-manager/latest/APIReference/API_PutParameter.html
var nests = pattern.Lazy(`\{\{[^{}]*\}\}`)

// Inputs are what the desired parameters depend on besides the manifest.
type Inputs struct {
	// Live is what [Provider.Observe] found.
	Live state.Live
	// Apply says that the plan will be carried out, so that a value that cannot be
	// compared is written.
	Apply bool
}

// Wanted are the parameters that a manifest asks for.
type Wanted struct {
	Resources []state.Resource
	Notes     []state.Note
	// Missing are the secrets that have a value neither here nor in AWS. They do not
	// keep anybody from planning; an apply must refuse before it writes anything.
	Missing []*MissingError
}

// Desired returns the parameters of the secrets whose values come from the environment.
func Desired(spec state.Spec, in Inputs) (Wanted, error) {
	var (
		w    Wanted
		errs *multierror.Error
	)
	for _, key := range slices.Sorted(maps.Keys(spec.Secrets)) {
		ref := spec.Secrets[key]
		if ref.Source != state.FromEnv {
			continue
		}
		if err := check(key, ref); err != nil {
			errs = multierror.Append(errs, err)
			continue
		}
		a := Address(spec.Service, key)
		have, exists := in.Live[a]
		facts, _ := have.Detail.(Parameter)
		note := func(warning bool, format string, args ...any) {
			w.Notes = append(w.Notes, state.Note{Target: a, Text: fmt.Sprintf(format, args...), Warning: warning})
		}
		fields := common(spec)
		value := state.Field{Path: "value", Value: ref.Value.Reveal(), Secret: true}
		switch set := given(ref); {
		case set && exists && !facts.Readable && !in.Apply:
			note(false, "its value cannot be read, so it is compared at apply")
		case set:
			fields = append(fields, value)
		case exists:
			note(false, "%s is not set here; kept (version %d)", ref.Name, facts.Version)
		default:
			missing := &MissingError{Secret: key, Variable: ref.Name, Parameter: a.Name}
			w.Missing = append(w.Missing, missing)
			note(true, "%s is not set here and there is no value to keep; apply will refuse", ref.Name)
		}
		w.Resources = append(w.Resources, state.Resource{Address: a, Fields: state.Sort(fields)})
	}
	return w, errs.ErrorOrNil()
}

// given reports whether the environment has a value for a secret.
func given(ref state.SecretRef) bool { return ref.Set && ref.Value != "" }

// check refuses what Parameter Store would refuse.
func check(key string, ref state.SecretRef) error {
	if !legalKey().MatchString(key) {
		return &ValueError{
			Secret: key,
			Why:    "a parameter's name holds only letters, digits and . - _",
			Fix:    "rename the secret, or keep it in Secrets Manager and refer to it as secretsmanager:NAME",
		}
	}
	if v := ref.Value.Reveal(); !utf8.ValidString(v) || strings.ContainsRune(v, 0) {
		return &ValueError{
			Secret: key,
			Why:    fmt.Sprintf("the value of %s is no text in UTF-8, which is what a parameter holds", ref.Name),
			Fix:    "encode it, with base64 for one",
		}
	}
	if nests().MatchString(ref.Value.Reveal()) {
		return &ValueError{
			Secret: key,
			Why:    fmt.Sprintf("the value of %s has {{…}} in it, which no parameter may have", ref.Name),
			Fix:    "encode it, with base64 for one, or keep it in Secrets Manager and refer to it as secretsmanager:NAME",
		}
	}
	if size := len(ref.Value); size > maxValue {
		return &ValueError{
			Secret: key,
			Why:    fmt.Sprintf("the value of %s has %d bytes; a parameter holds %d", ref.Name, size, maxValue),
			Fix:    "keep it in Secrets Manager, which holds 64 KB, and refer to it as secretsmanager:NAME",
		}
	}
	return nil
}

// common are the fields that every parameter has.
func common(spec state.Spec) []state.Field {
	fields := []state.Field{
		// Parameter Store turns no parameter of one type into another.
		// https://docs.aws.amazon.com/systems-manager/latest/APIReference/API_PutParameter.html
		{Path: "type", Value: secure, Immutable: true},
		{Path: "tags." + tagService, Value: spec.Service},
		{Path: "tags." + tagManaged, Value: "true"},
	}
	for k, v := range spec.Tags {
		if k != tagService && k != tagManaged {
			fields = append(fields, state.Field{Path: "tags." + k, Value: v})
		}
	}
	return fields
}

// MissingError says that a secret has no value anywhere.
type MissingError struct {
	Secret    string // its name in the manifest
	Variable  string // the environment variable it would come from
	Parameter string
}

var _ error = (*MissingError)(nil)

func (e *MissingError) Error() string {
	return fmt.Sprintf("secrets.%s: %s is not set, and there is no parameter %s to keep", e.Secret, e.Variable, e.Parameter)
}

// Hint says what to do about it.
func (e *MissingError) Hint() string {
	return fmt.Sprintf("set %s in the environment or in .env, and run again", e.Variable)
}

// ValueError says why a secret cannot be a parameter. It never shows the value.
type ValueError struct {
	Secret string
	Why    string
	Fix    string
}

var _ error = (*ValueError)(nil)

func (e *ValueError) Error() string { return fmt.Sprintf("secrets.%s: %s", e.Secret, e.Why) }

// Hint says what to do about it.
func (e *ValueError) Hint() string { return e.Fix }
