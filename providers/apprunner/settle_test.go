package apprunner

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/apprunner/types"
	"github.com/stretchr/testify/require"

	"github.com/apron-deploy/apron/providers/awsapi"
	"github.com/apron-deploy/apron/reconcile/apply"
	"github.com/apron-deploy/apron/reconcile/plan"
	"github.com/apron-deploy/apron/reconcile/state"
)

func TestLostAnswer_ofACreateIsNotMadeTwice(t *testing.T) {
	for name, deaf := range map[string]bool{"with the client trying again": false, "without": true} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := newFake()
				f.lose["CreateService"], f.deaf = 1, deaf
				p := provider(f, Options{})
				start := time.Now()
				require.NoError(t, converge(t.Context(), t, p, plain(), plan.Options{}))
				require.GreaterOrEqual(t, time.Since(start), f.takes, "its operation is followed all the same")
				require.Len(t, f.ops, 1)
				settled(t, p, plain())
			})
		})
	}
}

func TestCreate_doesNotTakeOverAServiceOfTheSameName(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, p := running(t)
		f.tags = nil // made by hand since the plan
		want := plain()
		_, err := p.Execute(t.Context(), plan.Action{Op: plan.Create, Target: want.Address, Want: want}, apply.Env{Lookup: known()})
		require.EqualError(t, err, `service "web": create: api error InvalidRequestException: Service with the provided name already exists: web.`)
	})
}

func TestLostAnswer_ofAnUpdateIsNotRolledOutTwice(t *testing.T) {
	for name, deaf := range map[string]bool{"with the client trying again": false, "without": true} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f, p := running(t)
				f.lose["UpdateService"], f.deaf = 1, deaf
				require.NoError(t, converge(t.Context(), t, p, plain(bigger), plan.Options{}))
				require.Len(t, f.ops, 2, "the creation and one update")
				settled(t, p, plain(bigger))
			})
		})
	}
	t.Run("and a rollback of it is still seen", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			f, p := running(t)
			f.lose["UpdateService"] = 1
			f.ends = []types.OperationStatus{types.OperationStatusRollbackSucceeded}
			var failed *OperationError
			require.ErrorAs(t, converge(t.Context(), t, p, plain(bigger), plan.Options{}), &failed)
			require.Len(t, f.ops, 2)
		})
	})
}

// Somebody else's update is no answer to this one.
func TestUpdate_followsOnlyAnUpdateToWhatIsWanted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, p := running(t)
		pl, _ := planned(t.Context(), t, p, plain(bigger), plan.Options{})
		other := plain(func(s *state.Spec) { s.Port = ptr(9000) })
		d, err := define(other, nil, scope)
		require.NoError(t, err)
		_, err = p.Execute(t.Context(), pl.Actions[0], apply.Env{Lookup: known(), Progress: func(apply.Progress) {
			if len(f.calls) == 0 {
				_, err := f.UpdateService(t.Context(), d.update(fakeARN))
				require.NoError(t, err)
			}
		}})
		require.NoError(t, err)
		require.Len(t, f.ops, 3)
		settled(t, p, plain(bigger))
	})
}

func TestReadBack_thatDiffersIsAMismatch(t *testing.T) {
	for name, tc := range map[string]struct {
		slips func(s *types.Service)
		paths []string
	}{
		"a value": {func(s *types.Service) { s.InstanceConfiguration.Memory = aws.String("512") }, []string{"memory"}},
		"a variable that should be gone": {func(s *types.Service) {
			s.SourceConfiguration.ImageRepository.ImageConfiguration.RuntimeEnvironmentVariables["OLD"] = "x"
		}, []string{"env.OLD"}},
		"two, one of them secret": {func(s *types.Service) {
			s.InstanceConfiguration.Cpu = aws.String("4096")
			s.SourceConfiguration.ImageRepository.ImageConfiguration.RuntimeEnvironmentVariables["TOKEN"] = "another-secret"
		}, []string{"cpu", "env.TOKEN"}},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f, p := running(t)
				f.slips = tc.slips
				err := converge(t.Context(), t, p, plain(bigger), plan.Options{})
				var differs *MismatchError
				require.ErrorAs(t, err, &differs)
				require.Equal(t, tc.paths, differs.Paths)
				require.True(t, differs.DeploymentFailed())
				require.NotContains(t, err.Error(), topSecret)
				require.NotContains(t, err.Error(), "another-secret")
			})
		})
	}
}

// AWS quotes what it refuses, and applications print what they read.
func TestErrors_neverHoldTheValueOfASecret(t *testing.T) {
	quoting := refused("InvalidRequestException", "1 validation error detected: Value '%s' at 'runtimeEnvironmentVariables.TOKEN' failed to satisfy constraint", topSecret)
	for name, before := range map[string]func(f *fake){
		"refused by a create":  func(f *fake) { f.s, f.refuse["CreateService"] = nil, quoting },
		"refused by an update": func(f *fake) { f.refuse["UpdateService"] = quoting },
		"printed before a failure": func(f *fake) {
			f.ends = []types.OperationStatus{types.OperationStatusRollbackSucceeded}
			f.says["application"] = []string{"token is " + topSecret}
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f, p := running(t)
				before(f)
				err := converge(t.Context(), t, p, plain(bigger), plan.Options{})
				require.Error(t, err)
				require.NotContains(t, err.Error(), topSecret)
				require.Contains(t, err.Error(), "(sensitive)")
				if strings.Contains(name, "refused") {
					require.True(t, awsapi.Is(err, "InvalidRequestException"), "its kind is still known")
				}
			})
		})
	}
}
