package main

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
	"github.com/stretchr/testify/require"
)

// TestScripts runs the stories of testdata/script through the built binary, against
// sandboxes that run real containers. Their language is that of
// [github.com/rogpeppe/go-internal/testscript] with these commands besides:
//
//	apron [-N] ARG...        run apron, which must exit with N (0)
//	http [-N] SERVICE PATH [TEXT]
//	                         get a page of a service; the status must be N (200) and the
//	                         body contain TEXT
//	up SERVICE PATH          wait until a page of a service answers with 200
//	edit FILE OLD NEW        replace the only OLD of a file
//	shown [-stderr] FILE     put the last stdout, or stderr, into a file, without what
//	                         differs from one run to the next
//	traffic SERVICE PATH     keep getting a page, until
//	calm                     which fails if any request did
//	given KIND NAME VAR      make what apron does not: zone, acl, secret NAME VALUE, or
//	                         service NAME REPOSITORY
//	byhand SERVICE CPU MEMORY
//	                         change the size of a service by AWS's API
//	index DIR ARCHIVE        write an OCI layout with an index of two platforms
//	older DAYS               stop the sandbox, and make its images older
func TestScripts(t *testing.T) {
	runScripts(t, "testdata/script", map[string]string{"APRON_SANDBOX_ENGINE": storyEngine()})
}

func runScripts(t *testing.T, dir string, vars map[string]string) {
	testscript.Run(t, testscript.Params{
		Dir:                 dir,
		UpdateScripts:       *update,
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
		Setup: func(env *testscript.Env) error {
			if err := fill(env, vars); err != nil {
				return err
			}
			env.Defer(func() { stopSandboxes(t, env) })
			return nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"apron": scriptApron, "http": scriptHTTP, "edit": scriptEdit, "shown": scriptShown,
			"traffic": scriptTraffic, "up": scriptUp, "calm": scriptCalm, "given": scriptGiven,
			"byhand": scriptByHand, "index": scriptIndex, "older": scriptOlder,
		},
	})
}

// canary is a part of every secret value in the scripts: no command may print it.
const canary = "canary"

// fill makes a script's environment: nothing of the caller's but what Go needs.
func fill(env *testscript.Env, vars map[string]string) error {
	home := filepath.Join(env.WorkDir, ".home")
	if err := os.MkdirAll(home, 0o700); err != nil {
		return err
	}
	env.Vars = keep(env.Vars)
	env.Setenv("HOME", home)
	env.Setenv("PATH", filepath.Dir(built.apron)+string(filepath.ListSeparator)+os.Getenv("PATH"))
	env.Setenv("APRON_BUILDER", "builtin")
	env.Setenv("APRON_SANDBOX_SPEED", "50")
	env.Setenv("APP", built.app)
	for k, v := range vars {
		env.Setenv(k, v)
	}
	for _, name := range []string{"GOCACHE", "GOMODCACHE", "GOFLAGS", "GOPROXY"} {
		v, err := goEnv(name)
		if err != nil {
			return err
		}
		env.Setenv(name, v)
	}
	root, err := filepath.Abs("../..")
	env.Setenv("REPO", root)
	return err
}

// keep leaves of the variables only those that testscript itself needs, and those that
// say where container engines are.
func keep(all []string) []string {
	var out []string
	for _, kv := range append(all, os.Environ()...) {
		k, _, _ := strings.Cut(kv, "=")
		switch {
		case k == "WORK", k == "TMPDIR", k == "devnull", k == "/", k == ":", k == "$", k == "exe", strings.HasPrefix(k, "CONTAINER"), k == "DOCKER_HOST":
			out = append(out, kv)
		}
	}
	return out
}

var goEnv = func() func(string) (string, error) {
	var mu sync.Mutex
	seen := map[string]string{}
	return func(name string) (string, error) {
		mu.Lock()
		defer mu.Unlock()
		if v, ok := seen[name]; ok {
			return v, nil
		}
		out, err := exec.Command("go", "env", name).Output()
		seen[name] = strings.TrimSpace(string(out))
		return seen[name], err
	}
}()

// stopSandboxes ends every sandbox that a script started.
func stopSandboxes(t *testing.T, env *testscript.Env) {
	dirs, err := filepath.Glob(filepath.Join(env.WorkDir, "*", ".apron"))
	require.NoError(t, err)
	for _, dir := range append(dirs, filepath.Join(env.WorkDir, ".apron")) {
		if _, err := os.Stat(filepath.Join(dir, "sandbox.json")); err != nil {
			continue
		}
		cmd := exec.Command(built.apron, "sandbox", "stop")
		cmd.Dir = filepath.Dir(dir)
		if out, err := cmd.CombinedOutput(); err != nil && !strings.Contains(string(out), "no sandbox is running") {
			t.Errorf("stop the sandbox of %s: %v\n%s", env.WorkDir, err, out)
		}
	}
}

// code takes an expected number off the front of arguments.
func code(args []string, otherwise int) (int, []string) {
	if len(args) > 0 && strings.HasPrefix(args[0], "-") {
		if n, err := strconv.Atoi(args[0][1:]); err == nil {
			return n, args[1:]
		}
	}
	return otherwise, args
}

func scriptApron(ts *testscript.TestScript, neg bool, args []string) {
	if neg {
		ts.Fatalf("say which exit code is expected: apron -1 ...")
	}
	want, args := code(args, 0)
	err := ts.Exec("apron", args...)
	got := 0
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		got = exit.ExitCode()
	} else {
		ts.Check(err)
	}
	for _, stream := range []string{"stdout", "stderr"} {
		if text := ts.ReadFile(stream); strings.Contains(text, canary) {
			ts.Fatalf("apron %s: a secret is on %s:\n%s", strings.Join(args, " "), stream, text)
		}
	}
	if got != want {
		ts.Fatalf("apron %s: exit code %d, want %d", strings.Join(args, " "), got, want)
	}
}

// loopback reaches *.localhost whatever the resolver thinks of such names.
var loopback = &http.Client{
	Timeout: 10 * time.Second,
	Transport: &http.Transport{
		Proxy:               nil,
		MaxIdleConnsPerHost: 4,
		DialContext: func(ctx context.Context, network, addr string) (net.Conn, error) {
			_, port, err := net.SplitHostPort(addr)
			if err != nil {
				return nil, err
			}
			var d net.Dialer
			return d.DialContext(ctx, network, net.JoinHostPort("127.0.0.1", port))
		},
	},
}

var portOf = regexp.MustCompile(`"port":\s*(\d+)`)

// pageURL is a page of a service of the sandbox in the script's current directory.
func pageURL(ts *testscript.TestScript, service, path string) string {
	m := portOf.FindStringSubmatch(ts.ReadFile(".apron/sandbox.json"))
	if m == nil {
		ts.Fatalf("the sandbox has no port")
	}
	return "http://" + service + ".localhost:" + m[1] + path
}

func scriptHTTP(ts *testscript.TestScript, neg bool, args []string) {
	want, args := code(args, http.StatusOK)
	if len(args) < 2 || len(args) > 3 || neg {
		ts.Fatalf("usage: http [-STATUS] SERVICE PATH [TEXT]")
	}
	res, err := loopback.Get(pageURL(ts, args[0], args[1]))
	ts.Check(err)
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	ts.Check(err)
	if res.StatusCode != want {
		ts.Fatalf("%s: status %d, want %d: %s", args[1], res.StatusCode, want, body)
	}
	if len(args) == 3 && !strings.Contains(string(body), args[2]) {
		ts.Fatalf("%s: the page has no %q:\n%s", args[1], args[2], body)
	}
}

func scriptUp(ts *testscript.TestScript, neg bool, args []string) {
	if len(args) != 2 || neg {
		ts.Fatalf("usage: up SERVICE PATH")
	}
	url := pageURL(ts, args[0], args[1])
	tick, end := time.NewTicker(20*time.Millisecond), time.After(20*time.Second)
	defer tick.Stop()
	for {
		err := get(url)
		if err == nil {
			return
		}
		select {
		case <-tick.C:
		case <-end:
			ts.Fatalf("still down after 20 s: %v", err)
		}
	}
}

func scriptEdit(ts *testscript.TestScript, neg bool, args []string) {
	if len(args) != 3 || neg {
		ts.Fatalf("usage: edit FILE OLD NEW")
	}
	text := ts.ReadFile(args[0])
	if n := strings.Count(text, args[1]); n != 1 {
		ts.Fatalf("%s has %q %d times", args[0], args[1], n)
	}
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), []byte(strings.Replace(text, args[1], args[2], 1)), 0o644))
}

// differing is what two runs of the same story may print differently.
var differing = []struct {
	pattern *regexp.Regexp
	with    string
}{
	{regexp.MustCompile(`\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z`), "TIME"},
	{regexp.MustCompile(`localhost:\d+`), "localhost:PORT"},
	{regexp.MustCompile(`127\.0\.0\.1:\d+`), "127.0.0.1:PORT"},
	{regexp.MustCompile(`\bsrc-([0-9a-f]{20}|[0-9a-f]{12})\b`), "src-HASH"},
	{regexp.MustCompile(`\b20\d\d-\d\d-\d\d \d\d:\d\d UTC\b`), "WHEN"},
	{regexp.MustCompile(`\bsrc-[0-9a-f]{4}…[0-9a-f]{7}\b`), "src-HASH"},
	{regexp.MustCompile(`took [0-9.]+s\b`), "took TOOK"},
	{regexp.MustCompile(`(?m)^(apron +)(development|v[0-9]).*$`), "${1}VERSION"},
	{regexp.MustCompile(`sha256:[0-9a-f]{64}`), "sha256:DIGEST"},
	{regexp.MustCompile(`sha256:[0-9a-f]{12}\b`), "sha256:DIGEST"},
	{regexp.MustCompile(`\b20\d\d-\d\d-\d\d\b`), "DAY"},
	{regexp.MustCompile(`\b\d+\.\d MB\b`), "SIZE"},
	{regexp.MustCompile(`in [0-9.]+s \(SIZE/s\)`), "in TOOK"},
	{regexp.MustCompile(`\b[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\b`), "UUID"},
	{regexp.MustCompile(`\b[0-9a-f]{32}\b`), "ID"},
	{regexp.MustCompile(`\b(deployment|application)/[0-9a-f]{8}\b`), "$1/ID"},
	{regexp.MustCompile(`(?m)^((?:done|failed) .*?) +[0-9.m]+s$`), "$1  TOOK"},
	{regexp.MustCompile(`(SUCCEEDED|FAILED) +[0-9.m]+s\b`), "$1  TOOK"},
	{regexp.MustCompile(`"took_ms": \d+`), `"took_ms": 0`},
	{regexp.MustCompile(`(?m)^(\| )?instances .*\n`), ""}, // are measured once a minute
}

func scriptShown(ts *testscript.TestScript, neg bool, args []string) {
	from := "stdout"
	if len(args) == 2 && args[0] == "-stderr" {
		from, args = "stderr", args[1:]
	}
	if len(args) != 1 || neg {
		ts.Fatalf("usage: shown [-stderr] FILE")
	}
	text := ts.ReadFile(from)
	for _, d := range differing {
		text = d.pattern.ReplaceAllString(text, d.with)
	}
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), []byte(text), 0o644))
}
