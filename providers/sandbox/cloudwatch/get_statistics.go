package cloudwatch

import (
	"context"
	"fmt"

	"github.com/apron-deploy/apron/providers/sandbox/wire"
)

// mostPoints is how many datapoints one GetMetricStatistics may ask for.
const mostPoints = 1440

type statisticsInput struct {
	Namespace, MetricName          string
	Dimensions                     []Dimension
	StartTime, EndTime             *wire.Time
	Period                         *int
	Statistics, ExtendedStatistics []string
	Unit                           string
}

type datapoint struct {
	Timestamp          wire.Time
	SampleCount        *float64 `json:",omitempty"`
	Average            *float64 `json:",omitempty"`
	Sum                *float64 `json:",omitempty"`
	Minimum            *float64 `json:",omitempty"`
	Maximum            *float64 `json:",omitempty"`
	Unit               string
	ExtendedStatistics map[string]float64 `json:",omitempty"`
}

type statisticsOutput struct {
	Label      string
	Datapoints []datapoint
}

// getMetricStatistics answers without chronological order, as AWS says it does.
// https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_GetMetricStatistics.html
func (s *Service) getMetricStatistics(_ context.Context, in statisticsInput) (out statisticsOutput, err error) {
	if err := in.check(); err != nil {
		return out, err
	}
	s.refresh()
	points, unit := s.read(in.Namespace, in.MetricName, in.Dimensions, in.Unit, in.StartTime.Time, in.EndTime.Time, *in.Period)
	out = statisticsOutput{Label: in.MetricName, Datapoints: []datapoint{}}
	for _, second := range []int{1, 0} { // every other one, then those between
		for i := second; i < len(points); i += 2 {
			out.Datapoints = append(out.Datapoints, in.show(&points[i], unit))
		}
	}
	return out, nil
}

func (in statisticsInput) show(p *point, unit string) datapoint {
	d := datapoint{Timestamp: wire.At(p.at), Unit: unit}
	into := map[string]**float64{
		"SampleCount": &d.SampleCount, "Average": &d.Average, "Sum": &d.Sum, "Minimum": &d.Minimum, "Maximum": &d.Maximum,
	}
	for _, name := range in.Statistics {
		*into[name] = new(plain[name](&p.Statistics))
	}
	for _, name := range in.ExtendedStatistics {
		read, _ := reader(name) // checked
		if d.ExtendedStatistics == nil {
			d.ExtendedStatistics = map[string]float64{}
		}
		d.ExtendedStatistics[name] = read(&p.Statistics)
	}
	return d
}

func (in statisticsInput) check() error {
	p := problems{code: missing}
	p.need("Namespace", in.Namespace != "")
	p.need("MetricName", in.MetricName != "")
	p.need("StartTime", in.StartTime != nil)
	p.need("EndTime", in.EndTime != nil)
	p.need("Period", in.Period != nil)
	if err := p.err(); err != nil {
		return err
	}
	p = problems{code: invalidValue}
	p.dimensions("Dimensions", in.Dimensions)
	p.period("Period", *in.Period)
	p.unit("Unit", in.Unit)
	if !in.StartTime.Before(in.EndTime.Time) {
		p.add("The parameter StartTime must be less than the parameter EndTime.")
	}
	for i, name := range in.Statistics {
		if plain[name] == nil {
			p.add("The value %s for parameter Statistics.member.%d is not a valid statistic.", name, i+1)
		}
	}
	for i, name := range in.ExtendedStatistics {
		if !percentileRE().MatchString(name) {
			p.add("%s", noStatistic(name, fmt.Sprintf("ExtendedStatistics.member.%d", i+1)))
		}
	}
	if err := p.err(); err != nil {
		return err
	}
	if len(in.Statistics)+len(in.ExtendedStatistics) == 0 {
		return wire.Errorf(invalidCombination, "Must specify either Statistics or ExtendedStatistics.")
	}
	if n := int(in.EndTime.Sub(in.StartTime.Time).Seconds()) / *in.Period; n > mostPoints {
		return wire.Errorf(invalidCombination, "You have requested up to %d datapoints, which exceeds the limit of %d. You may reduce the datapoints requested by increasing Period, or decreasing the time range.", n, mostPoints)
	}
	return nil
}
