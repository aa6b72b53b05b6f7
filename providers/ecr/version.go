package ecr

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode"

	"github.com/apron-deploy/apron/reconcile/pattern"
	"github.com/apron-deploy/apron/reconcile/state"
)

// candidates is how many versions after a taken one are looked at for one that is free.
const candidates = 8

// Candidates are the tags to look up beside those of [Desired], so that a version that is
// taken can be refused with one that is free.
func Candidates(spec state.Spec) []state.Address {
	var tags []state.Address
	version := spec.Image.Version
	for range candidates {
		if version = nextVersion(version); version == "" {
			break
		}
		tags = append(tags, Tag(spec.Image.Repository, version))
	}
	return tags
}

// renamed says how the image gets another name than its version, as far as live shows what
// is free. A version that is made from a variable is changed there, not in the manifest.
func renamed(spec state.Spec, live state.Live) string {
	free := "a name that is free"
	for _, tag := range Candidates(spec) {
		_, version := split(tag.Name)
		if _, taken := live[tag]; !taken && !slices.Contains(spec.Image.Tags, version) {
			free = version
			break
		}
	}
	from := spec.Image.VersionFrom
	because := " (image.version is " + from + ")"
	switch of := variable(from); {
	case from == "" && strings.Contains(free, " "):
		return "set image.version to " + free
	case from == "":
		return "set image.version: " + free
	case of == "", of == "git.branch":
		return "have image.version be " + free + ", which is made from " + from
	case of == "git.tag" && strings.HasSuffix(spec.Image.Version, "-dirty"):
		return "commit what has changed and tag that commit with " + free + because
	case of == "git.tag":
		return "tag the commit with " + free + because
	case strings.HasPrefix(of, "git."):
		return "commit what has changed" + because
	default:
		return "set " + of + " to " + free + because
	}
}

// variable is the name in a text that is one ${NAME} and nothing else, or "".
func variable(text string) string {
	name, ok := strings.CutPrefix(text, "$")
	if inner, braced := strings.CutPrefix(name, "{"); braced {
		if name, ok = strings.CutSuffix(inner, "}"); strings.ContainsAny(name, "${}") {
			return ""
		}
		if i := strings.IndexAny(name, ":-?+"); i >= 0 { // with a default, or the like
			name = name[:i]
		}
	}
	if !ok || strings.ContainsFunc(name, func(r rune) bool { return r != '_' && r != '.' && !unicode.IsLetter(r) && !unicode.IsDigit(r) }) {
		return ""
	}
	return name
}

var (
	// numbered are the versions whose last number counts them: v7, 1.2, v1.0.0,
	// release-3, v1.0.0-rc1, 1.0.0-beta.2.
	numbered = pattern.Lazy(`^(?:[A-Za-z][A-Za-z_-]*)?[0-9]+(?:\.[0-9]+)*(?:[-.]?[A-Za-z]+[-.]?[0-9]+)?$`)
	// dated are those that begin with a year.
	dated = pattern.Lazy(`^[^0-9]*(?:19|20)[0-9]{2}(?:[^0-9]|[01][0-9][0-3][0-9]$)`)
)

// nextVersion counts a version up in its own style, or returns "" where none is seen.
func nextVersion(version string) string {
	if !numbered().MatchString(version) || dated().MatchString(version) {
		return ""
	}
	head := strings.TrimRight(version, "0123456789")
	digits := version[len(head):]
	n, err := strconv.ParseUint(digits, 10, 63)
	if err != nil {
		return "" // more digits than anybody counts
	}
	return fmt.Sprintf("%s%0*d", head, len(digits), n+1)
}

// TakenError says that a version names another image than the one that was rolled out
// under it.
type TakenError struct {
	Version string
	Digest  string // of what it names
	Fix     string
}

var _ error = (*TakenError)(nil)

func (e *TakenError) Error() string {
	return fmt.Sprintf("rolled out, but %s names another image, %s, and is never moved", e.Version, e.Digest)
}

// Hint says how to name what runs.
func (e *TakenError) Hint() string { return e.Fix + " and apply again: nothing is built again" }

// PolicyRefused tells this error from a failure: what is released stays what it is.
func (*TakenError) PolicyRefused() bool { return true }
