package build

import (
	"errors"
	"fmt"
	"path"
	"regexp"
	"slices"
	"strings"

	"github.com/moby/buildkit/frontend/dockerfile/instructions"

	"github.com/apron-deploy/apron/reconcile/pattern"
)

// symptoms are what engines print when something outside of the Dockerfile is wrong.
// Each is the wording of docker, BuildKit, podman or buildah.
var symptoms = []struct {
	text  func() *regexp.Regexp
	cause string
	fix   func(engine string) string
}{
	{pattern.Lazy(`(?i)permission denied.*(docker|podman)[^ ]*\.sock|permission denied while trying to connect`),
		"this user may not talk to the daemon", always("add the user to the group docker and log in again, or use podman or buildah")},
	{pattern.Lazy(`(?i)cannot connect to the docker daemon|failed to connect to the docker api|is the docker daemon running|error during connect|cannot connect to podman`),
		"the daemon does not answer", func(engine string) string {
			if engine == "podman" {
				return "start it: podman machine start; or, on Linux, unset CONTAINER_HOST"
			}
			return "start it: Docker Desktop, or systemctl start docker; DOCKER_HOST says where it is looked for"
		}},
	{pattern.Lazy(`(?i)no space left on device|disk quota exceeded`),
		"the disk is full", func(engine string) string {
			switch engine {
			case "podman":
				return "podman system df shows what takes space, podman image prune frees it"
			case "buildah":
				return "buildah images shows what takes space, buildah rmi --prune frees it"
			}
			return "docker system df shows what takes space, docker builder prune and docker image prune free it"
		}},
	{pattern.Lazy(`(?i)(option|flag) requires BuildKit`),
		"docker's legacy builder does not know what the Dockerfile asks for", always("install docker's buildx plugin, or use the builder builtin, podman or buildah")},
	{pattern.Lazy(`(?i)toomanyrequests|pull rate limit`),
		"the registry of a base image limits how often it is pulled", always("log in to it, docker login for one, or try again later")},
	{pattern.Lazy(`(?i)exec format error|exec user process caused`),
		"a program of the image is for another kind of processor", always("build on linux/amd64, or install emulation: docker run --privileged --rm tonistiigi/binfmt --install amd64")},
	{pattern.Lazy(`(?i)cache export (feature )?is not supported|cache export is not`),
		"this buildx instance cannot write caches", always("make one that can: docker buildx create --use; or remove image.build.cache.to")},
	{pattern.Lazy(`(?i)pull access denied|manifest unknown|repository does not exist|failed to resolve source metadata|unable to copy from source|initializing source docker://`),
		"a base image cannot be pulled", always("check its name and tag, the network, and whether its registry wants a login")},
	{pattern.Lazy(`(?i)exit (code|status):? 137|returned a non-zero code: 137|signal: killed|cannot allocate memory`),
		"a step was killed, most likely for want of memory", always("give the builder more memory")},
}

func always(fix string) func(string) string { return func(string) string { return fix } }

// lost is how engines say that COPY or ADD found nothing. BuildKit does not always name
// the file, and shows the step.
var lost = []func() *regexp.Regexp{
	pattern.Lazy(`"/?([^"\n]+)":? not found`),
	pattern.Lazy(`(?:COPY|ADD) failed: (?:file not found in build context or excluded by \.dockerignore: )?stat /?([^:\n]+): `),
	pattern.Lazy(`copier: stat: "/?([^"\n]+)": no such file or directory`),
	pattern.Lazy(`no items matching glob "([^"\n]+)" copied`),
	pattern.Lazy(`> \[[^]\n]*\] (?:COPY|ADD) (?:--\S+ )*(\S+) \S+:\n(?s:.*)no such file or directory`),
}

// failedStep is how engines say that RUN failed.
var failedStep = pattern.Lazy(`did not complete successfully|executor failed running|returned a non-zero code|building at STEP "RUN`)

// explain adds to a [CommandError] what it means, as far as that is known. The request
// is nil where nothing was built yet.
func explain(err error, engine string, r *Request) error {
	c, ok := errors.AsType[*CommandError](err)
	if !ok || c.Cause != "" {
		return err
	}
	text := strings.Join(c.Tail, "\n")
	for _, s := range symptoms {
		if s.text().MatchString(text) {
			c.Cause, c.Fix = s.cause, s.fix(engine)
			return err
		}
	}
	if r == nil {
		return err
	}
	for _, file := range lost {
		if m := file().FindStringSubmatch(text); m != nil {
			if c.Cause = r.lost(m[1]); c.Cause != "" {
				return err
			}
		}
	}
	if failedStep().MatchString(text) {
		c.Fix = r.unset()
	}
	return err
}

// lost says which instruction wanted a file that is not there, and why it is not; "" if
// none wanted one of that name.
func (r Request) lost(name string) string {
	name = path.Base(name) // engines show their own paths
	d, err := parse(r.Context.Shown(), r.Context.Text, r.Build)
	if err != nil {
		return ""
	}
	for _, i := range d.needed() {
		for _, cmd := range d.stages[i].Commands {
			var from string
			var srcs []string
			switch c := cmd.(type) {
			case *instructions.CopyCommand:
				from, srcs = c.From, c.SourcePaths
			case *instructions.AddCommand:
				srcs = slices.DeleteFunc(slices.Clone(c.SourcePaths), remoteSource)
			}
			for _, src := range srcs {
				if path.Base(src) != name {
					continue
				}
				why := fmt.Errorf("there is no %s in %s", src, from)
				if from == "" {
					why = missing(r, src)
				}
				return (&ParseError{File: d.name, Line: line(cmd.Location()), Err: fmt.Errorf("%s: %w", strings.ToUpper(cmd.Name()), why)}).Error()
			}
		}
	}
	return ""
}

// unset names the build arguments without a value, which is what makes many a step fail.
func (r Request) unset() string {
	d, err := parse(r.Context.Shown(), r.Context.Text, r.Build)
	if err != nil {
		return ""
	}
	var hints []string
	for _, i := range d.needed() {
		for _, cmd := range d.stages[i].Commands {
			c, ok := cmd.(*instructions.ArgCommand)
			if !ok {
				continue
			}
			for _, arg := range c.Args {
				value, given := d.args[arg.Key]
				_, global := d.global[arg.Key]
				switch {
				case given && value == "":
					hints = append(hints, "image.build.args."+arg.Key+" is empty: is its variable set, and .env where the manifest is?")
				case !given && !global && arg.Value == nil:
					hints = append(hints, arg.Key+" has no value: the Dockerfile declares it, and image.build.args does not give it")
				}
			}
		}
	}
	slices.Sort(hints)
	return strings.Join(slices.Compact(hints), "; ")
}
