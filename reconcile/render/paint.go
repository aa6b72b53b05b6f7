package render

import "fmt"

// paint colours text, or leaves it alone. Every colour repeats what a symbol or a word
// says.
type paint bool

// SGR parameters of ECMA-48: the colours that every palette has.
const (
	bold    = "1"
	dim     = "2"
	red     = "31"
	green   = "32"
	yellow  = "33"
	blue    = "34"
	magenta = "35"
	cyan    = "36"
)

func (p paint) in(color, s string) string {
	if !p || s == "" || color == "" {
		return s
	}
	return "\x1b[" + color + "m" + s + "\x1b[0m"
}

// symbol colours one of + ~ - -/+.
func (p paint) symbol(s string) string { return p.in(hue(s), s) }

func hue(symbol string) string {
	switch symbol {
	case "+":
		return green
	case "-", "-/+":
		return red
	}
	return yellow
}

// token stands for a secret value.
func token(n int) string { return fmt.Sprintf("(sensitive #%d)", n) }
