package build_test

import (
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/apron-deploy/apron/providers/image/build"
	"github.com/apron-deploy/apron/reconcile/state"
)

// TestEngines_sayWhyABuildFailed has the failures that can be had from real engines.
func TestEngines_sayWhyABuildFailed(t *testing.T) {
	for desc, tc := range map[string]struct {
		dockerfile  string
		args        map[string]string
		cause, hint string
	}{
		"a missing file": {
			dockerfile: "FROM scratch\nCOPY missing.txt /\n",
			cause:      "Dockerfile:2: COPY: there is no missing.txt in the context",
		},
		"an ignored file": {
			dockerfile: "FROM scratch\nCOPY kept /\nCOPY web/debug.log /\n",
			cause:      "Dockerfile:3: COPY: web/debug.log is on disk but not in the context; does the ignore file leave it out?",
		},
		"a file that a stage lacks": {
			dockerfile: "FROM scratch AS one\nCOPY kept /\nFROM scratch\nCOPY --from=one /app/nothing /\n",
			cause:      "Dockerfile:4: COPY: there is no /app/nothing in one",
		},
		"an argument without a value": {
			dockerfile: "FROM " + shellName + "\nARG KEY\nARG EMPTY\nARG OTHER=x\nRUN test -n \"$KEY\" && echo $EMPTY\n",
			args:       map[string]string{"EMPTY": ""},
			hint: "KEY has no value: the Dockerfile declares it, and image.build.args does not give it; " +
				"image.build.args.EMPTY is empty: is its variable set, and .env where the manifest is?",
		},
	} {
		for _, called := range builders[1:] {
			t.Run(desc+"/"+called, func(t *testing.T) {
				dir := checkout(t, map[string]string{"Dockerfile": tc.dockerfile, ".dockerignore": "*.log\n**/*.log\n", "web/debug.log": "", "kept": ""})
				r := request(t, dir, state.Build{Args: tc.args})
				var lines []string
				r.Line = func(_, line string) { lines = append(lines, line) }
				_, err := builder(t, called, &r).Build(t.Context(), r)
				var failed *build.CommandError
				require.ErrorAs(t, err, &failed, strings.Join(lines, "\n"))
				require.Equal(t, tc.cause, failed.Cause, err)
				require.Equal(t, splitHint(tc.hint), splitHint(failed.Hint()), err)
				require.NotEmpty(t, failed.Tail, "what was printed last is kept")
				require.Contains(t, err.Error(), failed.Tail[len(failed.Tail)-1])
			})
		}
	}
}

// splitHint makes the order of several hints irrelevant.
func splitHint(text string) map[string]bool {
	all := map[string]bool{}
	for part := range strings.SplitSeq(text, "; ") {
		all[part] = true
	}
	return all
}

func TestEngines_sayThatTheDaemonDoesNotAnswer(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("there are no unix sockets of that kind")
	}
	r := request(t, checkout(t, map[string]string{"Dockerfile": "FROM scratch\nRUN x\n"}), state.Build{})
	engine(t, "docker", r)
	r.Environ = append(r.Environ, "DOCKER_HOST=unix://"+filepath.Join(t.TempDir(), "none.sock"))
	_, err := build.Choose(t.Context(), "docker", r)
	var failed *build.CommandError
	require.ErrorAs(t, err, &failed)
	require.Equal(t, "the daemon does not answer", failed.Cause)
	require.Contains(t, failed.Hint(), "DOCKER_HOST says where it is looked for")
}

// TestCauses_areKnownByTheirMessages has those of engines that no test can have on any machine.
func TestCauses_areKnownByTheirMessages(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("there is no /bin/sh")
	}
	for message, want := range map[string]string{
		"write /var/lib/docker/tmp/x: no space left on device":                                                        "the disk is full",
		"Error: committing container: copying layers: write /x: no space left on device":                              "the disk is full",
		"ERROR: permission denied while trying to connect to the Docker daemon socket at unix:///var/run/docker.sock": "this user may not talk to the daemon",
		"Got permission denied while trying to connect to the Docker daemon socket":                                   "this user may not talk to the daemon",
		"Cannot connect to the Docker daemon at tcp://10.0.0.1:2375. Is the docker daemon running?":                   "the daemon does not answer",
		"ERROR: failed to connect to the docker API at unix:///var/run/docker.sock; check if the path is correct and if the daemon is running: dial unix /var/run/docker.sock: connect: no such file or directory": "the daemon does not answer",
		"permission denied while trying to connect to the docker API at unix:///var/run/docker.sock":                                                                                                               "this user may not talk to the daemon",
		"error during connect: This error may indicate that the docker daemon is not running.":                                                                                                                     "the daemon does not answer",
		"the --chmod option requires BuildKit. Refer to https://docs.docker.com/go/buildkit/":                                                                                                                      "docker's legacy builder does not know what the Dockerfile asks for",
		"toomanyrequests: You have reached your pull rate limit.":                                                                                                                                                  "the registry of a base image limits how often it is pulled",
		"ERROR: failed to solve: node:99: failed to resolve source metadata for docker.io/library/node:99: not found":                                                                                              "a base image cannot be pulled",
		"pull access denied for nothing/here, repository does not exist or may require 'docker login'":                                                                                                             "a base image cannot be pulled",
		"exec /bin/sh: exec format error":                                                                                     "a program of the image is for another kind of processor",
		"ERROR: Cache export is not supported for the docker driver.":                                                         "this buildx instance cannot write caches",
		"The command '/bin/sh -c npm run build' returned a non-zero code: 137":                                                "a step was killed, most likely for want of memory",
		"process \"/bin/sh -c npm run build\" did not complete successfully: exit code: 137":                                  "a step was killed, most likely for want of memory",
		"ERROR: failed to calculate checksum of ref abc::def: \"/missing\": not found":                                        "Dockerfile:2: COPY: there is no missing in the context",
		"failed to solve: failed to compute cache key: failed to calculate checksum of ref a1b2::c3: \"/missing\": not found": "Dockerfile:2: COPY: there is no missing in the context",
		"failed to solve: rpc error: code = Unknown desc = failed to compute cache key: \"/missing\" not found: not found":    "Dockerfile:2: COPY: there is no missing in the context",
		"Error: \"kept\": not found":                    "",
		"ERROR: something else went wrong with missing": "",
	} {
		t.Run(message, func(t *testing.T) {
			bin := t.TempDir()
			require.NoError(t, os.WriteFile(filepath.Join(bin, "message"), []byte(message+"\n"), 0o600))
			require.NoError(t, os.WriteFile(filepath.Join(bin, "docker"), []byte("#!/bin/sh\ncase \"$1\" in\nversion) echo 20.10.24 20.10 ;;\nbuildx) exit 1 ;;\n"+
				"build) /bin/cat "+bin+"/message >&2; exit 1 ;;\nesac\n"), 0o755))
			t.Setenv("PATH", bin)
			r := request(t, checkout(t, map[string]string{"Dockerfile": "FROM scratch\nCOPY missing /\n"}), state.Build{})
			b, err := build.Choose(t.Context(), "docker", r)
			require.NoError(t, err)
			_, err = b.Build(t.Context(), r)
			var failed *build.CommandError
			require.ErrorAs(t, err, &failed)
			require.Equal(t, want, failed.Cause)
			require.ErrorContains(t, err, message)
		})
	}
}
