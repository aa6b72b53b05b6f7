package main

import (
	"errors"
	"fmt"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/hashicorp/go-multierror"
	"github.com/stretchr/testify/require"

	"github.com/apron-deploy/apron/providers/image/origin"
	"github.com/apron-deploy/apron/providers/image/push"
	"github.com/apron-deploy/apron/providers/image/source"
	"github.com/apron-deploy/apron/reconcile/release"
)

// TestExitCode_ofImages has what goes wrong with images, as a walk returns it.
func TestExitCode_ofImages(t *testing.T) {
	for name, tc := range map[string]struct {
		err  error
		want int
	}{
		"an image that cannot run":        {multierror.Append(nil, &source.Error{Key: "command"}, &source.Error{Key: "image.build"}), exitUsage},
		"a reference to nothing":          {&origin.Error{Mistake: true}, exitUsage},
		"a registry elsewhere is private": {&origin.Error{Credentials: true}, exitCredentials},
		"a registry elsewhere is down":    {&origin.Error{}, exitError},
		"a token that stays refused":      {&push.Error{Status: http.StatusUnauthorized}, exitCredentials},
		"a permission that lacks":         {&push.Error{Status: http.StatusForbidden, Code: "DENIED"}, exitCredentials},
		"a registry that is down":         {&push.Error{Status: http.StatusServiceUnavailable}, exitError},
		"a tag that is taken":             {&push.Error{Status: http.StatusConflict}, exitError},
		"anything":                        {errors.New("anything"), exitError},
	} {
		walked := multierror.Append(nil, fmt.Errorf("create ecr/image/shop:src-1: %w", tc.err))
		require.Equal(t, tc.want, exitCode(t.Context(), walked), name)
	}
}

// TestApply_exitCodesOfImages has the same in commands.
func TestApply_exitCodesOfImages(t *testing.T) {
	t.Parallel()
	c := newCheckout(t, small, built.tiny)
	w := newWorld(t, c, filepath.Join(t.TempDir(), "state"), 0)
	gate := guarded(t, w)
	tagged := func() []string {
		return slices.DeleteFunc(w.inventory(), func(s string) bool {
			return !strings.HasPrefix(s, "image ") && !strings.HasPrefix(s, "service ") || s == "image "+release.NewestTag("shop")
		})
	}
	for _, status := range []int{http.StatusUnauthorized, http.StatusForbidden} {
		gate.registry.Store(int64(status))
		code, out := w.run(t.Context(), "apply", "--yes")
		require.Equal(t, exitCredentials, code, out)
		require.Contains(t, out, fmt.Sprintf(": %d %s", status, http.StatusText(status)))
		require.Contains(t, out, "pushing needs ecr:GetAuthorizationToken")
		require.Empty(t, tagged())
	}
	gate.registry.Store(0)

	c.replace("app/Dockerfile", "ENTRYPOINT [\"/app\"]\n", "")
	code, out := w.run(t.Context(), "apply", "--yes")
	require.Equal(t, exitUsage, code, out)
	require.Contains(t, out, "the image has neither ENTRYPOINT nor CMD")
	require.Empty(t, tagged())
	code, out = w.run(t.Context(), "build")
	require.Equal(t, exitUsage, code, out)
}
