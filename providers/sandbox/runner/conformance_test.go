package runner

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/stretchr/testify/require"
)

// traits are where engines may differ, as they say in Describe.
type traits struct {
	limits   bool // a memory limit is enforced
	isolated bool // own port, file tree and process ids
}

// runConformance is what every engine must do.
func runConformance(t *testing.T, e Engine, has traits) {
	app := appImage(t)
	require.Greater(t, len(e.Describe()), 40)
	claims := map[string]func(*testing.T){
		"serves, with nothing of the host's environment": func(t *testing.T) {
			i := start(t, e, Spec{ID: "env", Image: app, Env: []string{
				"NAME=a = b", "GREETING=over", "EMPTY=", "LINES=one\ntwo", "QUOTED='x' \"y\"", "DOCKER_HOST=tcp://nowhere:1",
				"HTTP_PROXY=http://nowhere:1", "HOME=/somewhere", "UNICODE=é",
			}})
			require.Equal(t, "hello from a = b", i.get(t, "/"))
			var got []string
			require.NoError(t, json.Unmarshal([]byte(i.get(t, "/env")), &got))
			got = slices.DeleteFunc(got, func(kv string) bool {
				return strings.HasPrefix(kv, "PATH=") || strings.HasPrefix(kv, "HOSTNAME=") || strings.HasPrefix(kv, "PORT=")
			})
			require.ElementsMatch(t, []string{
				"NAME=a = b", "GREETING=over", "EMPTY=", "LINES=one\ntwo", "QUOTED='x' \"y\"", "DOCKER_HOST=tcp://nowhere:1",
				"HTTP_PROXY=http://nowhere:1", "HOME=/somewhere", "UNICODE=é", "IMAGE=yes",
			}, got)
		},
		"delivers both streams by the line and the code of a graceful end": func(t *testing.T) {
			i := start(t, e, Spec{ID: "term", Image: app})
			i.get(t, "/")
			require.NoError(t, i.Stop(t.Context(), 20*time.Second))
			require.Equal(t, Exit{Code: 7}, i.Exit())
			require.ElementsMatch(t, []string{"out: listening", "err: listening", "out: bye, without a newline"}, i.lines())
			require.NoError(t, i.Stop(t.Context(), time.Second), "stopping twice is fine")
			_, err := i.Dial(t.Context())
			require.Error(t, err)
			_, err = i.Stats()
			require.Error(t, err)
		},
		"kills what ignores SIGTERM when its grace is over": func(t *testing.T) {
			i := start(t, e, Spec{ID: "ignores-term", Image: app, Env: []string{"MODE=ignores-term"}})
			i.get(t, "/")
			begin := time.Now()
			require.NoError(t, i.Stop(t.Context(), 300*time.Millisecond))
			require.GreaterOrEqual(t, time.Since(begin), 300*time.Millisecond)
			require.Equal(t, Exit{Code: 137}, i.Exit())
		},
		"kills at once when the context of Stop ends": func(t *testing.T) {
			i := start(t, e, Spec{ID: "hurry", Image: app, Env: []string{"MODE=ignores-term"}})
			i.get(t, "/")
			ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
			defer cancel()
			require.ErrorIs(t, i.Stop(ctx, time.Hour), context.DeadlineExceeded)
			require.Equal(t, 137, i.Exit().Code)
		},
		"tells the code of an end by itself": func(t *testing.T) {
			i := start(t, e, Spec{ID: "exit", Image: app, Command: []string{"/app", "exit", "3"}})
			require.Equal(t, Exit{Code: 3}, i.wait(t))
		},
		"tells the code of a crash": func(t *testing.T) {
			i := start(t, e, Spec{ID: "crash", Image: app, Command: []string{"/app", "crash"}})
			x := i.wait(t)
			require.NoError(t, x.Err)
			require.False(t, x.OOM)
			require.NotZero(t, x.Code)
			require.NotEmpty(t, i.lines(), "Go's traceback")
		},
		"replaces the command": func(t *testing.T) {
			i := start(t, e, Spec{ID: "echo", Image: app, Command: []string{"/app", "echo", "a b", "$c", ""}})
			require.Equal(t, Exit{}, i.wait(t))
			require.Equal(t, []string{"a b|$c|"}, i.lines())
		},
		"cuts endless lines": func(t *testing.T) {
			i := start(t, e, Spec{ID: "long", Image: app, Command: []string{"/app", "long", fmt.Sprint(maxLine + 10)}})
			require.Equal(t, Exit{}, i.wait(t))
			got := i.lines()
			require.Len(t, got, 3)
			require.Len(t, got[0], maxLine)
			require.Equal(t, []string{strings.Repeat("x", 10), "end"}, got[1:])
		},
		"refuses connections while nothing listens": func(t *testing.T) {
			i := start(t, e, Spec{ID: "deaf", Image: app, Env: []string{"MODE=deaf"}})
			_, err := i.Dial(t.Context())
			require.Error(t, err)
		},
		"runs two instances with the same port side by side": func(t *testing.T) {
			a := start(t, e, Spec{ID: "left", Image: app, Env: []string{"NAME=left"}})
			b := start(t, e, Spec{ID: "right", Image: app, Env: []string{"NAME=right"}})
			require.Equal(t, "hello from left", a.get(t, "/"))
			require.Equal(t, "hello from right", b.get(t, "/"))
		},
		"measures": func(t *testing.T) {
			i := start(t, e, Spec{ID: "stats", Image: app, CPUUnits: 1024, MemoryMiB: 512})
			i.get(t, "/burn")
			i.get(t, "/alloc?mib=32")
			s, err := i.Stats()
			require.NoError(t, err)
			require.InDelta(t, 0.3, s.CPUSeconds, 0.25)
			require.Greater(t, s.MemoryBytes, int64(30<<20))
			require.Less(t, s.MemoryBytes, int64(200<<20))
		},
		"undoes a start whose context has ended": func(t *testing.T) {
			ctx, cancel := context.WithCancel(t.Context())
			cancel()
			_, err := e.Start(ctx, Spec{ID: "late", Image: app, Port: 8000})
			require.ErrorIs(t, err, context.Canceled)
		},
	}
	if has.limits {
		claims["is killed for its memory limit, and says so"] = func(t *testing.T) {
			i := start(t, e, Spec{ID: "oom", Image: app, MemoryMiB: 64})
			i.get(t, "/")
			c := i.client()
			if res, err := c.Get("http://app/alloc?mib=500"); err == nil {
				res.Body.Close()
			}
			x := i.wait(t)
			require.NoError(t, x.Err)
			require.Equal(t, 137, x.Code)
			require.True(t, x.OOM)
		}
	}
	if has.isolated {
		isolationClaims(claims, e, app)
	}
	for name, claim := range claims {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			claim(t)
		})
	}
}

// isolationClaims are what engines with a file tree of their own do besides.
func isolationClaims(claims map[string]func(*testing.T), e Engine, app v1.Image) {
	claims["fails inside when the program is for another processor"] = func(t *testing.T) {
		i := start(t, e, Spec{ID: "foreign", Image: foreignImage(t)})
		x := i.wait(t)
		require.NoError(t, x.Err)
		require.NotZero(t, x.Code)
		require.Contains(t, strings.Join(i.lines(), "\n"), "exec format error")
	}
	claims["fails inside when the program is missing"] = func(t *testing.T) {
		i := start(t, e, Spec{ID: "missing", Image: app, Command: []string{"no-such-program"}})
		require.Equal(t, Exit{Code: 127}, i.wait(t))
		require.Contains(t, strings.Join(i.lines(), "\n"), "no-such-program")
	}
	claims["shows each instance its own copy of the image's tree"] = func(t *testing.T) {
		img := treeImage(t)
		a := start(t, e, Spec{ID: "tree-a", Image: img})
		b := start(t, e, Spec{ID: "tree-b", Image: img})
		checkTree(t, a)
		require.Equal(t, "", a.get(t, "/write/data/new"))
		require.Contains(t, a.get(t, "/file/data/new"), "written")
		res, err := b.client().Get("http://app/file/data/new")
		require.Error(t, b.check(res, err))
	}
	claims["is process 1, in the image's folder, as the image's user"] = func(t *testing.T) {
		i := start(t, e, Spec{ID: "self", Image: userImage(t)})
		var self struct {
			PID, UID, GID int
			Dir, Status   string
		}
		require.NoError(t, json.Unmarshal([]byte(i.get(t, "/self")), &self))
		require.Equal(t, 1, self.PID)
		require.Equal(t, []int{1000, 1001}, []int{self.UID, self.GID})
		require.Equal(t, "/work/dir", self.Dir)
		require.Contains(t, self.Status, "CapEff:\t0000000000000000")
	}
	claims["cannot be reached at its loopback address"] = func(t *testing.T) {
		i := start(t, e, Spec{ID: "loopback", Image: app, Env: []string{"BIND=127.0.0.1"}})
		require.Eventually(t, func() bool { return len(i.lines()) == 2 }, 20*time.Second, 20*time.Millisecond)
		_, err := i.Dial(t.Context())
		require.Error(t, err)
	}
	claims["takes its children with it"] = func(t *testing.T) {
		i := start(t, e, Spec{ID: "fork", Image: app})
		i.get(t, "/fork")
		require.NoError(t, i.Stop(t.Context(), 20*time.Second))
	}
}

// instance is one under test.
type instance struct {
	Instance
	mu  sync.Mutex
	out []string
}

func start(t *testing.T, e Engine, s Spec) *instance {
	t.Helper()
	i := &instance{}
	s.Ref = s.ID
	if s.Port == 0 {
		s.Port = 8000
	}
	s.Env = append([]string{fmt.Sprint("PORT=", s.Port)}, s.Env...)
	s.Output = func(line string) {
		i.mu.Lock()
		defer i.mu.Unlock()
		i.out = append(i.out, line)
	}
	got, err := e.Start(t.Context(), s)
	require.NoError(t, err)
	i.Instance = got
	t.Cleanup(func() { _ = i.Stop(context.Background(), 0) })
	return i
}

func (i *instance) lines() []string {
	i.mu.Lock()
	defer i.mu.Unlock()
	return slices.Clone(i.out)
}

func (i *instance) wait(t *testing.T) Exit {
	t.Helper()
	select {
	case <-i.Done():
	case <-time.After(time.Minute):
		t.Fatalf("still running; its output: %q", i.lines())
	}
	return i.Exit()
}

func (i *instance) client() *http.Client {
	return &http.Client{
		Timeout: time.Minute,
		Transport: &http.Transport{
			DisableKeepAlives: true,
			DialContext:       func(ctx context.Context, _, _ string) (net.Conn, error) { return i.Dial(ctx) },
		},
	}
}

// get fetches a page, and waits for the app to come up.
func (i *instance) get(t *testing.T, path string) string {
	t.Helper()
	c := i.client()
	for end := time.Now().Add(time.Minute); ; {
		res, err := c.Get("http://app" + path)
		if err == nil {
			defer res.Body.Close()
			b, err := io.ReadAll(res.Body)
			require.NoError(t, err)
			require.Equal(t, http.StatusOK, res.StatusCode, string(b))
			return string(b)
		}
		select {
		case <-i.Done():
			t.Fatalf("ended: %+v; its output: %q", i.Exit(), i.lines())
		case <-time.After(10 * time.Millisecond):
		}
		if time.Now().After(end) {
			t.Fatalf("no answer: %v; its output: %q", err, i.lines())
		}
	}
}

// check turns a bad status into an error.
func (i *instance) check(res *http.Response, err error) error {
	if err != nil {
		return err
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		return fmt.Errorf("status %d", res.StatusCode)
	}
	return nil
}

// otherArch is a processor that this machine's is not.
func otherArch() string {
	if runtime.GOARCH == "arm64" {
		return "amd64"
	}
	return "arm64"
}
