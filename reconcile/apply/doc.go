// Package apply walks a plan: it runs every action whose needs have succeeded, several
// at once, skips what depends on a failure, and goes on with the rest.
package apply
