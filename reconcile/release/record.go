// Package release is what a run leaves behind for those that follow: one [Record] of each
// apply, promotion, rollback and destroy of a service, whether it succeeded or not.
//
//	plan, report ─▶ [New] ─▶ Record ─▶ JSON, kept where the service's images are
//	                           │
//	                           ├─▶ [Bases]: the third side of the next plan
//	                           └─▶ history, drift, rollback
//
// A record holds the manifest as it was understood, what was wanted of each resource, what
// was done and how that ended. It holds no value of a secret and nothing derived from one:
// a field that is secret has no value, only what its store calls the version. Losing
// records loses no more than history, and the word that tells drift from a change of the
// manifest.
//
// The package is pure. Where records are kept is not its business.
package release

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/apron-deploy/apron/reconcile/state"
)

// FormatVersion is the version of the JSON of a [Record]. Fields may be added within one.
const FormatVersion = "1"

// Kind is what kind of run made a release.
type Kind string

const (
	Apply    Kind = "apply"
	Promote  Kind = "promote"
	Rollback Kind = "rollback"
	Destroy  Kind = "destroy"
)

// Result is how a release ended.
type Result string

const (
	Succeeded   Result = "succeeded"
	Failed      Result = "failed"
	Interrupted Result = "interrupted"
)

// Record is one release of a service.
type Record struct {
	FormatVersion string `json:"format_version"`
	Number        int    `json:"number"` // from 1 on, each once for a service
	Service       string `json:"service"`
	Environment   string `json:"environment,omitempty"`
	Kind          Kind   `json:"kind"`
	// Of is the release that a rollback went back to.
	Of int `json:"of,omitempty"`
	// From is what a promotion took the image of: "web-staging release 12".
	From   string `json:"from,omitempty"`
	Result Result `json:"result"`
	Error  string `json:"error,omitempty"`
	// Success is the newest release before this one that succeeded, or 0.
	Success   int       `json:"success,omitempty"`
	StartedAt time.Time `json:"started_at"`
	TookMS    int64     `json:"took_ms"`
	Actor     Actor     `json:"actor"`
	Commit    *Commit   `json:"commit,omitempty"`
	Apron     string    `json:"apron"` // version of the program
	Account   string    `json:"account"`
	Region    string    `json:"region"`
	Target    string    `json:"target"`
	Image     Image     `json:"image"`
	Summary   Summary   `json:"summary"`
	Actions   []Action  `json:"actions"` // in plan order
	// Manifest is the text that apron render prints: overlays applied, variables resolved,
	// secrets as references.
	Manifest  string            `json:"manifest,omitempty"`
	Resources []Resource        `json:"resources"` // what was wanted, in order of addresses
	Secrets   map[string]Secret `json:"secrets,omitempty"`
	// Cut says that values were left out of Actions because the record grew too large.
	Cut bool `json:"cut,omitempty"`
}

// Actor is who ran apron.
type Actor struct {
	ARN string `json:"arn"` // of the credentials
	CI  string `json:"ci,omitempty"`
	Run string `json:"run,omitempty"` // URL of the CI's run
}

// Commit is what was checked out.
type Commit struct {
	SHA    string `json:"sha"`
	Branch string `json:"branch,omitempty"`
	Dirty  bool   `json:"dirty,omitempty"`
}

// Image is what the service was to run.
type Image struct {
	Repository string `json:"repository"`
	Tag        string `json:"tag,omitempty"`
	Digest     string `json:"digest,omitempty"`  // empty when the image was never made
	Version    string `json:"version,omitempty"` // image.version of the manifest
	// Inputs is the digest of a blob, beside the record, that tells what the image was made
	// of; empty if nobody knows.
	Inputs string `json:"inputs,omitempty"`
}

// Summary counts resources as plans do, and actions by how they ended.
type Summary struct {
	Add     int `json:"add"`
	Change  int `json:"change"`
	Destroy int `json:"destroy"`
	Done    int `json:"done"`
	Failed  int `json:"failed"`
	Skipped int `json:"skipped"`
}

// Action is one step and its end.
type Action struct {
	ID      string   `json:"id"`
	Op      string   `json:"op"`
	Address string   `json:"address"`
	Status  string   `json:"status"` // done, failed, skipped
	TookMS  int64    `json:"took_ms"`
	Error   string   `json:"error,omitempty"`
	Cause   string   `json:"cause,omitempty"`
	Changes []Change `json:"changes,omitempty"`
}

// Change is one setting that was to change. A side without a value has none, or a secret.
type Change struct {
	Path   string  `json:"path"`
	Old    *string `json:"old,omitempty"`
	New    *string `json:"new,omitempty"`
	Secret bool    `json:"secret,omitempty"`
	Cause  string  `json:"cause"`
}

// Secret is what a secret variable referred to.
type Secret struct {
	Source  string `json:"source"` // env, ssm, secretsmanager
	Name    string `json:"name"`
	Key     string `json:"key,omitempty"`
	Version string `json:"version,omitempty"` // empty when it is not known
}

const (
	tagPrefix = "release-"
	digits    = 6
)

// Tag is the tag under which a record is kept, "release-web-000042". No two records of a
// service can have the same one where tags are immutable.
func Tag(service string, number int) string {
	return fmt.Sprintf("%s%s-%0*d", tagPrefix, service, digits, number)
}

// Number reads a [Tag] of a service; other tags are no record of it.
func Number(service, tag string) (int, bool) {
	text, ok := strings.CutPrefix(tag, tagPrefix+service+"-")
	n, err := strconv.Atoi(text)
	return n, ok && err == nil && n > 0 && Tag(service, n) == tag
}

// ParseTag reads a [Tag] of any service.
func ParseTag(tag string) (service string, number int, ok bool) {
	i := strings.LastIndexByte(tag, '-')
	if i < len(tagPrefix) || !strings.HasPrefix(tag, tagPrefix) {
		return "", 0, false
	}
	service = tag[len(tagPrefix):i]
	number, ok = Number(service, tag)
	return service, number, ok && service != ""
}

// NewestTag is a tag that moves to each new record of a service. A service's name has no
// dot, so that it is no other service's live- tag.
func NewestTag(service string) string { return "live-" + service + ".release" }

// IsTag reports whether a tag names a record, of whatever service.
func IsTag(tag string) bool {
	return strings.HasPrefix(tag, tagPrefix) || strings.HasPrefix(tag, "live-") && strings.HasSuffix(tag, ".release")
}

// errVersion is why a record of another format is not read.
var errVersion = errors.New("it is of a format that this apron does not know")

// Decode reads a record.
func Decode(data []byte) (Record, error) {
	var r Record
	if err := json.Unmarshal(data, &r); err != nil {
		return Record{}, fmt.Errorf("release record: %w", err)
	}
	if r.FormatVersion != FormatVersion {
		return Record{}, fmt.Errorf("release record: format_version %q: %w", r.FormatVersion, errVersion)
	}
	if r.Number < 1 || r.Service == "" {
		return Record{}, errors.New("release record: it has no number or no service")
	}
	return r, nil
}

// MaxBytes is how long an encoded record may be: well within a manifest of ECR's, which
// has 4 MiB, once it is base64.
// https://docs.aws.amazon.com/AmazonECR/latest/APIReference/API_PutImage.html
const MaxBytes = 1 << 20

// Encode writes a record as JSON. One that is too large loses the values of its actions
// first; the settings themselves are never cut, because a rollback needs them whole.
func (r Record) Encode() ([]byte, error) {
	data, err := json.Marshal(r)
	if err != nil || len(data) <= MaxBytes {
		return data, err
	}
	r.Cut = true
	actions := make([]Action, len(r.Actions))
	for i, a := range r.Actions {
		a.Changes, a.Error = nil, cut(a.Error, 200)
		actions[i] = a
	}
	r.Actions = actions
	if data, err = json.Marshal(r); err != nil {
		return nil, err
	}
	if len(data) > MaxBytes {
		return nil, fmt.Errorf("release record: %d bytes: at most %d can be kept", len(data), MaxBytes)
	}
	return data, nil
}

// cut keeps the start of a text, and says so.
func cut(s string, most int) string {
	if r := []rune(s); len(r) > most {
		return string(r[:most]) + "…"
	}
	return s
}

// Changed names what a release has changed, for a list: the settings of the service, and
// every other resource that was touched.
func (r Record) Changed() []string {
	var changed []string
	for _, a := range r.Actions {
		if a.Status == "skipped" {
			continue
		}
		addr, err := state.ParseAddress(a.Address)
		if err != nil {
			continue
		}
		switch {
		case addr.Kind == "service" && a.Op == "update":
			for _, c := range a.Changes {
				if !slices.Contains(changed, c.Path) {
					changed = append(changed, c.Path)
				}
			}
		case addr.Kind == "service":
			changed = slices.Insert(changed, 0, "service "+a.Op+"d")
		case addr.Kind == "tag" || addr.Kind == "image": // follow from the service's image
		default:
			changed = append(changed, a.Op+" "+addr.Kind)
		}
	}
	return changed
}
