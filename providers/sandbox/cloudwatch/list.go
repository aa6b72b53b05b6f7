package cloudwatch

import (
	"cmp"
	"context"
	"maps"
	"slices"
	"time"

	"github.com/apron-deploy/apron/providers/sandbox/wire"
)

// perPage is how many metrics a page of ListMetrics has.
const perPage = 500

type dimensionFilter struct {
	Name  string
	Value *string
}

type listInput struct {
	Namespace, MetricName *string
	Dimensions            []dimensionFilter
	NextToken             string
	RecentlyActive        string
}

type metricShape struct {
	Namespace, MetricName string
	Dimensions            []Dimension
}

type listOutput struct {
	Metrics   []metricShape
	NextToken string `json:",omitempty"`
}

// listMetrics lists the metrics that have the dimensions, and maybe others.
// https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_ListMetrics.html
func (s *Service) listMetrics(_ context.Context, in listInput) (out listOutput, err error) {
	p := problems{code: invalidValue}
	if len(in.Dimensions) > 10 {
		p.add("The collection Dimensions must not have a size greater than 10.")
	}
	for _, d := range in.Dimensions {
		p.need("Dimensions.member.Name", d.Name != "")
	}
	if in.RecentlyActive != "" && in.RecentlyActive != "PT3H" {
		p.add("The value %s for parameter RecentlyActive is not supported.", in.RecentlyActive)
	}
	if err := p.err(); err != nil {
		return out, err
	}
	since := s.oldest()
	if in.RecentlyActive != "" {
		since = s.now().Add(-3*time.Hour).Unix() / 60
	}
	s.refresh()
	s.mu.Lock()
	defer s.mu.Unlock()
	var all []metricShape
	for _, k := range slices.Sorted(maps.Keys(s.metrics)) {
		if m := s.metrics[k]; m.latest >= since && in.wants(m) {
			all = append(all, metricShape{m.Namespace, m.Name, m.Dimensions})
		}
	}
	id := func(m metricShape) string { return key(m.Namespace, m.MetricName, m.Dimensions) }
	out.Metrics, out.NextToken, err = wire.Page("metrics", all, id, in.NextToken, perPage)
	if err != nil {
		return out, wire.Errorf(invalidValue, "Invalid nextToken")
	}
	return out, nil
}

func (in listInput) wants(m *metric) bool {
	if in.Namespace != nil && *in.Namespace != m.Namespace || in.MetricName != nil && *in.MetricName != m.Name {
		return false
	}
	for _, want := range in.Dimensions {
		if !slices.ContainsFunc(m.Dimensions, func(d Dimension) bool {
			return d.Name == want.Name && (want.Value == nil || *want.Value == d.Value)
		}) {
			return false
		}
	}
	return true
}

// point is the statistics of a period that begins at a time.
type point struct {
	at time.Time
	Statistics
}

// read sums up a metric's minutes from a time, inclusive, to another, exclusive, by
// periods that begin at the first, which is rounded down to the minute. Empty ones are
// left out. What is asked for in another unit than it was measured in is nothing.
func (s *Service) read(namespace, name string, dimensions []Dimension, unit string, from, to time.Time, period int) (points []point, label string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	m := s.metrics[key(namespace, name, dimensions)]
	if m == nil || unit != "" && unit != m.Unit {
		return nil, ""
	}
	first := from.Unix() / 60 * 60
	if period < 60 {
		period = 60 // nothing is kept in less
	}
	sums := map[int64]*point{}
	for minute, statistics := range m.minutes {
		at := minute * 60
		if at < first || at >= to.Unix() || minute < s.oldest() {
			continue
		}
		begin := first + (at-first)/int64(period)*int64(period)
		if sums[begin] == nil {
			sums[begin] = &point{at: time.Unix(begin, 0).UTC()}
		}
		sums[begin].merge(*statistics)
	}
	for _, sum := range sums {
		points = append(points, *sum)
	}
	slices.SortFunc(points, func(a, b point) int { return cmp.Compare(a.at.Unix(), b.at.Unix()) })
	return points, m.Unit
}
