package main

import (
	"bufio"
	"io"
	"log"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/crane"
	"github.com/google/go-containerregistry/pkg/registry"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"github.com/stretchr/testify/require"
)

// TestRun_startsAnImageThatExistsAlready has one in an archive, a layout and a registry, and
// asks no AWS for any of them.
func TestRun_startsAnImageThatExistsAlready(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("windows has no interrupt that one process can send to another")
	}
	t.Parallel()
	c := newCheckout(t, small, built.app)
	c.apron(exitOK, "build", "--output", "image.tar")
	img, err := tarball.ImageFromPath(filepath.Join(c.dir, "image.tar"), nil)
	require.NoError(t, err)
	require.NoError(t, crane.SaveOCI(img, filepath.Join(c.dir, "layout")))
	shop := httptest.NewServer(registry.New(registry.Logger(log.New(io.Discard, "", 0))))
	t.Cleanup(shop.Close)
	remote := strings.TrimPrefix(shop.URL, "http://") + "/team/shop:1"
	require.NoError(t, crane.Push(img, remote))
	for name, from := range map[string]string{"an archive": "./image.tar", "a layout": "./layout", "a registry": remote} {
		t.Run(name, func(t *testing.T) {
			c.write("deploy.yaml", strings.Replace(small, "{build: {context: app}, version: v1, tags: [latest]}", "{from: \""+from+"\"}", 1))
			said := running(t, c, func(url string) { require.Equal(t, "version one\n", page(t, url+"/")) })
			require.Contains(t, said, "apron: "+strings.TrimSuffix(from, ":1")+"@sha256:")
			c.apron(exitUsage, "build")
		})
	}
	c.write("deploy.yaml", strings.Replace(small, "{build: {context: app}, version: v1, tags: [latest]}", "{from: ./none.tar}", 1))
	_, errOut := c.apron(exitUsage, "run", "--port", "0")
	require.Contains(t, errOut, `image.from: "./none.tar"`)
}

// running starts the service on this machine, interrupts it when it is healthy and do has
// been done, and returns what it said on stderr.
func running(t *testing.T, c *checkout, do func(url string)) string {
	t.Helper()
	cmd := c.command("run", "--port", "0")
	errOut, err := cmd.StderrPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	var said []string
	url, at := "", regexp.MustCompile(`^apron: (http://127\.0\.0\.1:\d+)$`)
	for lines := bufio.NewScanner(errOut); lines.Scan(); {
		said = append(said, lines.Text())
		if m := at.FindStringSubmatch(lines.Text()); m != nil {
			url = m[1]
		}
		if strings.HasPrefix(lines.Text(), "apron: health: healthy: ") {
			do(url)
			require.NoError(t, cmd.Process.Signal(os.Interrupt))
		}
	}
	require.Equal(t, exitOK, exitOf(t, cmd.Wait()), strings.Join(said, "\n"))
	return strings.Join(said, "\n")
}
