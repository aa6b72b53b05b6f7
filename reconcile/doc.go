// Package reconcile drives one run: observe every provider at once, plan, apply.
package reconcile
