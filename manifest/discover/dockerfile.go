package discover

import (
	"bytes"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/moby/buildkit/frontend/dockerfile/instructions"
	"github.com/moby/buildkit/frontend/dockerfile/parser"

	"github.com/apron-deploy/apron/reconcile/pattern"
)

// recipe is what a Dockerfile says of the service.
type recipe struct {
	port     int
	portFrom string
	health   string   // path
	args     []string // without a default, in order
	defaults map[string]bool
	env      map[string]string
}

var (
	portFlag = pattern.Lazy(`(?:^|\s)(?:--port|--server\.port|-p|--bind|-b|--listen)[= ](?:[\w.\[\]]*:)?(\d{2,5})(?:\s|$)`)
	request  = pattern.Lazy(`https?://(?:localhost|127\.0\.0\.1|0\.0\.0\.0|\[::1\])(?::[\d${}A-Za-z_:-]+)?(/[^\s"'|;)]*)`)
)

// readDockerfile looks at the last stage for what runs, and at all of them for arguments.
func readDockerfile(name string, text []byte) (recipe, error) {
	r := recipe{env: map[string]string{}, defaults: map[string]bool{}}
	parsed, err := parser.Parse(bytes.NewReader(text))
	if err != nil {
		return r, fmt.Errorf("%s: %w", name, err)
	}
	stages, global, err := instructions.Parse(parsed.AST, nil)
	if err != nil {
		return r, fmt.Errorf("%s: %w", name, err)
	}
	for _, a := range global {
		r.declare(a.Args)
	}
	for i, s := range stages {
		last := i == len(stages)-1
		for _, cmd := range s.Commands {
			switch c := cmd.(type) {
			case *instructions.ArgCommand:
				r.declare(c.Args)
			case *instructions.EnvCommand:
				for _, kv := range c.Env {
					if last {
						r.env[kv.Key] = kv.Value
					}
				}
			case *instructions.ExposeCommand:
				if last {
					r.expose(c.Ports)
				}
			case *instructions.HealthCheckCommand:
				if m := request().FindStringSubmatch(strings.Join(c.Health.Test, " ")); last && m != nil {
					r.health = m[1]
				}
			case *instructions.CmdCommand:
				if m := portFlag().FindStringSubmatch(strings.Join(c.CmdLine, " ")); last && m != nil {
					r.listen(m[1], "CMD")
				}
			case *instructions.EntrypointCommand:
				if m := portFlag().FindStringSubmatch(strings.Join(c.CmdLine, " ")); last && m != nil {
					r.listen(m[1], "ENTRYPOINT")
				}
			}
		}
	}
	r.args = slices.DeleteFunc(r.args, func(name string) bool { return r.defaults[name] })
	if p := r.env["PORT"]; r.port == 0 && p != "" {
		r.listen(p, "ENV PORT")
	}
	return r, nil
}

// predefined arguments need no value from a manifest.
// https://docs.docker.com/reference/dockerfile/#predefined-args
var predefined = pattern.Lazy(`(?i)^(https?_proxy|ftp_proxy|no_proxy|all_proxy|source_date_epoch|(target|build)(platform|os|arch|variant))$`)

// declare notes arguments. A stage that declares one again, to have it at all, gets the
// default from before the first FROM.
// https://docs.docker.com/reference/dockerfile/#understand-how-arg-and-from-interact
func (r *recipe) declare(args []instructions.KeyValuePairOptional) {
	for _, a := range args {
		if a.Value != nil {
			r.defaults[a.Key] = true
		}
		if a.Value == nil && !predefined().MatchString(a.Key) && !slices.Contains(r.args, a.Key) {
			r.args = append(r.args, a.Key)
		}
	}
}

// expose takes the first TCP port: App Runner sends requests to one.
func (r *recipe) expose(ports []string) {
	for _, p := range ports {
		number, protocol, _ := strings.Cut(p, "/")
		if strings.HasPrefix(number, "$") {
			number = r.env[strings.Trim(number, "${}")]
		}
		if protocol != "udp" && (r.port == 0 || r.portFrom != "EXPOSE") {
			r.listen(number, "EXPOSE")
		}
	}
}

func (r *recipe) listen(port, from string) {
	if n, err := strconv.Atoi(port); err == nil && n > 0 && n < 65536 && (r.port == 0 || from == "EXPOSE") {
		r.port, r.portFrom = n, from
	}
}
