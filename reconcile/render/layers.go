package render

import (
	"fmt"
	"strings"
	"time"

	"github.com/apron-deploy/apron/reconcile/apply"
)

// A layer has a line of its own in a log if it was large or slow to send, and no more of an
// image than a reader looks through: the line at the end has them all.
const (
	largeBytes = 10_000_000
	slowLayer  = time.Second
	layerLines = 20
)

// layerLine says how a layer was sent, or nothing if that is not worth a line.
func layerLine(r *running, l apply.Layer) string {
	if l.Arrival != apply.Sent || l.Bytes < largeBytes && l.Took < slowLayer || r.shown == layerLines {
		return ""
	}
	r.shown++
	return fmt.Sprintf("layer %s, %s, pushed in %s%s", shortDigest(l.Digest), size(l.Bytes), took(l.Took), speed(l.Bytes, l.Took))
}

// pushedLine sums up a push: "pushed 3 layers, 45.2 MB in 4.1s (11.0 MB/s); 17 layers
// already exist, 310.0 MB saved".
func pushedLine(l apply.Layers) string {
	var parts []string
	if l.Sent > 0 {
		parts = append(parts, fmt.Sprintf("pushed %s, %s in %s%s", layers(l.Sent), size(l.Bytes), took(l.Took), speed(l.Bytes, l.Took)))
	}
	var saved []string
	switch {
	case l.Existed == 1:
		saved = append(saved, "1 layer already exists")
	case l.Existed > 1:
		saved = append(saved, layers(l.Existed)+" already exist")
	}
	if l.Mounted > 0 {
		saved = append(saved, layers(l.Mounted)+" mounted from another repository")
	}
	if len(saved) > 0 {
		parts = append(parts, strings.Join(append(saved, size(l.Saved)+" saved"), ", "))
	}
	return strings.Join(parts, "; ")
}

func layers(n int) string {
	if n == 1 {
		return "1 layer"
	}
	return fmt.Sprintf("%d layers", n)
}

// speed is a mean rate in brackets, where there was time enough for one.
func speed(bytes int64, d time.Duration) string {
	if d < time.Millisecond {
		return ""
	}
	return " (" + size(int64(float64(bytes)/d.Seconds())) + "/s)"
}

// shortDigest is how much of a digest people read.
func shortDigest(digest string) string {
	algorithm, hex, _ := strings.Cut(clean(digest), ":")
	return algorithm + ":" + hex[:min(12, len(hex))]
}

// counts is what goes on beside the bytes: ", 10.1 MB/s, 12 of 20 layers, 8 existed".
func (r *running) counts() string {
	l := r.layers
	if l == nil {
		return ""
	}
	var b strings.Builder
	if l.Rate > 0 {
		fmt.Fprintf(&b, ", %s/s", size(int64(l.Rate)))
	}
	fmt.Fprintf(&b, ", %d of %s", l.Done(), layers(l.Total))
	if l.Existed > 0 {
		fmt.Fprintf(&b, ", %d existed", l.Existed)
	}
	if l.Mounted > 0 {
		fmt.Fprintf(&b, ", %d mounted", l.Mounted)
	}
	return b.String()
}
