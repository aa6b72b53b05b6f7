package state

import (
	"fmt"
	"log/slog"
)

// Sensitive is a text that no output may show. Every way of formatting, logging or
// encoding it yields the same mask, so that a stray %v cannot leak it.
type Sensitive string

const mask = "(sensitive)"

// Reveal returns the text itself, for the one call that must send it.
func (s Sensitive) Reveal() string { return string(s) }

// Format implements [fmt.Formatter] for every verb.
func (s Sensitive) Format(f fmt.State, _ rune) { fmt.Fprint(f, mask) }

// MarshalText implements [encoding.TextMarshaler], and so JSON.
func (s Sensitive) MarshalText() ([]byte, error) { return []byte(mask), nil }

// LogValue implements [slog.LogValuer].
func (s Sensitive) LogValue() slog.Value { return slog.StringValue(mask) }
