package secretsmanager

import (
	"cmp"
	"context"
	"maps"
	"slices"
	"time"

	"github.com/apron-deploy/apron/providers/sandbox/wire"
	"github.com/apron-deploy/apron/reconcile/pattern"
)

const (
	maxValue   = 65536
	maxTags    = 50
	day        = 24 * time.Hour
	window     = 30 // days in which a deletion can be taken back
	badRequest = "InvalidRequestException"
	badMember  = "InvalidParameterException"
)

var nameRE = pattern.Lazy(`^[a-zA-Z0-9/_+=.@!-]+$`)

type tag struct{ Key, Value string }

// content is a value in a request, as text or as bytes.
type content struct {
	SecretString *string
	SecretBinary []byte
}

func (c content) given() bool { return c.SecretString != nil || len(c.SecretBinary) > 0 }

func (c content) text() string {
	if c.SecretString != nil {
		return *c.SecretString
	}
	return string(c.SecretBinary)
}

func (c content) check() error {
	switch {
	case c.SecretString != nil && len(c.SecretBinary) > 0:
		return wire.Errorf(badMember, "You can't specify both a binary secret value and a string secret value in the same secret.")
	case len(c.text()) > maxValue:
		var checks wire.Checks
		checks.FailSecret("secretString", "Member must have length less than or equal to 65536")
		return checks.Err("ValidationException")
	}
	return nil
}

type createIn struct {
	content
	Name, ClientRequestToken, Description, KmsKeyId string
	Tags                                            []tag
}

type writeOut struct {
	ARN, Name     string
	VersionId     string   `json:",omitempty"`
	VersionStages []string `json:",omitempty"`
}

func (s *Service) create(_ context.Context, in createIn) (out writeOut, err error) {
	var c wire.Checks
	c.Present("name", in.Name != "")
	c.Length("name", in.Name, 1, 512)
	c.Length("clientRequestToken", in.ClientRequestToken, 32, 64)
	c.Length("description", in.Description, 0, 2048)
	if err := c.Err("ValidationException"); err != nil {
		return out, err
	}
	if !nameRE().MatchString(in.Name) {
		return out, wire.Errorf("ValidationException", "Invalid name. Must be a valid name containing alphanumeric characters, or any of the following: -/_+=.@!")
	}
	if err := in.check(); err != nil {
		return out, err
	}
	err = s.doc.Update(func(all *secrets) error {
		old := all.ByName[in.Name]
		switch {
		case old == nil || old.gone(s.now()):
		case !old.Deleted.IsZero():
			return wire.Errorf(badRequest, "You can't create this secret because a secret with this name is already scheduled for deletion.")
		default:
			if v := old.Versions[in.ClientRequestToken]; v != nil && s.same(old, v, in.content) { // a retry
				out = writeOut{ARN: old.ARN, Name: old.Name, VersionId: in.ClientRequestToken}
				return nil
			}
			return wire.Errorf("ResourceExistsException", "The operation failed because the secret %s already exists.", in.Name)
		}
		now := s.now().UTC()
		x := &secret{
			Name: in.Name, ARN: s.newARN(in.Name), Description: in.Description, KMSKeyID: in.KmsKeyId,
			Created: now, Changed: now, Tags: map[string]string{}, Versions: map[string]*version{},
		}
		if err := addTags(x, in.Tags); err != nil {
			return err
		}
		if all.ByName == nil {
			all.ByName = map[string]*secret{}
		}
		all.ByName[in.Name] = x
		out = writeOut{ARN: x.ARN, Name: x.Name}
		if in.given() {
			out.VersionId = s.add(x, in.ClientRequestToken, in.content, nil)
		}
		return nil
	})
	return out, err
}

// same tells whether v holds the content.
func (s *Service) same(x *secret, v *version, c content) bool {
	value, err := s.box.Open(x.ARN, v.Sealed)
	return err == nil && value == c.text() && v.Binary == (c.SecretString == nil)
}

// add puts a new version under the token and moves the stages to it.
func (s *Service) add(x *secret, token string, c content, stages []string) string {
	token = cmp.Or(token, wire.NewID())
	if len(stages) == 0 {
		stages = []string{current}
	}
	now := s.now().UTC()
	x.Versions[token] = &version{Sealed: s.box.Seal(x.ARN, c.text()), Binary: c.SecretString == nil, Created: now}
	for _, stage := range stages {
		x.move(stage, token)
	}
	x.Changed = now
	maps.DeleteFunc(x.Versions, func(number string, v *version) bool { return len(v.Stages) == 0 }) // deprecated
	return token
}

// move takes the stage from the version that has it to another one; what was current
// becomes previous.
func (x *secret) move(stage, to string) {
	from, _ := x.staged(stage)
	x.strip(stage)
	x.Versions[to].Stages = append(x.Versions[to].Stages, stage)
	if stage == current && from != "" && from != to {
		x.strip(previous)
		x.Versions[from].Stages = append(x.Versions[from].Stages, previous)
	}
}

func (x *secret) strip(stage string) {
	for _, v := range x.Versions {
		v.Stages = slices.DeleteFunc(v.Stages, func(s string) bool { return s == stage })
	}
}

// change calls f to change the secret that a request names.
func (s *Service) change(id string, f func(*secret) error) error {
	var c wire.Checks
	c.Present("secretId", id != "")
	c.Length("secretId", id, 1, 2048)
	if err := c.Err("ValidationException"); err != nil {
		return err
	}
	return s.doc.Update(func(all *secrets) error {
		x := all.find(s.now(), id)
		if x == nil {
			return notFound()
		}
		return f(x)
	})
}

type putIn struct {
	content
	SecretId, ClientRequestToken string
	VersionStages                []string
}

func (s *Service) put(_ context.Context, in putIn) (out writeOut, err error) {
	if err := in.check(); err != nil {
		return out, err
	}
	if !in.given() {
		return out, wire.Errorf(badRequest, "You must provide either SecretString or SecretBinary.")
	}
	err = s.change(in.SecretId, func(x *secret) error {
		number, err := s.write(x, in.ClientRequestToken, in.content, in.VersionStages)
		if err != nil {
			return err
		}
		out = writeOut{ARN: x.ARN, Name: x.Name, VersionId: number, VersionStages: slices.Clone(x.Versions[number].Stages)}
		return nil
	})
	return out, err
}

// write adds a version, or recognises the retry of one.
func (s *Service) write(x *secret, token string, c content, stages []string) (string, error) {
	if !x.Deleted.IsZero() {
		return "", marked()
	}
	if v := x.Versions[token]; v != nil {
		if s.same(x, v, c) {
			return token, nil
		}
		return "", wire.Errorf("ResourceExistsException", "You can't use ClientRequestToken %s because that value is already in use for a version of secret %s.", token, x.ARN)
	}
	return s.add(x, token, c, stages), nil
}

type updateIn struct {
	content
	SecretId, ClientRequestToken string
	Description, KmsKeyId        *string
}

func (s *Service) update(_ context.Context, in updateIn) (out writeOut, err error) {
	if err := in.check(); err != nil {
		return out, err
	}
	err = s.change(in.SecretId, func(x *secret) error {
		if !x.Deleted.IsZero() {
			return marked()
		}
		out = writeOut{ARN: x.ARN, Name: x.Name}
		if in.Description != nil {
			x.Description = *in.Description
		}
		if in.KmsKeyId != nil {
			x.KMSKeyID = *in.KmsKeyId
		}
		x.Changed = s.now().UTC()
		if !in.given() {
			return nil
		}
		out.VersionId, err = s.write(x, in.ClientRequestToken, in.content, nil)
		return err
	})
	return out, err
}

type removeIn struct {
	SecretId                   string
	RecoveryWindowInDays       *int
	ForceDeleteWithoutRecovery bool
}

type removeOut struct {
	ARN, Name    string
	DeletionDate wire.Time
}

func (s *Service) remove(_ context.Context, in removeIn) (out removeOut, err error) {
	days := window
	if in.RecoveryWindowInDays != nil {
		days = *in.RecoveryWindowInDays
		if in.ForceDeleteWithoutRecovery {
			return out, wire.Errorf(badMember, "You can't use ForceDeleteWithoutRecovery in conjunction with RecoveryWindowInDays.")
		}
		if days < 7 || days > 30 {
			return out, wire.Errorf(badMember, "The RecoveryWindowInDays value must be between 7 and 30 days (inclusive).")
		}
	}
	now := s.now().UTC()
	err = s.doc.Update(func(all *secrets) error {
		x := all.find(now, in.SecretId)
		switch {
		case x == nil && in.ForceDeleteWithoutRecovery: // is not an error on AWS either
			out = removeOut{in.SecretId, in.SecretId, wire.At(now)}
			return nil
		case x == nil:
			return notFound()
		case in.ForceDeleteWithoutRecovery:
			delete(all.ByName, x.Name)
			out = removeOut{x.ARN, x.Name, wire.At(now)}
			return nil
		case !x.Deleted.IsZero():
			return marked()
		}
		x.Deleted, x.Purge = now, now.Add(time.Duration(days)*day)
		out = removeOut{x.ARN, x.Name, wire.At(x.Purge)}
		return nil
	})
	return out, err
}

type secretIn struct{ SecretId string }

func (s *Service) restore(_ context.Context, in secretIn) (out writeOut, err error) {
	err = s.change(in.SecretId, func(x *secret) error {
		x.Deleted, x.Purge = time.Time{}, time.Time{}
		out = writeOut{ARN: x.ARN, Name: x.Name}
		return nil
	})
	return out, err
}

func addTags(x *secret, tags []tag) error {
	for _, t := range tags {
		var c wire.Checks
		c.Length("tags.member.key", t.Key, 1, 128)
		c.Length("tags.member.value", t.Value, 0, 256)
		if err := c.Err("ValidationException"); err != nil {
			return err
		}
		x.Tags[t.Key] = t.Value
	}
	if len(x.Tags) > maxTags {
		return wire.Errorf(badMember, "The secret can have %d tags at most.", maxTags)
	}
	return nil
}

type tagIn struct {
	SecretId string
	Tags     []tag
}

func (s *Service) tag(_ context.Context, in tagIn) (struct{}, error) {
	return struct{}{}, s.change(in.SecretId, func(x *secret) error { return addTags(x, in.Tags) })
}

type untagIn struct {
	SecretId string
	TagKeys  []string
}

func (s *Service) untag(_ context.Context, in untagIn) (struct{}, error) {
	return struct{}{}, s.change(in.SecretId, func(x *secret) error {
		for _, key := range in.TagKeys {
			delete(x.Tags, key)
		}
		return nil
	})
}
