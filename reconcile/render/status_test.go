package render

import "testing"

func TestStatus_isReadByPeopleAndMachines(t *testing.T) {
	two := 2
	full := ServiceStatus{
		Service: "web", Status: "OPERATION_IN_PROGRESS", URL: "https://x.us-east-1.awsapprunner.com", Owner: "theirs",
		ARN: "arn:aws:apprunner:us-east-1:123456789012:service/web/0123", Image: "web:src-0123", Digest: "sha256:aa", Versions: []string{"v1.2.0", "latest"},
		Live: "sha256:bb", CPU: "256", Memory: "512", Scaling: "1 to 2 instances, 100 requests at once on each (apron-1-2-100)", Instances: &two,
		Health: "HTTP /health every 20s, at most 5s; healthy after 2, unhealthy after 5", DeployedAt: "2026-11-26T12:00:00Z",
		Domains: []Domain{{Name: "example.com", Status: "active", Records: []DomainRecord{{Name: "example.com", Type: "CNAME", Value: "x.awsapprunner.com"}}},
			{Name: "www.example.com | x", Status: "pending_certificate_dns_validation", Records: []DomainRecord{
				{Name: "_a.www.example.com", Type: "CNAME", Value: "_b.acm-validations.aws", Found: "wrong value", Detail: "cdn.example.net"}}}},
		Operations: []Operation{
			{ID: "u-2", Type: "UPDATE_SERVICE", Status: "IN_PROGRESS", StartedAt: "2026-11-26T12:10:00Z", SoFar: "1m20s", Usual: "3m5s"},
			{ID: "u-1", Type: "CREATE_SERVICE", Status: "SUCCEEDED", StartedAt: "2026-11-26T12:00:00Z", Took: "3m5s"},
		},
		Unknown: []string{"how many instances there are: AccessDenied"},
	}
	everyFormat(t, "status", NewStatus("123456789012", "us-east-1", []ServiceStatus{full, {Service: "api", Status: "ABSENT"}, {Service: "db", Status: "RUNNING"}}))
}
