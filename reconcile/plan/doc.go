// Package plan turns what is wanted and what is live into ordered actions. It is pure:
// no clock, no randomness, no I/O, no logging, no AWS. Equal inputs give equal plans,
// byte for byte, and inputs are never changed.
package plan
