package reconcile_test

import (
	"context"
	"errors"
	"testing"

	"github.com/hashicorp/go-multierror"
	"github.com/stretchr/testify/require"

	"github.com/apron-deploy/apron/reconcile"
	"github.com/apron-deploy/apron/reconcile/state"
)

func unread(name string) *reconcile.ReadError {
	return &reconcile.ReadError{Target: state.Address{Target: "ecr", Kind: "repository", Name: name}, Err: errors.New("no " + name)}
}

func TestUnread(t *testing.T) {
	for name, tc := range map[string]struct {
		err  error
		want int // -1: it is about the whole run
	}{
		"nothing":           {nil, -1},
		"one":               {unread("a"), 1},
		"several, gathered": {multierror.Append(nil, unread("a"), multierror.Append(nil, unread("b"))), 2},
		"something else":    {errors.New("no credentials"), -1},
		"beside it":         {multierror.Append(nil, unread("a"), errors.New("no credentials")), -1},
	} {
		all, ok := reconcile.Unread(tc.err)
		require.Equal(t, tc.want >= 0, ok, name)
		if ok {
			require.Len(t, all, tc.want, name)
		}
	}
}

func TestReads_oneThatFailsKeepsNoOtherFromItsEnd(t *testing.T) {
	reads, ctx := reconcile.NewReads(t.Context())
	failed, ended := make(chan struct{}), 0
	reads.Go(func() error { defer close(failed); return unread("b") })
	reads.Go(func() error {
		<-failed
		ended++
		return ctx.Err() // nil, as it goes on
	})
	reads.Go(func() error { return multierror.Append(nil, unread("c"), unread("a")) })
	all, ok := reconcile.Unread(reads.Wait())
	require.True(t, ok)
	require.Equal(t, 1, ended)
	var names []string
	for _, e := range all {
		names = append(names, e.Target.Name)
	}
	require.Equal(t, []string{"a", "b", "c"}, names)
}

func TestReads_whatIsWrongWithAllEndsAll(t *testing.T) {
	reads, ctx := reconcile.NewReads(t.Context())
	reads.Go(func() error { return unread("a") })
	reads.Go(func() error {
		<-ctx.Done()
		return context.Cause(ctx)
	})
	reads.Go(func() error { return errors.New("no credentials") })
	require.EqualError(t, reads.Wait(), "no credentials")
}
