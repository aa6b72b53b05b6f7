package cloudwatch

import (
	"maps"
	"math"
	"slices"
	"strconv"

	"github.com/apron-deploy/apron/reconcile/pattern"
)

// Statistics sum up values. Percentiles come from counting values in buckets whose
// bounds grow by a percent each, so they are right to half of that.
type Statistics struct {
	Count, Sum, Min, Max float64
	Buckets              map[int]float64 `json:",omitempty"` // how many values, by bucket
}

// growth is the ratio of a bucket's bounds.
const growth = 1.01

// nought is the bucket of values that are not positive.
const nought = math.MinInt32

func (s *Statistics) add(v float64) {
	bucket := nought
	if v > 0 {
		bucket = int(math.Round(math.Log(v) / math.Log(growth)))
	}
	s.merge(Statistics{1, v, v, v, map[int]float64{bucket: 1}})
}

func (s *Statistics) merge(o Statistics) {
	if s.Count == 0 {
		s.Min, s.Max, s.Buckets = o.Min, o.Max, map[int]float64{}
	}
	s.Count, s.Sum = s.Count+o.Count, s.Sum+o.Sum
	s.Min, s.Max = min(s.Min, o.Min), max(s.Max, o.Max)
	for b, n := range o.Buckets {
		s.Buckets[b] += n
	}
}

// percentile is the value that p percent of the values do not exceed.
func (s *Statistics) percentile(p float64) float64 {
	rank, seen := math.Ceil(p/100*s.Count), 0.0
	for _, b := range slices.Sorted(maps.Keys(s.Buckets)) {
		if seen += s.Buckets[b]; seen >= rank {
			v := 0.0
			if b != nought {
				v = math.Pow(growth, float64(b))
			}
			return min(max(v, s.Min), s.Max)
		}
	}
	return s.Max
}

// plain are the statistics that every metric has.
var plain = map[string]func(*Statistics) float64{
	"SampleCount": func(s *Statistics) float64 { return s.Count },
	"Sum":         func(s *Statistics) float64 { return s.Sum },
	"Average":     func(s *Statistics) float64 { return s.Sum / s.Count },
	"Minimum":     func(s *Statistics) float64 { return s.Min },
	"Maximum":     func(s *Statistics) float64 { return s.Max },
}

// percentileRE is a percentile's name: p0 to p100, with up to ten decimals.
var percentileRE = pattern.Lazy(`^p(100(?:\.0{1,10})?|[0-9]{1,2}(?:\.[0-9]{1,10})?)$`)

// reader returns how to read a statistic, or false if there is no such.
// https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/Statistics-definitions.html
func reader(name string) (func(*Statistics) float64, bool) {
	if read, ok := plain[name]; ok {
		return read, true
	}
	parts := percentileRE().FindStringSubmatch(name)
	if parts == nil {
		return nil, false
	}
	p, err := strconv.ParseFloat(parts[1], 64)
	return func(s *Statistics) float64 { return s.percentile(p) }, err == nil
}

// unbuilt are statistics that CloudWatch has and the sandbox has not.
var unbuilt = pattern.Lazy(`^(?:(?:TM|WM|PR|TC|TS)\(.*\)|(?:tm|wm|tc|ts)[0-9.]+|IQM)$`)
