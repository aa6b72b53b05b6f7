package cloudwatch

import (
	"fmt"
	"math"
	"time"
)

// Level is what a value is beside what is normal.
type Level string

const (
	Normal Level = "normal"
	Low    Level = "low"
	High   Level = "high"
	None   Level = "none" // there is no data
)

// Finding is what a metric means, and what to do about it.
type Finding struct {
	Metric string
	Level  Level
	Text   string
	Fix    string // empty when there is nothing to do
}

// Setting is what a service has now, for advice that names it: cpu, memory,
// scaling.concurrency, scaling.max → value; what is not known is absent.
type Setting map[string]string

func (s Setting) now(key string) string {
	if v := s[key]; v != "" {
		return key + ": (now " + v + ")"
	}
	return key + ":"
}

// What is normal, as rules of thumb: a service that is below wastes what is reserved, and
// one that is above has none left for the next peak.
const (
	cpuLow, cpuHigh       = 10, 70 // percent, on average
	memoryLow, memoryHigh = 40, 80 // percent, on average
	latencyHigh           = 2000   // ms, on average
)

// Judge says in words what the metrics of a service mean.
func Judge(results []Result, s Setting) []Finding {
	return []Finding{judgeErrors(results), judgeLatency(results, s), judgeCPU(results, s), judgeMemory(results, s)}
}

func judgeCPU(results []Result, s Setting) Finding {
	f := Finding{Metric: CPU}
	avg, ok := mean(results, CPU, Average)
	switch {
	case !ok:
		return none(f)
	case avg > cpuHigh:
		f.Level = High
		f.Text = fmt.Sprintf("CPU is %s on average: above %d %% there is little left for a peak", percent(avg), cpuHigh)
		f.Fix = fmt.Sprintf("raise %s, or lower %s so that App Runner adds instances sooner, up to %s", s.now("cpu"), s.now("scaling.concurrency"), s.now("scaling.max"))
	case avg < cpuLow:
		f.Level = Low
		f.Text = fmt.Sprintf("CPU is %s on average: below %d %% less would do", percent(avg), cpuLow)
		f.Fix = fmt.Sprintf("if peaks allow it, lower %s; CPU is charged only while requests are served", s.now("cpu"))
	default:
		f.Level, f.Text = Normal, fmt.Sprintf("CPU is %s on average: %d to %d %% are normal", percent(avg), cpuLow, cpuHigh)
	}
	return f
}

func judgeMemory(results []Result, s Setting) Finding {
	f := Finding{Metric: Memory}
	avg, ok := mean(results, Memory, Average)
	switch {
	case !ok:
		return none(f)
	case avg > memoryHigh:
		f.Level = High
		f.Text = fmt.Sprintf("memory is %s used on average: above %d %% a peak gets an instance killed", percent(avg), memoryHigh)
		f.Fix = fmt.Sprintf("raise %s, or lower %s so that fewer requests share an instance", s.now("memory"), s.now("scaling.concurrency"))
	case avg < memoryLow:
		f.Level = Low
		f.Text = fmt.Sprintf("memory is %s used on average: below %d %% less would do", percent(avg), memoryLow)
		f.Fix = fmt.Sprintf("lower %s if cpu: allows it; memory is charged as long as an instance exists", s.now("memory"))
	default:
		f.Level, f.Text = Normal, fmt.Sprintf("memory is %s used on average: %d to %d %% are normal", percent(avg), memoryLow, memoryHigh)
	}
	return f
}

func judgeLatency(results []Result, s Setting) Finding {
	f := Finding{Metric: Latency}
	avg, ok := perRequest(results, Latency)
	switch {
	case !ok:
		return none(f)
	case avg >= latencyHigh:
		f.Level = High
		f.Text = fmt.Sprintf("requests take %.1f s on average: less than 2 s is normal", avg/1000)
		f.Fix = fmt.Sprintf("look at `apron logs`; raise %s, or lower %s so that fewer requests share an instance", s.now("cpu"), s.now("scaling.concurrency"))
	default:
		f.Level, f.Text = Normal, fmt.Sprintf("requests take %.0f ms on average: less than 2 s is normal", avg)
	}
	return f
}

// judgeErrors counts responses; how many are normal depends on the application, but for
// errors of its own.
func judgeErrors(results []Result) Finding {
	f := Finding{Metric: Status5xx}
	all, any := total(results, Requests)
	failed, _ := total(results, Status5xx)
	switch {
	case !any || all == 0:
		f.Metric, f.Level, f.Text = Requests, None, "there were no requests"
	case failed > 0:
		f.Level = High
		f.Text = fmt.Sprintf("%.0f of %.0f requests failed with a status of 5xx (%s)", failed, all, percent(100*failed/all))
		f.Fix = "look at `apron logs --group app`"
	default:
		f.Level, f.Text = Normal, fmt.Sprintf("none of %.0f requests failed with a status of 5xx", all)
	}
	return f
}

func none(f Finding) Finding {
	f.Level, f.Text = None, "there is no data of "+f.Metric
	return f
}

// percent is a share for people: the small ones with a digit more.
func percent(v float64) string {
	if v < 10 && v != math.Trunc(v) {
		return fmt.Sprintf("%.1f %%", v)
	}
	return fmt.Sprintf("%.0f %%", v)
}

func find(results []Result, metric, statistic string) []Point {
	for _, r := range results {
		if r.Metric == metric && r.Statistic == statistic {
			return r.Points
		}
	}
	return nil
}

func mean(results []Result, metric, statistic string) (float64, bool) {
	points := find(results, metric, statistic)
	sum := 0.0
	for _, p := range points {
		sum += p.Value
	}
	return sum / float64(max(len(points), 1)), len(points) > 0
}

// perRequest is the mean of a metric's averages, each with the weight of its period's
// requests; of those that are not counted as one.
func perRequest(results []Result, metric string) (float64, bool) {
	requests := map[time.Time]float64{}
	for _, p := range find(results, Requests, Sum) {
		requests[p.At] = p.Value
	}
	points, sum, weights := find(results, metric, Average), 0.0, 0.0
	for _, p := range points {
		w := max(requests[p.At], 1)
		sum, weights = sum+w*p.Value, weights+w
	}
	return sum / max(weights, 1), len(points) > 0
}

func total(results []Result, metric string) (float64, bool) {
	points := find(results, metric, Sum)
	sum := 0.0
	for _, p := range points {
		sum += p.Value
	}
	return sum, len(points) > 0
}
