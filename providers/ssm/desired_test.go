package ssm

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/apron-deploy/apron/reconcile/state"
)

const topSecret = "correct horse battery staple"

func env(value string, set bool) state.SecretRef {
	return state.SecretRef{Source: state.FromEnv, Name: "TOKEN_HERE", Value: state.Sensitive(value), Set: set}
}

func TestDesired(t *testing.T) {
	a := Address("web", "TOKEN")
	there := func(readable bool) state.Live {
		return state.Live{a: {Resource: state.Resource{Address: a, Detail: Parameter{Version: 7, Readable: readable}}}}
	}
	for name, tc := range map[string]struct {
		ref     state.SecretRef
		in      Inputs
		value   bool // whether the value is managed
		note    string
		warning bool
		missing bool
	}{
		"set here, absent":              {ref: env(topSecret, true), value: true},
		"set here, readable":            {ref: env(topSecret, true), in: Inputs{Live: there(true)}, value: true},
		"set here, unreadable, planned": {ref: env(topSecret, true), in: Inputs{Live: there(false)}, note: "its value cannot be read, so it is compared at apply"},
		"set here, unreadable, applied": {ref: env(topSecret, true), in: Inputs{Live: there(false), Apply: true}, value: true},
		"unset here, there":             {ref: env("", false), in: Inputs{Live: there(true)}, note: "TOKEN_HERE is not set here; kept (version 7)"},
		"unset here, unreadable":        {ref: env("", false), in: Inputs{Live: there(false), Apply: true}, note: "TOKEN_HERE is not set here; kept (version 7)"},
		"empty here, there":             {ref: env("", true), in: Inputs{Live: there(true)}, note: "TOKEN_HERE is not set here; kept (version 7)"},
		"unset here, absent": {ref: env("", false), missing: true, warning: true,
			note: "TOKEN_HERE is not set here and there is no value to keep; apply will refuse"},
	} {
		t.Run(name, func(t *testing.T) {
			spec := state.Spec{Service: "web", Secrets: map[string]state.SecretRef{"TOKEN": tc.ref}, Tags: map[string]string{"team": "ai"}}
			w, err := Desired(spec, tc.in)
			require.NoError(t, err)
			require.Len(t, w.Resources, 1)
			r := w.Resources[0]
			require.Equal(t, a, r.Address)
			require.Equal(t, "SecureString", r.Value("type"))
			require.Equal(t, "web", r.Value("tags.apron:service"))
			require.Equal(t, "true", r.Value("tags.apron:managed"))
			require.Equal(t, "ai", r.Value("tags.team"))

			value, managed := r.Get("value")
			require.Equal(t, tc.value, managed)
			if managed {
				require.True(t, value.Secret)
				require.Equal(t, topSecret, value.Value)
			}
			var notes []state.Note
			if tc.note != "" {
				notes = []state.Note{{Target: a, Text: tc.note, Warning: tc.warning}}
			}
			require.Equal(t, notes, w.Notes)
			require.Equal(t, tc.missing, len(w.Missing) == 1)
			require.NotContains(t, fmt.Sprintf("%v %+v %#v", r.Fields, w.Notes, w.Missing), topSecret)
		})
	}
}

func TestDesired_refusesWhatIsNoText(t *testing.T) {
	for _, value := range []string{"\xff\xfet\x00", "caf\xe9", "a\x00b"} {
		_, err := Desired(state.Spec{Service: "web", Secrets: map[string]state.SecretRef{"TOKEN": env(value, true)}}, Inputs{})
		require.ErrorContains(t, err, "secrets.TOKEN: the value of TOKEN_HERE is no text in UTF-8, which is what a parameter holds")
		require.NotContains(t, err.Error(), value)
	}
}

func TestDesired_refusesWhatNamesAnotherParameter(t *testing.T) {
	for value, refused := range map[string]bool{"{{ssm:key}}": true, "a{{x}}b": true, "{{}}": true, "{x}": false, "{{": false, `{"a":{"b":1}}`: false} {
		_, err := Desired(state.Spec{Service: "web", Secrets: map[string]state.SecretRef{"TOKEN": env(value, true)}}, Inputs{})
		if refused {
			require.ErrorContains(t, err, "secrets.TOKEN: the value of TOKEN_HERE has {{…}} in it", value)
		} else {
			require.NoError(t, err, value)
		}
	}
}

func TestDesired_leavesReferencesToOthers(t *testing.T) {
	w, err := Desired(state.Spec{Service: "web", Secrets: map[string]state.SecretRef{
		"A": {Source: state.FromSSM, Name: "/shared/a"},
		"B": {Source: state.FromSecretsManager, Name: "prod/b", Key: "key"},
	}}, Inputs{})
	require.NoError(t, err)
	require.Equal(t, Wanted{}, w)
}

func TestDesired_namesEverySecretThatIsMissing(t *testing.T) {
	w, err := Desired(state.Spec{Service: "web", Secrets: map[string]state.SecretRef{"B": env("", false), "A": env("", true)}}, Inputs{})
	require.NoError(t, err)
	require.Len(t, w.Missing, 2)
	require.EqualError(t, w.Missing[0], "secrets.A: TOKEN_HERE is not set, and there is no parameter /apron/web/A to keep")
	require.Contains(t, w.Missing[0].Hint(), "set TOKEN_HERE")
}

func TestDesired_refusesWhatAParameterCannotHold(t *testing.T) {
	long := topSecret + strings.Repeat("é", 2048)
	_, err := Desired(state.Spec{Service: "web", Secrets: map[string]state.SecretRef{"LONG": env(long, true), "with space": env("x", true)}}, Inputs{})
	require.ErrorContains(t, err, "secrets.LONG: the value of TOKEN_HERE has 4124 bytes; a parameter holds 4096")
	require.ErrorContains(t, err, "secrets.with space: a parameter's name holds only")
	require.NotContains(t, err.Error(), topSecret)
	var value *ValueError
	require.ErrorAs(t, err, &value)
	require.Contains(t, value.Hint(), "secretsmanager:NAME")

	_, err = Desired(state.Spec{Service: "web", Secrets: map[string]state.SecretRef{"FITS": env(strings.Repeat("x", 4096), true)}}, Inputs{})
	require.NoError(t, err)
}

func TestARN(t *testing.T) {
	require.Equal(t, "arn:aws:ssm:eu-west-1:123456789012:parameter/apron/web/TOKEN", ARN("aws", "eu-west-1", "123456789012", ParameterName("web", "TOKEN")))
	require.Equal(t, "arn:aws:ssm:eu-west-1:123456789012:parameter/flat", ARN("aws", "eu-west-1", "123456789012", "flat"))
}
