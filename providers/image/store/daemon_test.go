package store_test

import (
	"net"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/apron-deploy/apron/providers/image/store"
)

// daemon answers about one image as docker's does, on a socket.
func daemon(t *testing.T, status int, answer any) (socket string, paths *[]string) {
	t.Helper()
	dir, err := os.MkdirTemp("", "d") // a socket's path is short
	require.NoError(t, err)
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	socket, paths = filepath.Join(dir, "s"), &[]string{}
	l, err := net.Listen("unix", socket)
	require.NoError(t, err)
	server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		*paths = append(*paths, r.URL.Path)
		w.WriteHeader(status)
		_, _ = w.Write(marshal(t, answer))
	})}
	go func() { _ = server.Serve(l) }()
	t.Cleanup(func() { _ = server.Close() })
	return socket, paths
}

func TestFromEngine_asksDockersDaemonItself(t *testing.T) {
	img := sample(t, 3)
	id, err := img.ConfigName()
	require.NoError(t, err)
	config, err := img.ConfigFile()
	require.NoError(t, err)
	answer := map[string]any{"Id": id, "Size": 5000, "RootFS": map[string]any{"Layers": config.RootFS.DiffIDs}}
	save := "save " + id.Hex
	for name, c := range map[string]struct {
		engine string
		status int // 0 if nobody listens
		answer any
		want   []string
	}{
		"it answers":                       {"docker", 200, answer, []string{save}},
		"it does not know the image":       {"docker", 404, map[string]string{"message": "No such image"}, []string{"image inspect web", save}},
		"it says what is not understood":   {"docker", 200, "what?", []string{"image inspect web", save}},
		"podman has none, whoever listens": {"podman", 200, answer, []string{"image inspect web", "save --quiet --format docker-archive " + id.Hex}},
		"nobody listens":                   {"docker", 0, nil, []string{"image inspect web", save}},
	} {
		t.Run(name, func(t *testing.T) {
			socket, paths := filepath.Join(t.TempDir(), "none"), &[]string{}
			if c.status != 0 {
				socket, paths = daemon(t, c.status, c.answer)
			}
			var asked []string
			run := engine(t, img, legacy(t, img), "", "", &asked)
			got, err := store.FromEngine(t.Context(), c.engine, run, "web", store.Options{Temp: t.TempDir(), Daemon: socket})
			require.NoError(t, err)
			same(t, img, got)
			require.NoError(t, got.Close())
			require.Equal(t, c.want, asked)
			if c.engine == "docker" && c.status != 0 {
				require.Equal(t, []string{"/images/web/json"}, *paths)
			}
			if name == "it answers" {
				asked = nil
				again, err := store.FromEngine(t.Context(), c.engine, run, "sha256:"+id.Hex[:1], store.Options{Temp: t.TempDir(), Daemon: socket})
				require.NoError(t, err)
				require.NoError(t, again.Close())
				require.Contains(t, asked, "image inspect sha256:"+id.Hex[:1], "a beginning names no image")
			}
		})
	}
}

func TestDockerSocket(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("docker listens on a named pipe there, and its program is asked")
	}
	const usual = "/var/run/docker.sock"
	for name, c := range map[string]struct {
		env    map[string]string
		config string
		want   string
	}{
		"nothing is set":            {want: usual},
		"a socket":                  {env: map[string]string{"DOCKER_HOST": "unix:///run/user/7/docker.sock"}, want: "/run/user/7/docker.sock"},
		"another machine":           {env: map[string]string{"DOCKER_HOST": "ssh://build.example"}},
		"a port":                    {env: map[string]string{"DOCKER_HOST": "tcp://127.0.0.1:2375"}},
		"a context":                 {env: map[string]string{"DOCKER_CONTEXT": "far"}},
		"a context before a host":   {env: map[string]string{"DOCKER_CONTEXT": "far", "DOCKER_HOST": "unix://" + usual}},
		"a configuration":           {config: `{"auths": {}}`, want: usual},
		"its context":               {config: `{"currentContext": "colima"}`},
		"its context is default":    {config: `{"currentContext": "default"}`, want: usual},
		"a host before its context": {env: map[string]string{"DOCKER_HOST": "unix://" + usual}, config: `{"currentContext": "colima"}`, want: usual},
		"no home":                   {env: map[string]string{"HOME": ""}},
		"nobody can read it":        {config: `{"currentContext": 7}`},
	} {
		t.Run(name, func(t *testing.T) {
			home := t.TempDir()
			if c.config != "" {
				require.NoError(t, os.Mkdir(filepath.Join(home, ".docker"), 0o700))
				require.NoError(t, os.WriteFile(filepath.Join(home, ".docker", "config.json"), []byte(c.config), 0o600))
			}
			require.Equal(t, c.want, store.DockerSocket(func(name string) string {
				if v, ok := c.env[name]; ok || name != "HOME" {
					return v
				}
				return home
			}))
		})
	}
}
