package clock_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/apron-deploy/apron/providers/sandbox/clock"
)

func TestClock_waitsFasterThanItTells(t *testing.T) {
	for name, tc := range map[string]struct {
		speed float64
		took  time.Duration
	}{
		"as AWS":          {1, time.Minute},
		"twenty times":    {20, 3 * time.Second},
		"never more slow": {0, time.Minute},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				began, c := time.Now(), clock.New(tc.speed)
				require.NoError(t, c.Sleep(t.Context(), time.Minute))
				require.Equal(t, tc.took, time.Since(began))
				require.Equal(t, time.Now().UTC(), c.Now())
			})
		})
	}
}

func TestClock_sleepEndsWithItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		why := errors.New("the sandbox is closing")
		ctx, cancel := context.WithCancelCause(t.Context())
		time.AfterFunc(time.Second, func() { cancel(why) })
		began := time.Now()
		require.ErrorIs(t, clock.New(1).Sleep(ctx, time.Hour), why)
		require.Equal(t, time.Second, time.Since(began))
	})
}

func TestClock_turnedForwardShortensWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		began, c := time.Now(), clock.New(2)
		time.AfterFunc(time.Second, func() { _ = c.Turn(time.Minute) })
		over := c.After(t.Context(), time.Hour)
		require.NoError(t, c.Sleep(t.Context(), 70*time.Second))
		require.Equal(t, 5*time.Second, time.Since(began), "70 s but for the minute, at twice the speed")
		require.Equal(t, time.Now().Add(time.Minute).UTC(), c.Now())
		require.Error(t, c.Turn(-time.Second))
		require.NoError(t, c.Turn(time.Hour))
		<-over
		require.Equal(t, 5*time.Second, time.Since(began))
	})
}
