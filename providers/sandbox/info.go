package sandbox

import (
	"encoding/json"
	"errors"
	"fmt"
	"hash/fnv"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"github.com/apron-deploy/apron/providers/sandbox/store"
)

// Info is how to reach and use a sandbox. It is kept in the file sandbox.json of its
// directory, which only the owner can read, and outlives the process: port, token and
// credentials are used again.
type Info struct {
	Port      int       `json:"port"`
	Pid       int       `json:"pid"` // of the newest process; it may have ended
	Instance  string    `json:"instance"`
	Build     string    `json:"build"`
	Source    source    `json:"source"` // the executable that Build was computed from
	Account   string    `json:"account"`
	Region    string    `json:"region"`
	Speed     float64   `json:"speed,omitempty"`
	Engine    string    `json:"engine,omitempty"` // asked for; "" is the first that works
	Started   time.Time `json:"started"`
	Token     string    `json:"token"`
	AccessKey string    `json:"access_key"`
	SecretKey string    `json:"secret_key"`
}

// source tells whether an executable has changed without reading it.
type source struct {
	Path     string    `json:"path"`
	Size     int64     `json:"size"`
	Modified time.Time `json:"modified"`
}

// Endpoint is the sandbox's URL, without a slash at its end.
func (i Info) Endpoint() string { return "http://127.0.0.1:" + strconv.Itoa(i.Port) }

// Resolver is the address, over UDP, of the name server that has the hosted zones. It
// answers as their authority, too: their own name servers' names are 127.0.0.1, and who
// asks those asks at this same port.
func (i Info) Resolver() string { return "127.0.0.1:" + strconv.Itoa(i.Port) }

// Env returns the variables, as NAME=value, that make AWS's own tools use the
// sandbox, and apron its name server.
func Env(i Info) []string {
	return []string{
		"AWS_ENDPOINT_URL=" + i.Endpoint(),
		"AWS_ACCESS_KEY_ID=" + i.AccessKey,
		"AWS_SECRET_ACCESS_KEY=" + i.SecretKey,
		"AWS_SESSION_TOKEN=",
		"AWS_REGION=" + i.Region,
		"AWS_DEFAULT_REGION=" + i.Region,
		"AWS_ACCOUNT_ID=" + i.Account,
		"APRON_RESOLVER=" + i.Resolver(),
	}
}

func infoPath(dir string) string { return filepath.Join(dir, "sandbox.json") }

// readInfo returns the zero Info if dir never had a sandbox.
func readInfo(dir string) (Info, error) {
	var info Info
	b, err := os.ReadFile(infoPath(dir))
	if errors.Is(err, fs.ErrNotExist) {
		return info, nil
	}
	if err == nil {
		err = json.Unmarshal(b, &info)
	}
	if err != nil {
		return info, fmt.Errorf("sandbox: read %s: %w", infoPath(dir), err)
	}
	return info, nil
}

func writeInfo(dir string, info Info) error {
	b, err := json.MarshalIndent(info, "", "\t")
	if err != nil {
		return fmt.Errorf("sandbox: %w", err)
	}
	return store.WriteFile(infoPath(dir), append(b, '\n'))
}

// preferredPort derives a port from the directory, so that URLs stay the same and two
// checkouts differ. It is below the ports that systems hand out by themselves.
func preferredPort(dir string) int {
	h := fnv.New32a()
	_, _ = h.Write([]byte(dir)) // never fails
	return 20000 + int(h.Sum32()%12000)
}
