package runner

import (
	"encoding/gob"
	"fmt"
	"io"
	"os"

	"golang.org/x/sys/unix"
)

// plan is what the two processes of an instance are told. It goes through memory that
// only they inherit: the environment in it is nobody else's business. Its paths are
// relative to the engine's folder.
type plan struct {
	How         manner
	Lower, Root string // the image's tree; the instance's folder
	Host        string
	Args, Env   []string
	Dir         string
	UID, GID    int
	MoreGIDs    []int
	Groups      []string // control groups to join, by inherited files: their controllers, "" for version 2
	Single      bool     // the user namespace has no user or group but the app's
}

// report is the keeper's first message: that the app runs, or why not.
type report struct {
	Error string
	PID   int    // of the app, as the sandbox sees it
	Proc  string // what the app's /proc is: own, shared or none
}

// outcome is the keeper's last message.
type outcome struct{ Code int }

// file is the plan in memory.
func (p *plan) file() (*os.File, error) {
	fd, err := unix.MemfdCreate("plan", unix.MFD_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("memfd_create: %w", err)
	}
	f := os.NewFile(uintptr(fd), "plan")
	if err := gob.NewEncoder(f).Encode(p); err != nil {
		f.Close()
		return nil, err
	}
	return f, nil
}

// readPlan leaves the file's offset alone, for the next reader.
func readPlan(f *os.File) (*plan, error) {
	var p plan
	if err := gob.NewDecoder(io.NewSectionReader(f, 0, 1<<40)).Decode(&p); err != nil {
		return nil, fmt.Errorf("read plan: %w", err)
	}
	return &p, nil
}
