package apprunner

import (
	"fmt"
	"strings"
)

// words are the operations as the events name them.
// https://docs.aws.amazon.com/apprunner/latest/dg/monitor-ev.html
var words = map[string]string{
	opCreate: "Service creation",
	opUpdate: "Service update",
	opDeploy: "Deployment",
	opPause:  "Service pause",
	opResume: "Service resume",
	opDelete: "Service deletion",
}

// triggers are the operations as the log of a deployment names them.
var triggers = map[string]string{
	opCreate: "SERVICE_CREATE",
	opUpdate: "SERVICE_UPDATE",
	opDeploy: "SERVICE_DEPLOY",
}

// journal writes a service's log streams, in the words that App Runner uses.
// https://docs.aws.amazon.com/apprunner/latest/dg/monitor-cwl.html
type journal struct {
	s     *Service
	group string // /aws/apprunner/<name>/<id>
}

// line writes one line of App Runner's own.
type line func(format string, args ...any)

func (j journal) stream(name string) line {
	return func(format string, args ...any) {
		j.s.o.Logs.Put(j.group+"/service", name, j.s.o.Clock.Now(), "[AppRunner] "+fmt.Sprintf(format, args...))
	}
}

func (j journal) event(format string, args ...any) { j.stream("events")(format, args...) }

// deployment is the stream of an operation, whose id loses its dashes there.
func (j journal) deployment(op operation) line { return j.stream("deployment/" + bare(op.Id)) }

func bare(id string) string { return strings.ReplaceAll(id, "-", "") }

// application takes what an instance prints, as it is.
func (j journal) application(instance string) func(string) {
	return func(text string) {
		j.s.o.Logs.Put(j.group+"/application", "instance/"+instance, j.s.o.Clock.Now(), text)
	}
}
