package foreign

import (
	"slices"
	"strings"

	"github.com/apron-deploy/apron/manifest"
)

// order is that of the keys whose names apron chose, by the path above them.
var order = map[string][]string{
	"": {"version", "service", "region", "account", "image", "env", "secrets", "command", "port", "cpu", "memory", "scaling", "health",
		"verify", "domains", "network", "observability", "roles", "tags", "auto_deploy", "apprunner", "environments"},
	"image":           {"from", "copy", "build", "repository", "version", "tags", "scan", "retention"},
	"image.build":     {"context", "dockerfile", "platform", "target", "args", "secrets"},
	"image.retention": {"keep", "untagged_days"},
	"scaling":         {"min", "max", "concurrency"},
	"health":          {"protocol", "path", "interval", "timeout", "healthy", "unhealthy"},
	"network":         {"egress", "public", "ingress", "ip"},
	"network.egress":  {"subnets", "security_groups"},
	"roles":           {"access", "instance"},
}

// arrange sorts the keys of a draft, and writes in one line what is short.
func arrange(d manifest.Draft, path string) {
	base := path
	if parts := strings.SplitN(path, ".", 3); parts[0] == "environments" {
		base = strings.Join(parts[min(2, len(parts)):], ".")
		if len(parts) < 2 {
			base = "environments"
		}
	}
	if keys := order[base]; keys != nil {
		slices.SortStableFunc(d, func(a, b manifest.Entry) int { return slices.Index(keys, a.Key) - slices.Index(keys, b.Key) })
	}
	for i := range d {
		inner, ok := d[i].Value.(manifest.Draft)
		if !ok {
			continue
		}
		arrange(inner, join(path, d[i].Key))
		at := join(base, d[i].Key)
		d[i].Inline = slices.Contains([]string{"scaling", "health", "image.retention", "image.scan"}, at) && len(inner) > 0 &&
			!slices.ContainsFunc(inner, func(e manifest.Entry) bool { return e.Off || e.Behind != "" })
	}
}

// frame puts what a reader should know before and after the keys.
func (s *service) frame() {
	arrange(s.draft, "")
	head := []string{
		"yaml-language-server: $schema=https://raw.githubusercontent.com/apron-deploy/apron/main/manifest/schema.json",
		"Drafted from " + printable(s.files) + " (" + s.format + "). What is left out is unmanaged: never compared, never changed."}
	if len(s.variables) > 0 {
		head = append(head, "", "Set these in the environment or in .env:")
		for _, v := range s.variables {
			head = append(head, "- "+v.Name+": "+printable(v.For))
		}
	}
	tail := manifest.Entry{}
	for _, part := range []struct {
		class Class
		title string
	}{
		{Look, "These need a look:"},
		{Other, "These are said in another way:"},
		{Remain, "These are no part of the service, and stay where they are:"},
	} {
		var lines []string
		for _, n := range s.notes {
			if n.Class == part.class {
				lines = append(lines, "- "+n.String())
			}
		}
		if len(lines) > 0 {
			tail.Above = append(append(tail.Above, "", part.title), lines...)
		}
	}
	s.draft = append(manifest.Draft{{Above: head}}, s.draft...)
	if len(tail.Above) > 0 {
		s.draft = append(s.draft, tail)
	}
}
