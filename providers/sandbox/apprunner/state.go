package apprunner

import (
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/apron-deploy/apron/providers/sandbox/wire"
)

// Error codes of App Runner; all travel with status 400.
// https://docs.aws.amazon.com/apprunner/latest/api/API_CreateService.html
const (
	invalidRequest = "InvalidRequestException"
	invalidState   = "InvalidStateException"
	notFound       = "ResourceNotFoundException"
	quotaExceeded  = "ServiceQuotaExceededException"
)

// state is what survives a restart. A configuration in it is never changed in place,
// only replaced, so that answers may hold it after the lock is gone.
type state struct {
	Services        []*record
	Scalings        []*scaling
	Connectors      []*connector     `json:",omitempty"`
	Observabilities []*observability `json:",omitempty"`
	Connections     []*connection    `json:",omitempty"`
	Ingresses       []*ingress       `json:",omitempty"`
	// Revisions holds the highest revision that each scaling name ever had.
	Revisions              map[string]int
	ObservabilityRevisions map[string]int `json:",omitempty"`
	// Certificates tells when one was issued for the names of a custom domain.
	Certificates map[string]wire.Time `json:",omitempty"`
}

// record is one service as stored.
type record struct {
	Name       string
	ID         string // 32 hex
	ARN        string
	Status     string
	CreatedAt  wire.Time
	UpdatedAt  wire.Time
	DeletedAt  wire.Time `json:",omitzero"`
	Config     config    // what Describe shows
	Live       *version  // what serves, or served last; nil before the first success
	Encryption *encryptionShape
	Tags       map[string]string
	Operations []operation // oldest first
	Domains    []*domain   `json:",omitempty"`
}

// version is what a deployment deployed.
type version struct {
	Config config
	Ref    string // repository@digest, for people
	Digest string // of the linux/amd64 image, which the copies know
}

// operation returns the operation with the id.
func (r *record) operation(id string) *operation {
	for i := range r.Operations {
		if r.Operations[i].Id == id {
			return &r.Operations[i]
		}
	}
	return nil
}

// current returns the operation that has not ended, if any.
func (r *record) current() *operation {
	if n := len(r.Operations); n > 0 && r.Operations[n-1].EndedAt.IsZero() {
		return &r.Operations[n-1]
	}
	return nil
}

// service finds a service by id, gone or not.
func (st *state) service(id string) *record {
	for _, r := range st.Services {
		if r.ID == id {
			return r
		}
	}
	return nil
}

// find returns the service with the ARN. Deleted ones stay for a while.
func (s *Service) find(st *state, arn string) (*record, error) {
	for _, r := range st.Services {
		if r.ARN == arn && !s.forgotten(r.Status == deleted, r.DeletedAt) {
			return r, nil
		}
	}
	return nil, wire.Errorf(notFound, "Service with the provided ARN doesn't exist: %s.", arn)
}

// forgotten tells whether something was deleted so long ago that AWS has purged it.
func (s *Service) forgotten(gone bool, at wire.Time) bool {
	return gone && s.o.Clock.Now().Sub(at.Time) > s.o.Clock.Scale(s.waits.Forget)
}

// purge drops what is forgotten.
func (s *Service) purge(st *state) {
	st.Services = slices.DeleteFunc(st.Services, func(r *record) bool {
		return s.forgotten(r.Status == deleted, r.DeletedAt)
	})
	st.Ingresses = slices.DeleteFunc(st.Ingresses, func(i *ingress) bool { return s.forgotten(!i.there(), i.DeletedAt) })
	st.Scalings = remembered(s, st.Scalings)
	st.Connectors = remembered(s, st.Connectors)
	st.Observabilities = remembered(s, st.Observabilities)
	maps.DeleteFunc(st.Certificates, func(_ string, issued wire.Time) bool { return s.past(issued, certificateKept) })
}

func remembered[T revisable](s *Service, all []T) []T {
	return slices.DeleteFunc(all, func(one T) bool { r := one.self(); return s.forgotten(!r.active(), r.DeletedAt) })
}

// status is the status as callers see it: maintenance hides RUNNING.
func (s *Service) status(r *record) string {
	if r.Status == running && (s.o.Faults.maintained(r.Name) || s.scenario(r) == Maintenance) {
		return inProgress
	}
	return r.Status
}

// allow refuses a call unless the service has one of the statuses.
func (s *Service) allow(r *record, verb string, statuses ...string) error {
	now := s.status(r)
	if slices.Contains(statuses, now) {
		return nil
	}
	return wire.Errorf(invalidState, "Service cannot be %s in the current state: %s.", verb, now)
}

// begin records a new operation and moves the service to OPERATION_IN_PROGRESS.
func (s *Service) begin(r *record, kind string) operation {
	now := s.now()
	op := operation{Id: wire.NewID(), Type: kind, Status: opPending, TargetArn: r.ARN, StartedAt: now, UpdatedAt: now}
	r.Operations = append(r.Operations, op)
	r.Status, r.UpdatedAt = inProgress, now
	return op
}

func (s *Service) now() wire.Time { return wire.At(s.o.Clock.Now()) }

// url is where the service answers. AWS's has no scheme, and a private service's is
// empty. Two services whose names differ in case only cannot share a host: the younger
// goes by its id.
func (s *Service) url(st *state, r *record) string {
	if !r.public() {
		return ""
	}
	endpoint := s.o.Endpoint()
	_, port, _ := strings.Cut(endpoint[strings.LastIndex(endpoint, "//")+1:], ":")
	host := label(st, r) + ".localhost"
	if port = strings.Trim(port, "/"); port != "" {
		host += ":" + port
	}
	return host
}

func label(st *state, r *record) string {
	for _, other := range st.Services {
		if other.Status == deleted {
			continue
		}
		if other.ID == r.ID {
			break
		}
		if strings.EqualFold(other.Name, r.Name) {
			return r.ID
		}
	}
	return strings.ToLower(r.Name)
}

// public tells whether the internet may reach the service.
func (r *record) public() bool {
	return r.Config.NetworkConfiguration.IngressConfiguration.IsPubliclyAccessible
}

// describe is the service as the API shows it.
func (s *Service) describe(st *state, r *record) serviceShape {
	c := r.Config
	return serviceShape{
		ServiceName:                     r.Name,
		ServiceId:                       r.ID,
		ServiceArn:                      r.ARN,
		ServiceUrl:                      s.url(st, r),
		CreatedAt:                       r.CreatedAt,
		UpdatedAt:                       r.UpdatedAt,
		DeletedAt:                       r.DeletedAt,
		Status:                          s.status(r),
		SourceConfiguration:             c.SourceConfiguration,
		InstanceConfiguration:           c.InstanceConfiguration,
		EncryptionConfiguration:         r.Encryption,
		HealthCheckConfiguration:        c.HealthCheckConfiguration,
		NetworkConfiguration:            c.NetworkConfiguration,
		ObservabilityConfiguration:      c.ObservabilityConfiguration,
		AutoScalingConfigurationSummary: st.summary(*c.AutoScalingConfigurationArn),
	}
}

// arn names a resource of this account and Region.
func (s *Service) arn(format string, args ...any) string {
	return fmt.Sprintf("arn:aws:apprunner:%s:%s:", s.o.Region, s.o.Account) + fmt.Sprintf(format, args...)
}

// hex32 is an id as services and instances have them.
func hex32() string {
	var b [16]byte
	_, _ = rand.Read(b[:]) // never fails
	return hex.EncodeToString(b[:])
}

// seconds reads a configured number of seconds.
func seconds(n *int) time.Duration { return time.Duration(*n) * time.Second }
