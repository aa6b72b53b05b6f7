package image

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"maps"
	"path"
	"slices"
	"strconv"
	"strings"

	"github.com/apron-deploy/apron/providers/image/build"
	"github.com/apron-deploy/apron/providers/image/origin"
	"github.com/apron-deploy/apron/providers/image/source"
	"github.com/apron-deploy/apron/providers/image/statcache"
	"github.com/apron-deploy/apron/reconcile/state"
)

// Input is one thing that an image is made of.
type Input struct {
	Name   string // "context main.go", "arg VERSION", "before.run"
	Digest string // equal digests, equal inputs
}

// Identity names an image by its inputs.
type Identity struct {
	Tag    string  // "src-" and 20 hexadecimal digits
	Inputs []Input // by name
}

// Options steer [Identify]. The zero value is fine.
type Options struct {
	// Exclude are files that are never part of a context, such as the env files that
	// were read: absolute, or relative to the manifest's directory.
	Exclude []string
	// Bases say how base images are looked up, of a build that wants that.
	Bases origin.Options
	// Cache is a directory for what is worth remembering: the sums of files that were
	// left alone, and the inputs of the latest identities for [Recall]. It is the only
	// place that is written to. Empty is none.
	Cache string
}

// Identify reads the inputs of the build b, whose manifest is in dir. It starts no
// process, reads nothing outside the repository but the digests of base images where the
// build wants those, and writes nothing but o.Cache. What becomes of that is no reason to
// fail.
func Identify(ctx context.Context, dir string, b state.Build, o Options) (Identity, error) {
	c, err := source.Open(dir, b, source.Options{Exclude: o.Exclude})
	if err != nil {
		return Identity{}, err
	}
	return identify(ctx, c, b, o)
}

func identify(ctx context.Context, c *source.Context, b state.Build, o Options) (Identity, error) {
	before := b.Before
	if before == nil {
		before = &state.Before{}
	}
	id := Identity{}
	if err := build.Validate(path.Join(b.Context, cmp.Or(b.Dockerfile, "Dockerfile")), c.Text, b); err != nil {
		return id, err
	}
	id.add("dockerfile", text(string(c.Text)))
	id.add("target", text(b.Target))
	id.add("platform", text(cmp.Or(b.Platform, platform)))
	id.addMap("arg ", b.Args)
	id.addMap("label ", b.Labels)
	for k := range b.Secrets { // that there is one may change the image; what it says must not
		id.add("secret "+k, text(""))
	}
	if len(before.Run) > 0 {
		id.add("before.run", texts(before.Run))
		id.addMap("before.env ", before.Env)
		id.add("before.outputs", texts(before.Outputs))
	}
	if b.Pull {
		if err := id.addBases(ctx, c, b, o.Bases); err != nil {
			return id, err
		}
	}
	opened := make(chan *statcache.Cache, 1)
	go func() { opened <- statcache.Open(o.Cache, c.Dockerfile+"\x00"+c.Dir, statcache.Options{}) }()
	files, err := c.Files(ctx, before.Outputs...)
	cache := <-opened
	defer cache.Close()
	if err != nil {
		return Identity{}, fmt.Errorf("read the build context: %w", err)
	}
	if err := id.addFiles(ctx, c, cache, "context ", files); err != nil {
		return Identity{}, err
	}
	files, err = c.Select(ctx, before)
	if err != nil {
		return Identity{}, err
	}
	if err := id.addFiles(ctx, c, cache, "input ", files); err != nil {
		return Identity{}, err
	}
	slices.SortFunc(id.Inputs, func(a, b Input) int { return cmp.Compare(a.Name, b.Name) })
	id.Tag = tag(id.Inputs)
	if o.Cache != "" {
		_, _ = cache.Save(), remember(o.Cache, id)
	}
	return id, nil
}

// platform is what App Runner runs.
// https://docs.aws.amazon.com/apprunner/latest/dg/service-source-image.html
const platform = "linux/amd64"

// tag starts from the version of this scheme: a change of what is hashed must change it.
func tag(inputs []Input) string {
	h := sha256.New()
	line := []byte("apron image 1\n")
	for _, in := range inputs {
		line = quote(line, in.Name)
		line = append(append(append(line, ' '), in.Digest...), '\n')
		if len(line) > 32<<10 {
			h.Write(line)
			line = line[:0]
		}
	}
	h.Write(line)
	return "src-" + hex.EncodeToString(h.Sum(nil))[:20]
}

// quote is [strconv.AppendQuote], and quicker with a usual name.
func quote(to []byte, name string) []byte {
	for i := range len(name) {
		if c := name[i]; c < ' ' || c > '~' || c == '"' || c == '\\' {
			return strconv.AppendQuote(to, name)
		}
	}
	return append(append(append(to, '"'), name...), '"')
}

func (id *Identity) add(name, digest string) {
	id.Inputs = append(id.Inputs, Input{Name: name, Digest: digest})
}

func (id *Identity) addMap(prefix string, m map[string]string) {
	for _, k := range slices.Sorted(maps.Keys(m)) {
		id.add(prefix+k, text(m[k]))
	}
}

func (id *Identity) addFiles(ctx context.Context, c *source.Context, cache *statcache.Cache, prefix string, files []source.File) error {
	sums, err := c.Sums(ctx, cache, files)
	if err != nil {
		return fmt.Errorf("hash the inputs of the build: %w", err)
	}
	id.Inputs = slices.Grow(id.Inputs, len(files))
	size := 0
	for _, f := range files {
		size += len(prefix) + len(f.Path)
	}
	var text strings.Builder
	text.Grow(size)
	for _, f := range files {
		text.WriteString(prefix)
		text.WriteString(f.Path)
	}
	names := text.String() // one string that they share
	for i, f := range files {
		n := len(prefix) + len(f.Path)
		id.add(names[:n], sums[i])
		names = names[n:]
	}
	return nil
}

func text(s string) string {
	sum := sha256.Sum256([]byte(s))
	return hex.EncodeToString(sum[:])
}

// texts is the sum of a list, in which ["a b"] and ["a", "b"] differ.
func texts(list []string) string {
	var s []byte
	for _, e := range list {
		s = append(strconv.AppendQuote(s, e), '\n')
	}
	return text(string(s))
}
