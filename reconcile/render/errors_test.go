package render

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/hashicorp/go-multierror"
	"github.com/stretchr/testify/require"
)

// around is an error that wraps another and has a hint of its own.
type around struct {
	hinted
	err error
}

func (e around) Error() string { return e.text + ": " + e.err.Error() }
func (e around) Unwrap() error { return e.err }

func TestError_saysEachErrorOnceWithItsHint(t *testing.T) {
	size := hinted{"cpu: 300 is not a size App Runner offers", "use 256, 512, 1024, 2048 or 4096"}
	one, two := errors.New("one"), errors.New("two")
	for name, tc := range map[string]struct {
		err  error
		want string
	}{
		"nothing":                           {nil, ""},
		"nothing but a terminal's commands": {errors.New("\x1b[2J"), "apron: error: \"\\x1b[2J\"\n"},
		"one":                               {one, "apron: error: one\n"},
		"hint":                              {fmt.Errorf("deploy.yaml:12:9: %w", size), "apron: error: deploy.yaml:12:9: cpu: 300 is not a size App Runner offers\napron: hint: use 256, 512, 1024, 2048 or 4096\n"},
		"several":                           {multierror.Append(one, size, two), "apron: error: one\napron: error: cpu: 300 is not a size App Runner offers\napron: hint: use 256, 512, 1024, 2048 or 4096\napron: error: two\n"},
		"nested":                            {multierror.Append(one, multierror.Append(two)), "apron: error: one\napron: error: two\n"},
		"joined":                            {errors.Join(one, two), "apron: error: one\napron: error: two\n"},
		"twice":                             {errors.Join(one, two, one), "apron: error: one\napron: error: two\n"},
		"wrapped several": {fmt.Errorf("a: %w", fmt.Errorf("b: %w", multierror.Append(one, size))),
			"apron: error: a: b: one\napron: error: a: b: cpu: 300 is not a size App Runner offers\napron: hint: use 256, 512, 1024, 2048 or 4096\n"},
		"hint of the wrapper": {around{hinted{"a", "do this"}, errors.Join(one, size)},
			"apron: error: a: one\napron: hint: do this\napron: error: a: cpu: 300 is not a size App Runner offers\napron: hint: use 256, 512, 1024, 2048 or 4096\n"},
		"same hint":  {errors.Join(hinted{"x", "log in"}, hinted{"y", "log in"}), "apron: error: x\napron: hint: log in\napron: error: y\n"},
		"not a list": {fmt.Errorf("%w, and then %w", one, two), "apron: error: one, and then two\n"},
		"lines":      {errors.New("first\n\tsecond\r\n\n\x1b[31mthird\x1b[0m\x07\n"), "apron: error: first\n      second\n\n  third\\a\n"},
	} {
		t.Run(name, func(t *testing.T) {
			var b strings.Builder
			require.NoError(t, Error(&b, tc.err, false))
			require.Equal(t, tc.want, b.String())
		})
	}
}

func TestError_coloursTheLabelOnly(t *testing.T) {
	var b strings.Builder
	require.NoError(t, Error(&b, hinted{"no", "yes"}, true))
	require.Equal(t, "apron: \x1b[31merror:\x1b[0m no\napron: \x1b[36mhint:\x1b[0m yes\n", b.String())
}
