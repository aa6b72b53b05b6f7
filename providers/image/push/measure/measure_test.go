//go:build linux

package main

import (
	"bytes"
	"net/http"
	"os"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// TestMain is the command as well: it starts itself to create images and to push them.
func TestMain(m *testing.M) {
	shapes = []shapeOf{{10, 1, false}, {10, 1, true}}
	if len(os.Args) > 1 && (os.Args[1] == "push" || os.Args[1] == "create") {
		main()
		return
	}
	os.Exit(m.Run())
}

// TestMeasure measures small images, once: every source that is here, with every tool
// that is here. What it took is of no interest, what was asked of the registry is.
func TestMeasure(t *testing.T) {
	for _, src := range sources {
		t.Run(src.name, func(t *testing.T) {
			if src.load != "" && !has(t.Context(), src.load) {
				if os.Getenv("APRON_TEST_ENGINES") == "required" {
					t.Fatalf("%s does not work here", src.load)
				}
				t.Skipf("%s does not work here", src.load)
			}
			var out bytes.Buffer
			s := settings{rounds: 1, scale: 16, only: regexp.MustCompile("^" + src.name), dir: t.TempDir(), links: []bool{false}}
			require.NoError(t, measure(t.Context(), s, &out))
			titles, ours := 0, 0
			for line := range strings.Lines(out.String()) {
				if strings.HasPrefix(line, "### "+src.name+", 10 x 1 MiB ") {
					titles++
				}
				cells := strings.Split(line, "|") // an empty one, the tool, then four for each push
				if len(cells) != 2+4*len(phases)+1 || strings.TrimSpace(cells[1]) != "apron" {
					continue
				}
				ours++
				var requests [len(phases)]int
				for phase := range phases {
					n, err := strconv.Atoi(strings.TrimSpace(cells[2+4*phase+2]))
					require.NoError(t, err, line)
					requests[phase] = n
				}
				require.GreaterOrEqual(t, requests[0], 2+2*11, "the tag, ten layers and the configuration, the manifest: %s", line)
				require.Equal(t, 1, requests[1], "the tag: %s", line)
				require.Less(t, requests[2], requests[0]/2, "one layer and the configuration: %s", line)
			}
			require.Equal(t, len(shapes), titles, out.String())
			require.Equal(t, len(shapes), ours, out.String())
		})
	}
}

// TestShape asks the registry through the link: an answer takes a round trip at least,
// for the handshake and for itself.
func TestShape(t *testing.T) {
	r, err := serve()
	require.NoError(t, err)
	defer r.close()
	addr, end, err := shape(r.addr)
	require.NoError(t, err)
	defer end()
	start := time.Now()
	answer, err := http.Get("http://" + addr + "/v2/")
	require.NoError(t, err)
	require.NoError(t, answer.Body.Close())
	require.Equal(t, http.StatusOK, answer.StatusCode)
	require.Equal(t, 1, r.count())
	require.GreaterOrEqual(t, time.Since(start), 4*oneWay)
}
