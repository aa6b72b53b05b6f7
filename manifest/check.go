package manifest

import (
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/apron-deploy/apron/reconcile/pattern"
	"github.com/apron-deploy/apron/reconcile/state"
)

// checker holds one decoded manifest against the rules that concern several keys.
type checker struct {
	*findings
	root   *node
	m      *Manifest
	target string
	dir    string // of the manifest, absolute
	repo   string // root of the repository that holds it, absolute
}

// at is where the value at path stands, or where it is missing.
func (c *checker) at(path string) pos {
	if n := c.root.find(path); n != nil {
		return n.at
	}
	return c.root.at
}

func (c *checker) check() {
	c.sizes()
	c.scaling()
	c.health()
	c.variables()
	c.repository()
	c.image()
	c.build()
	c.roles()
	c.tags()
	c.network()
	c.domains()
	c.webACL()
}

// appRunnerSizes are the legal memories, in MiB, by CPU units.
// https://docs.aws.amazon.com/apprunner/latest/dg/architecture.html
var appRunnerSizes = map[CPU][]Memory{
	256: {512, 1024}, 512: {1024}, 1024: {2048, 3072, 4096}, 2048: {4096, 6144}, 4096: {8192, 10240, 12288},
}

// fargateSizes are the same for ECS.
// https://docs.aws.amazon.com/AmazonECS/latest/developerguide/task-cpu-memory-error.html
var fargateSizes = map[CPU][]Memory{
	256: {512, 1024, 2048}, 512: steps(1, 4, 1), 1024: steps(2, 8, 1), 2048: steps(4, 16, 1),
	4096: steps(8, 30, 1), 8192: steps(16, 60, 4), 16384: steps(32, 120, 8),
}

func steps(from, to, by Memory) []Memory {
	var all []Memory
	for gb := from; gb <= to; gb += by {
		all = append(all, gb*1024)
	}
	return all
}

func (c *checker) sizes() {
	cpu, memory := c.m.CPU, c.m.Memory
	switch {
	case cpu == nil && memory == nil:
		return
	case memory == nil && c.root.get("memory") == nil:
		c.fail(c.at("cpu"), "cpu", "add memory", "is given without memory: an update keeps what it is not told, and the two may not fit")
		return
	case cpu == nil && c.root.get("cpu") == nil:
		c.fail(c.at("memory"), "memory", "add cpu", "is given without cpu: an update keeps what it is not told, and the two may not fit")
		return
	case cpu == nil || memory == nil:
		return
	}
	sizes := appRunnerSizes
	if c.target == targetExpress {
		sizes = fargateSizes
	}
	legal, ok := sizes[*cpu]
	if !ok {
		var units, vcpus []string
		for _, s := range sortedKeys(sizes) {
			units = append(units, strconv.Itoa(int(s)))
			vcpus = append(vcpus, strings.TrimSuffix(s.String(), " vCPU"))
		}
		c.fail(c.at("cpu"), "cpu", "use "+either(vcpus)+" vCPU, which is "+either(units)+" units",
			"%s is not a size %s offers", c.root.get("cpu").show(), targetName(c.target))
		return
	}
	if !slices.Contains(legal, *memory) {
		var all []string
		for _, s := range legal {
			all = append(all, s.String())
		}
		c.fail(c.at("memory"), "memory", "with this cpu use "+either(all),
			"%s does not go with the cpu on line %d", c.root.get("memory").show(), c.at("cpu").line)
	}
}

// advice is the hint for a number out of its range, by path.
var advice = map[string]func(int) string{
	"health.interval": func(n int) string {
		if n <= 20 {
			return ""
		}
		return "some tutorials say up to 300 s; the API's limit is 20. For more patience raise unhealthy, up to 20 failures in a row"
	},
	"health.timeout": func(n int) string {
		if n <= 20 {
			return ""
		}
		return "the API's limit is 20 seconds, and the timeout must be shorter than the interval"
	},
	"scaling.min": func(n int) string {
		if n >= 1 {
			return ""
		}
		return "App Runner cannot scale to zero; a service that is not needed can be paused instead"
	},
}

func (c *checker) scaling() {
	s := c.m.Scaling
	if s == nil {
		return
	}
	if s.Min != nil && s.Max != nil && *s.Max < *s.Min {
		c.fail(c.at("scaling.max"), "scaling.max", "", "is less than scaling.min")
	}
	if s.Concurrency != nil && (s.Metric != "" || s.Target != nil) {
		c.fail(c.at("scaling.concurrency"), "scaling.concurrency", "keep concurrency alone",
			"is short for metric: concurrency with a target; give one of the two forms")
	}
	if (s.Metric == "") != (s.Target == nil) && s.Concurrency == nil {
		c.fail(c.at("scaling"), "scaling", "", "metric and target belong together")
	}
	if c.target == targetAppRunner && s.Metric != "" && s.Metric != "concurrency" {
		c.fail(c.at("scaling.metric"), "scaling.metric", "use concurrency: N", "App Runner scales by concurrency only")
	}
	if s.Metric == "concurrency" && s.Target != nil && (*s.Target < 1 || *s.Target > 200) {
		c.fail(c.at("scaling.target"), "scaling.target", "", "a concurrency must be 1 to 200")
	}
}

func (c *checker) health() {
	h := c.m.Health
	if h == nil {
		return
	}
	if h.Path != nil && h.Protocol != nil && *h.Protocol == "TCP" {
		c.fail(c.at("health.path"), "health.path", "remove protocol: TCP; a path implies HTTP", "a TCP check has no path: it only opens a connection")
	}
	if h.Interval != nil && h.Timeout != nil && *h.Timeout >= *h.Interval {
		c.fail(c.at("health.timeout"), "health.timeout", "make interval the longer one", "must be less than health.interval")
	}
}

// maxText is the most that a name or a value of the environment may hold.
// https://docs.aws.amazon.com/apprunner/latest/api/API_ImageConfiguration.html
const maxText = 51_200

func (c *checker) variables() {
	for name, v := range c.m.Env {
		p := "env." + name
		if utf8.RuneCountInString(v.node.value.plain()) > maxText {
			c.fail(c.at(p), p, "", "is longer than %d characters, the most App Runner takes", maxText)
		}
	}
	for name, s := range c.m.Secrets {
		p := "secrets." + name
		if s.Source == state.FromEnv && refused(s.Name) {
			c.fail(c.at(p), p, "say what the application may do with permissions: it gets credentials of its own",
				"names a credential of this session, which must not be handed to the application")
		}
		if f, ok := c.root.get("env").field(name); ok {
			c.fail(c.at(p), p, "keep the secret", "is also under env, on line %d", f.at.line)
		}
	}
	for _, m := range []string{"env", "secrets"} {
		if f, ok := c.root.get(m).field("PORT"); ok {
			c.fail(f.at, m+".PORT", "write port: NUMBER at the top level, and leave PORT out", "PORT is reserved: App Runner sets it to the service's port")
		}
	}
}

var reservedTags = []string{"live-", "src-", "release-"}

// repository checks the name that a repository gets from its service, which may have
// capital letters and hyphens where ECR's names may not.
func (c *checker) repository() {
	if c.m.Image.inPlace() {
		return // it has one already, or none of this account
	}
	named := c.root.get("image").get("repository") != nil
	if service := formats["service"].pattern(); named || !service.MatchString(c.m.Service) || formats["repository"].pattern().MatchString(c.m.Service) {
		return
	}
	c.fail(c.at("service"), "service", "add image: {repository: NAME}; "+formats["repository"].fix,
		"%s names the repository too, and is not %s", c.root.get("service").show(), formats["repository"].what)
}

func (c *checker) image() {
	im := c.m.Image
	if im == nil {
		return
	}
	if n := len(im.Repository); n > 0 && (n < 2 || n > 256) {
		c.fail(c.at("image.repository"), "image.repository", formats["repository"].fix, "has %d characters", n)
	}
	if im.From != "" && im.Build != nil {
		c.fail(c.at("image.from"), "image.from", "keep one; in an overlay, build: null removes the other", "an image is either built or copied, not both")
	}
	if im.From == "" && im.Platforms != "" {
		c.fail(c.at("image.platforms"), "image.platforms", "take it out: a build is for one platform", "is about image.from, and there is none")
	}
	c.inPlace()
	reserve := func(p, tag string) {
		for _, r := range reservedTags {
			if strings.HasPrefix(tag, r) {
				c.fail(c.at(p), p, "choose another name", "tags that start with %s are apron's own", r)
			}
		}
	}
	reserve("image.version", im.Version)
	tags := c.root.get("image").get("tags")
	for i, tag := range im.Tags {
		if len(im.Tags) != len(tags.items) {
			break // some could not be read
		}
		p := "image.tags" + index(i)
		reserve(p, tag)
		switch {
		case tag == im.Version:
			c.fail(c.at(p), p, "remove it from tags", "is also image.version: a tag cannot both move and stay")
		case slices.Contains(im.Tags[:i], tag):
			c.fail(c.at(p), p, "keep one of the two", "is listed twice")
		}
	}
}

var epochText = pattern.Lazy(`^[0-9]{1,11}$`)

func (c *checker) build() {
	if c.m.Image == nil || c.m.Image.Build == nil {
		return
	}
	b := c.m.Image.Build
	context := filepath.Join(c.dir, filepath.FromSlash(b.Context))
	stays := func(p, base, rel string) {
		rel = strings.TrimPrefix(rel, "!")
		if rel != "" && !inside(c.repo, filepath.Join(base, filepath.FromSlash(rel))) {
			c.fail(c.at(p), p, "the repository is the nearest directory above the manifest with a .git, or else the manifest's own",
				"leaves the repository")
		}
	}
	const root = "image.build."
	stays(root+"context", c.dir, b.Context)
	if b.Context != "" && path.IsAbs(b.Context) {
		return
	}
	stays(root+"dockerfile", context, b.Dockerfile)
	c.caches(context)
	if epoch, ok := b.Args["SOURCE_DATE_EPOCH"]; ok && !epochText().MatchString(string(epoch)) {
		c.fail(c.at(root+"args.SOURCE_DATE_EPOCH"), root+"args.SOURCE_DATE_EPOCH", "git log -1 --format=%ct prints that of the last commit",
			"is not a number of seconds since 1970")
	}
	before := b.Before
	if before == nil {
		return
	}
	at := c.at(root + "before")
	if len(before.Run) == 0 && c.root.find(root+"before.run") == nil {
		c.fail(at, root+"before", "add run: [go, build, .]", "says nothing to run")
	}
	if len(before.Run) > 0 && len(before.Outputs) == 0 && c.root.find(root+"before.outputs") == nil {
		c.fail(at, root+"before", "add outputs: [FILE], the files that run makes",
			"outputs is missing: what the command makes must be known, or it would count as an input of the image")
	}
	for i, p := range before.Inputs {
		stays(root+"before.inputs"+index(i), context, p)
	}
	for i, p := range before.Outputs {
		if rel := strings.TrimPrefix(p, "!"); rel != "" && !filepath.IsLocal(filepath.FromSlash(rel)) {
			at := root + "before.outputs" + index(i)
			c.fail(c.at(at), at, "have the command write it there: no builder sees anything else", "leaves the build context")
		}
	}
}

// inside reports whether the clean path p is dir or below it.
func inside(dir, p string) bool {
	rel, err := filepath.Rel(dir, p)
	return err == nil && filepath.IsLocal(rel)
}

// none, where a role is named, asks for no role at all.
const none = "none"

func (c *checker) roles() {
	r := c.m.Roles
	if r == nil {
		return
	}
	if r.Access == none {
		c.fail(c.at("roles.access"), "roles.access", "leave it out: apron makes one", "none cannot pull an image from a private repository")
	}
	traced := c.m.Observability != nil && c.m.Observability.Tracing == "xray"
	if r.Instance == none && (len(c.m.Secrets)+len(c.m.Permissions) > 0 || traced) {
		c.fail(c.at("roles.instance"), "roles.instance", "leave it out: apron makes one that may do just that",
			"none cannot read secrets, use permissions or send traces, as this manifest asks")
		return
	}
	if len(c.m.Permissions) == 0 {
		return
	}
	key, role := "roles.instance", r.Instance
	if c.target == targetExpress {
		key, role = "roles.task", r.Task
	}
	if role != "" && role != "auto" {
		c.fail(c.at("permissions"), "permissions", "give that role what it needs yourself, or leave out "+key,
			"apron gives permissions to the role it makes, and %s names one that it only uses", key)
	}
}

func (c *checker) tags() {
	for key := range c.m.Tags {
		for prefix, owner := range map[string]string{"aws:": "AWS's", "apron:": "apron's"} {
			if strings.HasPrefix(strings.ToLower(key), prefix) {
				f, _ := c.root.get("tags").field(key)
				c.fail(f.at, join("tags", key), "choose another key", "tag keys that start with %s are %s own", prefix, owner)
			}
		}
	}
}
