package cloudwatch

import (
	"fmt"
	"strings"

	"github.com/apron-deploy/apron/providers/sandbox/wire"
)

// Error codes, as the model names their shapes; the last is the query protocol's own.
// https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_GetMetricStatistics.html
const (
	invalidValue       = "InvalidParameterValueException"
	invalidCombination = "InvalidParameterCombinationException"
	missing            = "MissingRequiredParameterException"
	validation         = "ValidationError"
)

// units are StandardUnit's values.
var units = map[string]bool{}

func init() {
	names := []string{"Seconds", "Microseconds", "Milliseconds", "Percent", "Count", "None", "Count/Second"}
	for _, prefix := range []string{"", "Kilo", "Mega", "Giga", "Tera"} {
		for _, unit := range []string{"Bytes", "Bits"} {
			if prefix != "" {
				unit = strings.ToLower(unit)
			}
			names = append(names, prefix+unit, prefix+unit+"/Second")
		}
	}
	for _, name := range names {
		units[name] = true
	}
}

// problems gathers what is wrong with a request, a line for each as CloudWatch does.
type problems struct {
	code  string
	texts []string
}

func (p *problems) add(format string, args ...any) {
	p.texts = append(p.texts, fmt.Sprintf(format, args...))
}

// need wants a parameter that is required.
func (p *problems) need(name string, present bool) {
	if !present {
		p.add("The parameter %s is required.", name)
	}
}

func (p *problems) length(name, value string, most int) {
	if len(value) > most {
		p.add("The value for parameter %s must be shorter than %d characters.", name, most+1)
	}
}

// period wants a length of time that metrics can be read in. Only custom metrics can
// be of high resolution, but asking is no mistake.
func (p *problems) period(name string, seconds int) {
	switch {
	case seconds == 1, seconds == 5, seconds == 10, seconds == 20, seconds == 30:
	case seconds < 60 || seconds%60 != 0:
		p.add("The parameter %s must be 1, 5, 10, 20, 30 or a multiple of 60.", name)
	case seconds > 86400:
		p.add("The parameter %s must be less than or equal to 86400.", name)
	}
}

func (p *problems) dimensions(name string, dimensions []Dimension) {
	if len(dimensions) > 30 {
		p.add("The collection %s must not have a size greater than 30.", name)
	}
	for i, d := range dimensions {
		at := fmt.Sprintf("%s.member.%d.", name, i+1)
		p.need(at+"Name", d.Name != "")
		p.need(at+"Value", d.Value != "")
		p.length(at+"Name", d.Name, 255)
		p.length(at+"Value", d.Value, 1024)
	}
}

func (p *problems) unit(name, unit string) {
	if unit != "" && !units[unit] {
		p.add("The value %s for parameter %s is not supported.", unit, name)
	}
}

func (p *problems) err() error {
	if len(p.texts) == 0 {
		return nil
	}
	return wire.Errorf(p.code, "%s", strings.Join(p.texts, "\n"))
}
