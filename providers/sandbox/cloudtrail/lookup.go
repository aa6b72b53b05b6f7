package cloudtrail

import (
	"context"
	"fmt"
	"slices"
	"strconv"

	"github.com/apron-deploy/apron/providers/sandbox/wire"
)

// APIs is the service's wire side, by both names that clients have for it: AWS's CLI sends
// the long one, its SDK for Go the short.
// https://docs.aws.amazon.com/awscloudtrail/latest/APIReference/API_LookupEvents.html
func (s *Service) APIs() (list []wire.API) {
	for _, target := range []string{"CloudTrail_20131101", "com.amazonaws.cloudtrail.v20131101.CloudTrail_20131101"} {
		list = append(list, wire.API{
			Target:      target,
			Version:     "1.1",
			SigningName: "cloudtrail",
			MessageKey:  "Message",
			Operations:  map[string]wire.Operation{"LookupEvents": wire.Handle(s.lookup)},
		})
	}
	return list
}

type attribute struct{ AttributeKey, AttributeValue string }

type lookupIn struct {
	LookupAttributes   []attribute
	StartTime, EndTime wire.Time
	EventCategory      string
	MaxResults         *int
	NextToken          string
}

type eventView struct {
	EventId, EventName, ReadOnly, AccessKeyId string
	EventTime                                 wire.Time
	EventSource, Username                     string
	Resources                                 []resource
	CloudTrailEvent                           string
}

type lookupOut struct {
	Events    []eventView
	NextToken string `json:",omitempty"`
}

var attributes = []string{"EventId", "EventName", "ReadOnly", "Username", "ResourceType", "ResourceName", "EventSource", "AccessKeyId"}

func (s *Service) lookup(_ context.Context, in lookupIn) (out lookupOut, err error) {
	now := s.o.Now()
	if !s.limit.AllowN(now, 1) {
		return out, wire.Errorf("ThrottlingException", "Rate exceeded")
	}
	var c wire.Checks
	for i, a := range in.LookupAttributes {
		at := "lookupAttributes." + strconv.Itoa(i+1) + ".member."
		c.Present(at+"attributeKey", a.AttributeKey != "")
		c.Enum(at+"attributeKey", a.AttributeKey, attributes...)
		c.Present(at+"attributeValue", a.AttributeValue != "")
	}
	if err := c.Err("ValidationException"); err != nil {
		return out, err
	}
	limit := 50
	if in.MaxResults != nil {
		limit = *in.MaxResults
	}
	switch {
	case len(in.LookupAttributes) > 1:
		return out, wire.Errorf("InvalidLookupAttributesException", "You can specify only one lookup attribute.")
	case limit < 1 || limit > 50:
		return out, wire.Errorf("InvalidMaxResultsException", "MaxResults must be between 1 and 50.")
	case !in.StartTime.IsZero() && !in.EndTime.IsZero() && in.StartTime.After(in.EndTime.Time):
		return out, wire.Errorf("InvalidTimeRangeException", "The start time occurs after the end time.")
	}
	list := []eventView{}
	s.mu.RLock()
	for _, e := range slices.Backward(s.events) { // the newest first
		switch age := now.Sub(e.Time); {
		case age < s.o.Delay, age > kept,
			!in.StartTime.IsZero() && e.Time.Before(in.StartTime.Time), !in.EndTime.IsZero() && e.Time.After(in.EndTime.Time):
			continue
		}
		v := eventView{e.ID, e.Name, "false", e.AccessKeyID, wire.At(e.Time), e.Source, s.userName(), e.Resources, e.Record}
		if len(in.LookupAttributes) == 0 || v.has(in.LookupAttributes[0]) {
			list = append(list, v)
		}
	}
	s.mu.RUnlock()
	out.Events, out.NextToken, err = wire.Page(fmt.Sprint("LookupEvents ", in.LookupAttributes), list, func(v eventView) string { return v.EventId }, in.NextToken, limit)
	if err != nil {
		return out, wire.Errorf("InvalidNextTokenException", "The token is not valid.")
	}
	return out, nil
}

// has tells whether an event has the attribute.
func (v eventView) has(a attribute) bool {
	switch a.AttributeKey {
	case "ResourceType":
		return slices.ContainsFunc(v.Resources, func(r resource) bool { return r.ResourceType == a.AttributeValue })
	case "ResourceName":
		return slices.ContainsFunc(v.Resources, func(r resource) bool { return r.ResourceName == a.AttributeValue })
	default:
		own := map[string]string{"EventId": v.EventId, "EventName": v.EventName, "ReadOnly": v.ReadOnly, "Username": v.Username,
			"EventSource": v.EventSource, "AccessKeyId": v.AccessKeyId}
		return own[a.AttributeKey] == a.AttributeValue
	}
}
