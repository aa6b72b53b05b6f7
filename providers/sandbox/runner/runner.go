package runner

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"net"
	"strings"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
)

// Spec asks for one instance.
type Spec struct {
	// ID names the instance within its engine. No two running ones share it.
	ID string
	// Image is what runs; Ref is only its name in messages.
	Image v1.Image
	Ref   string
	// Env is KEY=VALUE, added over the image's.
	Env []string
	// Command replaces the image's entrypoint and command, unless empty.
	Command []string
	// Port is the one that [Instance.Dial] reaches.
	Port int
	// CPUUnits (1024 = 1 vCPU) and MemoryMiB limit the instance; 0 is no limit.
	CPUUnits, MemoryMiB int
	// Output gets each line of stdout and stderr without its newline, longer ones in
	// pieces of 64 KiB, from one goroutine and only before Done. Nil discards.
	Output func(line string)
}

// Exit is how an instance ended.
type Exit struct {
	// Code is the process's, or 128 plus the signal that killed it.
	Code int
	// OOM says that the kernel killed it for its memory limit.
	OOM bool
	// Err is set when the engine lost the instance and Code means nothing.
	Err error
}

// Stats is what an instance uses: CPU since its start, memory now, without the page
// cache that the kernel can take back.
type Stats struct {
	CPUSeconds  float64
	MemoryBytes int64
}

// Instance is one container that was started.
type Instance interface {
	// Dial connects to the container's port. It fails while nothing listens there.
	Dial(ctx context.Context) (net.Conn, error)
	// Done is closed when the container has ended and all its output was delivered.
	Done() <-chan struct{}
	// Exit is valid after Done.
	Exit() Exit
	// Stop sends SIGTERM, after grace SIGKILL, and returns once Done is closed. It
	// kills at once when ctx ends, and then returns the context's cause.
	Stop(ctx context.Context, grace time.Duration) error
	// Stats fails after Done.
	Stats() (Stats, error)
}

// Engine runs instances.
type Engine interface {
	// Name is docker, podman, namespaces or process.
	Name() string
	// Describe says in one sentence how instances are isolated and limited.
	Describe() string
	// Start runs an instance. The context is for the start alone: the instance lives
	// on after it, until it ends, Stop or Close.
	Start(ctx context.Context, s Spec) (Instance, error)
	// Close kills all instances and removes everything the engine left.
	Close(ctx context.Context) error
}

// Options tell [Detect] where and what to look for.
type Options struct {
	// Dir is a private folder for images and instances. It is made when needed.
	Dir string
	// Prefer names the one engine to take; "" takes the first that works.
	Prefer string
	// Self is an executable whose main calls [Init]; default this one.
	Self string
	// Label marks what belongs to this sandbox: of two engines with the same label
	// the later removes what the earlier left.
	Label string
}

func (o Options) label() string {
	if o.Label == "" {
		return o.Dir
	}
	return o.Label
}

// mark is the label in twelve characters that any name may hold.
func (o Options) mark() string {
	sum := sha256.Sum256([]byte(o.label()))
	return hex.EncodeToString(sum[:6])
}

// nameOf makes of an id what names of containers, hosts and files may hold.
func nameOf(id string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r >= '0' && r <= '9', r >= 'A' && r <= 'Z', r >= 'a' && r <= 'z', r == '-', r == '_', r == '.':
			return r
		}
		return '-'
	}, id)
}
