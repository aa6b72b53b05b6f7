package apprunner

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/apprunner/types"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/apron-deploy/apron/reconcile/plan"
)

// However long an operation takes, its end is told within two seconds and a tenth of that.
func TestVerdict_comesAsSoonAsThereIsOne(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		takes := time.Duration(rapid.Int64Range(int64(time.Second), int64(30*time.Minute)).Draw(rt, "takes"))
		end := rapid.SampledFrom([]types.OperationStatus{types.OperationStatusSucceeded, types.OperationStatusFailed, types.OperationStatusRollbackSucceeded}).Draw(rt, "end")
		synctest.Test(t, func(t *testing.T) {
			f, p := running(t)
			f.takes, f.ends = takes, []types.OperationStatus{end}
			start := time.Now()
			op := f.begin(types.OperationTypeUpdateService, *f.s)
			summary, err := p.wait(t.Context(), fakeARN, *op, nil)
			require.NoError(t, err)
			require.Equal(t, end, summary.Status)
			took := takes
			if end == types.OperationStatusRollbackSucceeded {
				took += 90 * time.Second
			}
			late := time.Since(start) - took
			require.LessOrEqual(t, late, took/10+2*time.Second, "took %s", took)
		})
	})
}

// App Runner may be out of reach for a while; the operation ends all the same, and how is
// what people wait for.
func TestWait_outlastsAnInterruption(t *testing.T) {
	for name, err := range map[string]error{"of the network": errors.New("no route to host"), "by a rate": refused("ThrottlingException", "Rate exceeded"),
		"of AWS's": refused("InternalServiceErrorException", "an internal error")} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f, p := running(t)
				f.ends = []types.OperationStatus{types.OperationStatusRollbackSucceeded}
				op := f.begin(types.OperationTypeUpdateService, *f.s)
				set := func(err error) func() {
					return func() {
						f.mu.Lock()
						defer f.mu.Unlock()
						f.refuse["ListOperations"] = err
					}
				}
				time.AfterFunc(20*time.Second, set(err))
				time.AfterFunc(2*time.Minute, set(nil))
				summary, err := p.wait(t.Context(), fakeARN, *op, nil)
				require.NoError(t, err)
				require.Equal(t, types.OperationStatusRollbackSucceeded, summary.Status)

				op = f.begin(types.OperationTypeUpdateService, *f.s)
				set(errors.New("no route to host"))()
				start := time.Now()
				_, err = p.wait(t.Context(), fakeARN, *op, nil)
				require.ErrorContains(t, err, "no route to host")
				require.Less(t, time.Since(start), 5*time.Minute, "but not for ever")
			})
		})
	}
}

// What is described may be older than the end of the operation: that is no difference.
func TestReadBack_isNotMisledByAnOldDescription(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, p := running(t)
		f.slips = func(s *types.Service) {
			old := s.InstanceConfiguration
			s.InstanceConfiguration = &types.InstanceConfiguration{Cpu: aws.String("256"), Memory: aws.String("512")}
			time.AfterFunc(2*time.Second, func() {
				f.mu.Lock()
				defer f.mu.Unlock()
				f.s.InstanceConfiguration = old
			})
		}
		require.NoError(t, converge(t.Context(), t, p, plain(bigger), plan.Options{}))
	})
}
