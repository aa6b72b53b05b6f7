package runner

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestNamespaces_conforms(t *testing.T) {
	e := open(t, "namespaces")
	n := e.(*namespaces)
	t.Log(e.Describe())
	t.Run("claims", func(t *testing.T) { runConformance(t, e, traits{limits: n.limits != nil, isolated: true}) })
	left, err := os.ReadDir(filepath.Join(n.dir, "instances"))
	require.NoError(t, err)
	require.Empty(t, left, "instances leave nothing")
}

func TestNamespaces_conformsInEveryManner(t *testing.T) {
	for name, how := range map[string]manner{
		"with a copy of the image":                      {Users: true},
		"without a user namespace":                      {Overlay: true},
		"without a user namespace, on a copy":           {},
		"with an overlay, without limits to measure by": {Users: true, Overlay: true},
	} {
		t.Run(name, func(t *testing.T) {
			n := open(t, "namespaces").(*namespaces)
			n.limits, n.how = nil, how
			img, err := trialImage("linux/" + runtime.GOARCH)
			require.NoError(t, err)
			if _, err = n.trial(t.Context(), img); !how.Users && !manyUsers() {
				err = errors.New("this user cannot be another")
			}
			if err != nil {
				if os.Getenv("APRON_TEST_ENGINES") == "required" {
					t.Fatal(err)
				}
				t.Skip(err)
			}
			t.Run("claims", func(t *testing.T) { runConformance(t, n, traits{isolated: true}) })
		})
	}
}

// seen is what the app tells of a path.
type seen struct {
	Mode, Text, Target string
	Names              []string
}

func (i *instance) see(t *testing.T, path string) (s seen) {
	t.Helper()
	require.NoError(t, json.Unmarshal([]byte(i.get(t, "/file"+path)), &s))
	return s
}

func TestNamespaces_showNothingOfTheMachine(t *testing.T) {
	e := open(t, "namespaces")
	t.Setenv("APRON_TEST_HOST", "secret")
	i := start(t, e, Spec{ID: "web_1", Image: appImage(t)})
	require.ElementsMatch(t, []string{"app", "dev", "etc", "proc", "sys"}, i.see(t, "/").Names)
	require.Equal(t, []string{"hostname", "hosts", "resolv.conf"}, i.see(t, "/etc").Names)
	require.Contains(t, i.see(t, "/etc/hosts").Text, address.String()+"\tweb-1\n")
	require.Equal(t, "web-1\n", i.see(t, "/etc/hostname").Text)
	require.ElementsMatch(t, []string{"fd", "full", "null", "ptmx", "pts", "random", "shm", "stderr", "stdin", "stdout", "tty", "urandom", "zero"},
		i.see(t, "/dev").Names)
	require.Contains(t, i.get(t, "/env"), `"HOME=/"`)
	require.Contains(t, i.get(t, "/self"), `"host":"web-1"`)
	require.Contains(t, i.get(t, "/self"), `NoNewPrivs:\t1`)
	ours := fmt.Sprint("/proc/", os.Getpid())
	res, err := i.client().Get("http://app/file" + ours + "/environ")
	require.Error(t, i.check(res, err))
	if !strings.Contains(e.Describe(), procWords(procShared)) {
		require.NotContains(t, i.see(t, "/proc").Names, fmt.Sprint(os.Getpid()))
	}
	require.NotContains(t, i.see(t, "/proc/self/mountinfo").Text, "apron-")
	for _, fd := range i.see(t, "/proc/self/fd").Names {
		res, err := i.client().Get("http://app/file/proc/self/fd/" + fd)
		require.NoError(t, err)
		var file seen
		err = json.NewDecoder(res.Body).Decode(&file)
		res.Body.Close()
		if res.StatusCode == http.StatusNotFound {
			continue // it was the listing's own, or a connection's that is gone
		}
		require.NoError(t, err)
		to := file.Target
		kind, _, _ := strings.Cut(to, ":")
		if !strings.HasPrefix(to, "/sys/") { // where Go's runtime reads the app's limits
			require.Contains(t, []string{"/dev/null", "pipe", "socket", "anon_inode"}, kind, to)
		}
	}
}

func TestNamespaces_haveNoOutboundNetwork(t *testing.T) {
	i := start(t, open(t, "namespaces"), Spec{ID: "out", Image: appImage(t)})
	i.get(t, "/dial?addr="+url.QueryEscape("127.0.0.1:8000"))
	for _, addr := range []string{"192.0.2.1:80", "[2001:db8::1]:80"} {
		res, err := i.client().Get("http://app/dial?addr=" + url.QueryEscape(addr))
		require.Error(t, i.check(res, err), addr)
	}
}

func TestNamespaces_letAnyUserTakeLowPortsAndOpenItsOutput(t *testing.T) {
	n := open(t, "namespaces").(*namespaces)
	i := start(t, n, Spec{ID: "low", Image: userImage(t), Port: 80})
	i.get(t, "/")
	require.Equal(t, "", i.get(t, "/write/dev/stdout"))
	require.NoError(t, i.Stop(t.Context(), 20*time.Second))
	require.Contains(t, strings.Join(i.lines(), "\n"), "written")
}

func TestNamespaces_sayWhatIsWrongWithAnImage(t *testing.T) {
	e := open(t, "namespaces")
	for name, tc := range map[string]struct {
		user, dir, want string
		command         []string
	}{
		"user":    {user: "nobody", want: `user "nobody" of the image: not in its /etc/passwd`},
		"command": {command: []string{}, want: "the image has neither an entrypoint nor a command"},
		"folder":  {dir: "/app/x", want: "working directory: mkdir /app: not a directory"},
	} {
		t.Run(name, func(t *testing.T) {
			cfg := appConfig
			cfg.User, cfg.WorkingDir = tc.user, tc.dir
			if tc.command != nil {
				cfg.Entrypoint = nil
			}
			img := image(t, runtime.GOARCH, cfg, layer(t, appFile(t)))
			_, err := e.Start(t.Context(), Spec{ID: name, Ref: "web:1", Image: img, Port: 1})
			require.EqualError(t, err, "namespaces: start web:1: "+tc.want)
		})
	}
	left, err := os.ReadDir(filepath.Join(e.(*namespaces).dir, "instances"))
	require.NoError(t, err)
	require.Empty(t, left)
}

func TestNamespaces_tellWhyAProgramCannotBeExecuted(t *testing.T) {
	e := open(t, "namespaces")
	img := imageOf(t, []tarEntry{
		file("usr/bin/plain", "x"), script("usr/bin/script", "#!/no/such/shell\n"), folder("dir", 0o755),
	})
	for name, tc := range map[string]struct {
		command, want string
		code          int
	}{
		"no such program": {"nothing", `exec: "nothing": executable file not found in $PATH`, 127},
		"not executable":  {"plain", `exec: "plain": permission denied`, 126},
		"a folder":        {"/dir", "exec /dir: permission denied", 126},
		"no interpreter":  {"script", "exec /usr/bin/script: no such file or directory", 127},
		"no such file":    {"/nothing", "exec /nothing: no such file or directory", 127},
		"a relative path": {"./usr/bin/plain", "exec ./usr/bin/plain: permission denied", 126},
	} {
		t.Run(name, func(t *testing.T) {
			i := start(t, e, Spec{ID: "x", Image: img, Command: []string{tc.command}})
			require.Equal(t, Exit{Code: tc.code}, i.wait(t))
			require.Equal(t, []string{tc.want}, i.lines())
		})
	}
}

func TestNamespaces_wantInit(t *testing.T) {
	initialised.Store(false)
	defer initialised.Store(true)
	_, err := Detect(t.Context(), Options{Dir: t.TempDir(), Prefer: "namespaces"})
	require.ErrorContains(t, err, "engine namespaces: this program does not call runner.Init")
}

func TestHostOf_isAHostName(t *testing.T) {
	for id, want := range map[string]string{
		"web": "web", "web_1.a": "web-1-a", "": "instance", "-é-": "instance", strings.Repeat("x", 62) + "-yz": strings.Repeat("x", 62),
	} {
		require.Equal(t, want, hostOf(Spec{ID: id}), id)
	}
}
