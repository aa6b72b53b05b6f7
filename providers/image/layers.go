package image

import (
	"time"

	"github.com/apron-deploy/apron/providers/image/push"
	"github.com/apron-deploy/apron/reconcile/apply"
)

// layers tells how the layers of an image, or of all those of an index, get into the
// registry. Pushes tell it one thing at a time.
type layers struct {
	phase  string
	report func(apply.Progress)
	start  time.Time
	first  time.Time // byte on the wire
	known  map[string]push.Layer
	count  apply.Layers
	done   int64
	total  int64
}

// follow has a push tell of its layers as a phase.
func follow(o *push.Options, phase string, report func(apply.Progress)) *layers {
	f := &layers{phase: phase, report: report, start: time.Now(), known: map[string]push.Layer{}}
	o.Layer, o.Progress = f.layer, f.progress
	return f
}

// layer takes in how far a layer has come. One that was sent for an image of an index is
// there for the next one, and is no other layer.
func (f *layers) layer(l push.Layer) {
	old, ok := f.known[l.Name]
	if l.Config || ok && old.Digest != "" {
		return
	}
	if !ok {
		f.count.Total++
	}
	f.known[l.Name] = l
	if l.State == push.Uploading || l.State == push.Uploaded {
		if f.first.IsZero() {
			f.first = time.Now()
		}
		f.count.Bytes += l.Done - old.Done
	}
	if l.Digest == "" {
		return
	}
	came := apply.Layer{Digest: l.Digest, Bytes: l.Total}
	switch l.State {
	case push.Uploaded:
		came.Arrival, came.Took = apply.Sent, l.Elapsed
		f.count.Sent++
	case push.Mounted:
		came.Arrival = apply.Mounted
		f.count.Mounted++
		f.count.Saved += l.Total
	default:
		came.Arrival = apply.Existed
		f.count.Existed++
		f.count.Saved += l.Total
	}
	f.report(apply.Progress{Layer: &came})
}

func (f *layers) progress(done, total int64) {
	f.done, f.total = done, total
	f.tell()
}

func (f *layers) tell() {
	now := f.count
	if took := time.Since(f.first); !f.first.IsZero() && took > 0 {
		now.Rate = float64(now.Bytes) / took.Seconds()
	}
	f.report(apply.Progress{Phase: f.phase, Done: f.done, Total: f.total, Layers: &now})
}

// end sums up what has succeeded. Of an image that turned out to be there, there is nothing
// to be said.
func (f *layers) end() {
	if f.count.Total == 0 {
		return
	}
	f.count.Took = max(time.Since(f.start), 1)
	f.tell()
}
