package apprunner

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/apron-deploy/apron/reconcile/pattern"
)

// What applications and their run times say of what they lack.
var (
	wrongCPU = pattern.Lazy(`exec format error`)
	// Python's os.environ["X"], and the many that say it in words.
	missingVariable = []func() *regexp.Regexp{
		pattern.Lazy(`KeyError: ["']([A-Z][A-Z0-9_]*)["']`),
		pattern.Lazy(`(?i:missing|required)\b.*\b(?i:(?:environment|env) variables?):? *["'\x60]?([A-Z][A-Z0-9_]+)\b`),
		pattern.Lazy(`(?i:(?:environment|env) variable) +["'\x60]?([A-Z][A-Z0-9_]+)["'\x60]? +(?i:is |was |must be )?(?i:missing|required|not set|not defined|undefined|unset|set$)`),
		pattern.Lazy(`["'\x60]?\b([A-Z][A-Z0-9]*_[A-Z0-9_]+)\b["'\x60]? +(?i:environment variable )?(?i:is not set|must be set|is required|is not defined|is undefined|is missing)`),
	}
	// In the words of Python's urllib, requests and httpx, of Node and of Go.
	malformedURL = pattern.Lazy(`unknown url type|missing an 'http|No scheme supplied|(?i:invalid url)|ERR_INVALID_URL|unsupported protocol scheme|first path segment in URL`)
	namesJWKS    = pattern.Lazy(`(?i)jwks`)
	jwksVariable = pattern.Lazy(`(?i)jwks.*(?:ur[il]|endpoint)`)
	outOfMemory  = pattern.Lazy(`JavaScript heap out of memory|OutOfMemoryError|\bMemoryError\b|[Oo]ut of memory|Cannot allocate memory`)
	portTaken    = pattern.Lazy(`(?i)address already in use|EADDRINUSE`)
	portDenied   = pattern.Lazy(`(?i)(?:bind|listen)\b.*permission denied|EACCES.*listen|listen EACCES`)
)

// spoken is what the application says of itself.
func (e *evidence) spoken() (finding, bool) {
	for _, l := range e.output {
		if wrongCPU().MatchString(l.text) {
			return finding{"the image is built for another CPU: App Runner runs linux/amd64 only",
				e.at("build with platform: linux/amd64", "image.build.platform", "image.build", "image.from", "image")}, true
		}
	}
	for _, l := range slices.Backward(e.output) { // the last word is the one it died of
		if m := firstMatch(missingVariable, l.text); m != nil {
			return e.lacks(m[1]), true
		}
	}
	if f, ok := e.malformedKeys(); ok {
		return f, true
	}
	for _, l := range e.output {
		switch {
		case outOfMemory().MatchString(l.text):
			return e.memory("the application says that it ran out of memory"), true
		case portTaken().MatchString(l.text):
			return finding{"the application starts a second server on a port that it listens on already",
				"only one process of the container may listen on the port"}, true
		case portDenied().MatchString(l.text):
			return finding{"the application may not listen on its port as the user that the image names",
				e.at("listen on a port above 1023, and set port: to it", "port")}, true
		}
	}
	return finding{}, false
}

func firstMatch(all []func() *regexp.Regexp, text string) []string {
	for _, re := range all {
		if m := re().FindStringSubmatch(text); m != nil {
			return m
		}
	}
	return nil
}

// lacks is a variable that the application cannot do without. If the manifest gives it
// one, its value is what is wrong.
func (e *evidence) lacks(name string) finding {
	for _, group := range []string{"env", "secrets"} {
		if f, ok := e.want.Get(group + "." + name); ok {
			if group == "env" && f.Value == "" {
				return finding{"the application needs the environment variable " + name + ", and it is empty",
					e.at("give it a value", "env."+name)}
			}
			return finding{"the application does not accept the environment variable " + name, e.at("look at its value", group+"."+name)}
		}
	}
	return finding{"the application needs the environment variable " + name, e.at("set "+name+" under env: or secrets:", "env", "secrets", "service")}
}

// malformedKeys is a URL of signing keys that is none: the application cannot check who
// signs in, and ends.
func (e *evidence) malformedKeys() (finding, bool) {
	malformed, keys := false, false
	for _, l := range e.output {
		malformed = malformed || malformedURL().MatchString(l.text)
		keys = keys || namesJWKS().MatchString(l.text)
	}
	name := ""
	for _, f := range e.want.Fields {
		group, variable, _ := strings.Cut(f.Path, ".")
		if (group == "env" || group == "secrets") && jwksVariable().MatchString(variable) {
			name = f.Path
		}
	}
	if !malformed || !keys && name == "" {
		return finding{}, false
	}
	variable := "the JWKS URL"
	if name != "" {
		_, variable, _ = strings.Cut(name, ".")
	}
	return finding{variable + " is not a URL that signing keys can be fetched from",
		e.at("it must be absolute, as https://YOUR.DOMAIN/.well-known/jwks.json", name)}, true
}

func (e *evidence) memory(cause string) finding {
	fix := "raise memory:"
	if has := e.want.Value("memory"); has != "" {
		cause += fmt.Sprintf(", of which it has %s MiB", has)
	}
	return finding{cause, e.at(fix, "memory")}
}

var exitCode = pattern.Lazy(`Container exit code: (\d+)`)

// exits are what codes mean that a container itself does not choose.
// https://docs.docker.com/engine/containers/run/#exit-status
var exits = map[string]string{
	"126": "what it should run cannot be executed",
	"127": "what it should run is not in the image",
	"132": "an instruction that this CPU does not have (SIGILL)",
	"134": "it aborted (SIGABRT)",
	"139": "a memory violation (SIGSEGV)",
	"143": "it was told to stop (SIGTERM)",
}

// ended is a container that ended by itself.
func (e *evidence) ended() (finding, bool) {
	for _, l := range e.service {
		m := exitCode().FindStringSubmatch(l.text)
		if m == nil {
			continue
		}
		if m[1] == "137" {
			return e.memory("the container was killed (exit code 137), which is what happens to one that needs more memory than it has"), true
		}
		cause := "the container stopped with exit code " + m[1]
		if meaning := exits[m[1]]; meaning != "" {
			cause += ": " + meaning
		}
		if m[1] == "126" || m[1] == "127" {
			return finding{cause, e.at("look at the image's ENTRYPOINT and CMD, and at command:", "command")}, true
		}
		return finding{cause, "see the application's last lines, and try the image on this machine: apron run"}, true
	}
	return finding{}, false
}
