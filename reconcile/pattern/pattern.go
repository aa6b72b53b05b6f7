// Package pattern holds regular expressions that are compiled when they are first needed.
// There are many in apron, and a run needs few of them: to compile them all at the start
// took longer than all else that `apron version` does.
package pattern

import (
	"regexp"
	"sync"
)

// Lazy returns what compiles text once, and panics then if it is no expression.
func Lazy(text string) func() *regexp.Regexp {
	return sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(text) })
}
