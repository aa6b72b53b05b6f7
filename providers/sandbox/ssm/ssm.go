// Package ssm is the sandbox's Parameter Store: parameters with a version that each write
// counts up, within AWS's rates. Values of every type are kept sealed; what GetParameter
// shows of a SecureString without decryption is not the value.
package ssm

import (
	"context"
	"fmt"
	"strings"
	"time"

	"golang.org/x/time/rate"

	"github.com/apron-deploy/apron/providers/sandbox/store"
	"github.com/apron-deploy/apron/providers/sandbox/wire"
)

// Options configure a [Service].
type Options struct {
	Store           *store.Store
	Account, Region string
	Now             func() time.Time // default time.Now
	// Limited turns on AWS's default throughput: 3 writes and 40 reads a second.
	Limited bool
}

// Service is the Parameter Store of one account and region.
type Service struct {
	account, region string
	now             func() time.Time
	doc             *store.Doc[parameters]
	box             *store.Box
	reads, writes   *rate.Limiter // nil without limits
}

// parameters is what is kept.
type parameters struct{ ByName map[string]*parameter }

type parameter struct {
	Name, Type, Tier, DataType string
	Description, KeyID         string
	AllowedPattern             string
	Modified                   time.Time
	Version                    int64
	Versions                   map[int64]version // the newest hundred
	Tags                       map[string]string
}

type version struct {
	Sealed   string
	Type     string
	Modified time.Time
}

// New opens the service's state.
func New(o Options) (*Service, error) {
	doc, err := store.Load[parameters](o.Store, "ssm")
	if err != nil {
		return nil, err
	}
	box, err := o.Store.Box()
	if err != nil {
		return nil, err
	}
	s := &Service{account: o.Account, region: o.Region, now: o.Now, doc: doc, box: box}
	if s.now == nil {
		s.now = time.Now
	}
	if o.Limited {
		s.reads, s.writes = rate.NewLimiter(40, 40), rate.NewLimiter(3, 3)
	}
	return s, nil
}

// API is the service's wire side.
// https://docs.aws.amazon.com/systems-manager/latest/APIReference/API_Operations.html
func (s *Service) API() wire.API {
	return wire.API{
		Target:      "AmazonSSM",
		Version:     "1.1",
		SigningName: "ssm",
		MessageKey:  "message",
		Operations: map[string]wire.Operation{
			"PutParameter":           limited(s.writes, s.put),
			"GetParameter":           limited(s.reads, s.get),
			"GetParameters":          limited(s.reads, s.getMany),
			"GetParametersByPath":    limited(s.reads, s.getByPath),
			"DescribeParameters":     limited(s.reads, s.describe),
			"DeleteParameter":        limited(s.writes, s.remove),
			"DeleteParameters":       limited(s.writes, s.removeMany),
			"AddTagsToResource":      limited(s.writes, s.addTags),
			"RemoveTagsFromResource": limited(s.writes, s.removeTags),
			"ListTagsForResource":    limited(s.reads, s.listTags),
		},
	}
}

// limited adapts an operation and refuses calls beyond the limiter's rate.
func limited[In, Out any](l *rate.Limiter, f func(context.Context, In) (Out, error)) wire.Operation {
	return wire.Handle(func(ctx context.Context, in In) (out Out, err error) {
		if l != nil && !l.Allow() {
			return out, wire.Errorf("ThrottlingException", "Rate exceeded")
		}
		return f(ctx, in)
	})
}

// Value returns a parameter's newest value, by its name or ARN, as a service that is
// allowed to read it gets it.
func (s *Service) Value(nameOrARN string) (string, error) {
	name, sealed := s.nameOf(nameOrARN), ""
	s.doc.View(func(p *parameters) {
		if found := p.ByName[name]; found != nil {
			sealed = found.Versions[found.Version].Sealed
		}
	})
	if sealed == "" {
		return "", fmt.Errorf("parameter %s does not exist", nameOrARN)
	}
	return s.box.Open(name, sealed)
}

func (s *Service) arn(name string) string {
	return fmt.Sprintf("arn:aws:ssm:%s:%s:parameter/%s", s.region, s.account, strings.TrimPrefix(name, "/"))
}

// nameOf returns the parameter's name for what a request calls it: itself, or its ARN.
// An ARN does not tell "x" from "/x": the one that exists is meant.
func (s *Service) nameOf(ref string) string {
	rest, isARN := strings.CutPrefix(ref, fmt.Sprintf("arn:aws:ssm:%s:%s:parameter/", s.region, s.account))
	if !isARN {
		return ref
	}
	name := "/" + rest
	s.doc.View(func(p *parameters) {
		if p.ByName[name] == nil && p.ByName[rest] != nil {
			name = rest
		}
	})
	return name
}
