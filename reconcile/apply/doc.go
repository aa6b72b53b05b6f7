// Package apply walks a plan: it runs every action whose needs have succeeded, several
// at once, skips what depends on a failure, and goes on with the rest.
//
// One goroutine owns the run. Workers call the [Executor] and send what it returned;
// they touch nothing else, so the bookkeeping needs no lock. An action is decided once
// all of its needs have ended:
//
//	needs                     the action
//	all done                  starts, the first in the plan first
//	one failed or skipped     is skipped, because of the failure at the root
//	all done, context ended   is skipped; what runs is awaited, not abandoned
//
// What a [Preparer] prepares comes first: no action starts before everything is prepared
// of what it belongs to, and if that fails, only what others want, too, is done. So a build
// that fails, or makes what cannot run, has changed nothing.
//
// A report thus depends on how the actions ended and not on which of them was faster.
// The package knows no resource and no provider.
package apply
