package ecr_test

import (
	"encoding/base64"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	sdk "github.com/aws/aws-sdk-go-v2/service/ecr"
	"github.com/aws/aws-sdk-go-v2/service/ecr/types"
	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"github.com/stretchr/testify/require"
)

// client is a program that people push with. In its arguments ARCHIVE is a file in
// docker's format, and REGISTRY the registry's host and port.
type client struct {
	name  string
	login []string // takes the password on standard input
	load  []string
	drop  []string
	tag   []string // and the image's name in the registry; nil if it has no store of its own
	push  []string // and the image's name in the registry
	pull  []string
}

// local is the image's name in the archive, and in the stores of those that have one.
const local = "apron.local/clients:one"

var clients = []client{
	{name: "docker",
		login: []string{"login", "--username", "AWS", "--password-stdin", "REGISTRY"},
		load:  []string{"load", "--quiet", "--input", "ARCHIVE"}, drop: []string{"rmi", "--force"}, tag: []string{"tag", local},
		push: []string{"push", "--quiet"}, pull: []string{"pull", "--quiet"}},
	{name: "podman",
		login: []string{"login", "--tls-verify=false", "--username", "AWS", "--password-stdin", "REGISTRY"},
		load:  []string{"load", "--quiet", "--input", "ARCHIVE"}, drop: []string{"rmi", "--force"}, tag: []string{"tag", local},
		push: []string{"push", "--quiet", "--tls-verify=false"}, pull: []string{"pull", "--quiet", "--tls-verify=false"}},
	{name: "skopeo",
		login: []string{"login", "--tls-verify=false", "--username", "AWS", "--password-stdin", "REGISTRY"},
		push:  []string{"--insecure-policy", "copy", "--quiet", "--dest-tls-verify=false", "docker-archive:ARCHIVE"},
		pull:  []string{"--insecure-policy", "copy", "--quiet", "--src-tls-verify=false"}},
}

// spy notes what passes to and from a registry.
type spy struct {
	http.Handler
	mu   sync.Mutex
	seen []string // "PATCH 201 /v2/web/blobs/uploads/…"
}

func (s *spy) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	n := &noted{ResponseWriter: w, code: http.StatusOK}
	s.Handler.ServeHTTP(n, r)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.seen = append(s.seen, fmt.Sprintf("%s %d %s", r.Method, n.code, r.URL.RequestURI()))
}

// take returns what was seen since the last time.
func (s *spy) take() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	seen := s.seen
	s.seen = nil
	return seen
}

type noted struct {
	http.ResponseWriter
	code int
}

func (n *noted) WriteHeader(code int) {
	n.code = code
	n.ResponseWriter.WriteHeader(code)
}

func (n *noted) Unwrap() http.ResponseWriter { return n.ResponseWriter }

// TestClients holds the registry against the programs that people use. What ECR does
// otherwise than the specification says must not surprise them: they take its 201 for a
// chunk, and they report that it refuses to move an immutable tag.
func TestClients(t *testing.T) {
	for _, c := range clients {
		t.Run(c.name, func(t *testing.T) {
			here(t, c.name)
			w := newWorld(t)
			w.ctx = t.Context() // engines may take their time
			s := &spy{Handler: w.server.Config.Handler}
			watched := httptest.NewServer(s)
			t.Cleanup(watched.Close)
			w.server = watched // which its endpoint names from now on
			registry := strings.TrimPrefix(watched.URL, "http://")
			ref := func(image string) string { return registry + "/" + image }
			archive := filepath.Join(t.TempDir(), "image.tar")
			img := randomImage(t, 3)
			require.NoError(t, tarball.WriteToFile(archive, name.MustParseReference(local), img))

			home := t.TempDir()
			run := func(input string, args ...string) (string, error) {
				for i := range args {
					args[i] = strings.NewReplacer("ARCHIVE", archive, "REGISTRY", registry).Replace(args[i])
				}
				cmd := exec.CommandContext(w.ctx, c.name, args...)
				cmd.Env = append(os.Environ(), "DOCKER_CONFIG="+home, "REGISTRY_AUTH_FILE="+filepath.Join(home, "auth.json"))
				cmd.Stdin = strings.NewReader(input)
				out, err := cmd.CombinedOutput()
				return string(out), err
			}
			must := func(args ...string) {
				t.Helper()
				out, err := run("", args...)
				require.NoError(t, err, "%s %s: %s", c.name, strings.Join(args, " "), out)
			}
			with := func(args []string, more ...string) []string { return append(append([]string{}, args...), more...) }
			send := func(image string) []string {
				if c.tag == nil {
					return with(c.push, "docker://"+ref(image))
				}
				must(with(c.tag, ref(image))...)
				t.Cleanup(func() { _ = exec.Command(c.name, with(c.drop, ref(image))...).Run() })
				return with(c.push, ref(image))
			}
			if c.load != nil {
				must(with(c.load)...)
				t.Cleanup(func() { _ = exec.Command(c.name, with(c.drop, local)...).Run() })
			}
			w.create("web")
			w.create("frozen", func(in *sdk.CreateRepositoryInput) { in.ImageTagMutability = types.ImageTagMutabilityImmutable })
			w.create("uploaded")
			w.create("mounted")

			out, err := run("", send("web:v1")...)
			require.Error(t, err, "nobody is logged in: %s", out)
			basic, err := w.login().Authorization()
			require.NoError(t, err)
			token, err := base64.StdEncoding.DecodeString(basic.Auth)
			require.NoError(t, err)
			password := strings.TrimPrefix(string(token), "AWS:")
			out, err = run(password, with(c.login)...)
			require.NoError(t, err, out)
			require.NotContains(t, out, password)

			// Push: every chunk that is sent is answered with 201.
			s.take()
			must(send("web:v1")...)
			chunks := having(s.take(), "PATCH ")
			require.GreaterOrEqual(t, len(chunks), 4, "three layers and the configuration")
			require.Len(t, having(chunks, "PATCH 201 "), len(chunks), "%q", chunks)
			images := w.details("web")
			require.Len(t, images, 1)
			for _, i := range images {
				require.Equal(t, []string{"v1"}, i.ImageTags)
			}

			// Again: nothing goes up.
			must(send("web:v1")...)
			again := s.take()
			require.Empty(t, having(again, "PATCH "), "%q", again)
			require.Equal(t, images, w.details("web"))

			// Pull, of what another program pushed, too.
			w.push("web:theirs", img)
			for _, image := range []string{"web:v1", "web:theirs"} {
				s.take()
				if c.tag == nil {
					must(with(c.pull, "docker://"+ref(image), "dir:"+t.TempDir())...)
				} else {
					must(with(c.drop, ref(image), local)...)
					must(with(c.pull, ref(image))...)
				}
				require.NotEmpty(t, having(s.take(), "GET 200 /v2/web/manifests/"))
			}
			if c.load != nil {
				must(with(c.load)...)
			}

			// An immutable tag is not put twice, not even the same.
			must(send("frozen:v1")...)
			out, err = run("", send("frozen:v1")...)
			refused := having(s.take(), "PUT 400 /v2/frozen/manifests/v1")
			require.Equal(t, err != nil, len(refused) > 0, "%s tells what the registry said: %s", c.name, out)
			require.Error(t, err, out)
			require.Contains(t, out, "immutable")

			// Mounts need the account's consent; without it the client uploads.
			mounted := regexp.MustCompile(`^POST (\d+) /v2/[a-z]+/blobs/uploads/\?.*mount=`)
			codes := func(into string) map[string]int {
				s.take()
				must(send(into + ":v1")...)
				require.Len(t, w.details(into), 1)
				found := map[string]int{}
				for _, line := range s.take() {
					if m := mounted.FindStringSubmatch(line); m != nil {
						found[m[1]]++
					}
				}
				return found
			}
			require.Equal(t, []string{"202"}, slices.Collect(maps.Keys(codes("uploaded"))))
			_, err = w.client.PutAccountSetting(w.ctx, &sdk.PutAccountSettingInput{Name: aws.String("BLOB_MOUNTING"), Value: aws.String("ENABLED")})
			require.NoError(t, err)
			require.GreaterOrEqual(t, codes("mounted")["201"], 3)
		})
	}
}

// here skips the test unless a program is there, and its daemon if it has one.
func here(t *testing.T, program string) {
	t.Helper()
	args := []string{"info"}
	if program == "skopeo" {
		args = []string{"--version"}
	}
	out, err := exec.CommandContext(t.Context(), program, args...).CombinedOutput()
	if err == nil {
		return
	}
	if os.Getenv("APRON_TEST_ENGINES") == "required" {
		t.Fatalf("APRON_TEST_ENGINES=required: %s: %v: %s", program, err, out)
	}
	t.Skipf("%s does not work here: %v", program, err)
}

func having(lines []string, prefix string) []string {
	var found []string
	for _, line := range lines {
		if strings.HasPrefix(line, prefix) {
			found = append(found, line)
		}
	}
	return found
}
