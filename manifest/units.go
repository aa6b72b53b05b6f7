package manifest

import (
	"strconv"
	"strings"
	"time"

	"github.com/apron-deploy/apron/reconcile/pattern"
)

// leaf is a scalar with a grammar of its own. parse returns what is wrong, in words
// that follow the quoted text, and what to write instead. Neither may quote the text.
type leaf interface {
	parse(text string) (wrong, fix string)
}

// CPU is CPU units; 1024 are one vCPU.
type CPU int

var cpuText = pattern.Lazy(`^([0-9]+(?:\.[0-9]+)?) ?(?i:(vcpu|cpu)s?)?$`)

func (c *CPU) parse(text string) (wrong, fix string) {
	const forms = "write 256, 0.25 or 0.25 vCPU"
	m := cpuText().FindStringSubmatch(text)
	if m == nil {
		return "is not a CPU size", forms
	}
	v, err := strconv.ParseFloat(m[1], 64)
	if err != nil || v > 1<<20 {
		return "is not a CPU size", forms
	}
	if m[2] != "" || v <= 16 { // nobody offers 16 units, so a small number means vCPUs
		v *= 1024
	}
	if v != float64(int(v)) || v == 0 {
		return "is not a CPU size", forms
	}
	*c = CPU(v)
	return "", ""
}

func (c CPU) String() string {
	return strconv.FormatFloat(float64(c)/1024, 'f', -1, 64) + " vCPU"
}

// Memory is MiB; AWS calls 1024 of them a GB.
type Memory int

var memoryText = pattern.Lazy(`^([0-9]+(?:\.[0-9]+)?) ?(?i:(gi?b|mi?b))?$`)

func (m *Memory) parse(text string) (wrong, fix string) {
	const forms = "write 512, 512 MB or 0.5 GB"
	parts := memoryText().FindStringSubmatch(text)
	if parts == nil {
		return "is not a memory size", forms
	}
	v, err := strconv.ParseFloat(parts[1], 64)
	if err != nil || v > 1<<20 {
		return "is not a memory size", forms
	}
	switch {
	case parts[2] == "" && v < 128:
		return "could mean MB or GB", "write the unit: " + parts[1] + " GB"
	case strings.HasPrefix(strings.ToLower(parts[2]), "g"):
		v *= 1024
	}
	if v != float64(int(v)) || v == 0 {
		return "is not a memory size", forms
	}
	*m = Memory(v)
	return "", ""
}

func (m Memory) String() string {
	if m%512 == 0 {
		return strconv.FormatFloat(float64(m)/1024, 'f', -1, 64) + " GB"
	}
	return strconv.Itoa(int(m)) + " MB"
}

// Duration is whole seconds.
type Duration time.Duration

var digits = pattern.Lazy(`^[0-9]{1,9}$`)

func (d *Duration) parse(text string) (wrong, fix string) {
	if digits().MatchString(text) {
		text += "s"
	}
	v, err := time.ParseDuration(strings.ReplaceAll(text, " ", ""))
	if err != nil {
		return "is not a duration", "write 20s, or 20 for seconds"
	}
	if v%time.Second != 0 {
		return "is not a whole number of seconds", "write 20s, or 20 for seconds"
	}
	*d = Duration(v)
	return "", ""
}

func (d Duration) seconds() int { return int(time.Duration(d) / time.Second) }

func (d Duration) String() string { return strconv.Itoa(d.seconds()) + "s" }

// Value is the value of an environment variable.
type Value struct{ node *node }

// Argument is a text that is never quoted in messages, such as a build argument.
type Argument string

// Permission is one thing the application may do: "s3:GetObject arn:aws:s3:::bucket/*".
type Permission struct{ Action, Resource string }

var (
	actionText   = pattern.Lazy(`^(\*|[a-z0-9-]+:[A-Za-z0-9*?]+)$`)
	resourceText = pattern.Lazy(`^(\*|arn:[a-z*-]+:[a-z0-9*-]*:[a-z0-9*-]*:[0-9*]*:\S+)$`)
)

func (p *Permission) parse(text string) (wrong, fix string) {
	const form = "write ACTION RESOURCE, such as s3:GetObject arn:aws:s3:::bucket/*"
	words := strings.Fields(text)
	if len(words) != 2 {
		return "is not an action and a resource", form
	}
	if !actionText().MatchString(words[0]) {
		return "does not start with an action such as s3:GetObject", form
	}
	if !resourceText().MatchString(words[1]) {
		return "does not end with a resource, which is an ARN or *", form
	}
	*p = Permission{words[0], words[1]}
	return "", ""
}
