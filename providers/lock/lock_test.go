package lock

import (
	"context"
	"errors"
	"net/http/httptest"
	"os"
	"strconv"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	sdk "github.com/aws/aws-sdk-go-v2/service/ssm"
	"github.com/aws/aws-sdk-go-v2/service/ssm/types"
	"github.com/aws/smithy-go"
	"github.com/stretchr/testify/require"

	"github.com/apron-deploy/apron/providers/sandbox/ssm"
	"github.com/apron-deploy/apron/providers/sandbox/store"
	"github.com/apron-deploy/apron/providers/sandbox/wire"
)

// parameters is a client of the sandbox's Parameter Store, over HTTP.
func parameters(t *testing.T) *sdk.Client {
	t.Helper()
	disk, err := store.Open(t.TempDir())
	require.NoError(t, err)
	service, err := ssm.New(ssm.Options{Store: disk, Account: "123456789012", Region: "us-east-1"})
	require.NoError(t, err)
	mux := wire.NewMux(wire.MuxOptions{
		Verifier: &wire.Verifier{Secret: func(string) (string, bool) { return "secret", true }, Region: "us-east-1", Now: time.Now},
	})
	mux.Add(service.API())
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	return sdk.New(sdk.Options{Region: "us-east-1", BaseEndpoint: &server.URL, HTTPClient: server.Client(),
		Credentials: credentials.NewStaticCredentialsProvider("AKIDEXAMPLE", "secret", "")})
}

var noon = time.Date(2026, 7, 1, 12, 0, 0, 0, time.UTC)

// run is a run on a machine of its own, at a time.
func run(client api, who string, at time.Time, change ...func(*Holder)) *Locker {
	h := Holder{Verb: "apply", Owner: "arn:aws:iam::123456789012:user/" + who, Host: who + "-laptop", PID: 7}
	for _, c := range change {
		c(&h)
	}
	return New(client, h, 40*time.Minute, Options{Now: func() time.Time { return at }, Gone: func(h Holder) bool { return h.PID == 666 }})
}

// all names what there is below a service's lock, and the lock.
func all(t *testing.T, client *sdk.Client) []string {
	t.Helper()
	out, err := client.DescribeParameters(t.Context(), &sdk.DescribeParametersInput{})
	require.NoError(t, err)
	names := []string{}
	for _, p := range out.Parameters {
		names = append(names, *p.Name)
	}
	return names
}

func TestAcquire_oneHolderUntilItGivesTheLockBack(t *testing.T) {
	client := parameters(t)
	alice, bob := run(client, "alice", noon), run(client, "bob", noon.Add(time.Minute))
	require.NoError(t, alice.Acquire(t.Context(), "web"))
	require.NoError(t, bob.Acquire(t.Context(), "api"), "another service is another lock")
	err := bob.Acquire(t.Context(), "web")
	var held *HeldError
	require.ErrorAs(t, err, &held)
	require.EqualError(t, err, `service "web" is locked by arn:aws:iam::123456789012:user/alice (apply, process 7 on alice-laptop) `+
		`since 2026-07-01T12:00:00Z; the lock expires at 2026-07-01T12:40:00Z; nothing of it was changed`)
	require.Contains(t, held.Hint(), "apron unlock")

	require.NoError(t, bob.Release(t.Context(), "web"), "what is not ours stays")
	require.Error(t, bob.Acquire(t.Context(), "web"))
	require.NoError(t, alice.Release(t.Context(), "web"))
	require.NoError(t, bob.Acquire(t.Context(), "web"))
	require.NoError(t, alice.Release(t.Context(), "web"), "it was ours once")
	require.NoError(t, bob.Release(t.Context(), "web"))
	require.Equal(t, []string{Name("api")}, all(t, client))
}

func TestFree(t *testing.T) {
	ci := func(job string) func(*Holder) {
		return func(h *Holder) { h.Run = "https://ci.example.com/runs/7 " + job }
	}
	on := func(pid int, machine string) func(*Holder) {
		return func(h *Holder) { h.Host, h.Machine, h.PID, h.Owner = "builder", machine, pid, "arn:role" }
	}
	for name, tc := range map[string]struct {
		holder, me []func(*Holder)
		after      time.Duration
		want       bool
	}{
		"somebody else's":                                  {after: 39 * time.Minute},
		"expired":                                          {after: 40 * time.Minute, want: true},
		"the same job of the same run":                     {holder: []func(*Holder){ci("deploy")}, me: []func(*Holder){ci("deploy")}, want: true},
		"another job of the same run":                      {holder: []func(*Holder){ci("deploy")}, me: []func(*Holder){ci("other")}},
		"a process of this machine that has ended":         {holder: []func(*Holder){on(666, "m")}, me: []func(*Holder){on(8, "m")}, want: true},
		"a process of this machine that runs":              {holder: []func(*Holder){on(7, "m")}, me: []func(*Holder){on(8, "m")}},
		"a process of this machine and job that runs":      {holder: []func(*Holder){on(7, "m"), ci("deploy")}, me: []func(*Holder){on(8, "m"), ci("deploy")}},
		"a process of another machine of this name, ended": {holder: []func(*Holder){on(666, "m")}, me: []func(*Holder){on(8, "other")}},
	} {
		t.Run(name, func(t *testing.T) {
			h := run(nil, "alice", noon, tc.holder...).me
			h.Expires = noon.Add(40 * time.Minute)
			require.Equal(t, tc.want, run(nil, "bob", noon.Add(tc.after), tc.me...).Free(h))
		})
	}
}

// Of two runs that want a lock at the same moment exactly one has it, whether the lock is
// new, expired or that of a run that died; and once it is given back nothing is left.
func TestAcquire_ofTwoAtOnceOneWins(t *testing.T) {
	client := parameters(t)
	const rounds = 200
	wins := map[string]int{}
	for round := range rounds {
		service := "web" + strconv.Itoa(round%3)
		contenders := []*Locker{run(client, "alice", noon), run(client, "bob", noon)}
		if round%4 > 0 { // what an earlier run has left
			before := run(client, "carol", noon.Add(-time.Hour))
			require.NoError(t, before.Acquire(t.Context(), service))
			if round%4 > 1 { // and one that died while it took that over
				_, won, err := run(client, "dave", noon.Add(-10*time.Minute)).claim(t.Context(), *must(before.Look(t.Context(), service)))
				require.NoError(t, err)
				require.True(t, won)
			}
			if round%4 == 3 { // with its owner back at this moment
				contenders = append(contenders, nil)
				contenders[2] = before
			}
		}
		errs := make([]error, len(contenders))
		var wg sync.WaitGroup
		begin := make(chan struct{})
		for i, c := range contenders {
			wg.Go(func() {
				<-begin
				if i == 2 {
					c.now = func() time.Time { return noon }
					errs[i] = c.Release(t.Context(), service)
					return
				}
				errs[i] = c.Acquire(t.Context(), service)
			})
		}
		close(begin)
		wg.Wait()
		winner := 0
		if errs[0] != nil {
			winner = 1
		}
		require.NoError(t, errs[winner], "round %d", round)
		if len(errs) == 3 {
			require.NoError(t, errs[2], "round %d", round)
		}
		var held *HeldError
		require.ErrorAs(t, errs[1-winner], &held, "round %d", round)
		wins[contenders[winner].me.Host]++
		found, err := contenders[0].Look(t.Context(), service)
		require.NoError(t, err)
		require.NotNil(t, found, "round %d", round)
		require.Equal(t, contenders[winner].me.ID, found.Holder.ID, "round %d: who won holds it", round)
		require.NoError(t, contenders[winner].Release(t.Context(), service))
		require.Empty(t, all(t, client), "round %d", round)
	}
	require.Equal(t, rounds, wins["alice-laptop"]+wins["bob-laptop"])
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

func TestAcquire_answersThatAreLost(t *testing.T) {
	client := &lossy{api: parameters(t)}
	alice := run(client, "alice", noon)
	client.lose = 1
	require.NoError(t, alice.Acquire(t.Context(), "web"), "the second attempt finds what the first has put")
	later := run(client, "bob", noon.Add(time.Hour))
	client.lose = 2 // the claim: the first put is refused
	require.NoError(t, later.Acquire(t.Context(), "web"))
	require.NoError(t, later.Release(t.Context(), "web"))
	require.Empty(t, all(t, client.api.(*sdk.Client)))
}

// lossy loses the answer to the lose-th put from now on, as a retry finds out.
type lossy struct {
	api
	lose int
}

func (l *lossy) PutParameter(ctx context.Context, in *sdk.PutParameterInput, o ...func(*sdk.Options)) (*sdk.PutParameterOutput, error) {
	out, err := l.api.PutParameter(ctx, in, o...)
	if l.lose--; l.lose == 0 {
		return l.api.PutParameter(ctx, in, o...)
	}
	return out, err
}

func TestLook_whatIsNoLock(t *testing.T) {
	client := parameters(t)
	for name, tc := range map[string]struct {
		kind types.ParameterType
		text string
	}{
		"a secret of a service called lock": {types.ParameterTypeSecureString, "sesame"},
		"text":                              {types.ParameterTypeString, "sesame"},
		"JSON of somebody else":             {types.ParameterTypeString, `{"a": "sesame"}`},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := client.PutParameter(t.Context(), &sdk.PutParameterInput{Name: aws.String(Name("KEY")), Type: tc.kind, Value: &tc.text})
			require.NoError(t, err)
			err = run(client, "alice", noon).Acquire(t.Context(), "KEY")
			var foreign *ForeignError
			require.ErrorAs(t, err, &foreign)
			require.NotContains(t, err.Error(), "sesame")
			_, err = client.DeleteParameter(t.Context(), &sdk.DeleteParameterInput{Name: aws.String(Name("KEY"))})
			require.NoError(t, err)
		})
	}
}

// held is a Parameter Store in which somebody holds every lock until a time.
type held struct {
	until time.Time
	value string
	mine  bool
}

func (h *held) PutParameter(context.Context, *sdk.PutParameterInput, ...func(*sdk.Options)) (*sdk.PutParameterOutput, error) {
	if time.Now().Before(h.until) {
		return nil, &smithy.GenericAPIError{Code: "ParameterAlreadyExists"}
	}
	h.mine = true
	return &sdk.PutParameterOutput{Version: 1}, nil
}

func (h *held) GetParameters(context.Context, *sdk.GetParametersInput, ...func(*sdk.Options)) (*sdk.GetParametersOutput, error) {
	return &sdk.GetParametersOutput{Parameters: []types.Parameter{{Type: types.ParameterTypeString, Value: &h.value, Version: 1}}}, nil
}

func (h *held) DeleteParameters(context.Context, *sdk.DeleteParametersInput, ...func(*sdk.Options)) (*sdk.DeleteParametersOutput, error) {
	return nil, errors.New("nothing was to be deleted")
}

func TestAcquireAll_waits(t *testing.T) {
	for name, tc := range map[string]struct{ patience, until, took time.Duration }{
		"until the lock is given back": {5 * time.Minute, 2 * time.Minute, 2*time.Minute + 5*time.Second},
		"no longer than it was told":   {5 * time.Minute, time.Hour, 5 * time.Minute},
		"not at all":                   {0, time.Hour, 0},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				began := time.Now()
				client := &held{until: began.Add(tc.until), value: `{"id":"x","owner":"somebody","expires":"2100-01-01T00:00:00Z"}`}
				told := 0
				waited, err := New(client, Holder{}, time.Hour, Options{}).AcquireAll(t.Context(), []string{"web"}, tc.patience, func(*HeldError) { told++ })
				require.Equal(t, tc.patience > 0, waited)
				var late *TimeoutError
				var held *HeldError
				switch {
				case tc.patience > tc.until:
					require.NoError(t, err)
					require.True(t, client.mine)
				case tc.patience > 0:
					require.ErrorAs(t, err, &late)
					require.ErrorContains(t, err, `waited 5m0s for a lock: service "web" is locked by somebody`)
					require.True(t, late.DeadlineExceeded())
				default:
					require.ErrorAs(t, err, &held)
				}
				require.InDelta(t, tc.took, time.Since(began), float64(5*time.Second))
				require.Equal(t, tc.patience > 0, told == 1)
			})
		})
	}
}

func TestAcquireAll_allOrNone(t *testing.T) {
	client := parameters(t)
	require.NoError(t, run(client, "alice", noon).Acquire(t.Context(), "web"))
	_, err := run(client, "bob", noon).AcquireAll(t.Context(), []string{"web", "api"}, 0, nil)
	require.ErrorContains(t, err, "alice")
	require.Equal(t, []string{Name("web")}, all(t, client))
}

func TestGone(t *testing.T) {
	h := Here("apply", "arn", "", "")
	require.NotEmpty(t, h.Host)
	require.True(t, gone(h), "a run of this process before this one")
	h.PID, h.Started = os.Getppid(), ""
	require.False(t, gone(h), "the one that started this one runs")
	h.PID, h.Started = os.Getppid(), "12"
	if now := started(h.PID); now != "" {
		require.Equal(t, now != "12", gone(h), "a process that had the same id before")
	}
	h.PID = 1 << 30
	require.True(t, gone(h))
}
