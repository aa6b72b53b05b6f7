package render

import (
	"fmt"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/apron-deploy/apron/reconcile/release"
)

// whenFormat is how times are shown to people; always UTC.
const whenFormat = "2006-01-02 15:04 UTC"

// History is the view of a service's releases.
type History struct {
	FormatVersion string    `json:"format_version"`
	Kind          string    `json:"kind"` // "history"
	Service       string    `json:"service"`
	Repository    string    `json:"repository"`
	Releases      []Release `json:"releases"` // the newest first
	// Older is how many there are before these.
	Older int `json:"older"`
}

var _ View = (*History)(nil)

// Release is one release in a list.
type Release struct {
	Number      int       `json:"number"`
	Kind        string    `json:"release_kind"` // apply, promote, rollback, destroy
	Of          int       `json:"of,omitempty"`
	From        string    `json:"from,omitempty"`
	Environment string    `json:"environment,omitempty"`
	Result      string    `json:"result"` // succeeded, failed, interrupted
	Error       string    `json:"error,omitempty"`
	StartedAt   time.Time `json:"started_at"`
	TookMS      int64     `json:"took_ms"`
	Actor       string    `json:"actor"`        // ARN
	CI          string    `json:"ci,omitempty"` // who the CI ran for
	Run         string    `json:"run,omitempty"`
	Commit      string    `json:"commit,omitempty"`
	Dirty       bool      `json:"dirty,omitempty"`
	Version     string    `json:"version,omitempty"` // image.version
	Image       string    `json:"image,omitempty"`   // tag
	Digest      string    `json:"digest,omitempty"`
	Changed     []string  `json:"changed"` // settings and resources
}

// NewHistory makes the view of records, the newest first.
func NewHistory(service, repository string, records []release.Record, older int) *History {
	v := &History{FormatVersion: FormatVersion, Kind: "history", Service: service, Repository: repository, Releases: []Release{}, Older: older}
	for _, r := range records {
		line := Release{Number: r.Number, Kind: string(r.Kind), Of: r.Of, From: r.From, Environment: r.Environment, Result: string(r.Result), Error: r.Error,
			StartedAt: r.StartedAt, TookMS: r.TookMS, Actor: r.Actor.ARN, CI: r.Actor.CI, Run: r.Actor.Run,
			Version: r.Image.Version, Image: r.Image.Tag, Digest: r.Image.Digest, Changed: append([]string{}, r.Changed()...)}
		if r.Commit != nil {
			line.Commit, line.Dirty = r.Commit.SHA, r.Commit.Dirty
		}
		v.Releases = append(v.Releases, line)
	}
	return v
}

// who is an actor for people: whom the CI ran for, or the end of the ARN.
func who(a release.Actor) string {
	if a.CI != "" {
		return a.CI
	}
	return a.ARN[strings.LastIndexByte(a.ARN, ':')+1:]
}

const shortCommit = 7

// columns are the cells of a release, the last two of which may be long.
func (r Release) columns() [7]string {
	commit := r.Commit[:min(len(r.Commit), shortCommit)]
	if r.Dirty {
		commit += "+"
	}
	image := strings.TrimSpace(r.Version + " " + middle(r.Image, 16))
	return [7]string{fmt.Sprint(r.Number), r.StartedAt.UTC().Format(whenFormat), who(release.Actor{ARN: r.Actor, CI: r.CI}), commit, image,
		r.changed(), r.outcome()}
}

// maxChanged is how many changes a line names.
const maxChanged = 4

func (r Release) changed() string {
	c := r.Changed
	if len(c) > maxChanged {
		return strings.Join(c[:maxChanged], ", ") + fmt.Sprintf(" and %d more", len(c)-maxChanged)
	}
	return strings.Join(c, ", ")
}

// outcome is what kind of run it was, unless it was an apply, and how it ended.
func (r Release) outcome() string {
	what := ""
	switch release.Kind(r.Kind) {
	case release.Rollback:
		what = fmt.Sprintf("rollback to %d: ", r.Of)
	case release.Promote:
		what = "promotion of " + r.From + ": "
	case release.Destroy:
		what = "destroy: "
	}
	return what + r.Result
}

var historyHead = [7]string{"RELEASE", "WHEN", "WHO", "COMMIT", "IMAGE", "CHANGED", "RESULT"}

func (v *History) text(o Options) string {
	p := paint(o.Color)
	var b strings.Builder
	if len(v.Releases) == 0 {
		return fmt.Sprintf("No release of %s is recorded in repository %s.\n", clean(v.Service), clean(v.Repository))
	}
	rows := [][7]string{historyHead}
	for _, r := range v.Releases {
		row := r.columns()
		for i := range row {
			if row[i] = clean(row[i]); row[i] == "" {
				row[i] = "-"
			}
		}
		rows = append(rows, row)
	}
	var widths [7]int
	for _, row := range rows {
		for i, cell := range row {
			widths[i] = max(widths[i], utf8.RuneCountInString(cell))
		}
	}
	for n, row := range rows {
		for i, cell := range row {
			pad := strings.Repeat(" ", widths[i]-utf8.RuneCountInString(cell)+2)
			switch {
			case i == len(row)-1 && n > 0:
				cell, pad = p.in(resultColor(v.Releases[n-1].Result), cell), ""
			case i == len(row)-1:
				pad = ""
			}
			b.WriteString(cell + pad)
		}
		b.WriteByte('\n')
	}
	if v.Older > 0 {
		fmt.Fprintf(&b, "\n%s older: --limit shows more.\n", count(v.Older, "release"))
	}
	return b.String()
}

func resultColor(result string) string {
	switch release.Result(result) {
	case release.Succeeded:
		return green
	case release.Failed:
		return red
	}
	return yellow
}

func (v *History) markdown() string {
	var b strings.Builder
	if len(v.Releases) == 0 {
		return fmt.Sprintf("No release of %s is recorded in repository %s.\n", code(v.Service), code(v.Repository))
	}
	fmt.Fprintf(&b, "**%s of %s**\n\n| | When | Who | Commit | Image | Changed | Result |\n|---|---|---|---|---|---|---|\n",
		count(len(v.Releases), "release"), code(v.Service))
	for _, r := range v.Releases {
		row := r.columns()
		for i, cell := range row {
			if cell != "" && i >= 2 {
				row[i] = code(cell)
			}
		}
		fmt.Fprintf(&b, "| %s |\n", strings.Join(row[:], " | "))
	}
	if v.Older > 0 {
		fmt.Fprintf(&b, "\n%s older\n", count(v.Older, "release"))
	}
	return b.String()
}
