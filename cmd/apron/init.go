package main

import (
	"bufio"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/apron-deploy/apron/manifest"
	"github.com/apron-deploy/apron/manifest/discover"
)

// initFlags answer what would be asked.
type initFlags struct {
	service string
	from    string
	port    int
	health  string
	yes     bool
}

func (a *app) initCommand() *cobra.Command {
	var o initFlags
	cmd := &cobra.Command{
		Use:   "init",
		Short: "Write a first manifest from what the directory holds",
		Long: "init looks at the Dockerfile, the names in .env and the package files, and writes a\n" +
			"manifest with comments that say what is from where. On a terminal it asks; a file\n" +
			"that exists is never overwritten.",
		Example: "  apron init\n  apron init --service shop --port 8080 --health /healthz --yes",
		RunE: func(cmd *cobra.Command, _ []string) error {
			if o.port < 0 || o.port > 65535 {
				return &usageError{err: fmt.Errorf("--port %d is no port", o.port), command: cmd.CommandPath()}
			}
			return a.runInit(cmd.Context(), o)
		},
	}
	f := cmd.Flags()
	f.StringVar(&o.service, "service", "", "name of the service (default from package files or the directory)")
	f.StringVar(&o.from, "from", "", "deploy this image, which exists already, instead of a build")
	f.IntVar(&o.port, "port", 0, "port the application listens on (default from the Dockerfile)")
	f.StringVar(&o.health, "health", "", "path of the health check (default from the Dockerfile or the sources)")
	f.BoolVarP(&o.yes, "yes", "y", false, "do not ask")
	return cmd
}

func (a *app) runInit(ctx context.Context, o initFlags) error {
	file, err := a.oneManifest()
	if err != nil {
		return err
	}
	if _, err := os.Lstat(file); !errors.Is(err, fs.ErrNotExist) {
		return &manifest.Error{File: file, Msg: "exists already, and is not overwritten", Fix: "change it with apron set, or choose another name with -f"}
	}
	found, err := discover.Look(filepath.Dir(file))
	if err != nil {
		return err
	}
	if found.Dockerfile == "" && o.from == "" {
		return &usageError{err: errors.New("there is no Dockerfile here, nor two directories below: nothing to build"), command: "apron init; --from names an image that exists already"}
	}
	for _, w := range found.Warnings {
		a.warn("%s", w)
	}
	if err := a.answers(ctx, file, &found, o); err != nil {
		return err
	}
	text := a.firstManifest(found, o).Text()
	if err := a.createManifest(file, text); err != nil {
		return err
	}
	fmt.Fprintf(a.out, "%s is written.\n", filepath.ToSlash(file))
	a.adviseNext(file, found.EnvFrom)
	return nil
}

// adviseNext says what to do with a first manifest, in commands that find its variables:
// by themselves they read no env file but the .env beside the manifest.
func (a *app) adviseNext(file, envFrom string) {
	flags, first := "", "Look it over"
	if len(a.files) > 0 {
		flags += " -f " + shellWord(filepath.ToSlash(file))
	}
	beside := func(name string) string { return path.Join(filepath.ToSlash(filepath.Dir(file)), name) }
	files := a.envFiles
	switch {
	case len(files) > 0 || envFrom == "":
	case path.Base(envFrom) == ".env.example":
		first = fmt.Sprintf("Copy %s to %s and put the values in; look %s over", shellWord(beside(envFrom)), shellWord(beside(".env")), filepath.ToSlash(file))
	case !readByItself(envFrom):
		files = []string{beside(envFrom)}
	}
	for _, f := range files {
		flags += " --env-file " + shellWord(filepath.ToSlash(f))
	}
	a.say("%s, then: apron validate%s; apron apply --sandbox%s deploys it on this machine, without an account.", first, flags, flags)
}

// readByItself reports whether the file that names are from is the one that each command
// reads. An example is copied there.
func readByItself(envFrom string) bool { return envFrom == ".env" || path.Base(envFrom) != ".env" }

// createManifest writes a manifest that does not exist yet, if it is a right one.
func (a *app) createManifest(file string, text []byte) error {
	for _, bad := range a.mistakes(file, text) {
		if strings.HasSuffix(bad.Msg, " is not set") {
			continue // a variable, which is set when it counts
		}
		return fmt.Errorf("nothing was written: %w", bad)
	}
	return createFile(file, text, 0o644)
}

// answers takes what flags say, and asks for the rest where somebody can answer. What the
// manifest would refuse is asked again, with the reason.
func (a *app) answers(ctx context.Context, file string, found *discover.Found, o initFlags) error {
	if o.service != "" {
		found.Service, found.NameFrom = o.service, ""
	}
	if o.port != 0 {
		found.Port, found.PortFrom = o.port, ""
	}
	if o.health != "" {
		found.Health, found.HealthFrom = o.health, ""
	}
	if o.yes || !a.ttyIn {
		return nil
	}
	for _, flag := range []struct {
		key   string
		given bool
	}{{"service", o.service != ""}, {"port", o.port != 0}, {"health.path", o.health != ""}} {
		if err := a.refused(file, *found, o, flag.key); flag.given && err != nil { // before somebody answers in vain
			return &usageError{err: fmt.Errorf("%w; nothing was written", err), command: "apron init"}
		}
	}
	in := bufio.NewReader(a.in)
	ask := func(key, question, otherwise string, take func(answer string) (discover.Found, error)) error {
		for {
			a.question("%s [%s]: ", question, otherwise)
			line, end := awaitAnswer(ctx, func() (string, error) { return in.ReadString('\n') })
			if ctx.Err() != nil {
				a.say("")
				return fmt.Errorf("%w; nothing was written", context.Cause(ctx))
			}
			next, err := take(cmp.Or(strings.TrimSpace(line), otherwise))
			if err == nil {
				err = a.refused(file, next, o, key)
			}
			switch {
			case err == nil:
				*found = next
				return nil
			case end != nil: // nobody is there to ask again
				return &usageError{err: fmt.Errorf("%w; nothing was written", err), command: "apron init"}
			}
			a.say("apron: %v", err)
		}
	}
	if o.service == "" {
		err := ask("service", "name of the service", found.Service, func(name string) (discover.Found, error) {
			next := *found
			if name != found.Service {
				next.Service, next.NameFrom = name, ""
			}
			return next, nil
		})
		if err != nil {
			return err
		}
	}
	if o.port == 0 {
		err := ask("port", "port it listens on", strconv.Itoa(cmp.Or(found.Port, defaultPort)), func(answer string) (discover.Found, error) {
			next := *found
			n, err := strconv.Atoi(answer)
			if err != nil || n < 1 || n > 65535 {
				return next, fmt.Errorf("port: %q is not a number from 1 to 65535", answer)
			}
			if n != found.Port {
				next.Port, next.PortFrom = n, ""
			}
			return next, nil
		})
		if err != nil {
			return err
		}
	}
	if o.health != "" {
		return nil
	}
	return ask("health.path", "path of its health check, - for none", found.Health, func(answer string) (discover.Found, error) {
		next := *found
		switch answer {
		case found.Health:
		case "-":
			next.Health = ""
		default:
			next.Health, next.HealthFrom = answer, ""
		}
		return next, nil
	})
}

// refused is what the first manifest would have against a key; nil for nothing.
func (a *app) refused(file string, f discover.Found, o initFlags, key string) error {
	for _, bad := range a.mistakes(file, a.firstManifest(f, o).Text()) {
		if bad.Path == key {
			if bad.Fix == "" {
				return fmt.Errorf("%s: %s", key, bad.Msg)
			}
			return fmt.Errorf("%s: %s: %s", key, bad.Msg, bad.Fix)
		}
	}
	return nil
}

// firstManifest lays out what was found.
func (a *app) firstManifest(f discover.Found, o initFlags) manifest.Draft {
	because := func(from string) string {
		if from == "" {
			return ""
		}
		return "from " + from
	}
	region, from := a.region, ""
	for _, name := range []string{"AWS_REGION", "AWS_DEFAULT_REGION"} {
		if region == "" {
			region, from = a.fallback(name, ""), name
		}
	}
	if region == "" {
		region, from = "us-east-1", ""
	}
	d := manifest.Draft{
		{Above: []string{
			"yaml-language-server: $schema=https://raw.githubusercontent.com/apron-deploy/apron/main/manifest/schema.json",
			"What is left out is unmanaged: never compared, never changed. apron schema describes every key."}},
		{Key: "version", Value: 1},
		{Key: "service", Value: f.Service, Behind: because(f.NameFrom)},
		{Key: "region", Value: region, Behind: because(from)},
		{Key: "account", Value: "123456789012", Off: true, Behind: "refuse to touch any other account"},
		{Key: "image", Value: firstImage(f, o)},
	}
	var env, secrets manifest.Draft
	for _, v := range f.Env {
		if v.Secret {
			secrets = append(secrets, manifest.Entry{Key: v.Name, Value: "env:" + v.Name})
		} else {
			env = append(env, manifest.Entry{Key: v.Name, Value: "${" + v.Name + "}"})
		}
	}
	names := f.EnvFrom
	if !readByItself(names) {
		names += ", which --env-file " + shellWord(names) + " reads"
	}
	if len(env) > 0 {
		d = append(d, manifest.Entry{Key: "env", Value: env, Above: []string{"Plain variables, by the names in " + names + ". Everybody who may look at the service can read them."}})
	}
	if len(secrets) > 0 {
		above := []string{"By their look these are secrets. apron keeps the values in Parameter Store; nothing prints them."}
		if len(env) == 0 && !readByItself(f.EnvFrom) {
			above = append(above, "Their names are from "+names+".")
		}
		d = append(d, manifest.Entry{Key: "secrets", Value: secrets, Above: above})
	}
	port := manifest.Entry{Key: "port", Value: f.Port, Behind: because(f.PortFrom)}
	if f.Port == 0 {
		port.Value, port.Off, port.Behind = 8080, true, "the Dockerfile does not say; the application finds it in PORT"
	}
	d = append(d, port,
		manifest.Entry{Key: "cpu", Value: "0.25 vCPU", Above: []string{"The smallest size. https://docs.aws.amazon.com/apprunner/latest/dg/architecture.html"}},
		manifest.Entry{Key: "memory", Value: "0.5 GB"},
		manifest.Entry{Key: "scaling", Inline: true, Value: manifest.Draft{{Key: "min", Value: 1}, {Key: "max", Value: 2}, {Key: "concurrency", Value: 100}}})
	health := manifest.Entry{Key: "health", Inline: true, Value: manifest.Draft{{Key: "path", Value: f.Health}}, Behind: because(f.HealthFrom)}
	if f.Health == "" {
		health.Value, health.Off = manifest.Draft{{Key: "path", Value: "/health"}}, true
		health.Behind = "without a path only the port is tried, and an application that answers errors counts as healthy"
	}
	return append(d, health)
}

func firstImage(f discover.Found, o initFlags) manifest.Draft {
	var image manifest.Draft
	if o.from != "" {
		image = manifest.Draft{{Key: "from", Value: o.from}}
	} else {
		build := manifest.Draft{{Key: "context", Value: f.Context}}
		if f.Dockerfile != "Dockerfile" {
			build = append(build, manifest.Entry{Key: "dockerfile", Value: f.Dockerfile})
		}
		if len(f.Others) > 0 {
			build[0].Above = []string{"There are others: " + strings.Join(f.Others, ", ")}
		}
		var args, secrets manifest.Draft
		for _, name := range f.Args {
			if manifest.SecretLooking(name) {
				secrets = append(secrets, manifest.Entry{Key: name, Value: "env:" + name})
				continue
			}
			args = append(args, manifest.Entry{Key: name, Value: "${" + name + "}"})
		}
		if len(args) > 0 {
			build = append(build, manifest.Entry{Key: "args", Value: args, Above: []string{"ARGs of the Dockerfile that have no default. They stay readable in the image."}})
		}
		if len(secrets) > 0 {
			build = append(build, manifest.Entry{Key: "secrets", Value: secrets, Above: []string{
				"ARGs that look like secrets would stay readable in the image: have the Dockerfile read", "them with RUN --mount=type=secret,id=NAME instead."}})
		}
		image = manifest.Draft{{Key: "build", Value: build}}
	}
	return append(image,
		manifest.Entry{Key: "version", Value: "v1.0.0", Off: true, Behind: "a release tag, put once a rollout has succeeded"},
		manifest.Entry{Key: "tags", Value: []string{"latest"}, Behind: "moved once a rollout has succeeded"},
		manifest.Entry{Key: "retention", Inline: true, Value: manifest.Draft{{Key: "keep", Value: 10}, {Key: "untagged_days", Value: 7}}})
}
