package main

import (
	"context"
	"errors"

	"github.com/hashicorp/go-multierror"

	"github.com/apron-deploy/apron/manifest"
	"github.com/apron-deploy/apron/providers/awsapi"
	"github.com/apron-deploy/apron/providers/iam"
	"github.com/apron-deploy/apron/providers/image/build"
	"github.com/apron-deploy/apron/providers/image/origin"
	"github.com/apron-deploy/apron/providers/image/push"
	"github.com/apron-deploy/apron/providers/image/source"
	"github.com/apron-deploy/apron/providers/jsonapi"
	"github.com/apron-deploy/apron/reconcile/plan"
	"github.com/apron-deploy/apron/reconcile/state"
)

// Exit codes are a contract: scripts and workflows branch on them.
const (
	exitOK          = 0
	exitError       = 1
	exitChanges     = 2 // plan --detailed-exitcode: there are changes
	exitUsage       = 3 // a bad manifest, or a wrong use of apron
	exitCredentials = 4 // credentials, permission, or the wrong account
	exitPolicy      = 5 // refused by policy
	exitUnapproved  = 6 // nobody said yes
	exitFailed      = 7 // the deployment failed, or was rolled back
	exitTimeout     = 8
	exitInterrupted = 130
)

// errChanges is what plan --detailed-exitcode returns when there are changes.
var errChanges = errors.New("there are changes")

// errLeft is what a command returns that goes on until somebody ends it, and was ended:
// there is nothing to say about it.
var errLeft = errors.New("left by the user")

// usageError is a wrong use of the command line.
type usageError struct {
	err     error
	command string
}

func (e *usageError) Error() string { return e.err.Error() }
func (e *usageError) Unwrap() error { return e.err }
func (e *usageError) Hint() string  { return "see " + e.command + " --help" }

// unapprovedError says that nobody agreed to the plan.
type unapprovedError struct{ why, fix string }

func (e *unapprovedError) Error() string { return e.why }
func (e *unapprovedError) Hint() string  { return e.fix }

// accountError says that the credentials belong to another account than the manifest's.
type accountError struct{ file, want, got string }

func (e *accountError) Error() string {
	return e.file + ": account: these credentials belong to account " + e.got + ", and the manifest is for " + e.want + "; nothing was read or changed there"
}
func (e *accountError) Hint() string {
	return "use the credentials of account " + e.want + ", for example by AWS_PROFILE"
}

// exitCode maps an error to its exit code. Of several errors the gravest to whoever
// waits for a deployment counts.
func exitCode(ctx context.Context, err error) int {
	if err == nil {
		return exitOK
	}
	var interrupted errInterrupted
	if errors.As(context.Cause(ctx), &interrupted) {
		return exitInterrupted
	}
	code := exitChanges
	for _, e := range flatten(err) {
		if c := exitCodeOf(e); rank[c] > rank[code] {
			code = c
		}
	}
	return code
}

// rank is how grave codes are: an error of any kind hides that there are changes, and an
// error that has a code of its own one that has none.
var rank = map[int]int{exitChanges: 0, exitError: 1, exitUsage: 2, exitPolicy: 3, exitUnapproved: 4, exitCredentials: 5, exitTimeout: 6, exitFailed: 7}

var codeOfBlame = map[state.Blame]int{state.BlameNone: exitError, state.BlameManifest: exitUsage, state.BlamePermission: exitCredentials}

func exitCodeOf(err error) int {
	var (
		failed     interface{ DeploymentFailed() bool }
		late       interface{ DeadlineExceeded() bool }
		refused    *plan.RefusedError
		policy     interface{ PolicyRefused() bool }
		bad        *manifest.Error
		usage      *usageError
		unapproved *unapprovedError
		account    *accountError
		api        *awsapi.Error
		role       *iam.NotFoundError
		from       *origin.Error
		dockerfile *build.ParseError
		made       *source.Error
		registry   *push.Error
		comment    *commentError
		forum      *jsonapi.Error
	)
	if blame, ok := blameOf(err); ok {
		return codeOfBlame[blame]
	}
	switch {
	case errors.Is(err, errChanges):
		return exitChanges
	case errors.As(err, &failed) && failed.DeploymentFailed():
		return exitFailed
	case errors.As(err, &late) && late.DeadlineExceeded():
		return exitTimeout
	case errors.As(err, &bad), errors.As(err, &usage), errors.As(err, &dockerfile), errors.As(err, &made), errors.As(err, &role), errors.As(err, &comment),
		errors.As(err, &from) && from.Mistake:
		return exitUsage
	case errors.As(err, &unapproved):
		return exitUnapproved
	case errors.As(err, &account), errors.As(err, &api) && api.Credentials, errors.As(err, &from) && from.Credentials,
		errors.As(err, &registry) && registry.Credentials(), errors.As(err, &forum) && forum.Credentials():
		return exitCredentials
	case errors.As(err, &refused) && refused.Policy, errors.As(err, &policy) && policy.PolicyRefused():
		return exitPolicy
	}
	return exitError
}

// flatten lists the errors that were gathered into one.
func flatten(err error) []error {
	var several []error
	if many := (*multierror.Error)(nil); errors.As(err, &many) {
		several = many.Errors
	} else if joined, ok := err.(interface{ Unwrap() []error }); ok {
		several = joined.Unwrap()
	} else {
		return []error{err}
	}
	var all []error
	for _, e := range several {
		all = append(all, flatten(e)...)
	}
	return all
}
