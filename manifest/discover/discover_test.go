package discover_test

import (
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

func TestLook_saysWhatItCannotRead(t *testing.T) {
	got, err := discover.Look(dir(t, map[string]string{"Dockerfile": "NO SUCH THING\n"}))
	require.NoError(t, err)
	require.Len(t, got.Warnings, 1)
	_, err = discover.Look(dir(t, map[string]string{"Dockerfile": "FROM a\n", ".env": "A='open\n"}))
	require.ErrorContains(t, err, "a quote is never closed")
	require.NotContains(t, err.Error(), "open")
}
