package sandbox_test

import (
	"sync/atomic"
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/apprunner"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/stretchr/testify/require"

	"github.com/apron-deploy/apron/providers/sandbox"
)

func TestRehearse_throttlesEveryOtherCallToAppRunner(t *testing.T) {
	s := serve(t)
	client := apprunner.NewFromConfig(config(s))
	require.NoError(t, s.Rehearse("throttled", ""))
	refusals := 0
	for range 6 {
		if _, err := client.ListServices(t.Context(), &apprunner.ListServicesInput{}); err != nil {
			refused(t, err, "ThrottlingException")
			refusals++
		}
	}
	require.Equal(t, 3, refusals)
	_, err := sts.NewFromConfig(config(s)).GetCallerIdentity(t.Context(), nil)
	require.NoError(t, err, "others have rates of their own")
	require.NoError(t, s.Rehearse("none", ""))
	for range 2 {
		_, err := client.ListServices(t.Context(), &apprunner.ListServicesInput{})
		require.NoError(t, err)
	}
}

func TestRehearse_diesAfterSoManyCalls(t *testing.T) {
	var died atomic.Int32
	s := serve(t, func(o *sandbox.Options) { o.Crash = func() { died.Add(1) } })
	who := sts.NewFromConfig(config(s))
	require.NoError(t, s.Rehearse("crash-after=2", ""))
	_, err := who.GetCallerIdentity(t.Context(), nil)
	require.NoError(t, err)
	require.Zero(t, died.Load())
	_, err = who.GetCallerIdentity(t.Context(), nil)
	require.Error(t, err, "nobody answers any more")
	require.EqualValues(t, 1, died.Load())
	require.NoError(t, s.Rehearse("none", ""))
	_, err = who.GetCallerIdentity(t.Context(), nil)
	require.NoError(t, err)
	for _, wrong := range []string{"crash-after=0", "crash-after=x"} {
		require.ErrorContains(t, s.Rehearse(wrong, ""), "must be 1 or more")
	}
	require.Error(t, s.Rehearse("crash-after=1", "shop"))
}
