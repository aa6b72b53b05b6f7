package inspect

import (
	"regexp"
	"strings"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/stretchr/testify/require"

	"github.com/apron-deploy/apron/manifest"
)

// sound is a configuration that nothing is wrong with.
func sound() *v1.ConfigFile {
	return &v1.ConfigFile{OS: "linux", Architecture: "amd64", Config: v1.Config{
		Cmd: []string{"/app"}, User: "app", ExposedPorts: map[string]struct{}{"8000/tcp": {}}}}
}

var key = regexp.MustCompile(`AKIA[A-Z0-9]{16}`)

func wanted() Wanted {
	return Wanted{Key: "image.from", Port: 8000, SecretLooking: manifest.SecretLooking, Compressed: 80 << 20,
		Signature: func(text string) string {
			if key.MatchString(text) {
				return "an AWS access key"
			}
			return ""
		}}
}

const gb = 1 << 30

func TestCheck(t *testing.T) {
	for name, tc := range map[string]struct {
		config func(*v1.ConfigFile)
		wanted func(*Wanted)
		want   []Finding // without their fixes
	}{
		"nothing is wrong": {},
		"another architecture": {config: func(c *v1.ConfigFile) { c.Architecture, c.Variant = "arm64", "v8" },
			want: []Finding{{Refuse, "image.from", "the image is for linux/arm64/v8, and App Runner runs linux/amd64", ""}}},
		"another system": {config: func(c *v1.ConfigFile) { c.OS = "windows" },
			want: []Finding{{Refuse, "image.from", "the image is for windows/amd64, and App Runner runs linux/amd64", ""}}},
		"no platform at all": {config: func(c *v1.ConfigFile) { c.OS, c.Architecture = "", "" },
			want: []Finding{{Refuse, "image.from", "the image does not say what platform it is for, and App Runner runs linux/amd64", ""}}},
		"a target that runs ARM": {config: func(c *v1.ConfigFile) { c.Architecture, c.Variant = "arm64", "v8" },
			wanted: func(w *Wanted) { w.Platform = "linux/arm64" }},

		"nothing to run": {config: func(c *v1.ConfigFile) { c.Config.Cmd = nil },
			want: []Finding{{Refuse, "command", "the image has neither ENTRYPOINT nor CMD, so that nothing would run", ""}}},
		"the manifest says what to run": {config: func(c *v1.ConfigFile) { c.Config.Cmd = nil }, wanted: func(w *Wanted) { w.Command = true }},
		"an entry point is enough":      {config: func(c *v1.ConfigFile) { c.Config.Cmd, c.Config.Entrypoint = nil, []string{"/app"} }},

		"another port": {wanted: func(w *Wanted) { w.Port = 8080 }, want: []Finding{{Warn, "port", "the image exposes 8000, and port is 8080", ""}}},
		"several ports, none of them": {config: func(c *v1.ConfigFile) { c.Config.ExposedPorts = ports("80/tcp", "443", "9000-9010/tcp") },
			want: []Finding{{Warn, "port", "the image exposes 443, 80, 9000-9010, and port is 8000", ""}}},
		"several ports, one of them":  {config: func(c *v1.ConfigFile) { c.Config.ExposedPorts = ports("80/tcp", "8000") }},
		"a range of ports":            {config: func(c *v1.ConfigFile) { c.Config.ExposedPorts = ports("7999-8001/tcp") }},
		"udp says nothing about http": {config: func(c *v1.ConfigFile) { c.Config.ExposedPorts = ports("53/udp") }},
		"exposes nothing":             {config: func(c *v1.ConfigFile) { c.Config.ExposedPorts = nil }},
		"the port is left out": {wanted: func(w *Wanted) { w.Port = 0 },
			want: []Finding{{Warn, "port", "the image exposes 8000, and port is left out, which is 8080 to App Runner", ""}}},
		"the port is left out, and it is that": {config: func(c *v1.ConfigFile) { c.Config.ExposedPorts = ports("8080/tcp") }, wanted: func(w *Wanted) { w.Port = 0 }},
		"the port is left out on both sides":   {config: func(c *v1.ConfigFile) { c.Config.ExposedPorts = nil }, wanted: func(w *Wanted) { w.Port = 0 }},

		"too large for the disk": {wanted: func(w *Wanted) { w.Compressed = 3 * gb },
			want: []Finding{{Refuse, "image.from", "the image has 3.0 GB and does not fit on App Runner's disk of 3.0 GB", ""}}},
		"too large once unpacked": {wanted: func(w *Wanted) { w.Unpacked = 4 * gb },
			want: []Finding{{Refuse, "image.from", "the image has 4.0 GB and does not fit on App Runner's disk of 3.0 GB", ""}}},
		"both forms together are too much": {wanted: func(w *Wanted) { w.Compressed, w.Unpacked = gb, 2*gb },
			want: []Finding{{Warn, "image.from", "the image has 1.0 GB compressed and 2.0 GB unpacked, and App Runner's disk of 3.0 GB holds both", ""}}},
		"probably too large": {wanted: func(w *Wanted) { w.Compressed = gb },
			want: []Finding{{Warn, "image.from", "the image has 1.0 GB compressed, which is probably too much: App Runner's disk of 3.0 GB holds that and what it unpacks to", ""}}},
		"large, and known to fit":    {wanted: func(w *Wanted) { w.Compressed, w.Unpacked = gb, gb }},
		"a target with a large disk": {wanted: func(w *Wanted) { w.Target, w.Disk, w.Compressed = "ECS Express", ExpressDisk, 3*gb }},

		"no user": {config: func(c *v1.ConfigFile) { c.Config.User = "" },
			want: []Finding{{Note, "image.from", "the image names no user, so that the application runs as root", ""}}},
		"root by name":           {config: func(c *v1.ConfigFile) { c.Config.User = "root:app" }, want: []Finding{{Note, "image.from", "the application runs as root", ""}}},
		"root by number":         {config: func(c *v1.ConfigFile) { c.Config.User = "0" }, want: []Finding{{Note, "image.from", "the application runs as root", ""}}},
		"another user by number": {config: func(c *v1.ConfigFile) { c.Config.User = "1000:0" }},

		"the gravest first": {config: func(c *v1.ConfigFile) { c.Config.User, c.Config.Cmd = "", nil }, wanted: func(w *Wanted) { w.Port, w.Key = 1, "" },
			want: []Finding{{Refuse, "command", "the image has neither ENTRYPOINT nor CMD, so that nothing would run", ""},
				{Warn, "port", "the image exposes 8000, and port is 1", ""}, {Note, "image", "the image names no user, so that the application runs as root", ""}}},
	} {
		t.Run(name, func(t *testing.T) {
			c, w := sound(), wanted()
			if tc.config != nil {
				tc.config(c)
			}
			if tc.wanted != nil {
				tc.wanted(&w)
			}
			got := Check(c, w)
			refused := 0
			for i := range got {
				require.NotEmpty(t, got[i].Fix)
				got[i].Fix = ""
				if got[i].Severity == Refuse {
					refused++
				}
			}
			require.Equal(t, tc.want, got)
			require.Len(t, Refused(got), refused)
		})
	}
}

func ports(all ...string) map[string]struct{} {
	m := map[string]struct{}{}
	for _, p := range all {
		m[p] = struct{}{}
	}
	return m
}

const access = "AKIAIOSFODNN7EXAMPLE"

func TestCheck_secrets(t *testing.T) {
	env := func(all ...string) func(*v1.ConfigFile) { return func(c *v1.ConfigFile) { c.Config.Env = all } }
	history := func(lines ...string) func(*v1.ConfigFile) {
		return func(c *v1.ConfigFile) {
			for _, l := range lines {
				c.History = append(c.History, v1.History{CreatedBy: l})
			}
		}
	}
	for name, tc := range map[string]struct {
		config func(*v1.ConfigFile)
		want   []string
	}{
		"a variable's name":           {env("PATH=/bin", "DB_PASSWORD=hunter2"), []string{"DB_PASSWORD in the image's environment seems to hold a secret"}},
		"a variable's value":          {env("SOMETHING=" + access), []string{"SOMETHING in the image's environment seems to hold an AWS access key"}},
		"a variable without a value":  {env("DB_PASSWORD=", "API_KEY"), nil},
		"a variable that points":      {env("DB_PASSWORD=$OTHER", "API_TOKEN=/run/secrets/token", "ALLOW_EMPTY_PASSWORD=true", "AUTH_TOKEN=****"), nil},
		"a public key's fingerprint":  {env("GPG_KEY=A035C8C19219BA821ECEA86B64E628F8D684696D", "PYTHON_SHA256="+strings.Repeat("ab", 32)), nil},
		"a label":                     {func(c *v1.ConfigFile) { c.Config.Labels = map[string]string{"a": "b", "ci": access} }, []string{"label ci seems to hold an AWS access key"}},
		"a flag of the start command": {func(c *v1.ConfigFile) { c.Config.Cmd = []string{"/app", "--api-key=hunter2"} }, []string{"api-key in the start command seems to hold a secret"}},

		"ENV in the history":           {history("ENV DB_PASSWORD=hunter2"), []string{"DB_PASSWORD in step 1 of the image's history seems to hold a secret"}},
		"ENV of an old builder":        {history("/bin/sh -c #(nop)  ENV DB_PASSWORD=hunter2"), []string{"DB_PASSWORD in step 1 of the image's history seems to hold a secret"}},
		"ENV with a space":             {history("COPY . . # buildkit", "ENV DB_PASSWORD hunter2"), []string{"DB_PASSWORD in step 2 of the image's history seems to hold a secret"}},
		"ARG with a default":           {history("ARG NPM_TOKEN=hunter2"), []string{"NPM_TOKEN in step 1 of the image's history seems to hold a secret"}},
		"a value that says what it is": {history("ENV SOMETHING=" + access), []string{"SOMETHING in step 1 of the image's history seems to hold an AWS access key"}},
		"ARG without":                  {history("ARG NPM_TOKEN"), nil},
		"a build argument":             {history("RUN |2 A=b NPM_TOKEN=hunter2 /bin/sh -c npm ci # buildkit"), []string{"NPM_TOKEN in step 1 of the image's history seems to hold a secret"}},
		"an export in quotes":          {history(`RUN /bin/sh -c export API_KEY="two words" && make`), []string{"API_KEY in step 1 of the image's history seems to hold a secret"}},
		"a header":                     {history(`RUN curl -H "Authorization: Bearer abc.def" https://example.test`), []string{"step 1 of the image's history seems to hold a token"}},
		"a header with a variable":     {history(`RUN curl -H "Authorization: Bearer $TOKEN" https://example.test`), nil},
		"a value on its own":           {history("RUN aws configure set aws_access_key_id " + access), []string{"step 1 of the image's history seems to hold an AWS access key"}},
		"a secret that is mounted":     {history("RUN --mount=type=secret,id=token,env=NPM_TOKEN npm ci"), nil},
		"a token read from a file":     {history("RUN NPM_TOKEN=$(cat /run/secrets/npm) npm ci"), nil},
		"a variable and its history":   {func(c *v1.ConfigFile) { env("DB_PASSWORD=hunter2")(c); history("ENV DB_PASSWORD=hunter2")(c) }, []string{"DB_PASSWORD in the image's environment seems to hold a secret"}},
		"two steps, each with a value": {history("RUN x "+access, "RUN y "+access), []string{"step 1 of the image's history seems to hold an AWS access key", "step 2 of the image's history seems to hold an AWS access key"}},
	} {
		t.Run(name, func(t *testing.T) {
			c := sound()
			tc.config(c)
			var got []string
			for _, f := range Check(c, wanted()) {
				require.Equal(t, Warn, f.Severity)
				require.Equal(t, "image.from", f.Key)
				require.NotEmpty(t, f.Fix)
				require.NotContains(t, f.Text+f.Fix, "hunter2")
				require.NotContains(t, f.Text+f.Fix, access)
				got = append(got, f.Text)
			}
			require.Equal(t, tc.want, got)
			require.NotPanics(t, func() { Check(c, Wanted{}) }, "nobody knows secrets")
		})
	}
}

func TestExposesTCP(t *testing.T) {
	for list, want := range map[string]bool{"": false, "53/udp": false, "53/udp 8000/tcp": true, "80": true} {
		require.Equal(t, want, ExposesTCP(&v1.ConfigFile{Config: v1.Config{ExposedPorts: ports(strings.Fields(list)...)}}), list)
	}
}
