package sandbox

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// ErrNotRunning says that no sandbox runs for a directory.
var ErrNotRunning = errors.New("no sandbox is running")

// State is what [Status] finds.
type State struct {
	Info
	Running bool
	Health  Health // of a running one
}

// Status looks for the sandbox of a directory. One that does not run is no error.
func Status(ctx context.Context, dir string) (State, error) {
	info, err := readInfo(dir)
	if err != nil || info.Port == 0 {
		return State{Info: info}, err
	}
	health, running := ask(ctx, info)
	return State{info, running, health}, nil
}

// ask tells whether info's own sandbox answers. Another program on its port is not it.
func ask(ctx context.Context, info Info) (Health, bool) {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	var health Health
	response, err := request(ctx, info, http.MethodGet, "/_apron/health")
	if err != nil {
		return health, false
	}
	defer response.Body.Close()
	err = json.NewDecoder(io.LimitReader(response.Body, 1<<16)).Decode(&health)
	return health, err == nil && info.Instance != "" && health.Instance == info.Instance
}

// request talks to the sandbox, past any proxy.
func request(ctx context.Context, info Info, method, path string) (*http.Response, error) {
	r, err := http.NewRequestWithContext(ctx, method, info.Endpoint()+path, nil)
	if err != nil {
		return nil, err
	}
	if method == http.MethodPost {
		r.Header.Set(tokenHeader, info.Token)
	}
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	return client.Do(r)
}

// post asks the sandbox to do something and reports what it says if it does not.
func post(ctx context.Context, info Info, path string) error {
	response, err := request(ctx, info, http.MethodPost, path)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	if response.StatusCode >= 300 {
		text, _ := io.ReadAll(io.LimitReader(response.Body, 4096))
		return fmt.Errorf("%s: %s", response.Status, strings.TrimSpace(string(text)))
	}
	return nil
}

// Stop ends the sandbox of a directory and waits until it has. What it kept stays. It
// returns [ErrNotRunning] if there was nothing to stop.
func Stop(ctx context.Context, dir string) error {
	unlock, err := lock(ctx, dir, startLock)
	if errors.Is(err, os.ErrNotExist) {
		return ErrNotRunning
	}
	if err != nil {
		return err
	}
	defer unlock()
	return stop(ctx, dir)
}

// stop ends the sandbox; the caller has the start lock, so no other begins meanwhile.
func stop(ctx context.Context, dir string) error {
	free, err := tryFile(dir, serveLock)
	if err != nil {
		return err
	}
	if free != nil {
		free()
		return ErrNotRunning
	}
	info, err := readInfo(dir)
	if err != nil {
		return err
	}
	health, running := ask(ctx, info)
	if running {
		if err := post(ctx, info, "/_apron/stop"); err != nil {
			return fmt.Errorf("stop the sandbox: %w", err)
		}
	}
	patience, cancel := context.WithTimeout(ctx, closeTimeout+5*time.Second)
	defer cancel()
	free, err = lock(patience, dir, serveLock)
	if err == nil {
		free()
		return nil
	}
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	pid := info.Pid
	if running {
		pid = health.Pid
	}
	return kill(ctx, dir, pid)
}

// kill ends a sandbox that does not end by itself. It still holds its lock, so the pid
// in its info file is not another process's by now.
func kill(ctx context.Context, dir string, pid int) error {
	if pid <= 0 {
		return fmt.Errorf("stop the sandbox: it is still starting; try again")
	}
	process, err := os.FindProcess(pid)
	if err == nil {
		err = process.Kill()
	}
	if err != nil {
		return fmt.Errorf("stop the sandbox: end process %d: %w", pid, err)
	}
	free, err := lock(ctx, dir, serveLock)
	if err != nil {
		return fmt.Errorf("stop the sandbox: process %d does not end: %w", pid, err)
	}
	free()
	return nil
}

// Reset makes the sandbox of a directory forget everything, whether it runs or not.
// Port and credentials stay.
func Reset(ctx context.Context, dir string) error {
	unlock, err := lock(ctx, dir, startLock)
	if errors.Is(err, os.ErrNotExist) {
		return nil // there never was one
	}
	if err != nil {
		return err
	}
	defer unlock()
	info, err := readInfo(dir)
	if err != nil {
		return err
	}
	if _, running := ask(ctx, info); running {
		if err := post(ctx, info, "/_apron/reset"); err != nil {
			return fmt.Errorf("reset the sandbox: %w", err)
		}
		return nil
	}
	free, err := tryFile(dir, serveLock)
	if err != nil {
		return err
	}
	if free == nil {
		return fmt.Errorf("reset the sandbox: it runs but does not answer; stop it first")
	}
	defer free()
	if err := os.RemoveAll(filepath.Join(dir, worlds)); err != nil {
		return fmt.Errorf("reset the sandbox: %w", err)
	}
	return nil
}

// The locks of a directory: one for who starts or stops a sandbox, one that the sandbox
// holds as long as it runs.
const (
	startLock = "start.lock"
	serveLock = "serve.lock"
)

// worlds is where a directory keeps its sandboxes' states, by account and region.
const worlds = "sandbox"

// lock waits for a lock of the directory.
func lock(ctx context.Context, dir, name string) (unlock func(), err error) {
	for {
		unlock, err := tryFile(dir, name)
		if err != nil || unlock != nil {
			return unlock, err
		}
		if err := wait(ctx, 20*time.Millisecond); err != nil {
			return nil, fmt.Errorf("sandbox: wait for %s: %w", filepath.Join(dir, name), err)
		}
	}
}

// tryFile takes a lock of the directory if it is free; else unlock is nil.
func tryFile(dir, name string) (unlock func(), err error) {
	f, err := os.OpenFile(filepath.Join(dir, name), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("sandbox: %w", err)
	}
	locked, err := tryLock(f)
	if locked {
		return func() { _ = f.Close() }, nil
	}
	_ = f.Close()
	if err != nil {
		return nil, fmt.Errorf("sandbox: lock %s: %w", f.Name(), err)
	}
	return nil, nil
}
