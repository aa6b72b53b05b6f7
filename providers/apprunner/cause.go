package apprunner

import (
	"context"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/apprunner/types"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs"
	logtypes "github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs/types"

	"github.com/apron-deploy/apron/providers/awsapi"
)

// How much of the logs an error shows.
const (
	evidenceLines = 8
	outputLines   = 15
)

// explain gathers what the logs say about an operation that failed. The operation itself
// carries no text. What cannot be read is left out: the failure is reported all the
// same.
// https://docs.aws.amazon.com/apprunner/latest/dg/monitor-cwl.html
func (p *Provider) explain(ctx context.Context, arn string, op types.OperationSummary) error {
	e := &OperationError{Service: serviceName(arn), ID: aws.ToString(op.Id), Type: op.Type, Status: op.Status, StartedAt: aws.ToTime(op.StartedAt)}
	group := "/aws/apprunner/" + e.Service + "/" + arn[strings.LastIndexByte(arn, '/')+1:]
	stream := "deployment/" + strings.ReplaceAll(e.ID, "-", "")
	service, _ := p.tail(ctx, group+"/service", stream, e.StartedAt, 200)
	output, started := p.tail(ctx, group+"/application", "", e.StartedAt, outputLines)
	e.Output = output
	e.Cause, e.Fix = cause(service, output, started)
	e.Evidence = failures(service)
	return e
}

// tail returns the last lines of a log group since some time, and whether it exists.
func (p *Provider) tail(ctx context.Context, group, streamPrefix string, since time.Time, n int) (lines []string, exists bool) {
	in := &cloudwatchlogs.FilterLogEventsInput{LogGroupName: &group, StartTime: aws.Int64(since.UnixMilli())}
	if streamPrefix != "" {
		in.LogStreamNamePrefix = &streamPrefix
	}
	var events []logtypes.FilteredLogEvent
	pages := cloudwatchlogs.NewFilterLogEventsPaginator(p.logs, in)
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return nil, !awsapi.Is(err, "ResourceNotFoundException")
		}
		events = append(events, page.Events...)
		if len(events) > 10*n { // only the end is wanted, and the order is by time
			events = events[len(events)-n:]
		}
	}
	slices.SortStableFunc(events, func(a, b logtypes.FilteredLogEvent) int {
		return int(aws.ToInt64(a.Timestamp) - aws.ToInt64(b.Timestamp))
	})
	for _, ev := range events[max(0, len(events)-n):] {
		lines = append(lines, clean(aws.ToString(ev.Message)))
	}
	return lines, true
}

// clean takes from a foreign line what could steer a terminal.
func clean(line string) string {
	return strings.Map(func(r rune) rune {
		if r == '\t' {
			return ' '
		}
		if r < ' ' || r == 0x7f || r >= 0x80 && r < 0xa0 {
			return -1
		}
		return r
	}, line)
}

// failures are the lines of a deployment that tell of a failure, the first ones first:
// those after it are consequences.
func failures(service []string) []string {
	var lines []string
	for _, l := range service {
		low := strings.ToLower(l)
		if strings.Contains(low, "fail") || strings.Contains(low, "exit code") || strings.Contains(low, "stopped") {
			lines = append(lines, strings.TrimPrefix(l, "[AppRunner] "))
		}
	}
	return lines[:min(len(lines), evidenceLines)]
}

// sign is one line in the logs that gives a cause away.
type sign struct {
	output bool // look in the application's output instead of the service's log
	match  *regexp.Regexp
	cause  string // $1 … are the groups of match
	fix    string
}

// signs are tried in order: what the application said of itself counts more than what
// App Runner saw from outside. The "Invalid Access Role" line comes last, because App
// Runner also prints it while it rolls back after a mere health failure.
var signs = []sign{
	{output: true, match: regexp.MustCompile(`exec format error`),
		cause: "the image is built for another CPU: App Runner runs linux/amd64 only",
		fix:   "build with platform: linux/amd64"},
	{output: true, match: regexp.MustCompile(`KeyError: '([A-Z][A-Z0-9_]*)'`),
		cause: "the application needs the environment variable $1", fix: "set $1 under env: or secrets:"},
	{output: true, match: regexp.MustCompile(`(?i:missing|required)\b.*\b(?i:environment variables?):? *['"]?([A-Z][A-Z0-9_]+)\b`),
		cause: "the application needs the environment variable $1", fix: "set $1 under env: or secrets:"},
	{match: regexp.MustCompile(`Container exit code: (\d+)`),
		cause: "the container stopped with exit code $1", fix: "see the application's last lines, and try the image on this machine"},
	{match: regexp.MustCompile("Health check failed on protocol `HTTP` ?\\[Path: '([^']*)'\\], \\[Port: '(\\d+)'\\]"),
		cause: "the health check GET $1 on port $2 did not answer 2xx",
		fix:   "the application must listen on 0.0.0.0:$2 and answer $1 without a login; compare port: and health.path: with it"},
	{match: regexp.MustCompile("Health check failed on protocol `TCP` ?\\[Port: '(\\d+)'\\]"),
		cause: "nothing listens on port $1", fix: "the application must listen on 0.0.0.0:$1; compare port: with it"},
	{match: regexp.MustCompile(`ECR image doesn't exist`),
		cause: "the image is not in the repository", fix: "apply again: it is built and pushed before the rollout"},
	{match: regexp.MustCompile(`Failed to copy the image from ECR`),
		cause: "App Runner could not copy the image: it has no linux/amd64 part, or the access role may not read it",
		fix:   "build with platform: linux/amd64"},
	{match: regexp.MustCompile(`(?i)\bsecrets?\b.*(?:has no key|did not contain json key)`),
		cause: "a secret does not have the key that is asked of it", fix: "compare what follows the # under secrets: with the keys of the secret"},
	{match: regexp.MustCompile(`(?i)(?:unable to|could not|failed to|can't) (?:retrieve|pull|read|fetch|get) .*\b(?:secrets?|parameters?)\b|\b(?:secrets?|parameters?)\b .*(?:denied|not authorized|may not|not ?found|not exist|doesn't exist|can't|invalid)`),
		cause: "a secret could not be read", fix: "each reference under secrets: must exist, and the instance role must be allowed to read it"},
	{match: regexp.MustCompile(`Invalid Access Role`),
		cause: "App Runner could not use the access role",
		fix:   "it must trust build.apprunner.amazonaws.com and carry AWSAppRunnerServicePolicyForECRAccess"},
}

// cause names the probable cause of a failure, and what to do about it.
func cause(service, output []string, started bool) (string, string) {
	for _, s := range signs {
		lines := service
		if s.output {
			lines = output
		}
		for _, l := range lines {
			if m := s.match.FindStringSubmatchIndex(l); m != nil {
				return string(s.match.ExpandString(nil, s.cause, l, m)), string(s.match.ExpandString(nil, s.fix, l, m))
			}
		}
	}
	if !started {
		return "the container never started", "check the image's entrypoint and architecture"
	}
	return "", fmt.Sprintf("the logs say nothing that apron knows; all of them: %s", "aws logs tail --follow, or the App Runner console")
}
