package cloudwatch

import (
	"context"
	"encoding/base64"
	"fmt"
	"slices"
	"strconv"

	"github.com/apron-deploy/apron/providers/sandbox/wire"
	"github.com/apron-deploy/apron/reconcile/pattern"
)

// What one GetMetricData may ask for.
// https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_GetMetricData.html
const (
	mostQueries = 500
	mostData    = 100800
)

type statShape struct {
	Metric metricShape
	Period *int
	Stat   string
	Unit   string
}

type queryShape struct {
	Id, Label, Expression string
	MetricStat            *statShape
	ReturnData            *bool
	Period                *int
	AccountId             string
}

type dataInput struct {
	MetricDataQueries  []queryShape
	StartTime, EndTime *wire.Time
	NextToken          string
	ScanBy             string
	MaxDatapoints      *int
	LabelOptions       *struct{ Timezone string }
}

type resultShape struct {
	Id, Label  string
	Timestamps []wire.Time
	Values     []float64
	StatusCode string
}

type dataOutput struct {
	MetricDataResults []resultShape
	NextToken         string `json:",omitempty"`
	Messages          []struct{ Code, Value string }
}

// getMetricData answers the newest first, unless asked otherwise. A page has so many
// datapoints of all queries together; every page names every query.
func (s *Service) getMetricData(_ context.Context, in dataInput) (out dataOutput, err error) {
	if err := in.check(); err != nil {
		return out, err
	}
	skip := 0
	if in.NextToken != "" {
		raw, err := base64.RawURLEncoding.DecodeString(in.NextToken)
		if skip, _ = strconv.Atoi(string(raw)); err != nil || skip <= 0 {
			return out, wire.Errorf("InvalidNextToken", "Invalid next token")
		}
	}
	room := mostData
	if in.MaxDatapoints != nil {
		room = *in.MaxDatapoints
	}
	s.refresh()
	end, more := skip+room, false
	out = dataOutput{MetricDataResults: []resultShape{}, Messages: []struct{ Code, Value string }{}}
	for _, q := range in.MetricDataQueries {
		if q.ReturnData != nil && !*q.ReturnData {
			continue
		}
		r := q.run(s, in)
		n := len(r.Values)
		lo, hi := min(max(skip, 0), n), min(max(end, 0), n)
		r.Timestamps, r.Values = r.Timestamps[lo:hi], r.Values[lo:hi]
		if hi < n {
			r.StatusCode, more = "PartialData", true
		}
		skip, end = skip-n, end-n
		out.MetricDataResults = append(out.MetricDataResults, r)
	}
	if more {
		begin := 0
		if in.NextToken != "" {
			raw, _ := base64.RawURLEncoding.DecodeString(in.NextToken)
			begin, _ = strconv.Atoi(string(raw))
		}
		out.NextToken = base64.RawURLEncoding.EncodeToString([]byte(strconv.Itoa(begin + room)))
	}
	return out, nil
}

func (q queryShape) run(s *Service, in dataInput) resultShape {
	m := q.MetricStat
	points, _ := s.read(m.Metric.Namespace, m.Metric.MetricName, m.Metric.Dimensions, m.Unit, in.StartTime.Time, in.EndTime.Time, *m.Period)
	if in.ScanBy != "TimestampAscending" {
		slices.Reverse(points)
	}
	r := resultShape{Id: q.Id, Label: q.Label, Timestamps: []wire.Time{}, Values: []float64{}, StatusCode: "Complete"}
	if r.Label == "" {
		r.Label = m.Metric.MetricName
	}
	read, _ := reader(m.Stat) // checked
	for i := range points {
		r.Timestamps = append(r.Timestamps, wire.At(points[i].at))
		r.Values = append(r.Values, read(&points[i].Statistics))
	}
	return r
}

// queryID is what the id of a query may be.
var queryID = pattern.Lazy(`^[a-z][a-zA-Z0-9_]{0,254}$`)

func (in dataInput) check() error {
	p := problems{code: validation}
	p.need("MetricDataQueries", len(in.MetricDataQueries) > 0)
	p.need("StartTime", in.StartTime != nil)
	p.need("EndTime", in.EndTime != nil)
	if len(in.MetricDataQueries) > mostQueries {
		p.add("The collection MetricDataQueries must not have a size greater than %d.", mostQueries)
	}
	if in.StartTime != nil && in.EndTime != nil && !in.StartTime.Before(in.EndTime.Time) {
		p.add("The parameter StartTime must be less than the parameter EndTime.")
	}
	if n := in.MaxDatapoints; n != nil && (*n < 1 || *n > mostData) {
		p.add("The parameter MaxDatapoints must be between 1 and %d.", mostData)
	}
	if in.ScanBy != "" && in.ScanBy != "TimestampAscending" && in.ScanBy != "TimestampDescending" {
		p.add("The value %s for parameter ScanBy is not supported.", in.ScanBy)
	}
	seen := map[string]bool{}
	for i, q := range in.MetricDataQueries {
		at := fmt.Sprintf("MetricDataQueries.member.%d.", i+1)
		switch {
		case q.Id == "":
			p.need(at+"Id", false)
		case !queryID().MatchString(q.Id):
			p.add("The value %s for parameter %sId is not matching the expected pattern ^[a-z][a-zA-Z0-9_]*$.", q.Id, at)
		case seen[q.Id]:
			p.add("The values for parameter id in MetricDataQueries are not unique.")
		}
		seen[q.Id] = true
		q.check(&p, at)
	}
	return p.err()
}

func (q queryShape) check(p *problems, at string) {
	switch m := q.MetricStat; {
	case q.Expression != "" && m != nil:
		p.add("Only one of the parameters %sExpression and %sMetricStat may be given.", at, at)
	case q.Expression != "":
		p.add("The sandbox computes no expressions: %sExpression.", at)
	case m == nil:
		p.add("Either %sExpression or %sMetricStat must be given.", at, at)
	default:
		at += "MetricStat."
		p.need(at+"Metric.Namespace", m.Metric.Namespace != "")
		p.need(at+"Metric.MetricName", m.Metric.MetricName != "")
		p.dimensions(at+"Metric.Dimensions", m.Metric.Dimensions)
		p.need(at+"Period", m.Period != nil)
		if m.Period != nil {
			p.period(at+"Period", *m.Period)
		}
		p.unit(at+"Unit", m.Unit)
		if m.Stat == "" {
			p.need(at+"Stat", false)
		} else if _, ok := reader(m.Stat); !ok {
			p.add("%s", noStatistic(m.Stat, at+"Stat"))
		}
	}
}

// noStatistic tells what is no statistic from what the sandbox does not compute.
func noStatistic(name, at string) string {
	if unbuilt().MatchString(name) {
		return fmt.Sprintf("The sandbox does not compute %s, the value of parameter %s.", name, at)
	}
	return fmt.Sprintf("The value %s for parameter %s is not a valid statistic.", name, at)
}
