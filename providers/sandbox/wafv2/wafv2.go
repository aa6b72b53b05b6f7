// Package wafv2 is the sandbox's WAF: web ACLs, and which App Runner service has which. It
// inspects no traffic; a web ACL's rules are kept and shown as they were given.
package wafv2

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/apron-deploy/apron/providers/sandbox/store"
	"github.com/apron-deploy/apron/providers/sandbox/wire"
)

// DefaultPropagation is how long a new web ACL cannot be associated. AWS says from seconds
// to minutes.
// https://docs.aws.amazon.com/apprunner/latest/dg/waf.html
const DefaultPropagation = 30 * time.Second

// Options configure a [Service].
type Options struct {
	Store           *store.Store
	Account, Region string
	Now             func() time.Time // default time.Now
	// Propagation is how long new web ACLs are unavailable, on the clock of Now: 0 is
	// [DefaultPropagation], negative none.
	Propagation time.Duration
	// Status is the status of an App Runner service, and whether there is such a one.
	Status func(serviceARN string) (status string, known bool)
}

// Service is the WAF of one account and Region.
type Service struct {
	o   Options
	doc *store.Doc[acls]
}

// acls is what is kept.
type acls struct {
	ByARN map[string]*acl
	// Resources has the web ACL's ARN of each resource that has one.
	Resources map[string]string
}

type acl struct {
	Name, ID, ARN, Description, LockToken string
	Created                               time.Time
	DefaultAction, VisibilityConfig       json.RawMessage
	Rules                                 []json.RawMessage
	Tags                                  []tag
}

type tag struct{ Key, Value string }

// New opens the service's state.
func New(o Options) (*Service, error) {
	doc, err := store.Load[acls](o.Store, "wafv2")
	if err != nil {
		return nil, err
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Propagation == 0 {
		o.Propagation = DefaultPropagation
	}
	return &Service{o, doc}, nil
}

// API is the service's wire side.
// https://docs.aws.amazon.com/waf/latest/APIReference/API_Operations_AWS_WAFV2.html
func (s *Service) API() wire.API {
	return wire.API{
		Target:      "AWSWAF_20190729",
		Version:     "1.1",
		SigningName: "wafv2",
		MessageKey:  "Message",
		Operations: map[string]wire.Operation{
			"CreateWebACL":           wire.Handle(s.create),
			"GetWebACL":              wire.Handle(s.get),
			"ListWebACLs":            wire.Handle(s.list),
			"DeleteWebACL":           wire.Handle(s.remove),
			"AssociateWebACL":        wire.Handle(s.associate),
			"DisassociateWebACL":     wire.Handle(s.disassociate),
			"GetWebACLForResource":   wire.Handle(s.ofResource),
			"ListResourcesForWebACL": wire.Handle(s.resourcesOf),
			"ListTagsForResource":    wire.Handle(s.listTags),
		},
	}
}

type none struct{}

func invalid(reason, field, parameter string) *wire.Error {
	return wire.Errorf("WAFInvalidParameterException", "Error reason: %s, field: %s, parameter: %s", reason, field, parameter)
}

func missing() *wire.Error {
	return wire.Errorf("WAFNonexistentItemException", "AWS WAF couldn’t perform the operation because your resource doesn’t exist.")
}

// resource refuses an ARN that is no App Runner service which could have a web ACL.
// https://docs.aws.amazon.com/apprunner/latest/dg/waf.html
func (s *Service) resource(arn string) error {
	if !strings.HasPrefix(arn, fmt.Sprintf("arn:aws:apprunner:%s:%s:service/", s.o.Region, s.o.Account)) {
		return invalid("The ARN isn't valid. A valid ARN begins with arn: and includes other information separated by colons or slashes.", "RESOURCE_ARN", arn)
	}
	switch status, known := s.o.Status(arn); {
	case !known, status == "CREATE_FAILED", status == "DELETE_FAILED", status == "DELETED":
		return missing()
	}
	return nil
}

type associateIn struct{ WebACLArn, ResourceArn string }

func (s *Service) associate(_ context.Context, in associateIn) (out none, err error) {
	var c wire.Checks
	checkARN(&c, "webACLArn", in.WebACLArn)
	checkARN(&c, "resourceArn", in.ResourceArn)
	if err := c.Err("ValidationException"); err != nil {
		return out, err
	}
	if err := s.resource(in.ResourceArn); err != nil {
		return out, err
	}
	return out, s.doc.Update(func(all *acls) error {
		a := all.ByARN[in.WebACLArn]
		switch {
		case a == nil:
			return missing()
		case s.o.Now().Sub(a.Created) < s.o.Propagation:
			return wire.Errorf("WAFUnavailableEntityException", "AWS WAF couldn’t retrieve the resource that you requested. Retry your request.")
		}
		if all.Resources == nil {
			all.Resources = map[string]string{}
		}
		all.Resources[in.ResourceArn] = a.ARN
		return nil
	})
}

type resourceIn struct{ ResourceArn string }

func (s *Service) disassociate(_ context.Context, in resourceIn) (out none, err error) {
	var c wire.Checks
	checkARN(&c, "resourceArn", in.ResourceArn)
	if err := c.Err("ValidationException"); err != nil {
		return out, err
	}
	if err := s.resource(in.ResourceArn); err != nil {
		return out, err
	}
	return out, s.doc.Update(func(all *acls) error {
		delete(all.Resources, in.ResourceArn)
		return nil
	})
}

type ofResourceOut struct {
	WebACL *aclView `json:",omitempty"`
}

// ofResource answers without a web ACL where there is none.
func (s *Service) ofResource(_ context.Context, in resourceIn) (out ofResourceOut, err error) {
	var c wire.Checks
	checkARN(&c, "resourceArn", in.ResourceArn)
	if err := c.Err("ValidationException"); err != nil {
		return out, err
	}
	if err := s.resource(in.ResourceArn); err != nil {
		return out, err
	}
	s.doc.View(func(all *acls) {
		if a := all.ByARN[all.Resources[in.ResourceArn]]; a != nil {
			out.WebACL = s.show(a)
		}
	})
	return out, nil
}

type resourcesIn struct{ WebACLArn, ResourceType string }
type resourcesOut struct{ ResourceArns []string }

// resourcesOf lists load balancers unless the request says which type it wants, as WAF
// does; the sandbox has none.
func (s *Service) resourcesOf(_ context.Context, in resourcesIn) (resourcesOut, error) {
	out := resourcesOut{[]string{}}
	var c wire.Checks
	checkARN(&c, "webACLArn", in.WebACLArn)
	c.Enum("resourceType", in.ResourceType, "APPLICATION_LOAD_BALANCER", "API_GATEWAY", "APPSYNC", "COGNITO_USER_POOL", "APP_RUNNER_SERVICE", "VERIFIED_ACCESS_INSTANCE", "AMPLIFY")
	if err := c.Err("ValidationException"); err != nil {
		return out, err
	}
	known := false
	s.doc.View(func(all *acls) {
		known = all.ByARN[in.WebACLArn] != nil
		if in.ResourceType == "APP_RUNNER_SERVICE" {
			out.ResourceArns = append(out.ResourceArns, s.live(all, in.WebACLArn)...)
		}
	})
	if !known {
		return out, missing()
	}
	return out, nil
}
