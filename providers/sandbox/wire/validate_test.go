package wire_test

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/apron-deploy/apron/providers/sandbox/wire"
	"github.com/apron-deploy/apron/reconcile/pattern"
)

func TestChecks_speakAsAWS(t *testing.T) {
	t.Parallel()
	const is, are = "1 validation error detected: ", " failed to satisfy constraint: "
	for text, check := range map[string]func(*wire.Checks){
		is + "Value null at 'name'" + are + "Member must not be null":                                    func(c *wire.Checks) { c.Present("name", false) },
		is + "Value 'x' at 'name'" + are + "Member must have length greater than or equal to 2":          func(c *wire.Checks) { c.Length("name", "x", 2, 3) },
		is + "Value 'äöüß' at 'name'" + are + "Member must have length less than or equal to 3":          func(c *wire.Checks) { c.Length("name", "äöüß", 2, 3) },
		is + "Value '0' at 'limit'" + are + "Member must have value greater than or equal to 1":          func(c *wire.Checks) { c.Range("limit", new(int), 1, 50) },
		is + "Value 'X' at 'type'" + are + "Member must satisfy enum value set: [A, B]":                  func(c *wire.Checks) { c.Enum("type", "X", "A", "B") },
		is + "Value '*' at 'name'" + are + "Member must satisfy regular expression pattern: [a-z]+":      func(c *wire.Checks) { c.Pattern("name", "*", pattern.Lazy(`^[a-z]+$`)) },
		is + "Value '' at 'name'" + are + "Member must have length greater than or equal to 1":           func(c *wire.Checks) { c.LengthOf("name", new(string), 1, 2) },
		is + "Value '' at 'type'" + are + "Member must satisfy enum value set: [A]":                      func(c *wire.Checks) { c.EnumOf("type", new(string), "A") },
		is + "Value '[]' at 'names'" + are + "Member must have length greater than or equal to 1":        func(c *wire.Checks) { c.Count("names", 0, 1, 2) },
		is + "Value '[3 elements]' at 'names'" + are + "Member must have length less than or equal to 2": func(c *wire.Checks) { c.Count("names", 3, 1, 2) },
		is + "Value at 'value'" + are + "Member must be short":                                           func(c *wire.Checks) { c.FailSecret("value", "Member must be short") },
		"2 validation errors detected: Value 'a' at 'x'" + are + "one; Value 'b' at 'y'" + are + "two":   func(c *wire.Checks) { c.Fail("x", "a", "one"); c.Fail("y", "b", "two") },
	} {
		var c wire.Checks
		check(&c)
		var e *wire.Error
		require.ErrorAs(t, c.Err("ValidationException"), &e)
		require.Equal(t, wire.Error{Code: "ValidationException", Message: text}, *e)
	}
}

func TestChecks_passWhatIsAbsentOrRight(t *testing.T) {
	t.Parallel()
	var c wire.Checks
	c.Present("name", true)
	c.Length("name", "", 2, 3)
	c.Length("name", "äöü", 2, 3)
	c.Range("limit", nil, 1, 50)
	c.Enum("type", "", "A")
	c.Enum("type", "A", "A")
	c.Pattern("name", "", pattern.Lazy(`^a$`))
	c.LengthOf("name", nil, 1, 2)
	c.EnumOf("type", nil, "A")
	c.Count("names", 2, 1, 2)
	require.NoError(t, c.Err("ValidationException"))
}

func TestTime_isSecondsWithMilliseconds(t *testing.T) {
	t.Parallel()
	b, err := json.Marshal([]wire.Time{wire.At(time.UnixMilli(1732406400000)), wire.At(time.UnixMilli(1732406400012))})
	require.NoError(t, err)
	require.Equal(t, "[1732406400,1732406400.012]", string(b))
	rapid.Check(t, func(t *rapid.T) {
		want := wire.At(time.UnixMilli(rapid.Int64Range(0, 1<<42).Draw(t, "ms")).UTC())
		b, err := json.Marshal(want)
		require.NoError(t, err)
		var got wire.Time
		require.NoError(t, json.Unmarshal(b, &got))
		require.Equal(t, want, got)
	})
	var none wire.Time
	require.NoError(t, json.Unmarshal([]byte("null"), &none))
	require.True(t, none.IsZero())
	require.ErrorContains(t, json.Unmarshal([]byte(`"today"`), &none), "timestamp: ")
}
