package store

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
)

// DockerSocket returns the socket of the daemon that the docker program speaks to in an
// environment. It is empty if that daemon is somewhere else, or if a context of docker's
// says where it is.
// https://docs.docker.com/reference/cli/docker/#environment-variables
func DockerSocket(getenv func(string) string) string {
	if getenv("DOCKER_CONTEXT") != "" {
		return ""
	}
	if host := getenv("DOCKER_HOST"); host != "" {
		socket, _ := strings.CutPrefix(host, "unix://")
		if !filepath.IsAbs(socket) {
			return ""
		}
		return socket
	}
	dir := getenv("DOCKER_CONFIG")
	if home := getenv("HOME"); dir == "" && home != "" {
		dir = filepath.Join(home, ".docker")
	}
	if dir == "" {
		return "" // the program has other ways to find it
	}
	var config struct {
		Context string `json:"currentContext"`
	}
	text, err := os.ReadFile(filepath.Join(dir, "config.json"))
	if err == nil && json.Unmarshal(text, &config) != nil || config.Context != "" && config.Context != "default" {
		return ""
	}
	return "/var/run/docker.sock"
}

// askDaemon returns what docker's daemon says of an image, in the program's form.
// https://docs.docker.com/reference/api/engine/version/v1.41/#tag/Image/operation/ImageInspect
func askDaemon(ctx context.Context, socket, ref string) ([]byte, error) {
	transport := &http.Transport{
		DisableKeepAlives: true,
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			var d net.Dialer
			return d.DialContext(ctx, "unix", socket)
		},
	}
	where := url.URL{Scheme: "http", Host: "docker", Path: "/images/" + ref + "/json"}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, where.String(), nil)
	if err != nil {
		return nil, err
	}
	res, err := transport.RoundTrip(req)
	if err != nil {
		return nil, err
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("docker's daemon answered %s", res.Status)
	}
	text, err := io.ReadAll(res.Body)
	return bytes.Join([][]byte{[]byte("["), text, []byte("]")}, nil), err
}
