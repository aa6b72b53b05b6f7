package runner

import (
	"archive/tar"
	"context"
	"debug/elf"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"github.com/stretchr/testify/require"
)

func TestProcess_conforms(t *testing.T) {
	e := open(t, "process")
	t.Log(e.Describe())
	t.Run("claims", func(t *testing.T) { runConformance(t, e, traits{}) })
	left, err := os.ReadDir(filepath.Join(e.(*processes).dir, "instances"))
	require.NoError(t, err)
	require.Empty(t, left, "instances leave nothing")
}

// script is an executable file.
func script(name, body string) tarEntry {
	return tarEntry{Header: tar.Header{Name: name, Mode: 0o755}, body: body}
}

func TestProcess_refusesWhatNeedsMoreThanItself(t *testing.T) {
	e := open(t, "process")
	foreign, err := trialImage("linux/" + otherArch())
	require.NoError(t, err)
	img := imageOf(t, []tarEntry{
		script("bin/script", "#!/bin/sh\n"), script("bin/text", "hello"), file("bin/plain", "x"), link("bin/out", "../../../../etc/passwd"),
	})
	for name, tc := range map[string]struct {
		spec Spec
		want string
	}{
		"a script":          {Spec{Image: img, Command: []string{"script"}}, "script of the image: a script, where only a static binary can run"},
		"a text":            {Spec{Image: img, Command: []string{"/bin/text"}}, "/bin/text of the image: not a Linux binary"},
		"no program":        {Spec{Image: img, Command: []string{"nothing"}}, `exec: "nothing": executable file not found in $PATH`},
		"not executable":    {Spec{Image: img, Command: []string{"plain"}}, `exec: "plain": executable file not found in $PATH`},
		"no file":           {Spec{Image: img, Command: []string{"/nothing"}}, "nothing: no such file"},
		"the machine's":     {Spec{Image: img, Command: []string{"/bin/out"}}, "no such file"},
		"another processor": {Spec{Image: foreign}, "a binary for another processor"},
		"dynamic":           {Spec{Image: imageOf(t, []tarEntry{script("app", dynamicELF(t))})}, "linked dynamically"},
	} {
		t.Run(name, func(t *testing.T) {
			tc.spec.ID, tc.spec.Ref = "x", "web:1"
			_, err := e.Start(t.Context(), tc.spec)
			require.ErrorContains(t, err, "process: start web:1: ")
			require.ErrorContains(t, err, tc.want)
		})
	}
	left, err := os.ReadDir(filepath.Join(e.(*processes).dir, "instances"))
	require.NoError(t, err)
	require.Empty(t, left)
}

// dynamicELF is a binary that names a loader.
func dynamicELF(t *testing.T) string {
	t.Helper()
	self, err := elf.Open("/proc/self/exe")
	require.NoError(t, err)
	defer self.Close()
	b := minimalELF(uint16(self.Machine), []byte("/lib/ld.so"))
	b[64] = byte(elf.PT_INTERP) // the type of its only segment
	return string(b)
}

func TestProcess_runsInItsOwnCopyOfTheImage(t *testing.T) {
	e := open(t, "process")
	a := start(t, e, Spec{ID: "a", Image: userImage(t)})
	b := start(t, e, Spec{ID: "b", Image: userImage(t)})
	var self struct{ Dir string }
	require.NoError(t, json.Unmarshal([]byte(a.get(t, "/self")), &self))
	require.Equal(t, "/work/dir", strings.TrimPrefix(self.Dir, a.Instance.(*plain).dir))
	require.Contains(t, a.get(t, "/env"), "HOME="+a.Instance.(*plain).dir)
	require.NotEqual(t, a.Instance.(*plain).dir, b.Instance.(*plain).dir)
	require.NotContains(t, a.get(t, "/env"), `"PORT=8000"`)
	require.NotEqual(t, a.Instance.(*plain).port, b.Instance.(*plain).port)
}

func TestProcess_takesItsChildrenWithIt(t *testing.T) {
	i := start(t, open(t, "process"), Spec{ID: "fork", Image: appImage(t)})
	child, err := strconv.Atoi(i.get(t, "/fork"))
	require.NoError(t, err)
	require.NoError(t, i.Stop(t.Context(), 20*time.Second))
	require.Equal(t, 7, i.Exit().Code)
	requireGone(t, child)
}

// requireGone waits until a process is no more than a zombie.
func requireGone(t *testing.T, pid int) {
	t.Helper()
	require.Eventually(t, func() bool {
		b, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
		return err != nil || strings.Contains(string(b), ") Z ")
	}, 20*time.Second, 10*time.Millisecond)
}

func TestClose_removesEverything(t *testing.T) {
	for _, name := range []string{"namespaces", "process"} {
		t.Run(name, func(t *testing.T) {
			open(t, name)
			dir := t.TempDir()
			e, err := Detect(t.Context(), Options{Dir: dir, Prefer: name, Label: t.Name()})
			require.NoError(t, err)
			i := start(t, e, Spec{ID: "x", Image: appImage(t), Env: []string{"MODE=ignores-term"}})
			i.get(t, "/")
			require.NoError(t, e.Close(t.Context()))
			require.Equal(t, 137, i.Exit().Code, "it has ended")
			left, err := os.ReadDir(dir)
			require.NoError(t, err)
			require.Empty(t, left)
			_, err = e.Start(t.Context(), Spec{ID: "y", Image: appImage(t), Port: 8000})
			require.ErrorIs(t, err, errClosed)
			require.NoError(t, e.Close(t.Context()), "closing twice is fine")
		})
	}
}

func init() { beSandbox = runUntilKilled }

// runUntilKilled is the sandbox that is to be killed. It says which process its
// instance is.
func runUntilKilled(engine string) {
	e, err := Detect(context.Background(), Options{Dir: os.Getenv("DIR"), Prefer: engine, Label: os.Getenv("DIR")})
	if err != nil {
		panic(err)
	}
	layer, err := tarball.LayerFromFile(os.Getenv("LAYER"))
	if err != nil {
		panic(err)
	}
	img, err := mutate.AppendLayers(empty.Image, layer)
	if err != nil {
		panic(err)
	}
	i, err := e.Start(context.Background(), Spec{ID: "x", Image: img, Port: 8000, Command: []string{"/app"}, Env: []string{"PORT=8000"}})
	if err != nil {
		panic(err)
	}
	switch i := i.(type) {
	case *cell:
		fmt.Println(i.pid)
	case *plain:
		fmt.Println(i.cmd.Process.Pid)
	}
	<-i.Done()
	os.Exit(1)
}

func TestInstances_dieWithTheirSandbox(t *testing.T) {
	for _, name := range []string{"namespaces", "process"} {
		t.Run(name, func(t *testing.T) {
			open(t, name)
			dir := t.TempDir()
			r, err := layer(t, appFile(t)).Uncompressed()
			require.NoError(t, err)
			b, err := io.ReadAll(r)
			require.NoError(t, err)
			require.NoError(t, os.WriteFile(dir+"/layer", b, 0o600))
			cmd := exec.Command("/proc/self/exe")
			cmd.Env = append(os.Environ(), sandboxVar+"="+name, "DIR="+dir, "LAYER="+dir+"/layer")
			cmd.Stderr = os.Stderr
			out, err := cmd.StdoutPipe()
			require.NoError(t, err)
			require.NoError(t, cmd.Start())
			var pid int
			_, err = fmt.Fscan(out, &pid)
			require.NoError(t, err)
			require.NoError(t, syscall.Kill(pid, 0), "it runs")
			require.NoError(t, cmd.Process.Kill())
			requireGone(t, pid)
			require.Error(t, cmd.Wait())

			left, err := filepath.Glob(dir + "/*/instances/x-*")
			require.NoError(t, err)
			require.NotEmpty(t, left, "a killed sandbox cleans nothing up")
			notes, err := filepath.Glob(dir + "/*/instances/x-*/groups")
			require.NoError(t, err)
			var groups []string
			for _, f := range notes {
				b, err := os.ReadFile(f)
				require.NoError(t, err)
				groups = append(groups, strings.Split(string(b), "\n")...)
			}
			for _, g := range groups {
				require.DirExists(t, g)
			}
			e, err := Detect(t.Context(), Options{Dir: dir, Prefer: name, Label: dir})
			require.NoError(t, err)
			left, err = filepath.Glob(dir + "/*/instances/x-*")
			require.NoError(t, err)
			require.Empty(t, left, "the next one does")
			n, ok := e.(*namespaces)
			require.Equal(t, ok && n.limits != nil, len(groups) > 0)
			for _, g := range groups {
				require.NoDirExists(t, g)
			}
			require.NoError(t, e.Close(t.Context()))
		})
	}
}
