// Package cloudwatch is the sandbox's Amazon CloudWatch, as far as metrics go: it keeps
// what the other services measure, minute by minute, and answers for it.
//
// The nouns: a [Datum] is one measured value of a metric; a metric is a namespace, a name
// and its dimensions, all of them; its [Statistics] of each minute are what is kept.
//
// Unlike on AWS the minute under way can be read at once, and minutes are forgotten after
// three days instead of fifteen. Metric math, Metrics Insights and statistics other than
// the five plain ones and percentiles are refused.
package cloudwatch

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/apron-deploy/apron/providers/sandbox/store"
	"github.com/apron-deploy/apron/providers/sandbox/wire"
)

// Retention is how long a minute is kept.
const Retention = 3 * 24 * time.Hour

// Options configure a [Service].
type Options struct {
	Store *store.Store
	Now   func() time.Time // default time.Now
	// Lost, if set, hears that minutes could not be saved; they can still be read.
	Lost func(error)
}

// Dimension is a name and a value that tell metrics of one name apart.
type Dimension struct{ Name, Value string }

// Datum is one measured value.
type Datum struct {
	Namespace, Name string
	Unit            string // one of StandardUnit's
	Dimensions      []Dimension
	At              time.Time
	Value           float64
}

// metric is one metric's minutes.
type metric struct {
	Namespace, Name, Unit string
	Dimensions            []Dimension
	minutes               map[int64]*Statistics // by minutes since 1970
	latest                int64
}

// key tells metrics apart; the order of dimensions does not matter.
func key(namespace, name string, dimensions []Dimension) string {
	parts := make([]string, 0, 8)
	for _, d := range dimensions {
		parts = append(parts, d.Name+"\x00"+d.Value)
	}
	slices.Sort(parts)
	return namespace + "\x01" + name + "\x01" + strings.Join(parts, "\x01")
}

// Service is the CloudWatch of one account and Region.
type Service struct {
	now  func() time.Time
	lost func(error)
	file string

	mu      sync.Mutex
	refresh func()
	metrics map[string]*metric
	unsaved map[string]map[int64]bool // minutes of metrics that are not on disk as they are
	minute  int64                     // under way
}

// New opens the service's state.
func New(o Options) (*Service, error) {
	dir, err := o.Store.Dir("cloudwatch")
	if err != nil {
		return nil, err
	}
	s := &Service{
		now: o.Now, lost: o.Lost, file: filepath.Join(dir, "minutes.jsonl"), refresh: func() {},
		metrics: map[string]*metric{}, unsaved: map[string]map[int64]bool{},
	}
	if s.now == nil {
		s.now = time.Now
	}
	if s.lost == nil {
		s.lost = func(error) {}
	}
	if err := s.load(); err != nil {
		return nil, fmt.Errorf("cloudwatch: %w", err)
	}
	return s, nil
}

// Refresh sets what is called before each answer, so that who measures in intervals can
// measure now.
func (s *Service) Refresh(f func()) { s.refresh = f }

// Close saves what is not saved yet.
func (s *Service) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.save(1 << 62)
}

// Put takes a value.
func (s *Service) Put(d Datum) {
	minute := d.At.Unix() / 60
	k := key(d.Namespace, d.Name, d.Dimensions)
	s.mu.Lock()
	defer s.mu.Unlock()
	if minute > s.minute {
		s.minute = minute
		if err := s.save(minute); err != nil {
			s.lost(err)
		}
		s.forget()
	}
	m := s.metrics[k]
	if m == nil {
		m = &metric{d.Namespace, d.Name, d.Unit, slices.Clone(d.Dimensions), map[int64]*Statistics{}, 0}
		s.metrics[k] = m
	}
	at := m.minutes[minute]
	if at == nil {
		at = &Statistics{}
		m.minutes[minute] = at
		m.latest = max(m.latest, minute)
	}
	at.add(d.Value)
	if s.unsaved[k] == nil {
		s.unsaved[k] = map[int64]bool{}
	}
	s.unsaved[k][minute] = true
}

// oldest is the first minute that is not forgotten.
func (s *Service) oldest() int64 { return s.now().Add(-Retention).Unix() / 60 }

func (s *Service) forget() {
	oldest := s.oldest()
	for k, m := range s.metrics {
		if m.latest < oldest {
			delete(s.metrics, k)
			continue
		}
		for minute := range m.minutes {
			if minute < oldest {
				delete(m.minutes, minute)
			}
		}
	}
}

// API is the service's wire side.
// https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_Operations.html
func (s *Service) API() wire.CompatibleAPI {
	return wire.CompatibleAPI{
		Target:      "GraniteServiceVersion20100801",
		Shapes:      "com.amazonaws.cloudwatch",
		SigningName: "monitoring",
		Version:     "2010-08-01",
		Namespace:   "http://monitoring.amazonaws.com/doc/2010-08-01/",
		QueryCodes: map[string]string{
			invalidValue:       "InvalidParameterValue",
			invalidCombination: "InvalidParameterCombination",
			missing:            "MissingParameter",
		},
		Operations: map[string]wire.CompatibleOperation{
			"ListMetrics":         wire.HandleCompatible(s.listMetrics),
			"GetMetricStatistics": wire.HandleCompatible(s.getMetricStatistics),
			"GetMetricData":       wire.HandleCompatible(s.getMetricData),
		},
	}
}
