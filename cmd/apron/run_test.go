package main

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"github.com/stretchr/testify/require"
)

func TestRun_isTheServiceOnThisMachine(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("windows has no interrupt that one process can send to another")
	}
	t.Parallel()
	c := newCheckout(t, small+"env: {SELF: \"${self.url}/x\", PLAIN: yes}\n", built.app)
	cmd := c.command("run", "--port", "0")
	out, err := cmd.StdoutPipe()
	require.NoError(t, err)
	errOut, err := cmd.StderrPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	printed := make(chan string, 1)
	go func() {
		b, _ := io.ReadAll(out)
		printed <- string(b)
	}()
	var said []string
	url, healthy := "", regexp.MustCompile(`^apron: health: healthy: GET /health answers 200`)
	for lines := bufio.NewScanner(errOut); lines.Scan(); {
		line := lines.Text()
		said = append(said, line)
		if m := regexp.MustCompile(`^apron: (http://127\.0\.0\.1:\d+)$`).FindStringSubmatch(line); m != nil {
			url = m[1]
		}
		if healthy.MatchString(line) {
			require.Equal(t, "version one\n", page(t, url+"/"))
			require.Equal(t, url+"/x\n", page(t, url+"/env/SELF"))
			require.Equal(t, "yes\n", page(t, url+"/env/PLAIN"))
			require.Len(t, page(t, url+"/hash/KEY"), 65)
			require.NoError(t, cmd.Process.Signal(os.Interrupt))
		}
	}
	text := <-printed
	require.Equal(t, exitOK, exitOf(t, cmd.Wait()), strings.Join(said, "\n"))
	require.Contains(t, text, "app: listening on")
	require.Contains(t, text, "app: stopped")
}

func page(t *testing.T, url string) string {
	t.Helper()
	res, err := http.Get(url)
	require.NoError(t, err)
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	require.NoError(t, err)
	return string(b)
}

func TestRun_namesWhoHasThePort(t *testing.T) {
	t.Parallel()
	c := newCheckout(t, small, built.app)
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	require.NoError(t, err)
	defer l.Close()
	_, errOut := c.apron(exitUsage, "run", "--port", fmt.Sprint(l.Addr().(*net.TCPAddr).Port))
	if runtime.GOOS == "linux" {
		require.Contains(t, errOut, fmt.Sprintf("(process %d, ", os.Getpid()))
	}
	require.Contains(t, errOut, "choose another with --port")
}

// TestRun_takesAwayWhatAKilledRunLeft kills a run, which leaves a container with the secrets in
// it, and starts another one on the same port.
func TestRun_takesAwayWhatAKilledRunLeft(t *testing.T) {
	for _, tool := range []string{"docker", "podman"} {
		t.Run(tool, func(t *testing.T) {
			needs(t, tool)
			c := newCheckout(t, small, built.app)
			c.vars = append(c.vars, "APRON_SANDBOX_ENGINE="+tool)
			l, err := net.Listen("tcp4", "127.0.0.1:0")
			require.NoError(t, err)
			label := runLabel(l)
			port := fmt.Sprint(l.Addr().(*net.TCPAddr).Port)
			require.NoError(t, l.Close())
			containers := func() []string {
				out, err := exec.Command(tool, "ps", "--all", "--quiet", "--filter", "label=apron.sandbox="+label).Output()
				require.NoError(t, err)
				return strings.Fields(string(out))
			}
			for _, last := range []os.Signal{os.Kill, os.Interrupt} {
				cmd := c.command("run", "--port", port)
				errOut, err := cmd.StderrPipe()
				require.NoError(t, err)
				require.NoError(t, cmd.Start())
				for lines := bufio.NewScanner(errOut); lines.Scan(); {
					if strings.HasPrefix(lines.Text(), "apron: health: healthy: ") {
						require.Len(t, containers(), 1)
						require.NoError(t, cmd.Process.Signal(last))
					}
				}
				_ = cmd.Wait()
			}
			require.Empty(t, containers())
		})
	}
}

func TestRun_saysHowTheContainerEnded(t *testing.T) {
	t.Parallel()
	c := newCheckout(t, small, built.app)
	c.replace("app/Dockerfile", "HEALTH=200", "EXIT=4")
	out, errOut := c.apron(exitError, "run", "--port", "0")
	require.Contains(t, out, "app: cannot go on: the configuration is missing")
	require.Contains(t, errOut, "the container stopped with exit code 4")
}

func TestBuild_writesWhatDockerLoads(t *testing.T) {
	t.Parallel()
	c := newCheckout(t, small, built.app)
	out, _ := c.apron(exitOK, "build", "--output", "image.tar")
	require.Regexp(t, `^shop:src-[0-9a-f]{20}\nsha256:[0-9a-f]{64}\n$`, out)
	img, err := tarball.ImageFromPath(filepath.Join(c.dir, "image.tar"), nil)
	require.NoError(t, err)
	config, err := img.ConfigFile()
	require.NoError(t, err)
	require.Equal(t, []string{"/app"}, config.Config.Entrypoint)
	left, err := filepath.Glob(filepath.Join(c.dir, ".apron-*"))
	require.NoError(t, err)
	require.Empty(t, left)
	c.apron(exitError, "build", "--output", "no/such/place.tar")
}
