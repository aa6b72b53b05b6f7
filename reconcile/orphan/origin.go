package orphan

import (
	"io/fs"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/apron-deploy/apron/reconcile/pattern"
)

// Tag is the key of the tag in which a service has its [Origin].
const Tag = "apron:manifest"

// Origin is where the manifest of a service is.
type Origin struct {
	Repository  string // host and path, as git.Repository.Name has it
	File        string // from the repository's top, slash-separated
	Environment string // empty where none was chosen
}

// maxTag is how many characters the value of a tag has at most.
// https://docs.aws.amazon.com/tag-editor/latest/userguide/reference.html
const maxTag = 256

var environment = pattern.Lazy(`^[A-Za-z0-9][A-Za-z0-9_-]{0,39}$`)

// String is the origin as a tag has it:
//
//	github.com/acme/shop:services/web.yaml
//	github.com/acme/shop:services/web.yaml:production
//
// It is empty for what a tag cannot say: a path with a colon or with characters that tags
// do not have, and one that is too long. A service without the tag is never an orphan.
func (o Origin) String() string {
	if !o.sound() {
		return ""
	}
	text := o.Repository + ":" + o.File
	if o.Environment != "" {
		text += ":" + o.Environment
	}
	if utf8.RuneCountInString(text) > maxTag {
		return ""
	}
	return text
}

// Parse reads the value of a tag. Anybody may have written it.
func Parse(text string) (Origin, bool) {
	parts := strings.Split(text, ":")
	if len(parts) < 2 || len(parts) > 3 {
		return Origin{}, false
	}
	o := Origin{Repository: parts[0], File: parts[1]}
	if len(parts) == 3 {
		o.Environment = parts[2]
	}
	return o, o.String() == text
}

func (o Origin) sound() bool {
	return o.Repository != "" && plain(o.Repository) && !strings.Contains(o.Repository, " ") &&
		o.File != "." && fs.ValidPath(o.File) && plain(o.File) &&
		(o.Environment == "" || environment().MatchString(o.Environment))
}

// plain reports whether text is of characters that every tag may have, but for the colon.
func plain(text string) bool {
	for _, r := range text {
		if !unicode.IsLetter(r) && !unicode.IsDigit(r) && !strings.ContainsRune(" _./=+-@", r) {
			return false
		}
	}
	return utf8.ValidString(text)
}
