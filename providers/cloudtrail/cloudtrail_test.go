package cloudtrail

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	sdk "github.com/aws/aws-sdk-go-v2/service/cloudtrail"
	"github.com/aws/aws-sdk-go-v2/service/cloudtrail/types"
	"github.com/stretchr/testify/require"

	"github.com/apron-deploy/apron/reconcile/state"
)

// history answers as CloudTrail does: by the name of the event, two to a page.
type history struct {
	events []types.Event
	asked  []string
	since  *time.Time
	err    error
}

func (h *history) LookupEvents(_ context.Context, in *sdk.LookupEventsInput, _ ...func(*sdk.Options)) (*sdk.LookupEventsOutput, error) {
	name := aws.ToString(in.LookupAttributes[0].AttributeValue)
	h.asked, h.since = append(h.asked, name), in.StartTime
	if h.err != nil {
		return nil, h.err
	}
	var match []types.Event
	for _, e := range h.events {
		if aws.ToString(e.EventName) == name {
			match = append(match, e)
		}
	}
	from := 0
	if in.NextToken != nil {
		_, _ = fmt.Sscan(*in.NextToken, &from)
	}
	out := &sdk.LookupEventsOutput{Events: match[from:min(from+2, len(match))]}
	if from+2 < len(match) {
		out.NextToken = aws.String(fmt.Sprint(from + 2))
	}
	return out, nil
}

func event(name string, minute int, body string) types.Event {
	at := time.Date(2026, 11, 27, 8, minute, 0, 0, time.UTC)
	return types.Event{EventName: &name, EventTime: &at, Username: aws.String("ana"), CloudTrailEvent: &body}
}

const webARN = "arn:aws:apprunner:us-east-1:123456789012:service/web/0123"

func TestTrail_Who(t *testing.T) {
	body := func(source, parameters, more string) string {
		return fmt.Sprintf(`{"eventSource": %q, "userIdentity": {"arn": "arn:aws:iam::123456789012:user/ana"}, "sourceIPAddress": "192.0.2.7", "userAgent": "aws-cli/2", "requestParameters": %s%s}`, source, parameters, more)
	}
	h := &history{events: []types.Event{
		event("UpdateService", 1, body("apprunner.amazonaws.com", `{"serviceArn": "`+webARN+`"}`, "")),
		event("UpdateService", 2, body("apprunner.amazonaws.com", `{"serviceArn": "`+webARN+`4"}`, "")),
		event("UpdateService", 3, body("ecs.amazonaws.com", `{"service": "web"}`, "")),
		event("UpdateService", 4, body("apprunner.amazonaws.com", `{"serviceArn": "`+webARN+`"}`, `, "errorCode": "AccessDenied"`)),
		event("UpdateService", 5, `not JSON`),
		event("UpdateService", 6, `{"eventSource": "apprunner.amazonaws.com", "requestParameters": {"serviceArn": "`+webARN+`"}, "userIdentity": {}}`),
		event("PutImage", 7, body("ecr.amazonaws.com", `{"repositoryName": "shop", "imageTag": "v1"}`, "")),
		event("PutImage", 8, body("ecr.amazonaws.com", `{"repositoryName": "shop", "imageTag": "v2"}`, "")),
	}}
	far := &history{events: []types.Event{event("PutRolePolicy", 9, body("iam.amazonaws.com", `{"roleName": "web", "policyName": "x"}`, ""))}}
	trail := &Trail{h, far}
	since := time.Date(2026, 11, 27, 8, 0, 0, 0, time.UTC)
	got, err := trail.Who(t.Context(), Question{Address: state.Address{Target: "apprunner", Kind: "service", Name: "web"}, ID: webARN, Since: since})
	require.NoError(t, err)
	require.Equal(t, []Event{
		{"UpdateService", "ana", time.Date(2026, 11, 27, 8, 6, 0, 0, time.UTC), "", ""},
		{"UpdateService", "arn:aws:iam::123456789012:user/ana", time.Date(2026, 11, 27, 8, 1, 0, 0, time.UTC), "192.0.2.7", "aws-cli/2"},
	}, got)
	require.Equal(t, since, *h.since)

	got, err = trail.Who(t.Context(), Question{Address: state.Address{Target: "ecr", Kind: "tag", Name: "shop:v1"}, ID: "sha256:1"})
	require.NoError(t, err)
	require.Len(t, got, 1)
	require.Equal(t, 7, got[0].At.Minute())

	got, err = trail.Who(t.Context(), Question{Address: state.Address{Target: "iam", Kind: "role", Name: "web"}})
	require.NoError(t, err)
	require.Len(t, got, 1, "IAM's calls are logged in one Region")
}

func TestTrail_asksNothingAboutWhatItDoesNotKnow(t *testing.T) {
	h := &history{err: errors.New("must not be asked")}
	unknown := state.Address{Target: "logs", Kind: "group", Name: "x"}
	require.False(t, Knows(unknown))
	got, err := (&Trail{h, h}).Who(t.Context(), Question{Address: unknown})
	require.NoError(t, err)
	require.Empty(t, got)
	require.Empty(t, h.asked)
}

func TestTrail_saysWhatItCouldNotAsk(t *testing.T) {
	h := &history{err: errors.New("denied")}
	_, err := (&Trail{h, h}).Who(t.Context(), Question{Address: state.Address{Target: "apprunner", Kind: "service", Name: "web"}})
	require.ErrorContains(t, err, "look up UpdateService in CloudTrail: denied")
	require.Len(t, h.asked, 1)
}
