// Package cloudtrail is the event history of the sandbox's account: who changed what, when
// and from where. It records calls that change something, the refused ones too, and shows
// them after CloudTrail's delay. No value that is secret gets into it.
package cloudtrail

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"golang.org/x/time/rate"

	"github.com/apron-deploy/apron/providers/sandbox/store"
	"github.com/apron-deploy/apron/providers/sandbox/wire"
	"github.com/apron-deploy/apron/reconcile/pattern"
)

// DefaultDelay is how long CloudTrail takes to show an event, on average.
// https://docs.aws.amazon.com/awscloudtrail/latest/userguide/get-and-view-cloudtrail-log-files.html
const DefaultDelay = 5 * time.Minute

// kept is how long LookupEvents looks back.
const kept = 90 * 24 * time.Hour

// Options configure a [Service].
type Options struct {
	Store           *store.Store
	Account, Region string
	Now             func() time.Time // default time.Now
	// Delay is how long after a call its event is shown, on the clock of Now: 0 is
	// [DefaultDelay], negative at once.
	Delay time.Duration
	// UserARN is the one caller's.
	UserARN string
	// Lost, if set, hears of events that could not be written.
	Lost func(error)
}

// Service is the event history of one account and Region.
type Service struct {
	o     Options
	path  string
	limit *rate.Limiter

	mu     sync.RWMutex
	events []event // the oldest first
}

// event is one call, as the file has it, a line each.
type event struct {
	ID          string     `json:"eventID"`
	Name        string     `json:"eventName"`
	Source      string     `json:"eventSource"`
	Time        time.Time  `json:"eventTime"`
	AccessKeyID string     `json:"accessKeyId"`
	Resources   []resource `json:"resources"`
	Record      string     `json:"record"` // what CloudTrailEvent shows
}

type resource struct{ ResourceType, ResourceName string }

// New reads the history.
func New(o Options) (*Service, error) {
	dir, err := o.Store.Dir("cloudtrail")
	if err != nil {
		return nil, err
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Delay == 0 {
		o.Delay = DefaultDelay
	}
	if o.Lost == nil {
		o.Lost = func(error) {}
	}
	// https://docs.aws.amazon.com/awscloudtrail/latest/APIReference/API_LookupEvents.html
	s := &Service{o: o, path: filepath.Join(dir, "events.jsonl"), limit: rate.NewLimiter(2, 2)}
	b, err := os.ReadFile(s.path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("cloudtrail: %w", err)
	}
	lines := bufio.NewScanner(bytes.NewReader(b))
	lines.Buffer(nil, len(b)+1)
	for lines.Scan() {
		var e event
		if json.Unmarshal(lines.Bytes(), &e) == nil { // a crash may have torn the last line
			s.events = append(s.events, e)
		}
	}
	return s, nil
}

var readsRE = pattern.Lazy(`^(Get|List|Describe|Batch(Get|Check)|Filter|Lookup|Search|Test|Start(Live|Query))`)

// data are the calls that change what is in a resource rather than the resource. AWS keeps
// them out of the event history.
// https://docs.aws.amazon.com/awscloudtrail/latest/userguide/logging-data-events-with-cloudtrail.html
var data = map[string]bool{"logs PutLogEvents": true}

// Record takes a call into the history, if it is one that changes something.
func (s *Service) Record(x wire.Exchange) {
	if x.Operation == "" || readsRE().MatchString(x.Operation) || data[x.Service+" "+x.Operation] || x.Refused != nil && x.Scope.AccessKey == "" {
		return
	}
	e := s.event(x)
	line, err := json.Marshal(e)
	if err != nil {
		s.o.Lost(fmt.Errorf("cloudtrail: %w", err))
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.events = append(s.events, e)
	f, err := os.OpenFile(s.path, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err == nil {
		_, err = f.Write(append(line, '\n'))
		err = errors.Join(err, f.Close())
	}
	if err != nil {
		s.o.Lost(fmt.Errorf("cloudtrail: %w", err))
	}
}

// event describes a call.
// https://docs.aws.amazon.com/awscloudtrail/latest/userguide/cloudtrail-event-reference-record-contents.html
func (s *Service) event(x wire.Exchange) event {
	parameters := read(x)
	host, _, err := net.SplitHostPort(x.Request.RemoteAddr)
	if err != nil {
		host = x.Request.RemoteAddr
	}
	at := s.o.Now().UTC().Truncate(time.Second) // when the request was completed
	e := event{ID: wire.NewID(), Name: x.Operation, Source: x.Service + ".amazonaws.com", Time: at, AccessKeyID: x.Scope.AccessKey, Resources: resources(x.Service, parameters)}
	record := map[string]any{
		"eventVersion": "1.11", "eventID": e.ID, "eventName": e.Name, "eventSource": e.Source, "eventTime": at.Format(time.RFC3339),
		"eventType": "AwsApiCall", "eventCategory": "Management", "managementEvent": true, "readOnly": false,
		"awsRegion": s.o.Region, "recipientAccountId": s.o.Account, "sourceIPAddress": host, "userAgent": x.Request.UserAgent(),
		"requestID": x.RequestID, "requestParameters": parameters, "responseElements": nil,
		"userIdentity": map[string]any{"type": "IAMUser", "arn": s.o.UserARN, "accountId": s.o.Account, "accessKeyId": x.Scope.AccessKey, "userName": s.userName()},
	}
	if x.Refused != nil {
		record["errorCode"], record["errorMessage"] = x.Refused.Code, scrub(x.Refused.Message)
	}
	b, err := json.Marshal(record)
	if err != nil { // of values that came from JSON, XML or a form
		s.o.Lost(fmt.Errorf("cloudtrail: %w", err))
	}
	e.Record = string(b)
	return e
}

func (s *Service) userName() string { return s.o.UserARN[strings.LastIndexByte(s.o.UserARN, '/')+1:] }
