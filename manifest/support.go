package manifest

import "strings"

// level says what becomes of a key on a target.
type level uint8

const (
	yes          level = iota
	approximated       // something close is done; why says what
	impossible         // it cannot be done; why says what to do instead
)

// row is what becomes of a key and all below it on each target. Keys without a row of
// their own are like the one they stand in.
type row struct {
	path      string
	apprunner level
	express   level
	later     bool   // understood and checked, but nothing carries it out yet
	why       string // about the target that approximates or refuses
}

// table is read only. It drives the checks, [Document.Unsupported] and the JSON
// Schema's descriptions.
var table = []row{
	{path: "version"},
	{path: "service"},
	{path: "region"},
	{path: "account"},
	{path: "target"},
	{path: "image"},
	{path: "env"},
	{path: "secrets"},
	{path: "command", express: approximated, why: "ECS replaces CMD and keeps the image's ENTRYPOINT"},
	{path: "port"},
	{path: "cpu"},
	{path: "memory"},
	{path: "scaling"},
	{path: "scaling.concurrency", express: approximated, why: "ECS counts requests per minute and task, which is derived from it"},
	{path: "scaling.metric"},
	{path: "scaling.target"},
	{path: "health"},
	{path: "health.protocol", express: approximated, why: "ECS Express checks by HTTP always"},
	{path: "health.interval", express: approximated, why: "ECS Express has an interval of its own"},
	{path: "health.timeout", express: approximated, why: "ECS Express has a timeout of its own"},
	{path: "health.healthy", express: approximated, why: "ECS Express has a threshold of its own"},
	{path: "health.unhealthy", express: approximated, why: "ECS Express has a threshold of its own"},
	{path: "verify"},
	{path: "domains"},
	{path: "network"},
	{path: "network.egress"},
	{path: "network.public"},
	{path: "network.ingress", express: impossible, why: "ECS Express has no VPC endpoint; a load balancer within the VPC answers there"},
	{path: "network.ip", express: approximated, why: "the subnets decide on ECS Express"},
	{path: "observability", express: impossible, why: "ECS Express has no tracing of its own; send traces from the application"},
	{path: "roles"},
	{path: "roles.access", express: impossible, why: "on ECS Express it is roles.execution"},
	{path: "roles.instance", express: impossible, why: "on ECS Express it is roles.task"},
	{path: "roles.execution", apprunner: impossible, why: "on App Runner it is roles.access"},
	{path: "roles.infrastructure", apprunner: impossible, why: "App Runner needs no such role"},
	{path: "roles.task", apprunner: impossible, why: "on App Runner it is roles.instance"},
	{path: "permissions"},
	{path: "hooks", later: true},
	{path: "budget", later: true},
	{path: "schedule", later: true, express: approximated, why: "ECS Express has no pause; the service is scaled to zero"},
	{path: "tags"},
	{path: "auto_deploy", express: impossible, why: "ECS Express does not watch the repository"},
	{path: "apprunner"},
	{path: "express", later: true},
	{path: "environments"},
}

func (r row) on(target string) level {
	if target == targetExpress {
		return r.express
	}
	return r.apprunner
}

func rowOf(path string) (row, bool) {
	for _, r := range table {
		if r.path == path {
			return r, true
		}
	}
	return row{}, false
}

// survey looks every key of the tree up in the table.
func survey(n *node, path, target string, f *findings) []Unsupported {
	var found []Unsupported
	for _, e := range n.fields {
		p := join(path, e.key)
		r, ok := rowOf(p)
		foreign := r.path == "apprunner" && target == targetExpress || r.path == "express" && target == targetAppRunner
		switch {
		case ok && r.on(target) == impossible:
			f.fail(e.at, p, "leave it out for this target: "+r.why, "%s does not have this setting", targetName(target))
			continue
		case ok && r.later && !foreign:
			found = append(found, unsupported(p, e.at))
			continue
		case ok && r.on(target) == approximated:
			f.warn(e.at, p, "", "is approximated on %s: %s", targetName(target), r.why)
		}
		switch {
		case p == "target" && target == targetExpress:
			found = append(found, unsupported(p, e.at))
		case p == "scaling.metric" && target == targetExpress && e.value.value.plain() != "concurrency":
			found = append(found, unsupported(p, e.at))
		}
		if e.value.kind == mapping && hasKeys(p) {
			found = append(found, survey(e.value, p, target, f)...)
		}
	}
	return found
}

// hasKeys reports whether the table knows keys below path.
func hasKeys(path string) bool {
	for _, r := range table {
		if strings.HasPrefix(r.path, path+".") {
			return true
		}
	}
	return false
}

func unsupported(path string, at pos) Unsupported {
	return Unsupported{Path: path, File: at.file, Line: at.line, Column: at.column}
}

const (
	targetAppRunner = "apprunner"
	targetExpress   = "ecs-express"
)

func targetName(target string) string {
	if target == targetExpress {
		return "ECS Express"
	}
	return "App Runner"
}
