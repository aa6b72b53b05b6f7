// Package logs is the sandbox's CloudWatch Logs: what its services and their containers say,
// in groups and streams that the API reads back.
//
// Events are appended to one file per stream, a line each; groups and streams are kept
// in a document. What is in memory does not grow with the number of events: reads go
// through the files. A file that reaches its limit becomes the stream's older half, and
// the older half before it is dropped, so a chatty service cannot fill the disk.
package logs

import (
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/apron-deploy/apron/providers/sandbox/store"
	"github.com/apron-deploy/apron/providers/sandbox/wire"
)

// Options configure a [Service].
type Options struct {
	Store           *store.Store
	Account, Region string
	Now             func() time.Time // default time.Now
	// MaxFile is the size in bytes at which half a stream's events begin to be
	// dropped; default 16 MiB.
	MaxFile int64
	// Lost hears why [Service.Put] could not keep an event; default nobody.
	Lost func(error)
}

// Service is CloudWatch Logs of one account and region.
type Service struct {
	account, region string
	now             func() time.Time
	dir             string
	maxFile         int64
	lost            func(error)
	doc             *store.Doc[groups]

	mu    sync.Mutex // guards what follows and all writing to files
	stats map[string]*stat
	seq   int64 // the number of the newest event
}

// groups is what is kept in the document.
type groups struct{ ByName map[string]*group }

type group struct {
	Name      string
	Created   time.Time
	Retention int // days; 0 is for ever
	Tags      map[string]string
	Streams   map[string]*stream
}

type stream struct {
	Name    string
	Created time.Time
	File    string // base name of the file with the events
}

// New opens the service's state.
func New(o Options) (*Service, error) {
	doc, err := store.Load[groups](o.Store, "logs")
	if err != nil {
		return nil, err
	}
	dir, err := o.Store.Dir("logs")
	if err != nil {
		return nil, err
	}
	s := &Service{
		account: o.Account, region: o.Region, now: o.Now, dir: dir, maxFile: o.MaxFile,
		lost: o.Lost, doc: doc, stats: map[string]*stat{},
	}
	if s.now == nil {
		s.now = time.Now
	}
	if s.lost == nil {
		s.lost = func(error) {}
	}
	if s.maxFile == 0 {
		s.maxFile = 16 << 20
	}
	s.recover()
	return s, nil
}

// API is the service's wire side.
// https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/API_Operations.html
func (s *Service) API() wire.API {
	return wire.API{
		Target:      "Logs_20140328",
		Version:     "1.1",
		SigningName: "logs",
		MessageKey:  "message",
		Operations: map[string]wire.Operation{
			"CreateLogGroup":        wire.Handle(s.createGroup),
			"DeleteLogGroup":        wire.Handle(s.deleteGroup),
			"DescribeLogGroups":     wire.Handle(s.describeGroups),
			"PutRetentionPolicy":    wire.Handle(s.putRetention),
			"DeleteRetentionPolicy": wire.Handle(s.deleteRetention),
			"TagResource":           wire.Handle(s.tag),
			"UntagResource":         wire.Handle(s.untag),
			"ListTagsForResource":   wire.Handle(s.listTags),
			"CreateLogStream":       wire.Handle(s.createStream),
			"DeleteLogStream":       wire.Handle(s.deleteStream),
			"DescribeLogStreams":    wire.Handle(s.describeStreams),
			"PutLogEvents":          wire.Handle(s.putEvents),
			"GetLogEvents":          wire.Handle(s.getEvents),
			"FilterLogEvents":       wire.Handle(s.filterEvents),
		},
	}
}

// Put appends one event, and makes the group and the stream if they are missing, as
// services do that log for themselves. An event that cannot be written is lost: see
// [Options.Lost].
func (s *Service) Put(group, stream string, at time.Time, message string) {
	if err := s.put(group, stream, at, message); err != nil {
		s.lost(err)
	}
}

func (s *Service) put(group, stream string, at time.Time, message string) error {
	var file string
	s.doc.View(func(all *groups) {
		if _, x := all.stream(group, stream); x != nil {
			file = x.File
		}
	})
	if file == "" {
		err := s.doc.Update(func(all *groups) error {
			file = s.ensure(all, group, stream).File
			return nil
		})
		if err != nil {
			return err
		}
	}
	return s.append(file, []event{{At: at.UnixMilli(), Message: message}})
}

// ensure returns the stream, made if it is missing.
func (s *Service) ensure(all *groups, groupName, streamName string) *stream {
	g := all.ByName[groupName]
	if g == nil {
		g = s.newGroup(all, groupName)
	}
	if x := g.Streams[streamName]; x != nil {
		return x
	}
	x := &stream{Name: streamName, Created: s.now().UTC(), File: wire.NewID()}
	g.Streams[streamName] = x
	return x
}

func (s *Service) newGroup(all *groups, name string) *group {
	g := &group{Name: name, Created: s.now().UTC(), Tags: map[string]string{}, Streams: map[string]*stream{}}
	if all.ByName == nil {
		all.ByName = map[string]*group{}
	}
	all.ByName[name] = g
	return g
}

// stream finds a group and its stream; nil where there is none.
func (all *groups) stream(groupName, streamName string) (*group, *stream) {
	g := all.ByName[groupName]
	if g == nil {
		return nil, nil
	}
	return g, g.Streams[streamName]
}

func (s *Service) groupARN(name string) string {
	return fmt.Sprintf("arn:aws:logs:%s:%s:log-group:%s", s.region, s.account, name)
}

func invalid(format string, args ...any) *wire.Error {
	return wire.Errorf("InvalidParameterException", format, args...)
}

func noGroup() *wire.Error {
	return wire.Errorf("ResourceNotFoundException", "The specified log group does not exist.")
}

func noStream() *wire.Error {
	return wire.Errorf("ResourceNotFoundException", "The specified log stream does not exist.")
}

// retentions are the days that a retention policy may have.
var retentions = []int{1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288, 3653}

func validRetention(days int) bool { return slices.Contains(retentions, days) }
