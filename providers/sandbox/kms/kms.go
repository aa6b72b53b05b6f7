// Package kms is the part of the sandbox's Key Management Service that other services'
// settings refer to: keys, their aliases and policies. It encrypts nothing.
package kms

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/apron-deploy/apron/providers/sandbox/store"
	"github.com/apron-deploy/apron/providers/sandbox/wire"
	"github.com/apron-deploy/apron/reconcile/pattern"
)

// Options configure a [Service].
type Options struct {
	Store           *store.Store
	Account, Region string
	Now             func() time.Time // default time.Now
}

// Service is the KMS of one account and Region.
type Service struct {
	o   Options
	doc *store.Doc[keys]
}

// keys is what is kept.
type keys struct {
	ByID    map[string]*key
	Aliases map[string]alias // by name
}

type key struct {
	ID, Description, Policy, Manager string
	Created                          wire.Time
}

type alias struct {
	KeyID   string
	Created wire.Time
}

// managed are the keys that AWS makes for its services.
// https://docs.aws.amazon.com/kms/latest/developerguide/concepts.html
var managed = map[string]string{
	"alias/aws/ecr":            "Default key that protects my ECR data when no other key is defined",
	"alias/aws/secretsmanager": "Default key that protects my Secrets Manager data when no other key is defined",
	"alias/aws/ssm":            "Default key that protects my SSM parameters when no other key is defined",
}

// New opens the service's state, and makes AWS's own keys at first.
func New(o Options) (*Service, error) {
	doc, err := store.Load[keys](o.Store, "kms")
	if err != nil {
		return nil, err
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	s := &Service{o, doc}
	return s, doc.Update(func(all *keys) error {
		if all.ByID != nil {
			return nil
		}
		all.ByID, all.Aliases = map[string]*key{}, map[string]alias{}
		for _, name := range slices.Sorted(maps.Keys(managed)) {
			k := s.newKey("AWS", managed[name], "")
			all.ByID[k.ID], all.Aliases[name] = k, alias{k.ID, k.Created}
		}
		return nil
	})
}

// API is the service's wire side.
// https://docs.aws.amazon.com/kms/latest/APIReference/API_Operations.html
func (s *Service) API() wire.API {
	return wire.API{
		Target:      "TrentService",
		Version:     "1.1",
		SigningName: "kms",
		MessageKey:  "message",
		Operations: map[string]wire.Operation{
			"CreateKey":    wire.Handle(s.createKey),
			"CreateAlias":  wire.Handle(s.createAlias),
			"DescribeKey":  wire.Handle(s.describe),
			"ListKeys":     wire.Handle(s.listKeys),
			"ListAliases":  wire.Handle(s.listAliases),
			"GetKeyPolicy": wire.Handle(s.policy),
		},
	}
}

// newKey has the policy that lets the account's IAM decide, unless it is given another.
// https://docs.aws.amazon.com/kms/latest/developerguide/key-policy-default.html
func (s *Service) newKey(manager, description, policy string) *key {
	if policy == "" {
		policy = fmt.Sprintf(`{
  "Version" : "2012-10-17",
  "Id" : "key-default-1",
  "Statement" : [ {
    "Sid" : "Enable IAM User Permissions",
    "Effect" : "Allow",
    "Principal" : {
      "AWS" : "arn:aws:iam::%s:root"
    },
    "Action" : "kms:*",
    "Resource" : "*"
  } ]
}`, s.o.Account)
	}
	return &key{wire.NewID(), description, policy, manager, wire.At(s.o.Now())}
}

func (s *Service) arn(of string) string {
	return fmt.Sprintf("arn:aws:kms:%s:%s:%s", s.o.Region, s.o.Account, of)
}

// find is the key that a request names: its id, its ARN, an alias or an alias's ARN.
func (s *Service) find(all *keys, ref string) (*key, error) {
	var c wire.Checks
	c.Present("keyId", ref != "")
	c.Length("keyId", ref, 1, 2048)
	if err := c.Err("ValidationException"); err != nil {
		return nil, err
	}
	name := ref
	if strings.HasPrefix(ref, "arn:") {
		var ours bool
		if name, ours = strings.CutPrefix(ref, s.arn("")); !ours {
			return nil, wire.Errorf("InvalidArnException", "Invalid arn %s", ref)
		}
	}
	if strings.HasPrefix(name, "alias/") {
		a, found := all.Aliases[name]
		if !found {
			return nil, wire.Errorf("NotFoundException", "Alias %s is not found.", s.arn(name))
		}
		return all.ByID[a.KeyID], nil
	}
	if k := all.ByID[strings.TrimPrefix(name, "key/")]; k != nil {
		return k, nil
	}
	return nil, wire.Errorf("NotFoundException", "Key '%s' does not exist", s.arn("key/"+strings.TrimPrefix(name, "key/")))
}

type metadata struct {
	AWSAccountId, KeyId, Arn        string
	CreationDate                    wire.Time
	Enabled                         bool
	Description, KeyUsage, KeyState string
	Origin, KeyManager              string
	CustomerMasterKeySpec, KeySpec  string
	EncryptionAlgorithms            []string
	MultiRegion                     bool
}

type keyOut struct{ KeyMetadata metadata }

func (s *Service) show(k *key) keyOut {
	return keyOut{metadata{
		AWSAccountId: s.o.Account, KeyId: k.ID, Arn: s.arn("key/" + k.ID), CreationDate: k.Created, Enabled: true,
		Description: k.Description, KeyUsage: "ENCRYPT_DECRYPT", KeyState: "Enabled", Origin: "AWS_KMS", KeyManager: k.Manager,
		CustomerMasterKeySpec: "SYMMETRIC_DEFAULT", KeySpec: "SYMMETRIC_DEFAULT", EncryptionAlgorithms: []string{"SYMMETRIC_DEFAULT"},
	}}
}

type createKeyIn struct{ Description, KeyUsage, KeySpec, Policy string }

func (s *Service) createKey(_ context.Context, in createKeyIn) (out keyOut, err error) {
	var c wire.Checks
	c.Length("description", in.Description, 0, 8192)
	if err := c.Err("ValidationException"); err != nil {
		return out, err
	}
	switch {
	case cmp.Or(in.KeyUsage, "ENCRYPT_DECRYPT") != "ENCRYPT_DECRYPT", cmp.Or(in.KeySpec, "SYMMETRIC_DEFAULT") != "SYMMETRIC_DEFAULT":
		return out, wire.Errorf("UnsupportedOperationException", "The sandbox has symmetric encryption keys only.")
	case in.Policy != "" && !json.Valid([]byte(in.Policy)):
		return out, wire.Errorf("MalformedPolicyDocumentException", "The policy is not JSON.")
	}
	k := s.newKey("CUSTOMER", in.Description, in.Policy)
	return s.show(k), s.doc.Update(func(all *keys) error { all.ByID[k.ID] = k; return nil })
}

var aliasRE = pattern.Lazy(`^alias/[a-zA-Z0-9/_-]+$`)

type createAliasIn struct{ AliasName, TargetKeyId string }
type none struct{}

func (s *Service) createAlias(_ context.Context, in createAliasIn) (*none, error) {
	switch {
	case !aliasRE().MatchString(in.AliasName):
		return nil, wire.Errorf("InvalidAliasNameException", "Alias must start with the prefix \"alias/\". Please see https://docs.aws.amazon.com/kms/latest/developerguide/kms-alias.html")
	case strings.HasPrefix(in.AliasName, "alias/aws/"):
		return nil, wire.Errorf("NotAuthorizedException", "Aliases that begin with alias/aws/ are AWS's own.")
	}
	return nil, s.doc.Update(func(all *keys) error {
		k, err := s.find(all, in.TargetKeyId)
		if err != nil {
			return err
		}
		if _, exists := all.Aliases[in.AliasName]; exists {
			return wire.Errorf("AlreadyExistsException", "An alias with the name %s already exists", s.arn(in.AliasName))
		}
		all.Aliases[in.AliasName] = alias{k.ID, wire.At(s.o.Now())}
		return nil
	})
}

type keyIn struct{ KeyId string }

func (s *Service) describe(_ context.Context, in keyIn) (out keyOut, err error) {
	s.doc.View(func(all *keys) {
		var k *key
		if k, err = s.find(all, in.KeyId); err == nil {
			out = s.show(k)
		}
	})
	return out, err
}

type policyIn struct{ KeyId, PolicyName string }
type policyOut struct{ Policy, PolicyName string }

func (s *Service) policy(_ context.Context, in policyIn) (out policyOut, err error) {
	if cmp.Or(in.PolicyName, "default") != "default" {
		return out, wire.Errorf("NotFoundException", "No such policy exists")
	}
	s.doc.View(func(all *keys) {
		var k *key
		if k, err = s.find(all, in.KeyId); err == nil {
			out = policyOut{k.Policy, "default"}
		}
	})
	return out, err
}

// cut pages items, as many as a request without a limit gets.
func cut[T any](list string, items []T, key func(T) string, marker string, limit *int, usual int) ([]T, string, error) {
	var c wire.Checks
	c.Range("limit", limit, 1, 1000)
	if err := c.Err("ValidationException"); err != nil {
		return nil, "", err
	}
	if limit != nil {
		usual = *limit
	}
	out, next, err := wire.Page(list, items, key, marker, usual)
	if err != nil {
		return nil, "", wire.Errorf("InvalidMarkerException", "Could not deserialize marker")
	}
	return out, next, nil
}

type listIn struct {
	KeyId, Marker string
	Limit         *int
}

type keyEntry struct{ KeyId, KeyArn string }
type listKeysOut struct {
	Keys       []keyEntry
	NextMarker string `json:",omitempty"`
	Truncated  bool
}

func (s *Service) listKeys(_ context.Context, in listIn) (out listKeysOut, err error) {
	list := []keyEntry{}
	s.doc.View(func(all *keys) {
		for _, id := range slices.Sorted(maps.Keys(all.ByID)) {
			list = append(list, keyEntry{id, s.arn("key/" + id)})
		}
	})
	out.Keys, out.NextMarker, err = cut("ListKeys", list, func(k keyEntry) string { return k.KeyId }, in.Marker, in.Limit, 100)
	out.Truncated = out.NextMarker != ""
	return out, err
}

type aliasEntry struct {
	AliasName, AliasArn, TargetKeyId string
	CreationDate, LastUpdatedDate    wire.Time
}

type listAliasesOut struct {
	Aliases    []aliasEntry
	NextMarker string `json:",omitempty"`
	Truncated  bool
}

func (s *Service) listAliases(_ context.Context, in listIn) (out listAliasesOut, err error) {
	list := []aliasEntry{}
	s.doc.View(func(all *keys) {
		var of *key
		if in.KeyId != "" {
			if of, err = s.find(all, in.KeyId); err != nil {
				return
			}
		}
		for _, name := range slices.Sorted(maps.Keys(all.Aliases)) {
			if a := all.Aliases[name]; of == nil || a.KeyID == of.ID {
				list = append(list, aliasEntry{name, s.arn(name), a.KeyID, a.Created, a.Created})
			}
		}
	})
	if err != nil {
		return out, err
	}
	out.Aliases, out.NextMarker, err = cut("ListAliases "+in.KeyId, list, func(a aliasEntry) string { return a.AliasName }, in.Marker, in.Limit, 50)
	out.Truncated = out.NextMarker != ""
	return out, err
}
