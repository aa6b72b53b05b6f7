package wafv2

import (
	"bytes"
	"context"
	"encoding/json"
	"maps"
	"slices"
	"strconv"

	"github.com/apron-deploy/apron/providers/sandbox/wire"
	"github.com/apron-deploy/apron/reconcile/pattern"
)

// https://docs.aws.amazon.com/waf/latest/developerguide/limits.html
const maxACLs = 100

var (
	nameRE        = pattern.Lazy(`^[\w\-]+$`)
	descriptionRE = pattern.Lazy(`^[\w+=:#@/\-,\.][\w+=:#@/\-,\.\s]+[\w+=:#@/\-,\.]$`)
	metricRE      = pattern.Lazy(`^[\w#:\.\-/]+$`)
	idRE          = pattern.Lazy(`^[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}$`)
)

func checkARN(c *wire.Checks, path, arn string) {
	c.Present(path, arn != "")
	c.Length(path, arn, 20, 2048)
}

func checkName(c *wire.Checks, name, scope string) {
	c.Present("name", name != "")
	c.Length("name", name, 1, 128)
	c.Pattern("name", name, nameRE)
	checkScope(c, scope)
}

func checkScope(c *wire.Checks, scope string) {
	c.Present("scope", scope != "")
	c.Enum("scope", scope, "CLOUDFRONT", "REGIONAL")
}

// regional refuses the scope that the sandbox has nothing for.
func regional(scope string) error {
	if scope == "CLOUDFRONT" {
		return invalid("The scope is not valid. The sandbox has no CloudFront.", "SCOPE_VALUE", scope)
	}
	return nil
}

type createIn struct {
	Name, Scope, Description        string
	DefaultAction, VisibilityConfig json.RawMessage
	Rules                           []json.RawMessage
	Tags                            []tag
}

type summary struct {
	Name, Id    string
	Description string
	LockToken   string
	ARN         string
}

type createOut struct{ Summary summary }

func (a *acl) summary() summary { return summary{a.Name, a.ID, a.Description, a.LockToken, a.ARN} }

func (s *Service) create(_ context.Context, in createIn) (out createOut, err error) {
	var c wire.Checks
	checkName(&c, in.Name, in.Scope)
	c.Length("description", in.Description, 1, 256)
	c.Pattern("description", in.Description, descriptionRE)
	c.Present("defaultAction", given(in.DefaultAction))
	checkVisibility(&c, "visibilityConfig", in.VisibilityConfig)
	for i, rule := range in.Rules {
		checkRule(&c, "rules."+strconv.Itoa(i+1)+".member", rule)
	}
	for i, t := range in.Tags {
		at := "tags." + strconv.Itoa(i+1) + ".member.key"
		c.Present(at, t.Key != "")
		c.Length(at, t.Key, 1, 128)
	}
	if err := c.Err("ValidationException"); err != nil {
		return out, err
	}
	if err := regional(in.Scope); err != nil {
		return out, err
	}
	var action struct{ Block, Allow *struct{} }
	if json.Unmarshal(in.DefaultAction, &action) != nil || (action.Block == nil) == (action.Allow == nil) {
		return out, invalid("You have used none or multiple values for a field that requires exactly one value.", "DEFAULT_ACTION", "DefaultAction")
	}
	id := wire.NewID()
	a := &acl{
		Name: in.Name, ID: id, ARN: s.arn(in.Name, id), Description: in.Description, LockToken: wire.NewID(),
		Created: s.o.Now(), DefaultAction: in.DefaultAction, VisibilityConfig: in.VisibilityConfig, Rules: in.Rules, Tags: in.Tags,
	}
	err = s.doc.Update(func(all *acls) error {
		for _, other := range all.ByARN {
			if other.Name == in.Name {
				return wire.Errorf("WAFDuplicateItemException", "AWS WAF couldn’t perform the operation because some resource in your request is a duplicate of an existing one.")
			}
		}
		if len(all.ByARN) >= maxACLs {
			return wire.Errorf("WAFLimitsExceededException", "AWS WAF couldn’t perform the operation because you exceeded your resource limit.")
		}
		if all.ByARN == nil {
			all.ByARN = map[string]*acl{}
		}
		all.ByARN[a.ARN] = a
		return nil
	})
	return createOut{a.summary()}, err
}

func (s *Service) arn(name, id string) string {
	return "arn:aws:wafv2:" + s.o.Region + ":" + s.o.Account + ":regional/webacl/" + name + "/" + id
}

func given(raw json.RawMessage) bool { return len(raw) > 0 && !bytes.Equal(raw, []byte("null")) }

func checkVisibility(c *wire.Checks, path string, raw json.RawMessage) {
	c.Present(path, given(raw))
	if !given(raw) {
		return
	}
	var v struct {
		SampledRequestsEnabled, CloudWatchMetricsEnabled *bool
		MetricName                                       string
	}
	if err := json.Unmarshal(raw, &v); err != nil {
		c.FailSecret(path, "Member must be a VisibilityConfig")
		return
	}
	c.Present(path+".sampledRequestsEnabled", v.SampledRequestsEnabled != nil)
	c.Present(path+".cloudWatchMetricsEnabled", v.CloudWatchMetricsEnabled != nil)
	c.Present(path+".metricName", v.MetricName != "")
	c.Length(path+".metricName", v.MetricName, 1, 255)
	c.Pattern(path+".metricName", v.MetricName, metricRE)
}

func checkRule(c *wire.Checks, path string, raw json.RawMessage) {
	var v struct {
		Name                        string
		Priority                    *int
		Statement, VisibilityConfig json.RawMessage
	}
	if err := json.Unmarshal(raw, &v); err != nil {
		c.FailSecret(path, "Member must be a Rule")
		return
	}
	c.Present(path+".name", v.Name != "")
	c.Pattern(path+".name", v.Name, nameRE)
	c.Present(path+".priority", v.Priority != nil)
	c.Present(path+".statement", given(v.Statement))
	checkVisibility(c, path+".visibilityConfig", v.VisibilityConfig)
}

// aclView is a web ACL as responses show it. A capacity is only told where there is no
// rule to count.
type aclView struct {
	Name, Id, ARN            string
	DefaultAction            json.RawMessage
	Description              string            `json:",omitempty"`
	Rules                    []json.RawMessage `json:",omitempty"`
	VisibilityConfig         json.RawMessage
	Capacity                 *int `json:",omitempty"`
	ManagedByFirewallManager bool
	LabelNamespace           string
}

func (s *Service) show(a *acl) *aclView {
	v := &aclView{
		Name: a.Name, Id: a.ID, ARN: a.ARN, DefaultAction: a.DefaultAction, Description: a.Description,
		Rules: slices.Clone(a.Rules), VisibilityConfig: a.VisibilityConfig,
		LabelNamespace: "awswaf:" + s.o.Account + ":webacl:" + a.Name + ":",
	}
	if len(a.Rules) == 0 {
		v.Capacity = new(int)
	}
	return v
}

type getIn struct{ Name, Scope, Id, ARN string }
type getOut struct {
	WebACL    *aclView
	LockToken string
}

func (s *Service) get(_ context.Context, in getIn) (out getOut, err error) {
	var c wire.Checks
	if in.ARN == "" {
		checkName(&c, in.Name, in.Scope)
		c.Present("id", in.Id != "")
		c.Pattern("id", in.Id, idRE)
		if err := c.Err("ValidationException"); err != nil {
			return out, err
		}
		if err := regional(in.Scope); err != nil {
			return out, err
		}
		in.ARN = s.arn(in.Name, in.Id)
	}
	s.doc.View(func(all *acls) {
		if a := all.ByARN[in.ARN]; a != nil {
			out = getOut{s.show(a), a.LockToken}
		}
	})
	if out.WebACL == nil {
		return out, missing()
	}
	return out, nil
}

type listIn struct {
	Scope, NextMarker string
	Limit             *int
}

type listOut struct {
	NextMarker string `json:",omitempty"`
	WebACLs    []summary
}

func (s *Service) list(_ context.Context, in listIn) (out listOut, err error) {
	var c wire.Checks
	checkScope(&c, in.Scope)
	c.Range("limit", in.Limit, 1, 100)
	if err := c.Err("ValidationException"); err != nil {
		return out, err
	}
	if err := regional(in.Scope); err != nil {
		return out, err
	}
	all := []summary{}
	s.doc.View(func(st *acls) {
		for _, a := range slices.SortedFunc(maps.Values(st.ByARN), func(a, b *acl) int { return bytes.Compare([]byte(a.Name), []byte(b.Name)) }) {
			all = append(all, a.summary())
		}
	})
	limit := 100
	if in.Limit != nil {
		limit = *in.Limit
	}
	out.WebACLs, out.NextMarker, err = wire.Page("ListWebACLs", all, func(v summary) string { return v.Id }, in.NextMarker, limit)
	if err != nil {
		return out, invalid("The next marker is not valid.", "NEXT_MARKER", in.NextMarker)
	}
	return out, nil
}

type removeIn struct{ Name, Scope, Id, LockToken string }

func (s *Service) remove(_ context.Context, in removeIn) (out none, err error) {
	var c wire.Checks
	checkName(&c, in.Name, in.Scope)
	c.Present("id", in.Id != "")
	c.Present("lockToken", in.LockToken != "")
	if err := c.Err("ValidationException"); err != nil {
		return out, err
	}
	arn := s.arn(in.Name, in.Id)
	return out, s.doc.Update(func(all *acls) error {
		a := all.ByARN[arn]
		switch {
		case a == nil:
			return missing()
		case a.LockToken != in.LockToken:
			return wire.Errorf("WAFOptimisticLockException", "AWS WAF couldn’t save your changes because someone changed the resource after you started to edit it. Reapply your changes.")
		case len(s.live(all, arn)) > 0:
			return wire.Errorf("WAFAssociatedItemException", "AWS WAF couldn’t perform the operation because your resource is being used by another resource or it’s associated with another resource.")
		}
		delete(all.ByARN, arn)
		maps.DeleteFunc(all.Resources, func(_, of string) bool { return of == arn })
		return nil
	})
}

// live are the resources of a web ACL that have not gone.
func (s *Service) live(all *acls, arn string) (list []string) {
	for resource, of := range all.Resources {
		if of == arn && s.resource(resource) == nil {
			list = append(list, resource)
		}
	}
	slices.Sort(list)
	return list
}

type tagsIn struct{ ResourceARN string }
type tagsOut struct {
	TagInfoForResource struct {
		ResourceARN string
		TagList     []tag
	}
}

func (s *Service) listTags(_ context.Context, in tagsIn) (out tagsOut, err error) {
	out.TagInfoForResource.ResourceARN = in.ResourceARN
	out.TagInfoForResource.TagList = []tag{}
	known := false
	s.doc.View(func(all *acls) {
		a := all.ByARN[in.ResourceARN]
		if known = a != nil; known {
			out.TagInfoForResource.TagList = append(out.TagInfoForResource.TagList, a.Tags...)
		}
	})
	if !known {
		return out, missing()
	}
	return out, nil
}
