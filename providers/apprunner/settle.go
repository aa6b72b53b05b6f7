package apprunner

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/apprunner/types"

	"github.com/apron-deploy/apron/providers/awsapi"
	"github.com/apron-deploy/apron/reconcile/apply"
	"github.com/apron-deploy/apron/reconcile/plan"
	"github.com/apron-deploy/apron/reconcile/state"
)

// settle follows the operation that this run started to its end, reads the service back
// and compares it with what was asked, and asks its real URL.
func (r run) settle(ctx context.Context, arn, op string, want state.Resource) (state.Outcome, error) {
	if err := r.follow(ctx, arn, op); err != nil {
		return state.Outcome{}, err
	}
	live, err := r.readBack(ctx, arn, want)
	if err != nil {
		return state.Outcome{}, err
	}
	r.progress("asking " + live.URL)
	if err := r.p.Verify(ctx, r.name(), live.URL); err != nil {
		return state.Outcome{}, err
	}
	return state.Outcome{ID: arn, URL: live.URL}, nil
}

// staleReads is how often what is live may differ from what was asked before that is
// believed: a description may be older than the end of the operation.
const staleReads = 4

// readBack reads the service until it is what was asked.
func (r run) readBack(ctx context.Context, arn string, want state.Resource) (*state.Observed, error) {
	for try := 1; ; try++ {
		live, err := r.p.describe(ctx, arn, func(_, _ string) bool { return true })
		if err != nil {
			return nil, err
		}
		if live == nil {
			return nil, fmt.Errorf("service %q is gone after its operation succeeded", r.name())
		}
		differs := differences(want, *live)
		switch {
		case len(differs) == 0:
			return live, nil
		case try == staleReads:
			return nil, &MismatchError{Service: r.name(), Paths: differs}
		}
		if err := awsapi.Sleep(ctx, min(time.Duration(try)*time.Second, r.p.o.Poll)); err != nil {
			return nil, err
		}
	}
}

// MismatchError says that an operation succeeded and what is live differs all the same.
type MismatchError struct {
	Service string
	Paths   []string
}

var _ error = (*MismatchError)(nil)

func (e *MismatchError) Error() string {
	return fmt.Sprintf("service %q: the operation succeeded, and these still differ from what was asked: %s", e.Service, strings.Join(e.Paths, ", "))
}

// Hint says what to do.
func (e *MismatchError) Hint() string { return "somebody may have changed it meanwhile: plan again" }

// DeploymentFailed marks the error as a failed deployment, for the exit code.
func (e *MismatchError) DeploymentFailed() bool { return true }

// follow follows an operation to its end and tells why it failed, if it did.
func (r run) follow(ctx context.Context, arn, op string) error {
	w := &watch{p: r.p, arn: arn, mask: r.mask}
	if !r.p.o.Rehearsal { // a sandbox divides what AWS adds to the checks
		w.floor = healthFloor(r.a.Want, r.a.Have.Resource)
	}
	if r.env.Progress != nil {
		w.tell = func(p apply.Progress) {
			p.Action = r.a.ID
			r.env.Progress(p)
		}
	}
	summary, err := r.p.wait(ctx, arn, op, w)
	if err == nil && summary.Status != types.OperationStatusSucceeded {
		err = r.p.explain(ctx, arn, summary, r.a.Want)
	}
	return err
}

// Follow follows an operation that somebody has started to its end, and tells why it
// failed, if it did: a *[OperationError]. a says for whom, and what is known of the service.
func (p *Provider) Follow(ctx context.Context, a plan.Action, op types.OperationSummary, env apply.Env) error {
	r := run{p: p, a: a, env: env}
	err := r.follow(ctx, a.Have.ID, aws.ToString(op.Id))
	if a.Op == plan.Delete && errors.Is(err, errVanished) {
		return nil
	}
	return hide(err, a.Have.Fields)
}

// Ended reports whether nothing more happens in an operation.
func Ended(op types.OperationSummary) bool { return ended(op.Status) }

// differences lists the paths where what is live is not what was asked: other values, and
// what is left in a map that is managed as a whole.
func differences(want state.Resource, live state.Observed) []string {
	var paths []string
	for _, f := range want.Fields {
		if f.Order || f.Omit || f.Path == "deployment.secrets" {
			continue
		}
		if have, ok := live.Get(f.Path); !ok || have.Value != f.Value {
			paths = append(paths, f.Path)
		}
	}
	for _, f := range live.Fields {
		if _, wanted := want.Get(f.Path); !wanted && want.Covers(f.Path) {
			paths = append(paths, f.Path)
		}
	}
	slices.Sort(paths)
	return paths
}

// maskedError is an error whose text has lost the secrets that were in it.
type maskedError struct {
	text string
	err  error
}

var _ error = (*maskedError)(nil)

func (e *maskedError) Error() string { return e.text }

func (e *maskedError) Unwrap() error { return e.err }

// hide takes the values of secret variables out of an error: AWS quotes what it refuses,
// and applications print what they read. Shorter values than four bytes are in every
// other word, and no secrets.
func hide(err error, fields ...[]state.Field) error {
	if err == nil {
		return nil
	}
	text := masked(err.Error(), fields...)
	if text == err.Error() {
		return err
	}
	return &maskedError{text, err}
}

// masked takes the values of secret fields out of a text.
func masked(text string, fields ...[]state.Field) string {
	for _, f := range slices.Concat(fields...) {
		if f.Secret && len(f.Value) >= 4 {
			text = strings.ReplaceAll(text, f.Value, f.Text())
		}
	}
	return text
}

// mask takes the secrets that the action knows out of a text.
func (r run) mask(text string) string { return masked(text, r.a.Want.Fields, r.a.Have.Fields) }
