package build_test

import (
	"context"
	"errors"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/stretchr/testify/require"

	"github.com/apron-deploy/apron/providers/image/build"
	"github.com/apron-deploy/apron/reconcile/state"
)

// TestStages_areReadOnceTheyAreThere has names that are also those of images: nothing may ask
// a registry for them.
func TestStages_areReadOnceTheyAreThere(t *testing.T) {
	for desc, tc := range map[string]struct {
		dockerfile, want string
		bases            []string // where want is empty
	}{
		"a later one": {
			dockerfile: "FROM scratch\nCOPY --from=nginx /a /a\nFROM scratch AS nginx\nCOPY Dockerfile /a\nFROM 0\n",
			bases:      []string{"0"}, // FROM takes no numbers, and nothing needs the first stage
		},
		"a later one that is needed": {
			dockerfile: "FROM scratch AS first\nCOPY --from=nginx /a /a\nFROM scratch AS nginx\nCOPY --from=first /a /a\n",
			want:       `Dockerfile:2: COPY: cannot copy from stage "nginx", it needs to be defined before the current stage "first"`,
		},
		"the stage itself": {
			dockerfile: "FROM base:1 AS nginx\nLABEL a=b\nCOPY --from=nginx /a /a\n",
			want:       `Dockerfile:3: COPY: cannot copy from stage "nginx", it needs to be defined before the current stage "nginx"`,
		},
		"a name in capitals": {
			dockerfile: "FROM scratch AS nginx\nCOPY --from=NGINX /a /a\n",
			want:       `Dockerfile:2: COPY: cannot copy from stage "NGINX", it needs to be defined before the current stage "nginx"`,
		},
		"a stage without a name": {
			dockerfile: "FROM scratch\nCOPY --from=0 /a /a\n",
			want:       `Dockerfile:2: COPY: cannot copy from stage "0", it needs to be defined before the current stage 0`,
		},
		"a later number": {
			dockerfile: "FROM scratch\nCOPY Dockerfile /a\nFROM scratch AS last\nCOPY --from=2 /a /a\nFROM last\n",
			want:       `Dockerfile:4: COPY: cannot copy from stage "2", it needs to be defined before the current stage "last"`,
		},
		"a number of no stage": {
			dockerfile: "FROM scratch\nCOPY --from=1 /a /a\n",
			want:       `Dockerfile:2: COPY: cannot copy from stage "1", the last one is 0`,
		},
		"a number below all": {
			dockerfile: "FROM scratch\nCOPY --from=-1 /a /a\n",
			want:       `Dockerfile:2: COPY: cannot copy from stage "-1", the last one is 0`,
		},
		"earlier ones": {
			dockerfile: "FROM base:1 AS one\nFROM base:2 AS Two\nCOPY --from=0 /etc/passwd /a\nFROM scratch\nCOPY --from=TWO /a /a\nCOPY --from=1 /a /b\nCOPY --from=base:3 /etc/passwd /c\n",
			bases:      []string{"base:1", "base:2", "base:3"},
		},
	} {
		t.Run(desc, func(t *testing.T) {
			r := request(t, checkout(t, map[string]string{"Dockerfile": tc.dockerfile}), state.Build{})
			bases, err := build.Bases("Dockerfile", []byte(tc.dockerfile), state.Build{})
			require.NoError(t, build.Validate("Dockerfile", []byte(tc.dockerfile), state.Build{}), "podman and buildah take an image instead")
			if tc.want == "" {
				require.NoError(t, err)
				require.Equal(t, tc.bases, bases)
				require.NoError(t, build.Builtin{}.Check(r))
				return
			}
			none := build.Builtin{Pull: func(_ context.Context, ref string, _ v1.Platform) (v1.Image, error) {
				return nil, errors.New("a registry was asked for " + ref)
			}}
			_, buildErr := none.Build(t.Context(), r)
			for _, err := range []error{err, none.Check(r), buildErr} {
				require.EqualError(t, err, tc.want)
				var wrong *build.ParseError
				require.ErrorAs(t, err, &wrong)
			}
		})
	}
	t.Run("a later one that is mounted", func(t *testing.T) {
		const dockerfile = "FROM base:1\nRUN --mount=from=nginx,target=/from make\nFROM scratch AS nginx\n"
		_, err := build.Bases("Dockerfile", []byte(dockerfile), state.Build{})
		require.NoError(t, err, "nothing needs it")
		b := state.Build{Target: "0"}
		_, err = build.Bases("Dockerfile", []byte(dockerfile), b)
		require.EqualError(t, err, `Dockerfile:2: RUN: cannot mount from stage "nginx", it needs to be defined before the current stage 0`)
		var lacks *build.UnsupportedError
		require.ErrorAs(t, build.Builtin{}.Check(request(t, checkout(t, map[string]string{"Dockerfile": dockerfile}), b)), &lacks, "it is the engine's to say")
	})
}

// TestBuiltin_givesEveryStageAPATH as BuildKit does, so that what refers to it has something
// to refer to with every builder.
func TestBuiltin_givesEveryStageAPATH(t *testing.T) {
	const path = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
	for desc, tc := range map[string]struct {
		os         string
		base, want []string
		dockerfile string
	}{
		"none":                     {"linux", nil, []string{path}, ""},
		"none, and it is extended": {"linux", []string{"LANG=C"}, []string{"LANG=C", path + ":/app/bin"}, "ENV PATH=$PATH:/app/bin\n"},
		"none, twice":              {"linux", []string{"LANG=C"}, []string{"LANG=C", path + ":/a:/b"}, "ENV PATH=$PATH:/a\nFROM one\nENV PATH=$PATH:/b\n"},
		"its own":                  {"linux", []string{"PATH=/bin", "LANG=C"}, []string{"PATH=/bin:/app/bin", "LANG=C"}, "ENV PATH=$PATH:/app/bin\n"},
		"an empty one":             {"linux", []string{"PATH="}, []string{"PATH=:/app/bin"}, "ENV PATH=$PATH:/app/bin\n"},
		"none, on Windows":         {"windows", []string{"LANG=C"}, []string{"LANG=C"}, ""},
	} {
		t.Run(desc, func(t *testing.T) {
			b := build.Builtin{Pull: func(context.Context, string, v1.Platform) (v1.Image, error) {
				img := base(t)
				config, err := img.ConfigFile()
				require.NoError(t, err)
				config = config.DeepCopy()
				config.OS, config.Config.Env = tc.os, tc.base
				return mutate.ConfigFile(img, config)
			}}
			r := request(t, checkout(t, map[string]string{"Dockerfile": "FROM base AS one\n" + tc.dockerfile}), state.Build{Platform: tc.os + "/amd64"})
			img, err := b.Build(t.Context(), r)
			require.NoError(t, err)
			config, err := img.ConfigFile()
			require.NoError(t, err)
			require.Equal(t, tc.want, config.Config.Env)
		})
	}
}
