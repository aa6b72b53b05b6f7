package push

import (
	"sync"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
)

// State is what has become of a blob.
type State string

const (
	Waiting   State = "waiting"
	Uploading State = "uploading"
	Uploaded  State = "uploaded"
	Existed   State = "already exists"
	Mounted   State = "mounted from another repository"
)

// Layer says how far a layer, or the configuration, has come.
type Layer struct {
	// Name is its digest; of one that is compressed on the way it is the DiffID.
	Name string
	// Digest is what the registry knows it by, once that is certain.
	Digest string
	Config bool // it is the configuration
	State  State
	Done   int64 // bytes on the wire
	// Total is the size in bytes; until a layer is compressed, that before compression.
	Total   int64
	Elapsed time.Duration // since the first byte
}

// Rate is the mean number of bytes per second.
func (l Layer) Rate() float64 {
	if l.Elapsed <= 0 {
		return 0
	}
	return float64(l.Done) / l.Elapsed.Seconds()
}

// meter counts bytes and reports them in order.
type meter struct {
	o     Options
	mu    sync.Mutex
	done  int64
	total int64
}

func newMeter(o Options, all []*part) *meter {
	m := &meter{o: o}
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, b := range all {
		m.total += b.weight()
		m.tell(layerOf(b))
	}
	m.report()
	return m
}

func (m *meter) report() {
	if m.o.Progress != nil {
		m.o.Progress(m.done, m.total)
	}
}

func (m *meter) tell(l Layer) {
	if m.o.Layer != nil {
		m.o.Layer(l)
	}
}

func layerOf(b *part) Layer {
	return Layer{Name: b.name(), Config: b.config, State: Waiting, Total: b.weight()}
}

// track counts for one blob.
type track struct {
	m     *meter
	layer Layer
	start time.Time
}

func (m *meter) track(b *part) *track {
	return &track{m: m, layer: layerOf(b)}
}

// add counts bytes that went over the wire, or takes them back.
func (t *track) add(n int64) {
	t.m.mu.Lock()
	defer t.m.mu.Unlock()
	if t.start.IsZero() {
		t.start = time.Now()
	}
	t.layer.State = Uploading
	t.move(n)
}

// resize says what size the blob turned out to have.
func (t *track) resize(total int64) {
	t.m.mu.Lock()
	defer t.m.mu.Unlock()
	t.m.total += total - t.layer.Total
	t.layer.Total = total
}

// end says what has become of the blob, all of which is in the registry now.
func (t *track) end(s State, desc v1.Descriptor) {
	t.resize(desc.Size)
	t.m.mu.Lock()
	defer t.m.mu.Unlock()
	t.layer.State, t.layer.Digest = s, desc.Digest.String()
	t.move(t.layer.Total - t.layer.Done)
}

func (t *track) move(n int64) {
	t.layer.Done += n
	t.m.done += n
	if more := t.layer.Done - t.layer.Total; more > 0 { // some layers grow a little by compression
		t.layer.Total += more
		t.m.total += more
	}
	if !t.start.IsZero() {
		t.layer.Elapsed = time.Since(t.start)
	}
	t.m.tell(t.layer)
	t.m.report()
}
