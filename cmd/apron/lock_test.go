package main

import (
	"bufio"
	"bytes"
	"fmt"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	ssmsdk "github.com/aws/aws-sdk-go-v2/service/ssm"
	"github.com/stretchr/testify/require"

	"github.com/apron-deploy/apron/providers/lock"
	"github.com/apron-deploy/apron/providers/sandbox"
)

// process is a run of the binary against a world.
type process struct {
	*exec.Cmd
	mu  sync.Mutex
	all bytes.Buffer
	end chan int // gets the exit code
}

func (p *process) Write(b []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.all.Write(b)
}

// out is what the run has printed.
func (p *process) out() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.all.String()
}

// start starts a run of the binary; told, if not nil, hears each line of its stderr.
func (w *world) start(c *checkout, told func(line string), args ...string) *process {
	w.t.Helper()
	p := &process{Cmd: c.command(args...), end: make(chan int, 1)}
	p.Env = append(slices.Clone(p.Env), sandbox.Env(w.Info())...)
	p.Env = append(p.Env, "APRON_BUILDER=builtin")
	p.Stdout = p
	pipe, err := p.StderrPipe()
	require.NoError(w.t, err)
	require.NoError(w.t, p.Start())
	go func() {
		for lines := bufio.NewScanner(pipe); lines.Scan(); {
			fmt.Fprintln(p, lines.Text())
			if told != nil {
				told(lines.Text())
			}
		}
		_ = p.Wait()
		p.end <- p.ProcessState.ExitCode()
	}()
	return p
}

// TestLock_ofTwoAppliesAtOnceOneWins has two runs of the binary ask for the lock at the
// same moment, once they have both planned.
func TestLock_ofTwoAppliesAtOnceOneWins(t *testing.T) {
	t.Parallel()
	c := newCheckout(t, small, built.tiny)
	w := newWorld(t, c, filepath.Join(t.TempDir(), "state"), 0)
	code, out := w.run(t.Context(), "apply", "--yes")
	require.Equal(t, exitOK, code, out)
	before := w.inventory()

	next := func(round int) {
		t.Helper()
		c.replace("deploy.yaml", fmt.Sprintf("version: v%d,", round), fmt.Sprintf("version: v%d,", round+1)) // a tag, and nothing else
	}
	settled := func(round int) {
		t.Helper()
		w.held(nil)
		code, out := w.run(t.Context(), "plan", "--detailed-exitcode")
		require.Equal(t, exitOK, code, out)
		before = append(before, fmt.Sprintf("image v%d", round+1))
		slices.Sort(before)
		require.Equal(t, before, w.inventory(), "and no lock is left")
	}
	const rounds = 5
	for round := 1; round <= rounds; round++ {
		next(round)
		var both sync.WaitGroup
		both.Add(2)
		first := make(chan struct{}, 2)
		refused := make(chan struct{})
		w.held(func(call string) {
			switch call {
			case "ssm PutParameter":
				select {
				case first <- struct{}{}:
					both.Done()
					both.Wait()
				default:
				}
			case "ecr PutImage": // of the one that holds the lock
				<-refused
			}
		})
		runs := []*process{w.start(c, nil, "apply", "--yes"), w.start(c, nil, "apply", "--yes")}
		var loser *process
		select {
		case code = <-runs[0].end:
			loser, runs = runs[0], runs[1:]
		case code = <-runs[1].end:
			loser = runs[1]
		}
		close(refused)
		require.Equal(t, exitError, code, loser.out())
		require.Regexp(t, fmt.Sprintf(`service "shop" is locked by arn:aws:\S+ \(apply, process %d on \S+\) since \S+; the lock expires at \S+; nothing of it was changed`,
			runs[0].Process.Pid), loser.out())
		require.Contains(t, loser.out(), "apron unlock --force")
		require.Equal(t, exitOK, <-runs[0].end, runs[0].out())
		settled(round)
	}

	t.Run("a run that was killed", func(t *testing.T) {
		next(rounds + 1)
		stuck, never := make(chan struct{}), make(chan struct{})
		defer close(never)
		once := sync.OnceFunc(func() { close(stuck) })
		w.held(func(call string) {
			if call == "ecr PutImage" {
				once()
				<-never
			}
		})
		p := w.start(c, nil, "apply", "--yes")
		<-stuck
		require.NoError(t, p.Process.Kill())
		<-p.end
		w.held(nil)
		require.Contains(t, w.inventory(), "parameter version 1 /apron/lock/shop")
		p = w.start(c, nil, "apply", "--yes")
		require.Equal(t, exitOK, <-p.end, p.out())
		settled(rounds + 1)
	})

	t.Run("a run that waits", func(t *testing.T) {
		next(rounds + 2)
		holds, waits := make(chan struct{}), make(chan struct{})
		once := sync.OnceFunc(func() { close(holds) })
		w.held(func(call string) {
			if call == "ecr PutImage" {
				once()
				<-waits
			}
		})
		p := w.start(c, nil, "apply", "--yes")
		<-holds
		late := w.start(c, nil, "apply", "--yes", "--lock-timeout", "1ms")
		require.Equal(t, exitTimeout, <-late.end, late.out())
		refused := w.start(c, nil, "unlock")
		require.Equal(t, exitError, <-refused.end, refused.out())
		require.Contains(t, refused.out(), fmt.Sprintf("process %d", p.Process.Pid))
		release := sync.OnceFunc(func() { close(waits) })
		patient := w.start(c, func(line string) {
			if strings.Contains(line, "waiting for that run, for up to 5m0s") {
				release()
			}
		}, "apply", "--yes", "--lock-timeout", "5m")
		require.Equal(t, exitOK, <-patient.end, patient.out())
		require.Contains(t, patient.out(), "What is live has changed meanwhile.")
		require.Contains(t, patient.out(), "No changes.")
		require.Equal(t, exitOK, <-p.end, p.out())
		settled(rounds + 2)
	})

	t.Run("a run that ends between the plan and the lock of another", func(t *testing.T) {
		next(rounds + 3)
		planned, goes := make(chan struct{}), make(chan struct{})
		first := make(chan struct{}, 1)
		w.held(func(call string) {
			if call != "ssm PutParameter" {
				return
			}
			select {
			case first <- struct{}{}:
				close(planned)
				<-goes
			default:
			}
		})
		late := w.start(c, nil, "apply", "--yes")
		<-planned
		quick := w.start(c, nil, "apply", "--yes")
		require.Equal(t, exitOK, <-quick.end, quick.out())
		close(goes)
		require.Equal(t, exitOK, <-late.end, late.out())
		require.Contains(t, late.out(), "No changes.", "it has planned again")
		settled(rounds + 3)
	})
}

func TestLock_commands(t *testing.T) {
	t.Parallel()
	c := newCheckout(t, small, built.tiny)
	w := newWorld(t, c, filepath.Join(t.TempDir(), "state"), 0)
	code, out := w.run(t.Context(), "unlock")
	require.Equal(t, exitOK, code)
	require.Equal(t, "shop is not locked.\n", out)

	// An apply whose lock cannot be had does without one where it is told to.
	none := func(call string) bool { return call == "ssm PutParameter" || call == "ssm DeleteParameters" }
	code, out = w.run(t.Context(), "apply", "--yes", "--no-lock")
	require.Equal(t, exitOK, code, out)
	require.Len(t, slices.DeleteFunc(slices.Clone(w.calls), func(call string) bool { return !none(call) }), 1, "the secret, and no lock")

	// What an interrupted run had is given back; what a killed one had is taken away.
	c.replace("deploy.yaml", "max: 2", "max: 3")
	n := 0
	w.held(func(call string) {
		if call == "ssm PutParameter" {
			n = len(w.calls) + 1
		}
	})
	code, out = w.run(t.Context(), "pause", "--yes")
	require.Equal(t, exitOK, code, out)
	require.Positive(t, n)
	w.held(nil)
	code, out = w.run(t.Context(), "resume", "--yes")
	require.Equal(t, exitOK, code, out)
	require.True(t, w.die(n, sandbox.After, "pause", "--yes"))
	require.Contains(t, w.inventory(), "parameter version 1 /apron/lock/shop")
	code, out = w.run(t.Context(), "unlock", "--json")
	require.Equal(t, exitOK, code, out)
	require.Contains(t, out, `"removed": true`)
	require.NotContains(t, strings.Join(w.inventory(), "\n"), "/apron/lock/")
}

// TestUnlock_forceTakesTheLockOfTheNamedServiceAlone has two services that somebody else
// holds the locks of.
func TestUnlock_forceTakesTheLockOfTheNamedServiceAlone(t *testing.T) {
	t.Parallel()
	c := newCheckout(t, small+"---\n"+strings.Replace(small, "service: shop", "service: front", 1), built.tiny)
	w := newWorld(t, c, filepath.Join(t.TempDir(), "state"), 0)
	info := w.Info()
	client := ssmsdk.New(ssmsdk.Options{Region: info.Region, BaseEndpoint: aws.String(info.Endpoint()),
		Credentials: credentials.NewStaticCredentialsProvider(info.AccessKey, info.SecretKey, "")})
	for _, service := range []string{"shop", "front"} {
		other := lock.New(client, lock.Holder{Verb: "apply", Owner: "arn:aws:iam::123456789012:user/ana", Host: "elsewhere", PID: 7}, time.Hour, lock.Options{})
		require.NoError(t, other.Acquire(t.Context(), service))
	}
	const shop, front = "parameter version 1 /apron/lock/shop", "parameter version 1 /apron/lock/front"
	run := func(want int, args ...string) string {
		t.Helper()
		code, out := w.run(t.Context(), append([]string{"unlock"}, args...)...)
		require.Equal(t, want, code, out)
		return out
	}
	out := run(exitError)
	require.Contains(t, out, `service "shop" is locked by arn:aws:iam::123456789012:user/ana`)
	require.Contains(t, out, `service "front" is locked by arn:aws:iam::123456789012:user/ana`)
	require.Subset(t, w.inventory(), []string{shop, front}, "nobody said --force")

	require.Regexp(t, `^front is unlocked\. The lock was of .*user/ana.*\n$`, run(exitOK, "--force", "--only", "front"))
	require.Contains(t, w.inventory(), shop)
	require.NotContains(t, w.inventory(), front)
	require.Equal(t, "front is not locked.\n", run(exitOK, "--force", "--only", "front"))
	require.Contains(t, run(exitUsage, "--force", "--only", "web"), "--only web: the manifests have shop, front")

	require.Contains(t, run(exitOK, "--force"), "shop is unlocked. The lock was of ")
	require.NotContains(t, w.inventory(), shop)
}
