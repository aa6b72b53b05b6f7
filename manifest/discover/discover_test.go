package discover_test

import (
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/apron-deploy/apron/manifest"
	"github.com/apron-deploy/apron/manifest/discover"
)

func dir(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "my shop!")
	require.NoError(t, os.Mkdir(dir, 0o755))
	for name, text := range files {
		name = filepath.Join(dir, filepath.FromSlash(name))
		require.NoError(t, os.MkdirAll(filepath.Dir(name), 0o755))
		require.NoError(t, os.WriteFile(name, []byte(text), 0o644))
	}
	return dir
}

func TestLook(t *testing.T) {
	for name, tc := range map[string]struct {
		files map[string]string
		want  discover.Found
	}{
		"nothing": {nil, discover.Found{Service: "my-shop", NameFrom: "the directory's name", Context: "."}},
		"what the last stage exposes, and no other": {
			map[string]string{"Dockerfile": "FROM a AS one\nEXPOSE 1\nFROM b\nENV PORT=7000\nEXPOSE 53/udp $PORT\n", "go.mod": "module example.com/team/api\n"},
			discover.Found{Service: "api-app", NameFrom: "go.mod", Context: ".", Dockerfile: "Dockerfile", Port: 7000, PortFrom: "EXPOSE"},
		},
		"a port of the command": {
			map[string]string{"app/Dockerfile": "FROM a\nARG HTTP_PROXY\nCMD uvicorn main:app --host 0.0.0.0 --port 8123\n", "pyproject.toml": "[project]\nname = \"consult.er\"\n",
				"app/node_modules/x/Dockerfile": "FROM x", "app/main.py": "@app.get(\"/healthz\")\n", "app/main_test.py": "get('/ping')"},
			discover.Found{Service: "consult-er", NameFrom: "pyproject.toml", Context: "app", Dockerfile: "Dockerfile", Port: 8123, PortFrom: "CMD", Health: "/healthz", HealthFrom: "main.py"},
		},
		"names of the env file beside the Dockerfile": {
			map[string]string{"Containerfile": "FROM a\nARG ONE\nARG TWO=2\n", ".env.example": "ONE=1\nAPI_KEY=\nURL=${ELSE}/x\nGITHUB_TOKEN=x\nURL=again\n", "package.json": "{\"name\":\"web\"}"},
			discover.Found{Service: "web-app", NameFrom: "package.json", Context: ".", Dockerfile: "Containerfile", Args: []string{"ONE"}, EnvFrom: ".env.example",
				Env:      []manifest.EnvName{{Name: "API_KEY", Secret: true}, {Name: "URL"}},
				Warnings: []string{".env.example: GITHUB_TOKEN is left out: the application gets credentials of its own, and permissions says what it may do"}},
		},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := discover.Look(dir(t, tc.files))
			require.NoError(t, err)
			if len(got.Others) == 0 {
				got.Others = nil
			}
			require.Equal(t, tc.want, got)
		})
	}
}

// TestLook_arguments: an argument that has a default somewhere needs no value.
// https://docs.docker.com/reference/dockerfile/#understand-how-arg-and-from-interact
func TestLook_arguments(t *testing.T) {
	for name, tc := range map[string]struct {
		dockerfile string
		want       []string
	}{
		"a default before FROM, for a stage":    {"ARG NODE_VERSION=22\nFROM node:${NODE_VERSION}\nARG NODE_VERSION\nARG TOKEN\n", []string{"TOKEN"}},
		"an empty default":                      {"ARG SUFFIX=\nFROM a\nARG SUFFIX\n", nil},
		"a default in a later stage":            {"FROM a AS one\nARG MODE\nFROM b\nARG MODE=production\n", nil},
		"no default, before FROM and behind it": {"ARG BASE\nFROM $BASE\nARG BASE\n", []string{"BASE"}},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := discover.Look(dir(t, map[string]string{"Dockerfile": tc.dockerfile}))
			require.NoError(t, err)
			require.Equal(t, tc.want, append([]string(nil), got.Args...))
		})
	}
}

// TestLook_names: each name is one for a service and for the repository that is named
// after it.
func TestLook_names(t *testing.T) {
	for name, tc := range map[string]struct {
		directory, want, from string
		files                 map[string]string
	}{
		"capital letters":              {"MyApp", "myapp", "the directory's name", nil},
		"what ECR has no place for":    {"My__Shop_-API-", "my-shop-api", "the directory's name", nil},
		"a long one":                   {"a-shop-with-a-name-of-more-than-forty--letters", "a-shop-with-a-name-of-more-than-forty-le", "the directory's name", nil},
		"a single letter":              {"X", "x-app", "the directory's name", nil},
		"nothing of use":               {"日本", "web-app", "nothing better", nil},
		"a module's version":           {"d", "api-app", "go.mod", map[string]string{"go.mod": "module github.com/x/api/v2\n"}},
		"a module's version, quoted":   {"d", "orders", "go.mod", map[string]string{"go.mod": "module \"github.com/x/orders/v12\"\n"}},
		"a module that is like one":    {"d", "vault", "go.mod", map[string]string{"go.mod": "module github.com/x/vault\n"}},
		"a package's scope":            {"d", "shop-web", "package.json", map[string]string{"package.json": `{"name": "@Acme/Shop.Web"}`, "go.mod": "module x/other\n", "pyproject.toml": "name = 'third'\n"}},
		"a module before a project":    {"d", "other", "go.mod", map[string]string{"package.json": `{"private": true}`, "go.mod": "module x/other\n", "pyproject.toml": "name = 'third'\n"}},
		"a project before a directory": {"d", "third", "pyproject.toml", map[string]string{"pyproject.toml": "[project]\nname = 'third'\n"}},
	} {
		t.Run(name, func(t *testing.T) {
			at := filepath.Join(t.TempDir(), tc.directory)
			require.NoError(t, os.Mkdir(at, 0o755))
			for file, text := range tc.files {
				require.NoError(t, os.WriteFile(filepath.Join(at, file), []byte(text), 0o644))
			}
			for range 20 { // the order of a map is another one each time
				got, err := discover.Look(at)
				require.NoError(t, err)
				require.Equal(t, tc.want, got.Service)
				require.Equal(t, tc.from, got.NameFrom)
			}
			set, err := manifest.Load(manifest.Options{Paths: []string{"deploy.yaml"}, LookupEnv: func(string) (string, bool) { return "", false },
				ReadFile: func(name string) ([]byte, error) {
					if name != "deploy.yaml" {
						return nil, fs.ErrNotExist
					}
					return []byte("version: 1\nservice: " + tc.want + "\nregion: us-east-1\nimage: {build: {context: .}}\nport: 80\n"), nil
				}})
			require.NoError(t, err)
			require.Len(t, set.Documents, 1)
		})
	}
}

func TestLook_saysWhatItCannotRead(t *testing.T) {
	got, err := discover.Look(dir(t, map[string]string{"Dockerfile": "NO SUCH THING\n"}))
	require.NoError(t, err)
	require.Len(t, got.Warnings, 1)
	_, err = discover.Look(dir(t, map[string]string{"Dockerfile": "FROM a\n", ".env": "A='open\n"}))
	require.ErrorContains(t, err, "a quote is never closed")
	require.NotContains(t, err.Error(), "open")
}
