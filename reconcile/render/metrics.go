package render

import (
	"fmt"
	"math"
	"strings"
	"time"

	"github.com/guptarohit/asciigraph"
)

// Metrics is the view of what App Runner measures of services.
type Metrics struct {
	FormatVersion string           `json:"format_version"`
	Kind          string           `json:"kind"` // "metrics"
	Account       string           `json:"account"`
	Region        string           `json:"region"`
	Since         time.Time        `json:"since"`
	Until         time.Time        `json:"until"`
	PeriodSeconds int              `json:"period_seconds"`
	Services      []ServiceMetrics `json:"services"`
}

var _ View = (*Metrics)(nil)

// ServiceMetrics is one service.
type ServiceMetrics struct {
	Service  string    `json:"service"`
	Note     string    `json:"note,omitempty"` // why there is less than usual
	Series   []Series  `json:"series"`
	Findings []Finding `json:"findings"`
}

// Series is a metric in one statistic.
type Series struct {
	Metric    string  `json:"metric"`    // CloudWatch's name
	Statistic string  `json:"statistic"` // Sum, Average, Maximum, p95
	Unit      string  `json:"unit"`
	Points    []Point `json:"points"` // in order of time; a period without data has none
}

// Point is the value of a period.
type Point struct {
	Time  time.Time `json:"time"` // its start
	Value float64   `json:"value"`
}

// Finding is what a metric means.
type Finding struct {
	Metric string `json:"metric"`
	Level  string `json:"level"` // normal, low, high, none
	Text   string `json:"text"`
	Fix    string `json:"fix,omitempty"`
}

// NewMetrics makes a view of what was read.
func NewMetrics(account, region string, since, until time.Time, period time.Duration, services []ServiceMetrics) *Metrics {
	v := &Metrics{FormatVersion: FormatVersion, Kind: "metrics", Account: account, Region: region, Since: since.UTC(), Until: until.UTC(),
		PeriodSeconds: int(period / time.Second), Services: []ServiceMetrics{}}
	for _, s := range services {
		s.Series = append([]Series{}, s.Series...)
		for i := range s.Series {
			s.Series[i].Points = append([]Point{}, s.Series[i].Points...)
		}
		s.Findings = append([]Finding{}, s.Findings...)
		v.Services = append(v.Services, s)
	}
	return v
}

const (
	plotHeight = 5   // rows of a plot
	plotWidth  = 100 // columns; what has more points is drawn with fewer
)

func (v *Metrics) text(o Options) string {
	p := paint(o.Color)
	var b strings.Builder
	for _, s := range v.Services {
		fmt.Fprintf(&b, "%s  %s to %s, every %s\n", p.in(bold, clean(s.Service)), v.Since.Format(time.RFC3339), v.Until.Format(time.RFC3339), v.period())
		if s.Note != "" {
			b.WriteString(p.in(yellow, clean(s.Note)) + "\n")
		}
		b.WriteByte('\n')
		for _, m := range s.Series {
			b.WriteString(v.series(p, m))
		}
		for _, f := range s.Findings {
			b.WriteString(f.text(p))
		}
		b.WriteByte('\n')
	}
	return b.String()
}

func (v *Metrics) period() string { return whole(time.Duration(v.PeriodSeconds) * time.Second) }

// series is a metric: a line when it is all the same, or a plot below one.
func (v *Metrics) series(p paint, m Series) string {
	head := fmt.Sprintf("%s  %s", p.in(bold, clean(m.Metric)), p.in(dim, clean(m.Statistic)))
	if len(m.Points) == 0 {
		return head + "  no data\n\n"
	}
	head += "  " + m.summary() + "\n"
	low, high := m.Points[0].Value, m.Points[0].Value
	for _, pt := range m.Points {
		low, high = min(low, pt.Value), max(high, pt.Value)
	}
	if low == high {
		return head + "\n" // there is no line to draw that says more
	}
	values := v.grid(m)
	options := []asciigraph.Option{asciigraph.Height(plotHeight), asciigraph.LowerBound(0), asciigraph.Precision(digits(high))}
	if len(values) > plotWidth {
		options = append(options, asciigraph.Width(plotWidth))
	}
	return head + asciigraph.Plot(values, options...) + "\n\n"
}

// grid are the values of a series period by period. Where there is no data there is a gap,
// but in a sum, where it means nothing.
func (v *Metrics) grid(m Series) []float64 {
	step := time.Duration(v.PeriodSeconds) * time.Second
	first := m.Points[0].Time
	n := int(m.Points[len(m.Points)-1].Time.Sub(first)/step) + 1
	values := make([]float64, n)
	if m.Statistic != "Sum" {
		for i := range values {
			values[i] = math.NaN()
		}
	}
	for _, pt := range m.Points {
		values[int(pt.Time.Sub(first)/step)] = pt.Value
	}
	return values
}

// digits is how many digits after the point tell values up to some height apart.
func digits(high float64) uint {
	switch {
	case high < 1:
		return 2
	case high < 20:
		return 1
	}
	return 0
}

// summary is what a series comes to: the sum of sums, else the last value and the range.
func (m Series) summary() string {
	sum, low, high := 0.0, math.Inf(1), math.Inf(-1)
	for _, pt := range m.Points {
		sum, low, high = sum+pt.Value, min(low, pt.Value), max(high, pt.Value)
	}
	if m.Statistic == "Sum" {
		return number(sum) + " " + m.Unit + " in all"
	}
	last := number(m.Points[len(m.Points)-1].Value) + " " + m.Unit
	if low == high {
		return last
	}
	return fmt.Sprintf("last %s, from %s to %s", last, number(low), number(high))
}

// number is a value for people.
func number(v float64) string {
	if v == math.Trunc(v) || v >= 100 {
		return fmt.Sprintf("%.0f", v)
	}
	return fmt.Sprintf("%.1f", v)
}

// levels are how findings are marked; the word says it all.
var levels = map[string]string{"normal": green, "high": red, "low": yellow, "none": dim}

func (f Finding) text(p paint) string {
	line := fmt.Sprintf("%s %s\n", p.in(levels[f.Level], fmt.Sprintf("%-7s", clean(f.Level))), clean(f.Text))
	if f.Fix != "" {
		line += "        " + clean(f.Fix) + "\n"
	}
	return line
}

func (v *Metrics) markdown() string {
	var b strings.Builder
	for _, s := range v.Services {
		fmt.Fprintf(&b, "**%s**, %s to %s, every %s\n\n", code(s.Service), v.Since.Format(time.RFC3339), v.Until.Format(time.RFC3339), v.period())
		if s.Note != "" {
			fmt.Fprintf(&b, "%s\n\n", code(s.Note))
		}
		for _, f := range s.Findings {
			fmt.Fprintf(&b, "- %s: %s", f.Level, code(f.Text))
			if f.Fix != "" {
				fmt.Fprintf(&b, "<br>%s", code(f.Fix))
			}
			b.WriteByte('\n')
		}
		if len(s.Series) > 0 {
			b.WriteString("\n| Metric | Statistic | |\n|---|---|---|\n")
		}
		for _, m := range s.Series {
			summary := "no data"
			if len(m.Points) > 0 {
				summary = m.summary()
			}
			fmt.Fprintf(&b, "| %s | %s | %s |\n", code(m.Metric), code(m.Statistic), code(summary))
		}
		b.WriteByte('\n')
	}
	return b.String()
}
