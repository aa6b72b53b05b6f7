package apprunner

import (
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	sdk "github.com/aws/aws-sdk-go-v2/service/apprunner"
	"github.com/aws/aws-sdk-go-v2/service/apprunner/types"
	"github.com/stretchr/testify/require"

	"github.com/apron-deploy/apron/reconcile/plan"
	"github.com/apron-deploy/apron/reconcile/state"
)

func TestCheckSize_mergesWithWhatIsLive(t *testing.T) {
	live := state.Observed{Resource: state.Resource{Fields: state.Sort([]state.Field{{Path: "cpu", Value: "2048"}, {Path: "memory", Value: "4096"}})}}
	for name, tc := range map[string]struct {
		cpu, memory *int
		live        state.Observed
		verdict     state.Verdict
		text        string
	}{
		"both":                 {ptr(256), ptr(512), live, state.Passed, "0.25 vCPU (the manifest's) with 0.5 GB (the manifest's)"},
		"neither, and nothing": {nil, nil, state.Observed{}, state.Passed, "1 vCPU (App Runner's default) with 2 GB (App Runner's default)"},
		"neither":              {nil, nil, live, state.Passed, "2 vCPU (live) with 4 GB (live)"},
		"one that fits":        {nil, ptr(6144), live, state.Passed, "2 vCPU (live) with 6 GB (the manifest's)"},
		"one that does not":    {ptr(256), nil, live, state.Broken, "0.25 vCPU (the manifest's) with 4 GB (live) is not a size App Runner offers"},
		"the other":            {nil, ptr(512), live, state.Broken, "2 vCPU (live) with 0.5 GB (the manifest's) is not a size App Runner offers"},
	} {
		t.Run(name, func(t *testing.T) {
			c := CheckSize(state.Spec{CPU: tc.cpu, Memory: tc.memory}, tc.live)
			require.Equal(t, tc.verdict, c.Verdict)
			require.Equal(t, tc.text, c.Text)
			if tc.verdict == state.Broken {
				require.Equal(t, state.BlameManifest, c.Blame)
				require.Contains(t, c.Fix, "goes with")
			}
		})
	}
}

func TestCheckName(t *testing.T) {
	of := func(owner state.Owner, op types.OperationType, status types.OperationStatus) state.Observed {
		return state.Observed{Owner: owner, Resource: state.Resource{Detail: Live{Status: types.ServiceStatusRunning,
			Operations: []types.OperationSummary{{Type: op, Status: status}}}}}
	}
	const update, remove = types.OperationTypeUpdateService, types.OperationTypeDeleteService
	require.Equal(t, `the name "web" is free`, CheckName("web", state.Observed{}, false, false).Text)
	require.Equal(t, state.Passed, CheckName("web", of(state.Ours, update, types.OperationStatusSucceeded), true, false).Verdict)
	require.Equal(t, state.Broken, CheckName("web", of(state.Theirs, update, types.OperationStatusSucceeded), true, false).Verdict)
	require.Equal(t, state.Passed, CheckName("web", of(state.Theirs, update, types.OperationStatusSucceeded), true, true).Verdict)
	require.Contains(t, CheckName("web", of(state.Ours, remove, types.OperationStatusInProgress), true, false).Text, "is being deleted")
	require.Equal(t, state.Passed, CheckName("web", of(state.Ours, remove, types.OperationStatusFailed), true, false).Verdict, "that is tried again")
}

// A quota that was not told may have been raised: it proves nothing.
func TestUsage_saysWhetherMoreFits(t *testing.T) {
	require.Equal(t, state.Passed, Usage{Scalings: 9}.CheckScalings("web").Verdict)
	require.Equal(t, state.Unchecked, Usage{Scalings: 10}.CheckScalings("web").Verdict)
	require.Equal(t, state.Passed, Usage{Scalings: 10, ScalingsLimit: 20}.CheckScalings("web").Verdict)
	c := Usage{Scalings: 20, ScalingsLimit: 20, Unused: []string{"old"}}.CheckScalings("web")
	require.Equal(t, state.Broken, c.Verdict)
	require.Contains(t, c.Fix, "no service uses old")
	require.Equal(t, state.Broken, Usage{Services: 30, ServicesLimit: 30}.CheckServices("web").Verdict)
}

func TestCheckRegion(t *testing.T) {
	require.Equal(t, "App Runner answers in eu-west-1", CheckRegion("web", "eu-west-1").Text)
	require.Contains(t, CheckRegion("web", "mars-1").Text, "does not list")
}

func TestSandbox_countsWhatTheQuotasCount(t *testing.T) {
	r := newRig(t, 1, Options{})
	_, err := r.apply(full, plan.Options{})
	require.NoError(t, err)
	_, err = r.client.CreateAutoScalingConfiguration(t.Context(), &sdk.CreateAutoScalingConfigurationInput{AutoScalingConfigurationName: aws.String("theirs")})
	require.NoError(t, err)
	u, err := r.Usage(t.Context())
	require.NoError(t, err)
	require.Equal(t, Usage{Services: 1, Scalings: 2, Unused: []string{"theirs"}}, u)
}
