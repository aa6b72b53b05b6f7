package render

import (
	"math"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestMetrics_areReadByPeopleAndMachines(t *testing.T) {
	start := time.Date(2026, 11, 26, 12, 0, 0, 0, time.UTC)
	series := func(metric, statistic, unit string, n int, f func(i int) float64) Series {
		s := Series{Metric: metric, Statistic: statistic, Unit: unit}
		for i := range n {
			if v := f(i); !math.IsNaN(v) {
				s.Points = append(s.Points, Point{start.Add(time.Duration(i) * time.Minute), v})
			}
		}
		return s
	}
	v := NewMetrics("123456789012", "us-east-1", start, start.Add(15*time.Minute), time.Minute, []ServiceMetrics{
		{Service: "web", Series: []Series{
			series("Requests", "Sum", "requests", 15, func(i int) float64 { return math.Round(50 + 40*math.Sin(float64(i)/2)) }),
			series("5xxStatusResponses", "Sum", "responses", 15, func(int) float64 { return 0 }),
			series("RequestLatency", "Average", "ms", 15, func(i int) float64 {
				if i > 4 && i < 8 {
					return math.NaN() // nobody was there
				}
				return 120.5 + float64(i)
			}),
			series("ActiveInstances", "Maximum", "instances", 3, func(int) float64 { return 1 }),
			series("CPUUtilization", "Average", "%", 1, func(int) float64 { return 81.25 }),
			{Metric: "MemoryUtilization", Statistic: "Average", Unit: "%"},
		}, Findings: []Finding{
			{Metric: "CPUUtilization", Level: "high", Text: "CPU is 81 % on average", Fix: "raise cpu: (now 256)"},
			{Metric: "RequestLatency", Level: "normal", Text: "requests take 125 ms on average"},
			{Metric: "MemoryUtilization", Level: "none", Text: "there is no data of MemoryUtilization"},
		}},
		{Service: "api", Note: "it is PAUSED: nothing is measured"},
	})
	everyFormat(t, "metrics", v)
}

func TestMetrics_manyPointsAreDrawnWithFewer(t *testing.T) {
	start := time.Date(2026, 11, 26, 12, 0, 0, 0, time.UTC)
	s := Series{Metric: "Requests", Statistic: "Sum", Unit: "requests"}
	for i := range 5000 {
		s.Points = append(s.Points, Point{start.Add(time.Duration(i) * time.Minute), float64(i % 97)})
	}
	text := written(t, NewMetrics("1", "r", start, start.Add(5000*time.Minute), time.Minute, []ServiceMetrics{{Service: "web", Series: []Series{s}}}), Options{})
	for line := range strings.SplitSeq(text, "\n") {
		require.LessOrEqual(t, cells(line), plotWidth+12)
	}
}
