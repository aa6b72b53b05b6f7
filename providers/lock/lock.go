// Package lock keeps two runs from writing to the same service at once. A lock is the
// Parameter Store parameter /apron/lock/<service>, whose value says who holds it. It is
// advisory: it binds runs of apron, and nobody else.
//
// What is atomic is PutParameter with overwrite off, which of several callers one wins.
//
//	the parameter      its holder                          a run that wants it
//	absent             -                                   puts it, and holds the lock
//	there              a process of this machine that runs is refused
//	there              one that is gone                    takes it over at once
//	there              the same job of the same CI run     takes it over at once
//	there, expired     whoever                             takes it over
//	there              anybody else                        is refused
//
// To take a lock over is to put the parameter /apron/lock/<service>/takeover-<version>,
// again with overwrite off, to look whether the lock is still of that version and
// that holder, and only then to overwrite it. A claim lives for [claimLife]: one whose
// run died is claimed in its turn.
//
// A run that goes on for long takes its own lock over, again and again, before it expires,
// and one whose own lock has expired takes it over before it deletes it. So whoever
// overwrites a lock, or deletes one that is not fresh, holds the claim to it.
//
// https://docs.aws.amazon.com/systems-manager/latest/APIReference/API_PutParameter.html
package lock

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	sdk "github.com/aws/aws-sdk-go-v2/service/ssm"
	"github.com/aws/aws-sdk-go-v2/service/ssm/types"

	"github.com/apron-deploy/apron/providers/awsapi"
)

// Name is the parameter that is a service's lock.
func Name(service string) string { return "/apron/lock/" + service }

// api is what this package calls of Systems Manager.
type api interface {
	GetParameters(context.Context, *sdk.GetParametersInput, ...func(*sdk.Options)) (*sdk.GetParametersOutput, error)
	PutParameter(context.Context, *sdk.PutParameterInput, ...func(*sdk.Options)) (*sdk.PutParameterOutput, error)
	DeleteParameters(context.Context, *sdk.DeleteParametersInput, ...func(*sdk.Options)) (*sdk.DeleteParametersOutput, error)
}

var _ api = (*sdk.Client)(nil)

// Options steer [New]. The zero value is for real time and real processes.
type Options struct {
	// Now is the clock; nil is the system's.
	Now func() time.Time
	// Gone reports whether the process behind a holder of this machine has ended; nil
	// asks the system.
	Gone func(Holder) bool
}

// Locker acquires locks for one run.
type Locker struct {
	api  api
	me   Holder
	life time.Duration
	now  func() time.Time
	gone func(Holder) bool
}

// New returns the Locker of a run. Who holds its locks is me, whose
// ID, Since and Expires are filled in. Its locks expire after life.
func New(client api, me Holder, life time.Duration, o Options) *Locker {
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Gone == nil {
		o.Gone = gone
	}
	me.ID = newID()
	return &Locker{api: client, me: me, life: life, now: o.Now, gone: o.Gone}
}

// Found is a lock as it is in Parameter Store.
type Found struct {
	Service string
	Holder  Holder
	// Version of the parameter: each holder after the first has a higher one.
	Version int64
}

// HeldError says who holds a lock that is wanted.
type HeldError struct{ Found }

var _ error = (*HeldError)(nil)

func (e *HeldError) Error() string {
	return fmt.Sprintf("service %q is locked by %s; nothing of it was changed", e.Service, e.Holder)
}

// Hint says what to do about it.
func (e *HeldError) Hint() string {
	return "wait for that run, for example with --lock-timeout 10m; if it is gone for good, apron unlock --force takes its lock away"
}

// ForeignError says that what is in the place of a lock is none.
type ForeignError struct{ Parameter, Why string }

var _ error = (*ForeignError)(nil)

func (e *ForeignError) Error() string {
	return fmt.Sprintf("parameter %s is in the place of a lock, and is none: %s; it was not changed", e.Parameter, e.Why)
}

// Hint says what to do about it.
func (e *ForeignError) Hint() string {
	return "see whose it is, and delete it if it is nobody's; --no-lock does without a lock"
}

const (
	// tries is how often a lock may change hands while it is asked for, with pauses in which
	// a write of somebody else becomes visible. They double up to longest, and are more than
	// half a minute together, as the name of a parameter that was deleted may be taken so long.
	// https://docs.aws.amazon.com/systems-manager/latest/APIReference/API_DeleteParameters.html
	tries   = 16
	pause   = 20 * time.Millisecond
	longest = 4 * time.Second
	// claimLife is how long a claim to a lock counts, and rewriteTime how long its run
	// may take for what it is for: by far less, so that no run that was slow overwrites
	// what another has made of its claim since.
	claimLife   = 2 * time.Minute
	rewriteTime = 30 * time.Second
)

// Acquire makes this run the holder of a service's lock. It returns a [HeldError] at once
// when somebody else is.
func (l *Locker) Acquire(ctx context.Context, service string) error {
	var last error
	for try := range tries {
		err := l.put(ctx, Name(service), l.life, false)
		switch {
		case err == nil:
			return nil
		case !contended(err):
			return fmt.Errorf("lock service %q: %w", service, awsapi.Explain(err))
		}
		found, err := l.Look(ctx, service)
		switch {
		case err != nil:
			return err
		case found == nil: // it was given back this moment, or is not shown yet
		case found.Holder.ID == l.me.ID: // the answer to an earlier attempt was lost
			return nil
		case !l.Free(found.Holder):
			return &HeldError{*found}
		default:
			if won, err := l.takeOver(ctx, *found); err != nil || won {
				return err
			}
			last = &HeldError{*found}
		}
		if err := awsapi.Sleep(ctx, min(pause<<try, longest)); err != nil {
			return err
		}
	}
	return cmp.Or(last, fmt.Errorf("lock service %q: it kept changing hands; nothing was changed", service))
}

// contended are the errors of a put that somebody else was faster with.
func contended(err error) bool {
	return awsapi.Is(err, "ParameterAlreadyExists", "TooManyUpdates")
}

// Free reports whether a lock may be taken from its holder.
func (l *Locker) Free(h Holder) bool {
	switch {
	case !h.Expires.After(l.now()):
		return true
	case h.sameMachine(l.me):
		return l.gone(h)
	}
	return h.Run != "" && h.Run == l.me.Run
}

// Look reads a service's lock. It returns nil when there is none.
func (l *Locker) Look(ctx context.Context, service string) (*Found, error) {
	found, err := l.read(ctx, Name(service))
	if found != nil {
		found.Service = service
	}
	return found, err
}

func (l *Locker) read(ctx context.Context, name string) (*Found, error) {
	out, err := l.api.GetParameters(ctx, &sdk.GetParametersInput{Names: []string{name}})
	if err != nil {
		return nil, fmt.Errorf("read the lock %s: %w", name, awsapi.Explain(err))
	}
	if len(out.Parameters) == 0 {
		return nil, nil
	}
	p := out.Parameters[0]
	f := &Found{Version: p.Version}
	if p.Type != types.ParameterTypeString {
		return nil, &ForeignError{name, "it is a " + string(p.Type)}
	}
	if err := json.Unmarshal([]byte(aws.ToString(p.Value)), &f.Holder); err != nil || f.Holder.ID == "" {
		return nil, &ForeignError{name, "its value names no holder"}
	}
	return f, nil
}

// put writes that this run holds a lock or a claim, for life from now on.
func (l *Locker) put(ctx context.Context, name string, life time.Duration, overwrite bool) error {
	return l.putSince(ctx, name, l.now(), life, overwrite)
}

func (l *Locker) putSince(ctx context.Context, name string, since time.Time, life time.Duration, overwrite bool) error {
	h := l.me
	h.Since = since.UTC().Truncate(time.Second)
	h.Expires = l.now().UTC().Truncate(time.Second).Add(life)
	value, err := json.Marshal(h)
	if err != nil {
		return err
	}
	in := &sdk.PutParameterInput{Name: &name, Value: aws.String(string(value)), Type: types.ParameterTypeString, Overwrite: &overwrite}
	if !overwrite {
		in.Tier = types.ParameterTierStandard // whatever the account's default is
	}
	_, err = l.api.PutParameter(ctx, in)
	return err
}

func (l *Locker) remove(ctx context.Context, names ...string) error {
	_, err := l.api.DeleteParameters(ctx, &sdk.DeleteParametersInput{Names: names}) // those that are gone are no error
	return err
}

// Release gives a service's lock back, if it is still this run's.
func (l *Locker) Release(ctx context.Context, service string) error {
	found, err := l.Look(ctx, service)
	switch {
	case err != nil:
		return err
	case found == nil || found.Holder.ID != l.me.ID:
		return nil
	}
	return l.Remove(ctx, *found)
}

// Remove deletes a lock that was found: one that this run holds, or that is free.
func (l *Locker) Remove(ctx context.Context, found Found) error {
	if found.Holder.ID == l.me.ID && found.Holder.Expires.After(l.now()) {
		return explained(found.Service, l.remove(ctx, Name(found.Service)))
	}
	claims, won, err := l.claim(ctx, found)
	if err != nil || !won {
		return err // somebody takes it over: it is no longer ours to delete
	}
	return explained(found.Service, errors.Join(l.remove(ctx, Name(found.Service)), l.drop(ctx, claims)))
}

// Break deletes a lock whoever holds it.
func (l *Locker) Break(ctx context.Context, found Found) error {
	return explained(found.Service, l.remove(ctx, Name(found.Service)))
}

func explained(service string, err error) error {
	if err != nil {
		err = fmt.Errorf("unlock service %q: %w", service, awsapi.Explain(err))
	}
	return err
}

// takeOver makes this run the holder of a lock that is free. It reports false when
// somebody else was faster.
func (l *Locker) takeOver(ctx context.Context, found Found) (won bool, err error) {
	claims, won, err := l.claim(ctx, found)
	if err != nil || !won {
		return false, err
	}
	soon, cancel := context.WithTimeout(ctx, rewriteTime)
	defer cancel()
	since := l.now()
	if found.Holder.ID == l.me.ID { // it is renewed, and this run has it since then
		since = found.Holder.Since
	}
	if err := l.putSince(soon, Name(found.Service), since, l.life, true); err != nil {
		return false, errors.Join(fmt.Errorf("take over the lock of service %q: %w", found.Service, awsapi.Explain(err)), l.drop(ctx, claims))
	}
	return true, l.drop(ctx, claims)
}

// claim wins the right to overwrite or delete a lock that is free, and returns the
// parameters to drop when that is done. It reports false when somebody else has it.
func (l *Locker) claim(ctx context.Context, found Found) (claims []string, won bool, err error) {
	base := Name(found.Service) + "/takeover-" + strconv.FormatInt(found.Version, 10)
	for name := base; ; name = base + "." + strconv.Itoa(len(claims)) {
		err := l.put(ctx, name, claimLife, false)
		if err != nil && !contended(err) {
			return nil, false, fmt.Errorf("take over the lock of service %q: %w", found.Service, awsapi.Explain(err))
		}
		if err == nil {
			claims = append(claims, name)
			break
		}
		other, err := l.read(ctx, name)
		if err != nil || other == nil || other.Holder.ID != l.me.ID && !l.Free(other.Holder) {
			return nil, false, err
		}
		claims = append(claims, name)
		if other.Holder.ID == l.me.ID { // the answer to an earlier attempt was lost
			break
		}
	}
	now, err := l.Look(ctx, found.Service)
	if err == nil && now != nil && now.Version == found.Version && now.Holder.ID == found.Holder.ID {
		return claims, true, nil
	}
	return nil, false, errors.Join(err, l.drop(ctx, claims)) // it changed hands before there was a claim
}

// drop deletes claims, also where the run was told to end: others wait for them.
func (l *Locker) drop(ctx context.Context, claims []string) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), rewriteTime)
	defer cancel()
	if err := l.remove(ctx, claims...); err != nil {
		return fmt.Errorf("delete %s: %w", claims[0], awsapi.Explain(err))
	}
	return nil
}
