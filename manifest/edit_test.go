package manifest_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/apron-deploy/apron/manifest"
)

func TestRewrite(t *testing.T) {
	set := func(path, value string) manifest.Edit { return manifest.Edit{Path: path, Value: value} }
	gone := func(path string) manifest.Edit { return manifest.Edit{Path: path, Remove: true} }
	for name, tc := range map[string]struct {
		before string
		o      manifest.EditOptions
		edits  []manifest.Edit
		after  string
	}{
		"a number in a flow mapping": {
			before: "service: shop\nscaling: {min: 1, max: 4, concurrency: 100} # ours\n",
			edits:  []manifest.Edit{set("scaling.max", "8")},
			after:  "service: shop\nscaling: {min: 1, max: 8, concurrency: 100} # ours\n",
		},
		"a text behind a comment, quotes kept": {
			before: "# ☃ first\nservice: shop\nimage:\n  # the release\n  version: 'v1.0.0'   # bump me\n  tags: [latest]\n",
			edits:  []manifest.Edit{set("image.version", "v1.1.0"), set("image.tags", "[latest, edge]")},
			after:  "# ☃ first\nservice: shop\nimage:\n  # the release\n  version: 'v1.1.0'   # bump me\n  tags: [latest, edge]\n",
		},
		"a text that needs quotes": {
			before: "service: shop\nenv: {GREETING: hello, ☃: x, B: y}\n",
			edits:  []manifest.Edit{set("env.GREETING", "a: b, c"), set("env.B", "")},
			after:  "service: shop\nenv: {GREETING: \"a: b, c\", ☃: x, B: \"\"}\n",
		},
		"a key in a block mapping, before the comment of the next": {
			before: "service: shop\nenv:\n  A: one # first\n\n# about the port\nport: 80\n",
			edits:  []manifest.Edit{set("env.B", "two")},
			after:  "service: shop\nenv:\n  A: one # first\n  B: two\n\n# about the port\nport: 80\n",
		},
		"keys in flow mappings": {
			before: "service: shop\nscaling: {}\nhealth: {path: /health,}\ntags: { a: b }\n",
			edits:  []manifest.Edit{set("scaling.min", "2"), set("health.interval", "10s"), set("tags.a.b/c", "d")},
			after:  "service: shop\nscaling: {min: 2}\nhealth: {path: /health, interval: 10s}\ntags: { a: b, a.b/c: d }\n",
		},
		"a mapping that is not there": {
			before: "service: shop\nverify:\n- path: /\n  status: 200",
			edits:  []manifest.Edit{set("image.build.args.KEY", "a b"), set("cpu", "1 vCPU")},
			after:  "service: shop\nverify:\n- path: /\n  status: 200\nimage: {build: {args: {KEY: a b}}}\ncpu: 1 vCPU\n",
		},
		"a mapping without a value": {
			before: "service: shop\nenv: # none yet\nport: 80\n",
			edits:  []manifest.Edit{set("env.A", "1")},
			after:  "service: shop\nenv: {A: 1} # none yet\nport: 80\n",
		},
		"an item of a list": {
			before: "service: shop\nverify: [{path: /, status: 200}, {path: /health, status: 200}]\n",
			edits:  []manifest.Edit{set("verify[1].status", "204")},
			after:  "service: shop\nverify: [{path: /, status: 200}, {path: /health, status: 204}]\n",
		},
		"items of a list over lines": {
			before: "service: shop\nverify:\n  # first\n  - path: / # root\n    status: 200\n  # then\n  - {path: /b}\n\n# the port\nport: 80\nimage:\n  tags:\n  - a\n  - b # stays\n  - c",
			edits:  []manifest.Edit{set("verify", "[{path: /}, {path: '/c?d', status: 204}]"), set("image.tags", "[\"x: y\", b]"), set("image.tags", "[\"x: y\", b, 'd #', e]")},
			after:  "service: shop\nverify:\n  # first\n  - {path: /}\n  # then\n  - {path: \"/c?d\", status: 204}\n\n# the port\nport: 80\nimage:\n  tags:\n  - \"x: y\"\n  - b # stays\n  - \"d #\"\n  - e\n",
		},
		"all items of a list over lines": {
			before: "service: shop\nverify: # of it\n  - path: /\nport: 80\n",
			edits:  []manifest.Edit{set("verify", "[]")},
			after:  "service: shop\nverify: [] # of it\nport: 80\n",
		},
		"a dollar sign that is none of a variable": {
			before: "service: shop\nenv: {PRICE: $$5}\n", o: manifest.EditOptions{Literal: true},
			edits: []manifest.Edit{set("env.PRICE", "$$6")},
			after: "service: shop\nenv: {PRICE: $$6}\n",
		},
		"an overlay": {
			before: "service: shop\nscaling: {max: 2}\nenvironments:\n  production:\n    scaling: {min: 1}\n  staging: {}\n",
			o:      manifest.EditOptions{Environment: "production"},
			edits:  []manifest.Edit{set("scaling.max", "9"), set("cpu", "512")},
			after:  "service: shop\nscaling: {max: 2}\nenvironments:\n  production:\n    scaling: {min: 1, max: 9}\n    cpu: 512\n  staging: {}\n",
		},
		"one of several documents, with its line ends": {
			before: "service: shop\r\nport: 80\r\n---\r\nservice: api\r\nport: 81\r\n",
			o:      manifest.EditOptions{Service: "api"},
			edits:  []manifest.Edit{set("port", "82"), set("cpu", "256")},
			after:  "service: shop\r\nport: 80\r\n---\r\nservice: api\r\nport: 82\r\ncpu: 256\r\n",
		},
		"one of several documents, by its name in the environment": {
			before: "service: shop\nenvironments: {prod: {service: shop-prod}}\n---\nservice: api\nenvironments: {prod: {service: api-prod, port: 81}}\n",
			o:      manifest.EditOptions{Service: "api-prod", Environment: "prod"},
			edits:  []manifest.Edit{set("port", "82")},
			after:  "service: shop\nenvironments: {prod: {service: shop-prod}}\n---\nservice: api\nenvironments: {prod: {service: api-prod, port: 82}}\n",
		},
		"keys that go": {
			before: "service: shop\nenv:\n  A: |\n    text\n    # text too\n  B: 1\nscaling: {min: 1, max: 2}\ntags: {a: b, c: d}\nport: 80\n",
			edits:  []manifest.Edit{gone("env.A"), gone("scaling.min"), gone("tags.c"), gone("port"), gone("cpu")},
			after:  "service: shop\nenv:\n  B: 1\nscaling: {max: 2}\ntags: {a: b}\n",
		},
		"the last key that goes": {
			before: "service: shop\nenv: # all of it\n  A: 1\ntags: {a: b}\n",
			edits:  []manifest.Edit{gone("env.A"), gone("tags.a")},
			after:  "service: shop\nenv: {} # all of it\ntags: {}\n",
		},
	} {
		t.Run(name, func(t *testing.T) {
			got, changes, err := manifest.Rewrite("deploy.yaml", []byte(tc.before), tc.o, tc.edits)
			require.NoError(t, err)
			require.Equal(t, tc.after, string(got))
			require.Len(t, changes, len(tc.edits))
		})
	}
}

func TestRewrite_tellsAnEmptyTextFromNone(t *testing.T) {
	edited := func(text string, edit manifest.Edit) manifest.Change {
		_, changes, err := manifest.Rewrite("deploy.yaml", []byte("service: shop\n"+text), manifest.EditOptions{}, []manifest.Edit{edit})
		require.NoError(t, err)
		require.Len(t, changes, 1)
		return changes[0]
	}
	set, gone := manifest.Edit{Path: "env.A"}, manifest.Edit{Path: "env.A", Remove: true}
	require.Equal(t, manifest.Change{Path: "env.A", Line: 2}, edited("", set))
	require.Equal(t, manifest.Change{Path: "env.A", Line: 2}, edited("env: {A: }\n", set), "nothing is no text")
	require.Equal(t, manifest.Change{Path: "env.A", Line: 2, Same: true}, edited("env: {A: \"\"}\n", set))
	require.Equal(t, manifest.Change{Path: "env.A"}, edited("env: {A: \"\"}\n", gone))
	require.Equal(t, manifest.Change{Path: "env.A", Same: true}, edited("", gone))
}

func TestRewrite_tellsOfValuesWithoutTheComments(t *testing.T) {
	text := "service: shop\nverify: # of it\n  # the first\n  - path: / # root\n    # at all\n    status: 200\n"
	_, changes, err := manifest.Rewrite("deploy.yaml", []byte(text), manifest.EditOptions{}, []manifest.Edit{{Path: "verify", Value: "[{path: /, status: 200}, {path: /b}]"}})
	require.NoError(t, err)
	require.Equal(t, []manifest.Change{{Path: "verify", Line: 4, Old: "[{path: /, status: 200}]", New: "[{path: /, status: 200}, {path: /b}]"}}, changes)
}

func TestRewrite_refusesWithThePlace(t *testing.T) {
	text := strings.Join([]string{
		"service: shop",
		"x-shared: &shared {A: 1}",
		"image: {version: '${git.tag}', tags: [latest, '${TAG}']}",
		"command: |",
		"  serve",
		"env: *shared",
		"health:",
		"  path: &path /health",
		"  interval: 5s",
		"secrets:",
		"  <<: *shared",
		"tags: {a: !!str b, v: '$V'}",
		"scaling: {max: 2}",
		"environments: {production: {cpu: 256}}",
		"permissions:",
		"  - ${ALLOWED}",
		"",
	}, "\n")
	for name, tc := range map[string]struct {
		path, value string
		o           manifest.EditOptions
		want        string
	}{
		"made from the commit":   {"image.version", "v2", manifest.EditOptions{Literal: true}, "deploy.yaml:3:18: image.version: is made from what is checked out"},
		"made from a variable":   {"tags.v", "v2", manifest.EditOptions{Literal: true}, "deploy.yaml:12:23: tags.v: is made from a variable"},
		"in a list":              {"image.tags", "[a]", manifest.EditOptions{Literal: true}, "deploy.yaml:3:47: image.tags: is made from a variable"},
		"in a list over lines":   {"permissions", "[a b]", manifest.EditOptions{Literal: true}, "deploy.yaml:16:5: permissions: is made from a variable"},
		"a block":                {"command", "run", manifest.EditOptions{}, "deploy.yaml:4:10: command: is a block of text"},
		"an alias":               {"env.A", "2", manifest.EditOptions{}, "deploy.yaml:6:6: env.A: comes from the anchor &shared"},
		"an anchor":              {"health.path", "/", manifest.EditOptions{}, "deploy.yaml:8:9: health.path: is the anchor &path"},
		"a merge":                {"secrets.A", "env:A", manifest.EditOptions{Literal: true}, "deploy.yaml:11:7: secrets.A: may come from the anchor that is merged here"},
		"a tag":                  {"tags.a", "c", manifest.EditOptions{}, "deploy.yaml:12:11: tags.a: has a YAML tag"},
		"the common part":        {"scaling.max", "3", manifest.EditOptions{Environment: "production", Literal: true}, "deploy.yaml:13:16: scaling.max: stands in the part that all environments share"},
		"an unknown overlay":     {"cpu", "512", manifest.EditOptions{Environment: "prod"}, `deploy.yaml:1:1: cpu: there is no environment "prod"`},
		"an unknown key":         {"scaling.maks", "3", manifest.EditOptions{}, "deploy.yaml: scaling.maks: unknown key"},
		"below a single value":   {"service.name", "3", manifest.EditOptions{}, "deploy.yaml: service.name: service holds a single value"},
		"a mapping over lines":   {"health", "{}", manifest.EditOptions{}, "deploy.yaml:8:3: health: is a list or a mapping over several lines"},
		"no list":                {"image.tags", "latest", manifest.EditOptions{}, `"latest" is neither a list nor a mapping in one line`},
		"a service that is none": {"port", "1", manifest.EditOptions{Service: "api"}, `no document names the service "api" as it is`},
	} {
		t.Run(name, func(t *testing.T) {
			_, _, err := manifest.Rewrite("deploy.yaml", []byte(text), tc.o, []manifest.Edit{{Path: tc.path, Value: tc.value}})
			require.ErrorContains(t, err, tc.want)
		})
	}
	_, _, err := manifest.Rewrite("deploy.yaml", []byte(text), manifest.EditOptions{}, []manifest.Edit{{Path: "a"}, {Path: "port", Value: "1"}, {Path: "b"}})
	require.Len(t, list(err), 2, "every refusal at once")
}

// TestRewrite_changesNothingElse edits whole manifests: what is read afterwards differs in
// the one key, and the text in the one value.
func TestRewrite_changesNothingElse(t *testing.T) {
	files, err := filepath.Glob("testdata/ok/*.yaml")
	require.NoError(t, err)
	require.NotEmpty(t, files)
	rapid.Check(t, func(t *rapid.T) {
		file := rapid.SampledFrom(files).Draw(t, "file")
		data, err := os.ReadFile(file)
		require.NoError(t, err)
		edit := manifest.Edit{
			Path:   rapid.SampledFrom([]string{"port", "env.NEW", "scaling.max", "image.version", "tags.team", "health.path", "image.build.target"}).Draw(t, "path"),
			Value:  rapid.OneOf(rapid.StringMatching(`[a-z0-9./:#{}\[\], '"-]{0,12}`), rapid.String()).Draw(t, "value"),
			Remove: rapid.Bool().Draw(t, "remove"),
		}
		out, changes, err := manifest.Rewrite(file, data, manifest.EditOptions{}, []manifest.Edit{edit})
		if err != nil {
			return // refused, which the table above is about; nothing is half edited
		}
		require.Len(t, changes, 1)
		if !edit.Remove {
			require.Equal(t, edit.Value, changes[0].New)
			back, _, err := manifest.Rewrite(file, out, manifest.EditOptions{}, []manifest.Edit{edit})
			require.NoError(t, err)
			require.Equal(t, string(out), string(back), "an edit twice is an edit once")
		}
	})
}

func FuzzRewrite(f *testing.F) {
	f.Add("service: shop\nenv: {A: 1}\n", "env.A", "2", false)
	f.Add("service: shop\nenv:\n  A: |\n   x\n", "env.B", "a: b", true)
	f.Add("{service: shop, port: 80}", "port", "81", true)
	f.Add("service: shop\nimage:\n  tags:\n  # of it\n  - a # one\n  -\n    b\n", "image.tags", "[a, c]", false)
	f.Add("service: shop\nverify:\n- path: /\n  status: 200\n- {path: /b}", "verify", "[{path: /b}, {path: '/#'}]", false)
	f.Fuzz(func(t *testing.T, text, path, value string, remove bool) {
		_, _, _ = manifest.Rewrite("deploy.yaml", []byte(text), manifest.EditOptions{}, []manifest.Edit{{Path: path, Value: value, Remove: remove}})
	})
}
