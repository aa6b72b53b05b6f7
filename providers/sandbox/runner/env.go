package runner

import (
	"fmt"
	"slices"
	"strings"
)

// defaultPath is what container engines set where the image has no PATH.
const defaultPath = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

// environ is a set of variables that keeps the order of first appearance.
type environ struct {
	keys   []string
	values map[string]string
}

// newEnviron reads lists of KEY=VALUE; later ones win. An error names the key only:
// a value may be a secret.
func newEnviron(lists ...[]string) (*environ, error) {
	e := &environ{values: map[string]string{}}
	for _, list := range lists {
		for i, kv := range list {
			key, value, ok := strings.Cut(kv, "=")
			switch {
			case !ok:
				return nil, fmt.Errorf("environment variable %d: not of the form KEY=VALUE", i+1)
			case key == "" || strings.ContainsAny(key, " \t\r\n\x00*#"):
				return nil, fmt.Errorf("environment variable %q: not a name that a container can have", key)
			case strings.ContainsRune(value, 0):
				return nil, fmt.Errorf("environment variable %q: value holds a zero byte", key)
			}
			e.set(key, value)
		}
	}
	return e, nil
}

func (e *environ) set(key, value string) {
	if _, ok := e.values[key]; !ok {
		e.keys = append(e.keys, key)
	}
	e.values[key] = value
}

func (e *environ) setDefault(key, value string) {
	if _, ok := e.values[key]; !ok {
		e.set(key, value)
	}
}

func (e *environ) list() []string {
	out := make([]string, len(e.keys))
	for i, k := range e.keys {
		out[i] = k + "=" + e.values[k]
	}
	return out
}

// obeyed are the beginnings of names that an engine's CLI, its Go runtime or its loader read
// for themselves, and obeyedWhole whole names. A container's variable of such a name must not
// be in the CLI's own environment.
var (
	obeyed = []string{
		"DOCKER_", "BUILDKIT_", "COMPOSE_", "MOBY_",
		"CONTAINER", "_CONTAINERS", "PODMAN_", "_PODMAN", "LIBPOD_", "BUILDAH_", "STORAGE_",
		"NETAVARK", "CNI_", "CONMON", "LISTEN_",
		"XDG_", "DBUS_", "LD_", "DYLD_", "MALLOC_", "GLIBC_", "SSL_CERT_", "OTEL_",
		"PROGRAMFILES", "PROGRAMDATA",
	}
	obeyedWhole = []string{
		"REGISTRY_AUTH_FILE", "NOTIFY_SOCKET", "INVOCATION_ID",
		"GODEBUG", "GOGC", "GOMEMLIMIT", "GOMAXPROCS", "GOTRACEBACK", "GOCOVERDIR", "GOFIPS140", "GORACE", "GOROOT",
		"SSH_AUTH_SOCK", "SSH_ASKPASS", "SSH_ASKPASS_REQUIRE", "SSH_AGENT_PID", "SSH_CONNECTION", "SSH_CLIENT", "SSH_TTY",
		"HTTP_PROXY", "HTTPS_PROXY", "FTP_PROXY", "ALL_PROXY", "NO_PROXY",
		"HOME", "HOMEDRIVE", "HOMEPATH", "PATH", "PATHEXT", "USER", "USERNAME", "USERPROFILE", "USERDOMAIN",
		"TMP", "TMPDIR", "TEMP", "TEMPDIR", "HOSTALIASES", "LOCALDOMAIN", "RES_OPTIONS",
		"APPDATA", "LOCALAPPDATA", "SYSTEMROOT", "WINDIR", "COMSPEC",
	}
)

func isObeyed(key string) bool {
	key = strings.ToUpper(key)
	return slices.Contains(obeyedWhole, key) || slices.ContainsFunc(obeyed, func(p string) bool { return strings.HasPrefix(key, p) })
}

// forCLI splits the variables by the two ways that show no value to ps: most ride in
// the environment of the CLI process and are named by -e KEY, which takes any value;
// those that the CLI would obey itself go into an env file, which has no way to write
// a newline.
func (e *environ) forCLI() (own, file []string, err error) {
	for _, k := range e.keys {
		v := e.values[k]
		switch {
		case !isObeyed(k):
			own = append(own, k)
		case strings.ContainsAny(v, "\r\n"):
			return nil, nil, fmt.Errorf("environment variable %q: value has a newline, which the engine's command line takes only for names that it does not read itself", k)
		default:
			file = append(file, k+"="+v)
		}
	}
	return own, file, nil
}
