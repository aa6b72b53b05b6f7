package foreign

import (
	"github.com/apron-deploy/apron/reconcile/pattern"
)

// readCLI reads what the AWS CLI takes for create-service and prints for describe-service.
// https://docs.aws.amazon.com/cli/latest/reference/apprunner/create-service.html
func readCLI(f File, root *node) (*Result, error) {
	src := newSource("AWS CLI", "the AWS CLI", []File{f})
	body := root
	if inner := root.get("Service"); inner != nil && inner.kind == mapping {
		body = inner
	}
	s := src.service()
	if arn := body.get("ServiceArn"); arn != nil {
		s.arn(body, arn)
	}
	s.observed(body)
	r := &resource{kind: "AWS::AppRunner::Service", name: "service", body: body}
	src.resources = append(src.resources, r)
	s.appRunner(r)
	s.tell(Remain, root.get("OperationId"), "is what App Runner said once")
	s.leftovers(root)
	return src.finish([]*service{s})
}

var serviceARN = pattern.Lazy(`^arn:aws[a-z-]*:apprunner:([a-z0-9-]+):([0-9]{12}):service/([A-Za-z0-9_-]+)/`)

// arn takes Region and account from the service's ARN.
func (s *service) arn(body, n *node) {
	known, _ := n.static()
	m := serviceARN().FindStringSubmatch(known)
	if m == nil {
		return // told with what is left over
	}
	s.region = literal(m[1])
	s.put(n, m[2], "account")
	if body.get("ServiceName") == nil {
		body.fields = append(body.fields, field{"ServiceName", n.at, leaf(n.at, n.path, m[3])})
	}
	s.other(n, "apron finds the service by its name, in the Region and account that it names")
}

// observed accounts for what describe-service tells of a service and nobody can ask for.
func (s *service) observed(body *node) {
	for _, key := range []string{"ServiceId", "ServiceUrl", "CreatedAt", "UpdatedAt", "DeletedAt", "Status"} {
		s.tell(Remain, body.get(key), "is what App Runner says of the service, and nothing to ask for")
	}
	s.tell(Look, body.get("CustomDomains"), "is not what describe-service prints; list domains under domains")
}
