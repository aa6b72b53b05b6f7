package render

import (
	"fmt"
	"slices"
	"strings"
	"text/tabwriter"
)

// Status is the view of what is live: a screen for each service.
type Status struct {
	FormatVersion string          `json:"format_version"`
	Kind          string          `json:"kind"` // "status"
	Account       string          `json:"account"`
	Region        string          `json:"region"`
	Services      []ServiceStatus `json:"services"`
}

var _ View = (*Status)(nil)

// ServiceStatus is one service.
type ServiceStatus struct {
	Service string `json:"service"`
	Status  string `json:"status"` // App Runner's own, ABSENT, or UNKNOWN where it could not be read
	URL     string `json:"url,omitempty"`
	Owner   string `json:"owner,omitempty"`
	ARN     string `json:"arn,omitempty"`
	Image   string `json:"image,omitempty"`
	Digest  string `json:"digest,omitempty"`
	// Versions are the manifest's tags that name the running image now.
	Versions []string `json:"versions"`
	// Live is the digest that the service's live- tag names: another one than Digest after
	// an apply that did not come to its end.
	Live    string `json:"live,omitempty"`
	CPU     string `json:"cpu,omitempty"`    // CPU units
	Memory  string `json:"memory,omitempty"` // MiB
	Scaling string `json:"scaling,omitempty"`
	// Instances is how many instances served requests lately; nil when it is not known.
	// App Runner tells of no others.
	Instances  *int        `json:"active_instances,omitempty"`
	Health     string      `json:"health,omitempty"`
	Domains    []Domain    `json:"domains"`
	DeployedAt string      `json:"deployed_at,omitempty"` // RFC 3339
	Operations []Operation `json:"operations"`            // newest first
	Unknown    []string    `json:"unknown,omitempty"`     // what could not be read, and why
}

// Domain is a custom domain of a service.
type Domain struct {
	Name   string `json:"name"`
	Status string `json:"status"` // App Runner's own
	// Records are what has to be in DNS.
	Records []DomainRecord `json:"records"`
}

// DomainRecord is a record that a custom domain needs.
type DomainRecord struct {
	Name  string `json:"name"`
	Type  string `json:"type"`
	Value string `json:"value"`
	// Found is what DNS says: seen, not seen, wrong value or not checked; empty for those of
	// an active domain, which are not looked up.
	Found string `json:"found,omitempty"`
	// Detail is what is there instead, or why it was not checked.
	Detail string `json:"detail,omitempty"`
}

func (r DomainRecord) text() string {
	text := r.Name + " " + r.Type + " " + r.Value + ": " + r.Found
	if r.Detail != "" {
		text += ", " + r.Detail
	}
	return text
}

// Operation is one of the last operations of a service.
type Operation struct {
	ID        string `json:"id"`
	Type      string `json:"type"`
	Status    string `json:"status"`
	StartedAt string `json:"started_at"` // RFC 3339
	Took      string `json:"took,omitempty"`
	SoFar     string `json:"so_far,omitempty"` // how long one that goes on has taken
	Usual     string `json:"usual,omitempty"`  // how long it takes as a rule
}

// NewStatus completes a status.
func NewStatus(account, region string, services []ServiceStatus) *Status {
	v := &Status{FormatVersion: FormatVersion, Kind: "status", Account: account, Region: region, Services: []ServiceStatus{}}
	for _, s := range services {
		s.Versions = append([]string{}, s.Versions...)
		s.Domains = append([]Domain{}, s.Domains...)
		for i := range s.Domains {
			s.Domains[i].Records = append([]DomainRecord{}, s.Domains[i].Records...)
		}
		s.Operations = append([]Operation{}, s.Operations...)
		v.Services = append(v.Services, s)
	}
	return v
}

// UnknownStatus is that of a service that could not be read, or whose manifest is not sound.
func UnknownStatus(service string, err error) ServiceStatus {
	s := ServiceStatus{Service: service, Status: "UNKNOWN"}
	for _, p := range problems(err) {
		s.Unknown = append(s.Unknown, p.text)
	}
	return s
}

// rows are what is known of a service, label by label. A label that is empty continues
// the one above.
func (s ServiceStatus) rows(account, region string) [][2]string {
	var rows [][2]string
	add := func(label, value string) {
		if value != "" {
			rows = append(rows, [2]string{label, value})
		}
	}
	add("service", s.Service)
	add("status", s.Status)
	add("url", s.URL)
	add("account", account+", "+region)
	if s.Owner == "theirs" {
		add("owner", "not made by apron")
	}
	add("version", strings.Join(s.Versions, ", "))
	add("image", s.Image)
	add("digest", s.Digest)
	if s.Live != "" && s.Digest != "" && s.Live != s.Digest {
		add("live tag", "live-"+s.Service+" still names "+s.Live)
	}
	if s.CPU != "" {
		add("size", s.CPU+" CPU units, "+s.Memory+" MiB")
	}
	add("scaling", s.Scaling)
	if s.Instances != nil {
		add("instances", fmt.Sprintf("%d served requests in the last minutes", *s.Instances))
	}
	add("health", s.Health)
	add("deployed", s.DeployedAt)
	label := "domains"
	for _, d := range s.Domains {
		rows, label = append(rows, [2]string{label, d.Name + "  " + d.Status}), ""
		for _, r := range d.Records {
			if r.Found != "" {
				rows = append(rows, [2]string{"", r.text()})
			}
		}
	}
	label = "operations"
	for _, op := range s.Operations {
		rows, label = append(rows, [2]string{label, op.text()}), ""
	}
	label = "unknown"
	for _, u := range s.Unknown {
		rows, label = append(rows, [2]string{label, u}), ""
	}
	return rows
}

func (o Operation) text() string {
	parts := []string{o.StartedAt, o.Type, o.Status, o.Took, o.ID}
	if o.SoFar != "" {
		parts[3] = o.SoFar + " so far"
		if o.Usual != "" {
			parts[3] += ", usually " + o.Usual
		}
	}
	return strings.Join(slices.DeleteFunc(parts, func(s string) bool { return s == "" }), "  ")
}

func (v *Status) text(o Options) string {
	p := paint(o.Color)
	var b strings.Builder
	for i, s := range v.Services {
		if i > 0 {
			b.WriteByte('\n')
		}
		t := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
		for _, r := range s.rows(v.Account, v.Region) {
			value := clean(r[1])
			if r[0] == "status" {
				value = p.in(phaseHue(s.Status), value)
			}
			fmt.Fprintf(t, "%s\t%s\n", r[0], value)
		}
		_ = t.Flush() // into memory
	}
	return b.String()
}

// phaseHue is the colour of App Runner's status.
func phaseHue(status string) string {
	switch {
	case status == "RUNNING":
		return green
	case strings.HasSuffix(status, "_FAILED"), status == "ABSENT", status == "UNKNOWN":
		return red
	}
	return yellow
}

func (v *Status) markdown() string {
	var b strings.Builder
	for i, s := range v.Services {
		if i > 0 {
			b.WriteByte('\n')
		}
		fmt.Fprintf(&b, "**%s**: %s\n\n| | |\n|---|---|\n", code(s.Service), code(s.Status))
		for _, r := range s.rows(v.Account, v.Region)[2:] {
			fmt.Fprintf(&b, "| %s | %s |\n", r[0], code(r[1]))
		}
	}
	return b.String()
}
