package build

import (
	"fmt"
	"strconv"
	"time"

	"github.com/apron-deploy/apron/reconcile/state"
)

// epoch is the time that a build says it is: the build argument SOURCE_DATE_EPOCH, or
// 1970, so that nothing in an image tells when it was built.
// https://reproducible-builds.org/docs/source-date-epoch/
type epoch struct {
	seconds int64
	set     bool
}

func (e epoch) time() time.Time { return time.Unix(e.seconds, 0).UTC() }

func epochOf(b state.Build) (epoch, error) {
	text, ok := b.Args["SOURCE_DATE_EPOCH"]
	if !ok {
		return epoch{}, nil
	}
	seconds, err := strconv.ParseInt(text, 10, 64)
	if err != nil || seconds < 0 {
		return epoch{}, fmt.Errorf("build argument SOURCE_DATE_EPOCH: %q is not a number of seconds", text)
	}
	return epoch{seconds, true}, nil
}
