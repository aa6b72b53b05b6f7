// Package secretsmanager is the sandbox's Secrets Manager: secrets with their versions and
// stages, which services read as the references in their settings say. Values are kept
// sealed.
package secretsmanager

import (
	"crypto/rand"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/apron-deploy/apron/providers/sandbox/store"
	"github.com/apron-deploy/apron/providers/sandbox/wire"
)

// Options configure a [Service].
type Options struct {
	Store           *store.Store
	Account, Region string
	Now             func() time.Time // default time.Now
}

// Service is Secrets Manager of one account and region.
type Service struct {
	account, region string
	now             func() time.Time
	doc             *store.Doc[secrets]
	box             *store.Box
}

// secrets is what is kept.
type secrets struct{ ByName map[string]*secret }

type secret struct {
	Name, ARN, Description, KMSKeyID string
	Created, Changed                 time.Time
	Accessed                         time.Time // the day of it
	Deleted                          time.Time // when deletion was asked for; zero: not
	Purge                            time.Time // when it is then gone
	Tags                             map[string]string
	Versions                         map[string]*version
}

type version struct {
	Sealed  string
	Binary  bool
	Created time.Time
	Stages  []string
}

const (
	current  = "AWSCURRENT"
	previous = "AWSPREVIOUS"
)

// New opens the service's state.
func New(o Options) (*Service, error) {
	doc, err := store.Load[secrets](o.Store, "secretsmanager")
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
	return s, nil
}

// API is the service's wire side.
// https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_Operations.html
func (s *Service) API() wire.API {
	return wire.API{
		Target:      "secretsmanager",
		Version:     "1.1",
		SigningName: "secretsmanager",
		MessageKey:  "Message",
		Operations: map[string]wire.Operation{
			"CreateSecret":      wire.Handle(s.create),
			"PutSecretValue":    wire.Handle(s.put),
			"UpdateSecret":      wire.Handle(s.update),
			"DeleteSecret":      wire.Handle(s.remove),
			"RestoreSecret":     wire.Handle(s.restore),
			"TagResource":       wire.Handle(s.tag),
			"UntagResource":     wire.Handle(s.untag),
			"GetSecretValue":    wire.Handle(s.get),
			"DescribeSecret":    wire.Handle(s.describe),
			"GetResourcePolicy": wire.Handle(s.policy),
			"ListSecrets":       wire.Handle(s.list),
		},
	}
}

// Value resolves a reference as App Runner and ECS write it, for a service that is
// allowed to read the secret:
//
//	arn:aws:secretsmanager:<region>:<account>:secret:<name>-<random>[:json-key[:stage[:version]]]
//
// The name or ARN of a secret alone is its whole current value. Of a member that is no
// string it is what Go prints of it, as AWS's agent of ECS has it, and no JSON any more.
// https://github.com/aws/amazon-ecs-agent/blob/master/agent/asm/asm.go
func (s *Service) Value(ref string) (string, error) {
	id, key, stage, number := ref, "", "", ""
	if parts := strings.Split(ref, ":"); parts[0] == "arn" && len(parts) > 7 {
		parts = append(parts, "", "")
		id, key, stage, number = strings.Join(parts[:7], ":"), parts[7], parts[8], parts[9]
	}
	var sealed, name string
	var err error
	s.doc.View(func(all *secrets) {
		x, v, e := all.version(s.now(), id, number, stage)
		if err = e; err == nil {
			name, sealed = x.ARN, v.Sealed
		}
	})
	if err != nil {
		return "", fmt.Errorf("secret %s: %w", ref, err)
	}
	value, err := s.box.Open(name, sealed)
	if err != nil || key == "" {
		return value, err
	}
	var members map[string]any
	if json.Unmarshal([]byte(value), &members) != nil {
		return "", fmt.Errorf("secret %s: its value is not a JSON object, so it has no key %q", id, key)
	}
	member, ok := members[key]
	if !ok {
		return "", fmt.Errorf("secret %s: its value has no key %q", id, key)
	}
	return fmt.Sprint(member), nil
}

// find returns the secret that a request calls by its name, its ARN, or its ARN without
// the last seven characters; nil if there is none.
func (all *secrets) find(now time.Time, id string) *secret {
	x := all.ByName[id]
	if x == nil && strings.HasPrefix(id, "arn:") {
		for _, s := range all.ByName {
			if s.ARN == id || s.ARN[:len(s.ARN)-7] == id {
				x = s
				break
			}
		}
	}
	if x == nil || x.gone(now) {
		return nil
	}
	return x
}

// gone tells whether the secret's recovery window has ended.
func (x *secret) gone(now time.Time) bool { return !x.Deleted.IsZero() && !now.Before(x.Purge) }

func notFound() *wire.Error {
	return wire.Errorf("ResourceNotFoundException", "Secrets Manager can't find the specified secret.")
}

func marked() *wire.Error {
	return wire.Errorf("InvalidRequestException", "You can't perform this operation on the secret because it was marked for deletion.")
}

// version finds the version of a secret by number, by stage, or the current one.
func (all *secrets) version(now time.Time, id, number, stage string) (*secret, *version, error) {
	x := all.find(now, id)
	switch {
	case x == nil:
		return nil, nil, notFound()
	case !x.Deleted.IsZero():
		return nil, nil, marked()
	}
	if number != "" {
		v := x.Versions[number]
		switch {
		case v == nil:
			return nil, nil, wire.Errorf("ResourceNotFoundException", "Secrets Manager can't find the specified secret value for VersionId: %s", number)
		case stage != "" && !slices.Contains(v.Stages, stage):
			return nil, nil, wire.Errorf("InvalidRequestException", "You provided a VersionStage that is not associated to the provided VersionId.")
		}
		return x, v, nil
	}
	if stage == "" {
		stage = current
	}
	if _, v := x.staged(stage); v != nil {
		return x, v, nil
	}
	return nil, nil, wire.Errorf("ResourceNotFoundException", "Secrets Manager can't find the specified secret value for staging label: %s", stage)
}

// staged returns the version that carries the stage.
func (x *secret) staged(stage string) (string, *version) {
	for number, v := range x.Versions {
		if slices.Contains(v.Stages, stage) {
			return number, v
		}
	}
	return "", nil
}

// newARN makes a secret's ARN with the six random characters that keep a re-created
// secret apart from the deleted one of its name.
func (s *Service) newARN(name string) string {
	const letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
	b := make([]byte, 6)
	_, _ = rand.Read(b)
	for i := range b {
		b[i] = letters[int(b[i])%len(letters)]
	}
	return fmt.Sprintf("arn:aws:secretsmanager:%s:%s:secret:%s-%s", s.region, s.account, name, b)
}
