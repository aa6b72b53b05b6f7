package apprunner

import (
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/apron-deploy/apron/reconcile/state"
)

// Inputs are the facts that a service's desired state needs beside its manifest.
type Inputs struct {
	// Image is the address of the image to run.
	Image state.Address
	// Access and Instance are the roles: the text of an address, or an ARN. Empty means
	// that the service has none.
	Access, Instance string
	// Secrets says, for each secret variable, what App Runner reads: the text of an
	// address, or an ARN.
	Secrets map[string]string
	// Live is what is live: what somebody else made is used where it is just what is
	// asked, and there can be one only.
	Live state.Live
	// Stale names what changed since the running deployment read it.
	Stale string
}

// None, as the name of the instance role, asks for a service without one.
const None = "none"

// DefaultScaling is what App Runner uses where a manifest gives only some of the three.
// https://docs.aws.amazon.com/apprunner/latest/api/API_CreateAutoScalingConfiguration.html
var DefaultScaling = struct{ Min, Max, Concurrency int }{1, 25, 100}

// Desired is what a manifest asks of App Runner.
func Desired(spec state.Spec, in Inputs) []state.Resource {
	image := state.Field{Path: "image", Value: in.Image.String(), Ref: true}
	if in.Image.IsZero() && spec.Image.InPlace { // in another registry
		image = state.Field{Path: "image", Value: spec.Image.From}
	}
	f := []state.Field{
		{Path: "auto_deploy", Value: strconv.FormatBool(spec.AutoDeploy)}, // AWS's default is on
		image,
		{Path: "tags." + tagService, Value: spec.Service},
	}
	add := func(path, value string) { f = append(f, state.Field{Path: path, Value: value}) }
	role := func(path, value string) {
		if value != "" {
			f = append(f, state.Field{Path: path, Value: value, Ref: isAddress(value)})
		}
	}
	role("access_role", in.Access)
	role("instance_role", in.Instance)
	if spec.Command != nil && *spec.Command != "" {
		add("command", *spec.Command)
	}
	if spec.Port != nil {
		add("port", strconv.Itoa(*spec.Port))
	}
	if spec.CPU != nil {
		add("cpu", strconv.Itoa(*spec.CPU))
	}
	if spec.Memory != nil {
		add("memory", strconv.Itoa(*spec.Memory))
	}
	service := state.Resource{Address: Service(spec.Service)}
	if spec.Command != nil && *spec.Command == "" {
		service.Whole = append(service.Whole, "command")
	}
	if spec.Roles.Instance == None {
		service.Whole = append(service.Whole, "instance_role")
	}
	if spec.Env != nil {
		service.Whole = append(service.Whole, "env.")
		for name, v := range spec.Env {
			f = append(f, state.Field{Path: "env." + name, Value: v.Value, Template: v.Template, Omit: v.Omit,
				Provenance: v.Provenance, Source: v.Source, Secret: v.Hidden})
		}
	}
	if spec.Secrets != nil {
		service.Whole = append(service.Whole, "secrets.")
		for name, from := range in.Secrets {
			f = append(f, state.Field{Path: "secrets." + name, Value: from, Ref: isAddress(from), Restart: true})
		}
	}
	service.Whole = append(service.Whole, instead(spec)...)
	if in.Stale != "" {
		add("deployment.secrets", "current")
	}
	if h := spec.Health; h != nil {
		f = append(f, health(h)...)
	}
	for k, v := range spec.Tags {
		add("tags."+k, v)
	}
	if spec.Origin != "" {
		f = append(f, state.Field{Path: "tags." + tagOrigin, Value: spec.Origin, Provenance: true})
	}
	var resources []state.Resource
	if spec.Scaling != nil {
		addr, own := scalingFor(spec, in.Live)
		if own != nil {
			resources = append(resources, *own)
		}
		f = append(f, state.Field{Path: "scaling", Value: addr.String(), Ref: true})
	}
	more, fields := beside(spec, in.Live)
	service.Fields = state.Sort(append(f, fields...))
	resources = append(append(resources, more...), service)
	return append(resources, domainsOf(spec)...)
}

// instead names the secrets that plain variables take the place of, and the other way
// round, where the manifest does not manage the other map: which of the two the
// application would see is not documented.
func instead(spec state.Spec) []string {
	var paths []string
	if spec.Secrets == nil {
		for name := range spec.Env {
			paths = append(paths, "secrets."+name)
		}
	}
	if spec.Env == nil {
		for name := range spec.Secrets {
			paths = append(paths, "env."+name)
		}
	}
	slices.Sort(paths)
	return paths
}

func isAddress(s string) bool {
	_, err := state.ParseAddress(s)
	return err == nil && len(s) > 4 && s[:4] != "arn:"
}

func health(h *state.Health) []state.Field {
	var f []state.Field
	text := func(path string, v *string) {
		if v != nil {
			f = append(f, state.Field{Path: path, Value: *v})
		}
	}
	seconds := func(path string, v *time.Duration) {
		if v != nil {
			f = append(f, state.Field{Path: path, Value: v.String()})
		}
	}
	count := func(path string, v *int) {
		if v != nil {
			f = append(f, state.Field{Path: path, Value: strconv.Itoa(*v)})
		}
	}
	text("health.protocol", h.Protocol)
	text("health.path", h.Path)
	seconds("health.interval", h.Interval)
	seconds("health.timeout", h.Timeout)
	count("health.healthy", h.Healthy)
	count("health.unhealthy", h.Unhealthy)
	return f
}

// scalingOf is the scaling configuration of some content. Its name says the content, so
// that it is shared and never revised: an account has ten names and five revisions of
// each.
// https://docs.aws.amazon.com/general/latest/gr/apprunner.html
func scalingOf(s state.Scaling) state.Resource {
	value := func(v *int, otherwise int) int {
		if v != nil {
			return *v
		}
		return otherwise
	}
	low := value(s.Min, DefaultScaling.Min)
	high := value(s.Max, max(DefaultScaling.Max, low))
	concurrency := value(s.Concurrency, DefaultScaling.Concurrency)
	return state.Resource{
		Address: Scaling(fmt.Sprintf("apron-%d-%d-%d", low, high, concurrency)),
		Fields: []state.Field{
			{Path: "concurrency", Value: strconv.Itoa(concurrency), Immutable: true},
			{Path: "max", Value: strconv.Itoa(high), Immutable: true},
			{Path: "min", Value: strconv.Itoa(low), Immutable: true},
			{Path: "tags." + tagManaged, Value: "true"},
		},
	}
}
