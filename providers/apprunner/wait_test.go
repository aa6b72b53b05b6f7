package apprunner

import (
	"testing"
	"testing/synctest"
	"time"

	sdk "github.com/aws/aws-sdk-go-v2/service/apprunner"
	"github.com/aws/aws-sdk-go-v2/service/apprunner/types"
	"github.com/stretchr/testify/require"

	"github.com/apron-deploy/apron/providers/awsapi"
	"github.com/apron-deploy/apron/reconcile/plan"
)

func TestWait_timesOutWithTheOperationsID(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake()
		f.takes = 2 * time.Hour
		err := converge(t.Context(), t, provider(f, Options{}), plain(), plan.Options{})
		var late *TimeoutError
		require.ErrorAs(t, err, &late)
		require.Equal(t, "00000000-0000-0000-0000-000000000001", late.ID)
		require.True(t, late.DeadlineExceeded())
		require.Contains(t, late.Hint(), "apply again")
		require.InDelta(t, 35*time.Minute, late.After, float64(10*time.Second), "longer than the twenty minutes of a failing health check")
		require.Regexp(t, `^service "web": operation 00000000-0000-0000-0000-000000000001 is still under way after 35m[0-5]s\n  service    arn:\S+\n  type       CREATE_SERVICE\n  started    \S+Z$`, err.Error())
	})
}

func TestWait_takesItsTimeFromItsOptions(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake()
		f.takes = time.Hour
		start := time.Now()
		err := converge(t.Context(), t, provider(f, Options{Timeout: time.Minute, Poll: time.Second}), plain(), plan.Options{})
		require.ErrorContains(t, err, "is still under way after 1m")
		require.Less(t, time.Since(start), time.Minute+2*time.Second)
	})
}

// The operation is told by its id, however many came after it: another page has it, and
// its status counts, not theirs.
func TestWait_looksForItsOwnOperation(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, p := running(t)
		f.ends = []types.OperationStatus{types.OperationStatusRollbackSucceeded}
		op := f.begin(types.OperationTypeUpdateService, *f.s)
		require.NoError(t, awsapi.Sleep(t.Context(), 10*time.Minute))
		_, err := f.ListOperations(t.Context(), &sdk.ListOperationsInput{})
		require.NoError(t, err)
		f.begin(types.OperationTypeStartDeployment, *f.s)
		require.NoError(t, awsapi.Sleep(t.Context(), 10*time.Minute))
		summary, err := p.wait(t.Context(), fakeARN, *op, nil)
		require.NoError(t, err)
		require.Equal(t, *op, *summary.Id)
		require.Equal(t, types.OperationStatusRollbackSucceeded, summary.Status)
	})
}

// What was just made may be listed a moment later only.
func TestWait_isPatientWithAnOperationThatIsNotListedYet(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, p := running(t)
		hidden := f.s
		f.s = nil // as yet unknown
		time.AfterFunc(20*time.Second, func() {
			f.mu.Lock()
			defer f.mu.Unlock()
			f.s = hidden
		})
		summary, err := p.wait(t.Context(), fakeARN, *f.ops[0].Id, nil)
		require.NoError(t, err)
		require.Equal(t, types.OperationStatusSucceeded, summary.Status)
	})
}

func TestWait_endsWhenTheServiceIsDeletedMeanwhile(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, p := running(t)
		f.vanishes = true
		op := f.begin(types.OperationTypeUpdateService, *f.s)
		time.AfterFunc(30*time.Second, func() {
			f.mu.Lock()
			defer f.mu.Unlock()
			f.s.Status = types.ServiceStatusDeleted
		})
		start := time.Now()
		_, err := p.wait(t.Context(), fakeARN, *op, nil)
		require.EqualError(t, err, `service "web": the service is gone`)
		require.Less(t, time.Since(start), time.Minute)
	})
}

func TestWait_givesUpWhenItMayNotLook(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, p := running(t)
		f.refuse["ListOperations"] = refused("AccessDeniedException", "no")
		_, err := p.wait(t.Context(), fakeARN, "x", nil)
		require.EqualError(t, err, `service "web": list operations: AccessDeniedException: no`)
	})
}

func TestEnded_aStatusThatAWSAddsLaterIsAnEnd(t *testing.T) {
	for _, s := range types.OperationStatus("").Values() {
		open := s == types.OperationStatusPending || s == types.OperationStatusInProgress || s == types.OperationStatusRollbackInProgress
		require.Equal(t, !open, ended(s), s)
	}
	require.True(t, ended("CANCELLED"))
}

func TestIdle_saysOnceWhatItWaitsFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, p := running(t)
		f.busy = time.Now().Add(3 * time.Minute)
		var said []string
		start := time.Now()
		require.NoError(t, p.Idle(t.Context(), fakeARN, func(phase string) { said = append(said, phase) }))
		require.Equal(t, []string{"waiting for the operation under way"}, said)
		require.GreaterOrEqual(t, time.Since(start), 3*time.Minute)
	})
}

func TestIdle_saysWhenThereIsNoSuchService(t *testing.T) {
	p := provider(newFake(), Options{})
	require.ErrorContains(t, p.Idle(t.Context(), fakeARN, nil), `service "web": describe: `)
}

func TestDeployment_isWhenItsOperationStarted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, p := running(t)
		_, live := planned(t.Context(), t, p, plain(), plan.Options{})
		require.Equal(t, *f.ops[0].StartedAt, live[Service("web")].Detail.(Live).DeployedAt,
			"a secret that changes during the rollout may have been read before")
		require.NoError(t, awsapi.Sleep(t.Context(), time.Hour))
		f.ends = []types.OperationStatus{types.OperationStatusRollbackSucceeded}
		require.Error(t, converge(t.Context(), t, p, plain(bigger), plan.Options{}))
		_, live = planned(t.Context(), t, p, plain(), plan.Options{})
		require.Equal(t, *f.ops[1].StartedAt, live[Service("web")].Detail.(Live).DeployedAt, "a rollback deploys nothing new")
	})
}

// App Runner describes and may list a deleted service for about an hour.
func TestObserve_aDeletedServiceIsNotThere(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, p := running(t)
		f.s.Status = types.ServiceStatusDeleted
		arns, err := p.list(t.Context(), map[string]bool{"web": true})
		require.NoError(t, err)
		require.Empty(t, arns)
		o, err := p.describe(t.Context(), fakeARN, func(_, _ string) bool { return false })
		require.NoError(t, err)
		require.Nil(t, o)
		f.vanishes = true
		o, err = p.describe(t.Context(), fakeARN, func(_, _ string) bool { return false })
		require.NoError(t, err)
		require.Nil(t, o)
	})
}
