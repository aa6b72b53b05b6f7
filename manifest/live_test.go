package manifest_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/apron-deploy/apron/manifest"
)

func TestLiveText(t *testing.T) {
	for name, tc := range map[string]struct{ path, value, present, want string }{
		"cpu, nothing there":           {"cpu", "1024", "", "1 vCPU"},
		"cpu with its unit":            {"cpu", "1024", "0.25 vCPU", "1 vCPU"},
		"cpu as a number":              {"cpu", "1024", "256", "1024"},
		"memory with its unit":         {"memory", "2048", "0.5 GB", "2 GB"},
		"memory as a number":           {"memory", "2048", "512", "2048"},
		"seconds":                      {"health.interval", "5s", "10s", "5s"},
		"seconds as a number":          {"health.interval", "5s", "10", "5"},
		"a variable of digits":         {"env.SIZE", "1024", "256", "1024"},
		"a dollar sign in a variable":  {"env.PRICE", "${x} $5", "", "$${x} $$5"},
		"a dollar sign in a command":   {"command", "serve $PORT", "serve", "serve $$PORT"},
		"a dollar sign in a tag":       {"tags.cost", "${x}", "a", "$${x}"},
		"a dollar sign in health.path": {"health.path", "/$health", "/", "/$$health"},
	} {
		t.Run(name, func(t *testing.T) {
			require.Equal(t, tc.want, manifest.LiveText(tc.path, tc.value, tc.present))
		})
	}
}
