package manifest

import (
	"path/filepath"
	"strings"
)

func (l *linter) build() {
	if l.m.Image == nil || l.m.Image.Build == nil {
		return
	}
	for _, name := range sortedKeys(l.m.Image.Build.Args) {
		l.buildArgument(name, string(l.m.Image.Build.Args[name]))
	}
	for _, id := range sortedKeys(l.m.Image.Build.Secrets) {
		p := "image.build.secrets." + id
		if s := l.m.Image.Build.Secrets[id]; refused(s.Env) {
			l.warn(l.at(p), p, "give the build a token of its own, with fewer rights",
				"hands a credential of this session to whatever the Dockerfile runs")
		}
	}
}

// secretArgument is what to do instead.
const secretArgument = "if the build needs it: image.build.secrets: {NAME: env:NAME} and RUN --mount=type=secret,id=NAME; " +
	"if the running service does: secrets; --allow-secret-args to insist"

// buildArgument refuses what would leave a secret in the image's history. A value that is
// only random may be a digest or an id, so that is a warning.
func (l *linter) buildArgument(name, value string) {
	p := "image.build.args." + name
	at := l.at(p)
	if l.root.find(p).value.commit {
		l.warn(at, p, "put it under env, where a new commit alone changes nothing", "names the commit, so every commit builds and rolls out a new image")
		return
	}
	what, sure := revealing(name, value), true
	switch {
	case what != "":
		sure = what != randomKey
		what = "the value looks like " + what
	case l.holdsSecret(value):
		what = "the value holds that of a secret"
	case SecretLooking(name):
		what = "sounds like a secret"
	default:
		return
	}
	const why = "%s, and build arguments stay readable in the image"
	if sure && !l.allowArgs {
		l.fail(at, p, secretArgument, why, what)
		return
	}
	l.warn(at, p, "give it to the running service under secrets", why, what)
}

// caches checks what is kept on this machine: within the context a cache would be an
// input of the image that it was written for.
func (c *checker) caches(context string) {
	b := c.m.Image.Build
	if b.Cache == nil {
		return
	}
	check := func(key string, all []string) {
		for i, text := range all {
			name, local := strings.CutPrefix(text, "local:")
			if !local || filepath.IsAbs(filepath.FromSlash(name)) {
				continue
			}
			p := "image.build.cache." + key + index(i)
			at := filepath.Join(context, filepath.FromSlash(name))
			if inside(context, at) && !inside(filepath.Join(context, ".apron"), at) {
				c.fail(c.at(p), p, "write local:.apron/cache, or a directory elsewhere",
					"is within the context, so that each build would change what the next one is made of")
			}
		}
	}
	check("from", b.Cache.From)
	check("to", b.Cache.To)
}
