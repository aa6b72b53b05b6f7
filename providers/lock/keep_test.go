package lock

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	sdk "github.com/aws/aws-sdk-go-v2/service/ssm"
	"github.com/aws/aws-sdk-go-v2/service/ssm/types"
	"github.com/aws/smithy-go"
	"github.com/stretchr/testify/require"
)

// memory is a Parameter Store that has no sockets, so that a test can turn the clock.
type memory struct {
	mu   sync.Mutex
	m    map[string]types.Parameter
	down error // of every call
}

func (s *memory) PutParameter(_ context.Context, in *sdk.PutParameterInput, _ ...func(*sdk.Options)) (*sdk.PutParameterOutput, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	p, exists := s.m[*in.Name]
	switch {
	case s.down != nil:
		return nil, s.down
	case exists && !aws.ToBool(in.Overwrite):
		return nil, &smithy.GenericAPIError{Code: "ParameterAlreadyExists"}
	}
	p.Type, p.Value, p.Version = in.Type, in.Value, p.Version+1
	s.m[*in.Name] = p
	return &sdk.PutParameterOutput{Version: p.Version}, nil
}

func (s *memory) GetParameters(_ context.Context, in *sdk.GetParametersInput, _ ...func(*sdk.Options)) (*sdk.GetParametersOutput, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := &sdk.GetParametersOutput{}
	for _, name := range in.Names {
		if p, ok := s.m[name]; ok {
			out.Parameters = append(out.Parameters, p)
		}
	}
	return out, s.down
}

func (s *memory) DeleteParameters(_ context.Context, in *sdk.DeleteParametersInput, _ ...func(*sdk.Options)) (*sdk.DeleteParametersOutput, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, name := range in.Names {
		delete(s.m, name)
	}
	return &sdk.DeleteParametersOutput{}, s.down
}

func (s *memory) fail(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.down = err
}

// keeping runs what in a bubble in which alice holds the lock of web for 40 minutes, renews
// it, and is told what becomes of it.
func keeping(t *testing.T, what func(t *testing.T, store *memory, alice, bob *Locker, told func() []string)) {
	synctest.Test(t, func(t *testing.T) {
		store := &memory{m: map[string]types.Parameter{}}
		at := func(who string, pid int) *Locker {
			return New(store, Holder{Verb: "apply", Owner: who, Host: who, PID: pid, Run: "job 7"}, 40*time.Minute, Options{Gone: func(Holder) bool { return false }})
		}
		alice, bob := at("alice", 7), at("bob", 8)
		alice.me.Run = ""
		require.NoError(t, alice.Acquire(t.Context(), "web"))
		var mu sync.Mutex
		var lost []string
		stop := alice.Keep(t.Context(), []string{"web"}, func(e *LostError) {
			mu.Lock()
			defer mu.Unlock()
			lost = append(lost, e.Error())
		})
		what(t, store, alice, bob, func() []string {
			synctest.Wait()
			mu.Lock()
			defer mu.Unlock()
			return lost
		})
		stop()
		require.NoError(t, alice.Release(t.Context(), "web"))
	})
}

func TestKeep_aLongRunIsNeverStale(t *testing.T) {
	keeping(t, func(t *testing.T, store *memory, _, bob *Locker, told func() []string) {
		began := time.Now()
		for range 30 {
			time.Sleep(11 * time.Minute)
			synctest.Wait()
			var held *HeldError
			require.ErrorAs(t, bob.Acquire(t.Context(), "web"), &held)
			require.WithinDuration(t, began, held.Holder.Since, time.Second, "it has had the lock all the time")
			require.Greater(t, time.Until(held.Holder.Expires), 20*time.Minute)
		}
		require.Empty(t, told())
		require.Len(t, store.m, 1, "no claim is left")
	})
}

func TestKeep_outlastsAParameterStoreThatIsDown(t *testing.T) {
	keeping(t, func(t *testing.T, store *memory, _, bob *Locker, told func() []string) {
		store.fail(errors.New("no route to host"))
		time.Sleep(14 * time.Minute)
		require.Len(t, told(), 1)
		require.Contains(t, told()[0], `the lock of service "web" is not renewed yet: `)
		require.Contains(t, told()[0], "no route to host")
		store.fail(nil)
		time.Sleep(40 * time.Minute)
		require.Len(t, told(), 1)
		var held *HeldError
		require.ErrorAs(t, bob.Acquire(t.Context(), "web"), &held)
	})
}

func TestKeep_takesNothingBack(t *testing.T) {
	keeping(t, func(t *testing.T, _ *memory, alice, bob *Locker, told func() []string) {
		found, err := bob.Look(t.Context(), "web")
		require.NoError(t, err)
		require.NoError(t, bob.Break(t.Context(), *found))
		require.NoError(t, bob.Acquire(t.Context(), "web"))
		time.Sleep(3 * time.Hour)
		require.Len(t, told(), 1, "it tells once")
		require.Contains(t, told()[0], `the lock of service "web" was taken away, and is held by bob`)
		require.NoError(t, alice.Release(t.Context(), "web"))
		found, err = bob.Look(t.Context(), "web")
		require.NoError(t, err)
		require.Equal(t, "bob", found.Holder.Owner)
	})
	keeping(t, func(t *testing.T, _ *memory, _, bob *Locker, told func() []string) {
		found, err := bob.Look(t.Context(), "web")
		require.NoError(t, err)
		require.NoError(t, bob.Break(t.Context(), *found))
		time.Sleep(time.Hour)
		require.Equal(t, []string{`the lock of service "web" was taken away`}, told())
	})
}

// TestKeep_ofARunThatWasKilledIsTakenOverAtOnce has the next try of the same CI job come
// while the lock is as fresh as a renewal can make it.
func TestKeep_ofARunThatWasKilledIsTakenOverAtOnce(t *testing.T) {
	keeping(t, func(t *testing.T, store *memory, _, bob *Locker, _ func() []string) {
		killed := New(store, bob.me, 40*time.Minute, Options{Gone: func(Holder) bool { return false }})
		killed.me.Host = "runner-1"
		require.NoError(t, killed.Acquire(t.Context(), "api"))
		stop := killed.Keep(t.Context(), []string{"api"}, func(e *LostError) { t.Error(e) })
		time.Sleep(time.Hour)
		stop() // as a kill does, with the lock left behind
		require.NoError(t, bob.Acquire(t.Context(), "api"))
		found, err := bob.Look(t.Context(), "api")
		require.NoError(t, err)
		require.Equal(t, bob.me.ID, found.Holder.ID)
	})
}
