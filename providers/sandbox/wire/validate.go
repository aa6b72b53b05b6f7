package wire

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

// Checks gathers what is wrong with a request's members, and says it in the words of
// AWS's own validation:
//
//	1 validation error detected: Value 'x' at 'type' failed to satisfy constraint:
//	Member must satisfy enum value set: [String, SecureString]
//
// Paths are the members' names as AWS prints them: "roleName", "tags.1.member.key". The
// zero value is ready for use.
type Checks struct{ problems []string }

// Fail notes that value at path breaks a constraint.
func (c *Checks) Fail(path, value, constraint string) {
	c.problems = append(c.problems, fmt.Sprintf("Value '%s' at '%s' failed to satisfy constraint: %s", value, path, constraint))
}

// FailSecret is Fail for a member whose value must not be repeated.
func (c *Checks) FailSecret(path, constraint string) {
	c.problems = append(c.problems, fmt.Sprintf("Value at '%s' failed to satisfy constraint: %s", path, constraint))
}

// Present wants a member that is required.
func (c *Checks) Present(path string, present bool) {
	if !present {
		c.problems = append(c.problems, fmt.Sprintf("Value null at '%s' failed to satisfy constraint: Member must not be null", path))
	}
}

// Length wants lo to hi characters; an absent value ("") passes, see [Checks.Present].
func (c *Checks) Length(path, value string, lo, hi int) {
	if value != "" {
		c.LengthOf(path, &value, lo, hi)
	}
}

// LengthOf is Length for services that tell an empty value from an absent one, nil.
func (c *Checks) LengthOf(path string, value *string, lo, hi int) {
	if value == nil {
		return
	}
	switch n := utf8.RuneCountInString(*value); {
	case n < lo:
		c.Fail(path, *value, "Member must have length greater than or equal to "+strconv.Itoa(lo))
	case n > hi:
		c.Fail(path, *value, "Member must have length less than or equal to "+strconv.Itoa(hi))
	}
}

// Range wants a number from lo to hi; nil is absent and passes.
func (c *Checks) Range(path string, value *int, lo, hi int) {
	switch {
	case value == nil:
	case *value < lo:
		c.Fail(path, strconv.Itoa(*value), "Member must have value greater than or equal to "+strconv.Itoa(lo))
	case *value > hi:
		c.Fail(path, strconv.Itoa(*value), "Member must have value less than or equal to "+strconv.Itoa(hi))
	}
}

// Enum wants one of the values; an absent value ("") passes.
func (c *Checks) Enum(path, value string, values ...string) {
	if value != "" {
		c.EnumOf(path, &value, values...)
	}
}

// EnumOf is Enum for services that tell an empty value from an absent one, nil.
func (c *Checks) EnumOf(path string, value *string, values ...string) {
	if value != nil && !slices.Contains(values, *value) {
		c.Fail(path, *value, "Member must satisfy enum value set: ["+strings.Join(values, ", ")+"]")
	}
}

// Pattern wants a value that the anchored expression matches; it prints the expression
// without its anchors, as AWS does. An absent value ("") passes.
func (c *Checks) Pattern(path, value string, re func() *regexp.Regexp) {
	if value != "" && !re().MatchString(value) {
		shown := strings.TrimSuffix(strings.TrimPrefix(re().String(), "^"), "$")
		c.Fail(path, value, "Member must satisfy regular expression pattern: "+shown)
	}
}

// Count wants a list of lo to hi elements.
func (c *Checks) Count(path string, n, lo, hi int) {
	switch {
	case n < lo:
		c.Fail(path, "[]", "Member must have length greater than or equal to "+strconv.Itoa(lo))
	case n > hi:
		c.Fail(path, fmt.Sprintf("[%d elements]", n), "Member must have length less than or equal to "+strconv.Itoa(hi))
	}
}

// Err returns nil, or every problem as one error with the service's code for it:
// "ValidationException" in JSON protocols, "ValidationError" in the query protocol.
func (c *Checks) Err(code string) error {
	switch n := len(c.problems); n {
	case 0:
		return nil
	case 1:
		return Errorf(code, "1 validation error detected: %s", c.problems[0])
	default:
		return Errorf(code, "%d validation errors detected: %s", n, strings.Join(c.problems, "; "))
	}
}
