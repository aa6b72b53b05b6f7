// Package inspect says what is wrong with an image before it is pushed or copied, from its
// configuration alone.
//
//	refuse   platform, nothing to run, too large for the disk     it cannot work
//	warn     EXPOSE against the port, probably too large, secrets   look at it
//	note     runs as root                                           good to know
//
// It is pure, and never shows a value: only where one is.
package inspect

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	v1 "github.com/google/go-containerregistry/pkg/v1"
)

// Severity is what becomes of a finding.
type Severity string

const (
	Refuse Severity = "refuse" // the image cannot run; nothing may be written
	Warn   Severity = "warn"
	Note   Severity = "note"
)

// Finding is one thing about an image.
type Finding struct {
	Severity Severity
	Key      string // of the manifest, whose change would help: "image.from", "port"
	Text     string
	Fix      string // may be empty
}

// Disks of the targets, in bytes, for [Wanted.Disk]. They hold the image as it was pulled
// and as it was unpacked, and what the application writes.
// https://docs.aws.amazon.com/apprunner/latest/dg/develop.html
// https://docs.aws.amazon.com/AmazonECS/latest/developerguide/fargate-task-storage.html
const (
	AppRunnerDisk = 3 << 30
	ExpressDisk   = 20 << 30
)

// AppRunnerPort is what a service listens on that names no port.
// https://docs.aws.amazon.com/apprunner/latest/api/API_ImageConfiguration.html
const AppRunnerPort = 8080

// Wanted is what the service needs of its image.
type Wanted struct {
	// Key is where the manifest says what the image is: "image.from" or "image.build".
	// Empty is "image".
	Key      string
	Target   string // for texts; empty is "App Runner"
	Platform string // empty is linux/amd64
	Port     int    // that the service listens on; 0 if the manifest leaves it out, which is AppRunnerPort
	Command  bool   // the service brings a start command
	Disk     int64  // bytes; 0 is AppRunnerDisk
	// Compressed and Unpacked are the image's sizes in bytes, 0 if not known.
	Compressed, Unpacked int64
	// SecretLooking reports whether a variable of that name usually holds a secret. Nil
	// looks at no names.
	SecretLooking func(name string) bool
	// Signature says what secret is in a text, by its own form ("an AWS access key"), or
	// "". Nil looks at no values.
	Signature func(text string) string
}

// Check looks at the configuration of an image. The findings are in a fixed order, the
// gravest first.
func Check(c *v1.ConfigFile, w Wanted) []Finding {
	w.Key, w.Target = cmp.Or(w.Key, "image"), cmp.Or(w.Target, "App Runner")
	w.Platform, w.Disk = cmp.Or(w.Platform, "linux/amd64"), cmp.Or(w.Disk, int64(AppRunnerDisk))
	var all []Finding
	all = append(all, platform(c, w)...)
	all = append(all, start(c, w)...)
	all = append(all, size(w)...)
	all = append(all, port(c, w)...)
	all = append(all, secrets(c, w)...)
	all = append(all, user(c, w)...)
	slices.SortStableFunc(all, func(a, b Finding) int { return cmp.Compare(order[a.Severity], order[b.Severity]) })
	return all
}

var order = map[Severity]int{Refuse: 0, Warn: 1, Note: 2}

// Refused are the findings that nothing may be written with.
func Refused(all []Finding) []Finding {
	return slices.DeleteFunc(slices.Clone(all), func(f Finding) bool { return f.Severity != Refuse })
}

func platform(c *v1.ConfigFile, w Wanted) []Finding {
	os, architecture, _ := strings.Cut(w.Platform, "/")
	architecture, _, _ = strings.Cut(architecture, "/")
	if c.OS == os && c.Architecture == architecture {
		return nil
	}
	is := v1.Platform{OS: c.OS, Architecture: c.Architecture, Variant: c.Variant}.String()
	text := fmt.Sprintf("the image is for %s, and %s runs %s", is, w.Target, w.Platform)
	if c.OS == "" && c.Architecture == "" {
		text = fmt.Sprintf("the image does not say what platform it is for, and %s runs %s", w.Target, w.Platform)
	}
	return []Finding{{Refuse, w.Key, text, "build it for that platform: docker buildx build --platform " + w.Platform}}
}

func start(c *v1.ConfigFile, w Wanted) []Finding {
	if w.Command || len(c.Config.Entrypoint)+len(c.Config.Cmd) > 0 {
		return nil
	}
	return []Finding{{Refuse, "command", "the image has neither ENTRYPOINT nor CMD, so that nothing would run", "set command, or add one of them to the Dockerfile"}}
}

// ratio is how much larger than compressed an image usually is on a disk.
const ratio = 2.5

func size(w Wanted) []Finding {
	const fix = "make the image smaller: a slim base, several stages, a .dockerignore"
	disk := fmt.Sprintf("%s's disk of %s", w.Target, gigabytes(w.Disk))
	switch c, u := w.Compressed, w.Unpacked; {
	case max(c, u) >= w.Disk:
		return []Finding{{Refuse, w.Key, fmt.Sprintf("the image has %s and does not fit on %s", gigabytes(max(c, u)), disk), fix}}
	case u > 0 && c+u >= w.Disk:
		return []Finding{{Warn, w.Key, fmt.Sprintf("the image has %s compressed and %s unpacked, and %s holds both", gigabytes(c), gigabytes(u), disk), fix}}
	case u == 0 && float64(c)*(1+ratio) >= float64(w.Disk):
		return []Finding{{Warn, w.Key, fmt.Sprintf("the image has %s compressed, which is probably too much: %s holds that and what it unpacks to", gigabytes(c), disk), fix}}
	}
	return nil
}

func gigabytes(n int64) string { return fmt.Sprintf("%.1f GB", float64(n)/(1<<30)) }

// port compares EXPOSE, which is a promise and binds nobody, with the manifest.
func port(c *v1.ConfigFile, w Wanted) []Finding {
	listens, is := cmp.Or(w.Port, AppRunnerPort), fmt.Sprintf("port is %d", w.Port)
	if w.Port == 0 {
		is = fmt.Sprintf("port is left out, which is %d to %s", listens, w.Target)
	}
	tcp := exposed(c)
	for _, number := range tcp {
		if low, high, ranged := strings.Cut(number, "-"); ranged && between(low, listens, high) || number == strconv.Itoa(listens) {
			return nil
		}
	}
	if len(tcp) == 0 {
		return nil
	}
	fix := "check what the application listens on: it finds the port in PORT"
	if len(tcp) == 1 && !strings.Contains(tcp[0], "-") {
		fix = fmt.Sprintf("set port: %s, unless the application follows PORT", tcp[0])
	}
	return []Finding{{Warn, "port", fmt.Sprintf("the image exposes %s, and %s", strings.Join(tcp, ", "), is), fix}}
}

// exposed are the ports and ranges of an image that speak TCP: UDP says nothing about HTTP.
func exposed(c *v1.ConfigFile) (tcp []string) {
	for _, e := range slices.Sorted(maps.Keys(c.Config.ExposedPorts)) {
		if number, protocol, ok := strings.Cut(e, "/"); !ok || protocol == "tcp" {
			tcp = append(tcp, number)
		}
	}
	return tcp
}

// ExposesTCP reports whether an image says of any port that it may listen there.
func ExposesTCP(c *v1.ConfigFile) bool { return len(exposed(c)) > 0 }

func between(low string, port int, high string) bool {
	from, err1 := strconv.Atoi(low)
	to, err2 := strconv.Atoi(high)
	return err1 == nil && err2 == nil && from <= port && port <= to
}

func user(c *v1.ConfigFile, w Wanted) []Finding {
	name, _, _ := strings.Cut(c.Config.User, ":")
	switch name {
	case "":
		return []Finding{{Note, w.Key, "the image names no user, so that the application runs as root", "add USER to the Dockerfile"}}
	case "root", "0":
		return []Finding{{Note, w.Key, "the application runs as root", "add another USER to the Dockerfile"}}
	}
	return nil
}
