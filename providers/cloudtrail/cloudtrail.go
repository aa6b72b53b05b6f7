// Package cloudtrail says who changed what is live, as far as CloudTrail's event history
// tells: by management events of the last 90 days, which appear some minutes after the
// call. It changes nothing, and only asks about what somebody has changed.
// https://docs.aws.amazon.com/awscloudtrail/latest/userguide/view-cloudtrail-events.html
package cloudtrail

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	sdk "github.com/aws/aws-sdk-go-v2/service/cloudtrail"
	"github.com/aws/aws-sdk-go-v2/service/cloudtrail/types"

	"github.com/apron-deploy/apron/providers/awsapi"
	"github.com/apron-deploy/apron/reconcile/state"
)

// api is the part of the SDK's client that this package calls.
type api interface {
	LookupEvents(context.Context, *sdk.LookupEventsInput, ...func(*sdk.Options)) (*sdk.LookupEventsOutput, error)
}

var _ api = (*sdk.Client)(nil)

// global is the Region that logs the calls of IAM.
// https://docs.aws.amazon.com/awscloudtrail/latest/userguide/cloudtrail-concepts.html#cloudtrail-concepts-global-service-events
const global = "us-east-1"

// Late is how long after a call its event may appear, as a rule: typically within 15
// minutes, about 5 on average, and nobody guarantees either.
// https://docs.aws.amazon.com/awscloudtrail/latest/userguide/how-cloudtrail-works.html
const Late = 15 * time.Minute

// Trail looks events up. A Trail asks one question after the other: LookupEvents takes two
// a second.
// https://docs.aws.amazon.com/awscloudtrail/latest/APIReference/API_LookupEvents.html
type Trail struct {
	here, global api
}

// New returns the event history of one account and Region.
func New(cfg aws.Config) *Trail {
	far := cfg.Copy()
	far.Region = global
	return &Trail{sdk.NewFromConfig(cfg), sdk.NewFromConfig(far)}
}

// Question is a resource that somebody has changed.
type Question struct {
	Address state.Address
	ID      string // what the API calls it: an ARN or a name
	// Since is when it was last known to be unchanged; zero is as long as there are events.
	Since time.Time
}

// Event is a call that has changed a resource.
type Event struct {
	Name string // UpdateService
	Who  string // ARN of the caller, or what CloudTrail knows instead
	At   time.Time
	From string // address, or the AWS service that called
	// Agent is the program that called, in its own words.
	Agent string
}

// writes are the calls that change resources of a type, as far as apron compares them.
var writes = map[string][]string{
	"apprunner/service": {"UpdateService", "DeleteService", "TagResource", "UntagResource"},
	"apprunner/scaling": {"DeleteAutoScalingConfiguration"},
	"ecr/repository":    {"PutImageTagMutability", "PutImageScanningConfiguration", "PutLifecyclePolicy", "DeleteLifecyclePolicy", "DeleteRepository"},
	"ecr/tag":           {"PutImage", "BatchDeleteImage"},
	"iam/role":          {"PutRolePolicy", "DeleteRolePolicy", "AttachRolePolicy", "DetachRolePolicy", "UpdateAssumeRolePolicy", "DeleteRole"},
	"ssm/parameter":     {"PutParameter", "DeleteParameter", "DeleteParameters"},
}

// pages is how many answers of fifty events are read of one call.
const pages = 4

// Knows reports whether it is known which calls change a resource.
func Knows(a state.Address) bool { return len(writes[a.Type()]) > 0 }

// Who finds the events of a resource, the newest first. None may mean that CloudTrail does
// not have them yet.
func (t *Trail) Who(ctx context.Context, q Question) ([]Event, error) {
	from := t.here
	if q.Address.Target == "iam" {
		from = t.global
	}
	var found []Event
	for _, name := range writes[q.Address.Type()] {
		in := &sdk.LookupEventsInput{MaxResults: aws.Int32(50), LookupAttributes: []types.LookupAttribute{
			{AttributeKey: types.LookupAttributeKeyEventName, AttributeValue: aws.String(name)}}}
		if !q.Since.IsZero() {
			in.StartTime = aws.Time(q.Since)
		}
		for range pages {
			out, err := from.LookupEvents(ctx, in)
			if err != nil {
				return nil, fmt.Errorf("look up %s in CloudTrail: %w", name, awsapi.Explain(err))
			}
			for _, e := range out.Events {
				if event, ok := read(e, q); ok {
					found = append(found, event)
				}
			}
			if in.NextToken = out.NextToken; aws.ToString(out.NextToken) == "" {
				break
			}
		}
	}
	slices.SortFunc(found, func(a, b Event) int { return cmp.Or(b.At.Compare(a.At), cmp.Compare(a.Name, b.Name)) })
	return found, nil
}

// record is the part of an event that counts.
// https://docs.aws.amazon.com/awscloudtrail/latest/userguide/cloudtrail-event-reference-record-contents.html
type record struct {
	EventSource  string `json:"eventSource"`
	ErrorCode    string `json:"errorCode"`
	UserIdentity struct {
		ARN       string `json:"arn"`
		InvokedBy string `json:"invokedBy"`
	} `json:"userIdentity"`
	SourceIPAddress   string `json:"sourceIPAddress"`
	UserAgent         string `json:"userAgent"`
	RequestParameters any    `json:"requestParameters"`
}

// read takes an event that has changed the resource. Other services have calls of the same
// name, and calls that were refused changed nothing.
func read(e types.Event, q Question) (Event, bool) {
	var r record
	if err := json.Unmarshal([]byte(aws.ToString(e.CloudTrailEvent)), &r); err != nil || r.ErrorCode != "" {
		return Event{}, false
	}
	if r.EventSource != q.Address.Target+".amazonaws.com" || !names(r.RequestParameters, q) {
		return Event{}, false
	}
	return Event{Name: aws.ToString(e.EventName), Who: cmp.Or(r.UserIdentity.ARN, r.UserIdentity.InvokedBy, aws.ToString(e.Username), "unknown"),
		At: aws.ToTime(e.EventTime), From: r.SourceIPAddress, Agent: r.UserAgent}, true
}

// names reports whether the parameters of a call name the resource.
func names(parameters any, q Question) bool {
	if q.Address.Type() == "ecr/tag" {
		repository, tag, _ := strings.Cut(q.Address.Name, ":")
		return holds(parameters, repository) && holds(parameters, tag)
	}
	return holds(parameters, q.Address.Name) || q.ID != "" && holds(parameters, q.ID)
}

// holds reports whether one of the values of a JSON text is s.
func holds(v any, s string) bool {
	switch v := v.(type) {
	case string:
		return v == s
	case []any:
		return slices.ContainsFunc(v, func(item any) bool { return holds(item, s) })
	case map[string]any:
		for _, item := range v {
			if holds(item, s) {
				return true
			}
		}
	}
	return false
}
