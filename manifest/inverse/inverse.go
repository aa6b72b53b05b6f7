// Package inverse writes the manifest that would have made what is live.
//
//	live state ─▶ [Draft] ─▶ the text of a manifest ─▶ … ─▶ a plan without changes
//
// It is pure, and knows the shared vocabulary alone. Secrets are written as references. A
// plain variable that looks like a secret is written as ${NAME}, and its value is handed
// back apart from the text. What no key of a manifest says, or what turned out not to
// work, is named in the text and handed back as [Left]: nothing is dropped in silence.
package inverse

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/apron-deploy/apron/manifest"
	"github.com/apron-deploy/apron/reconcile/pattern"
	"github.com/apron-deploy/apron/reconcile/state"
)

// Options are what a live service does not say of itself.
type Options struct {
	Account, Region string
	Partition       string
	Registry        string // host of the account's own registry
	// Access and Instance are the roles that apron makes for this service.
	Access, Instance state.Address
	// Leave says of paths of the manifest why they must not be written. What is managed as a
	// whole is left out as a whole.
	Leave map[string]string
	// Dockerfile says that there is one beside the manifest.
	Dockerfile bool
}

// Left is something live that the manifest does not say.
type Left struct {
	Path string `json:"path"` // of the manifest, as far as there is one
	Why  string `json:"why"`  // with its value, unless that is secret
}

// Variable is a value that the manifest takes from the environment.
type Variable struct {
	Name  string // of the service's variable
	From  string // of the environment's
	Value state.Sensitive
	Looks string // like what
}

// Result is a manifest and what is not in it.
type Result struct {
	Draft     manifest.Draft
	Variables []Variable // in order of their names
	Left      []Left     // in the order of the manifest's keys
}

// Draft is the manifest of a live service. live holds the service, and whatever it
// refers to that could be read.
func Draft(live state.Live, service state.Address, o Options) Result {
	w := &writer{live: live, s: live[service], o: o}
	w.add(manifest.Entry{Above: []string{
		"yaml-language-server: $schema=https://raw.githubusercontent.com/apron-deploy/apron/main/manifest/schema.json",
		"The service as it was live when apron import wrote this. What is left out is unmanaged:",
		"never compared, never changed. apron schema describes every key."}})
	w.set("version", 1, "")
	w.set("service", service.Name, "")
	w.set("region", o.Region, "")
	w.set("account", o.Account, "any other account is refused")
	w.image()
	w.variables()
	w.secrets()
	w.text("command", "command")
	w.text("port", "port")
	w.text("cpu", "cpu")
	w.text("memory", "memory")
	w.scaling()
	w.health()
	w.domains()
	w.network()
	w.tracing()
	w.roles()
	w.permissions()
	w.tags()
	if w.s.Value("auto_deploy") == "true" {
		w.set("auto_deploy", true, "App Runner deploys by itself whenever the image's tag is pushed")
	}
	w.appRunner()
	if len(w.left) > 0 {
		w.add(manifest.Entry{Above: []string{"", "Live as well, and not in this file:"}})
		for _, l := range w.left {
			w.add(manifest.Entry{Above: []string{"- " + l.Path + ": " + l.Why}})
		}
	}
	return Result{Draft: w.draft, Variables: w.vars, Left: w.left}
}

type writer struct {
	live  state.Live
	s     state.Observed
	o     Options
	draft manifest.Draft
	vars  []Variable
	left  []Left
}

func (w *writer) add(e manifest.Entry) { w.draft = append(w.draft, e) }

func (w *writer) leave(path, format string, args ...any) {
	w.left = append(w.left, Left{path, fmt.Sprintf(format, args...)})
}

// out reports whether a key must not be written, and names it then.
func (w *writer) out(key, value string) bool {
	var why []string
	for path, reason := range w.o.Leave {
		below := strings.HasPrefix(path, key+".") || strings.HasPrefix(path, key+"[")
		if tag := strings.HasPrefix(key, "tags."); tag { // whose dots are its own
			below = path == "tags"
		}
		if path == key || below {
			why = append(why, reason)
		}
	}
	if len(why) == 0 {
		return false
	}
	slices.Sort(why)
	w.leave(key, "%s: %s", value, strings.Join(slices.Compact(why), "; "))
	return true
}

// set writes a key at the top.
func (w *writer) set(key string, value any, behind string) {
	if value == "" || w.out(key, fmt.Sprint(value)) {
		return
	}
	w.add(manifest.Entry{Key: key, Value: value, Behind: behind})
}

// text writes the live value of a field.
func (w *writer) text(key, field string) {
	if f, ok := w.s.Get(field); ok {
		w.set(key, scalar(key, f.Value), "")
	}
}

// scalar is a live value as a manifest has it: numbers stay numbers.
func scalar(path, value string) any {
	if path == "port" {
		if n, err := strconv.Atoi(value); err == nil {
			return n
		}
	}
	return manifest.LiveText(path, value, "")
}

func (w *writer) image() {
	f, _ := w.s.Get("image")
	from, local := f.Value, false
	if a, ok := f.Target(); ok {
		from, local = w.o.Registry+"/"+a.Name, true
	}
	above := []string{"The image runs where it is: apron neither builds nor copies it."}
	if w.o.Dockerfile {
		above = append(above, "image: {build: {context: .}} has apron build the Dockerfile here, in a repository of its own.")
	} else if !local {
		above = append(above, "Without copy: false it is copied into a repository of this account.")
	}
	w.add(manifest.Entry{Key: "image", Above: above, Value: manifest.Draft{{Key: "from", Value: from}, {Key: "copy", Value: false}}})
}

// below lists the fields of the service under a prefix, by what follows it.
func (w *writer) below(prefix string) (fields []state.Field) {
	for _, f := range w.s.Fields {
		if name, ok := strings.CutPrefix(f.Path, prefix); ok {
			f.Path = name
			fields = append(fields, f)
		}
	}
	return fields
}

func names(fields []state.Field) string {
	var all []string
	for _, f := range fields {
		all = append(all, f.Path)
	}
	return strings.Join(all, ", ")
}

var unfit = pattern.Lazy(`[^A-Za-z0-9_]`)

// variable is the name in the environment for a variable of the service: one that a
// manifest may take, and that an env file can hold.
func variable(name string) string {
	name = unfit().ReplaceAllString(name, "_")
	if manifest.RefusedName(name) {
		return "SERVICE_" + name
	}
	return name
}

func (w *writer) variables() {
	fields := w.below("env.")
	if len(fields) == 0 || w.out("env", names(fields)) {
		return
	}
	var env manifest.Draft
	for _, f := range fields {
		looks := manifest.LooksSecret(f.Path, f.Value)
		if looks == "" {
			env = append(env, manifest.Entry{Key: f.Path, Value: manifest.LiveText("env."+f.Path, f.Value, "")})
			continue
		}
		v := Variable{Name: f.Path, From: variable(f.Path), Value: state.Sensitive(f.Value), Looks: looks}
		w.vars = append(w.vars, v)
		env = append(env, manifest.Entry{Key: f.Path, Value: "${" + v.From + "}", Behind: "looks like " + looks + ": better under secrets, as env:" + v.From})
	}
	w.add(manifest.Entry{Key: "env", Value: env, Above: []string{"Everybody who may describe the service can read these."}})
}

func (w *writer) secrets() {
	fields := w.below("secrets.")
	if len(fields) == 0 || w.out("secrets", names(fields)) {
		return
	}
	var secrets manifest.Draft
	for _, f := range fields {
		from := f.Value
		if a, ok := f.Target(); ok {
			from = "ssm:" + a.Name
			if a.Name == "/apron/"+w.s.Address.Name+"/"+f.Path { // apron's own
				from = "env:" + variable(f.Path)
			}
		}
		secrets = append(secrets, manifest.Entry{Key: f.Path, Value: from})
	}
	w.add(manifest.Entry{Key: "secrets", Value: secrets})
}

func (w *writer) scaling() {
	f, ok := w.s.Get("scaling")
	if !ok {
		return
	}
	addr, _ := f.Target()
	c, read := w.live[addr]
	numbers := manifest.Draft{}
	for _, key := range []string{"min", "max", "concurrency"} {
		if n, err := strconv.Atoi(c.Value(key)); err == nil {
			numbers = append(numbers, manifest.Entry{Key: key, Value: n})
		}
	}
	switch {
	case !read || len(numbers) < 3:
		w.leave("scaling", "the configuration %s, whose numbers could not be read", addr.Name)
	case !w.out("scaling", addr.Name):
		e := manifest.Entry{Key: "scaling", Value: numbers, Inline: true}
		if !strings.HasPrefix(addr.Name, "apron-") {
			e.Behind = "the configuration " + addr.Name + ", until these numbers change"
		}
		w.add(e)
	}
}

func (w *writer) health() {
	var health manifest.Draft
	for _, key := range []string{"protocol", "path", "interval", "timeout", "healthy", "unhealthy"} {
		f, ok := w.s.Get("health." + key)
		if !ok || f.Value == "" {
			continue
		}
		var value any = manifest.LiveText("health."+key, f.Value, "")
		if n, err := strconv.Atoi(f.Value); err == nil {
			value = n
		}
		health = append(health, manifest.Entry{Key: key, Value: value})
	}
	if len(health) > 0 && !w.out("health", w.s.Value("health.protocol")+" "+w.s.Value("health.path")) {
		w.add(manifest.Entry{Key: "health", Value: health, Inline: true})
	}
}
