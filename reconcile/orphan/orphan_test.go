package orphan

import (
	"go/build"
	"io/fs"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

const repository = "github.com/acme/shop"

func TestFind_speaksUpOnlyWhereItIsCertain(t *testing.T) {
	web := Service{Name: "web", ID: "arn:web", Tag: repository + ":web.yaml", Owner: "web"}
	file := func(f File) Checkout {
		return Checkout{Files: map[Place]File{{repository, "web.yaml"}: f}, Planned: map[string]bool{"api": true}}
	}
	tagged := func(tag string) Service { s := web; s.Tag = tag; return s }
	for name, tc := range map[string]struct {
		service Service
		c       Checkout
		want    Reason // empty for no orphan
	}{
		"its file is gone":                             {web, file(File{Presence: Gone}), FileGone},
		"its file is gone, with its environment":       {tagged(repository + ":web.yaml:test"), file(File{Presence: Gone}), FileGone},
		"its file is there, and names it":              {web, file(File{Presence: There, Read: true, Services: []string{"api", "web"}}), ""},
		"its file is there, and names others":          {web, file(File{Presence: There, Read: true, Services: []string{"api"}}), Unclaimed},
		"its file is there, and no manifest any more":  {web, file(File{Presence: There, Read: true}), Unclaimed},
		"its file is there, and cannot be read":        {web, file(File{Presence: There}), ""},
		"a variable decides the name":                  {web, file(File{Presence: There, Read: true, Open: true}), ""},
		"nobody knows whether its file is there":       {web, file(File{}), ""},
		"its file was not looked for":                  {web, Checkout{}, ""},
		"its environment is gone":                      {tagged(repository + ":web.yaml:test"), file(File{Presence: There, Read: true, Services: []string{"api"}, Environments: []string{"production"}}), EnvironmentGone},
		"its environment is gone, and another has it":  {tagged(repository + ":web.yaml:test"), file(File{Presence: There, Read: true, Services: []string{"api", "web"}}), ""},
		"its environment has another service":          {tagged(repository + ":web.yaml:test"), file(File{Presence: There, Read: true, Services: []string{"api"}, Environments: []string{"test"}}), Unclaimed},
		"its file has moved, and the run plans it":     {web, Checkout{Files: file(File{Presence: Gone}).Files, Planned: map[string]bool{"web": true}}, ""},
		"it is of another repository":                  {tagged("github.com/acme/other:web.yaml"), file(File{Presence: Gone}), ""},
		"it is of a file of the same name elsewhere":   {tagged(repository + ":sub/web.yaml"), file(File{Presence: Gone}), ""},
		"apron did not make it":                        {Service{Name: "web", Tag: web.Tag}, file(File{Presence: Gone}), ""},
		"apron made another one, and somebody copied":  {Service{Name: "web", Tag: web.Tag, Owner: "api"}, file(File{Presence: Gone}), ""},
		"its tag is odd":                               {tagged(repository + ":web.yaml:test:more"), file(File{Presence: Gone}), ""},
		"its tag is forged, and leaves the repository": {tagged(repository + ":../web.yaml"), Checkout{Files: map[Place]File{{repository, "../web.yaml"}: {Presence: Gone}}}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			got := Find([]Service{tc.service}, tc.c)
			if tc.want == "" {
				require.Empty(t, got)
				return
			}
			require.Len(t, got, 1)
			require.Equal(t, tc.want, got[0].Reason)
			require.Equal(t, tc.service, got[0].Service)
			require.Equal(t, tc.service.Tag, got[0].Origin.String())
		})
	}
}

func TestFind_isInOneOrder(t *testing.T) {
	b, a := Service{Name: "b", Owner: "b", Tag: repository + ":x.yaml"}, Service{Name: "a", Owner: "a", Tag: repository + ":x.yaml"}
	odd := Service{Name: "c", Owner: "c", Tag: "?"}
	require.Equal(t, []Place{{repository, "x.yaml"}}, Places([]Service{b, a, odd}))
	got := Find([]Service{b, odd, a}, Checkout{Files: map[Place]File{{repository, "x.yaml"}: {Presence: Gone}}})
	require.Len(t, got, 2)
	require.Equal(t, "a b", got[0].Name+" "+got[1].Name)
}

func TestOrigin_isReadAsItWasWritten(t *testing.T) {
	for text, o := range map[string]Origin{
		"github.com/acme/shop:deploy.yaml":                        {repository, "deploy.yaml", ""},
		"github.com/acme/shop:services/web.yaml:production":       {repository, "services/web.yaml", "production"},
		"github.com/acme/shop:packages/@acme/a b/ü+=_.yaml:x-1_y": {repository, "packages/@acme/a b/ü+=_.yaml", "x-1_y"},
	} {
		require.Equal(t, text, o.String())
		back, ok := Parse(text)
		require.True(t, ok)
		require.Equal(t, o, back)
	}
	for _, o := range []Origin{{}, {repository, "", ""}, {"", "a", ""}, {repository, "a:b", ""}, {repository, "a\nb", ""}, {repository, "a`b", ""}, {repository, "../a", ""},
		{repository, "/a", ""}, {repository, "a//b", ""}, {repository, ".", ""}, {repository, "a", "x y"}, {"a:b", "a", ""}, {"a b", "a", ""},
		{repository, strings.Repeat("a", 256), ""}, {repository, "\xff", ""}} {
		require.Empty(t, o.String(), "%q", o)
	}
	for _, text := range []string{"", ":", "a", "a:", ":a", "a:b:", "a:b:c:d", "a:../b", "a:/b", "a:b\x1b[31m", "a:$(b)", "a:b:-c"} {
		_, ok := Parse(text)
		require.False(t, ok, "%q", text)
	}
}

func FuzzParse(f *testing.F) {
	f.Add("github.com/acme/shop:services/web.yaml:production")
	f.Fuzz(func(t *testing.T, text string) {
		if o, ok := Parse(text); ok {
			require.Equal(t, text, o.String())
			require.True(t, fs.ValidPath(o.File) && o.Repository != "" && !strings.ContainsAny(text, "\x1b\n`$"))
		}
	})
}

// TestPackage_isPure holds what it may depend on.
func TestPackage_isPure(t *testing.T) {
	p, err := build.ImportDir(".", 0)
	require.NoError(t, err)
	require.Equal(t, []string{"cmp", "github.com/apron-deploy/apron/reconcile/pattern", "io/fs", "slices", "strings", "unicode", "unicode/utf8"}, p.Imports)
}
