package manifest

// network looks for services that reach less, or are reached by fewer, than is meant.
func (l *linter) network() {
	n := l.m.Network
	if n == nil {
		return
	}
	if e := n.Egress; e != nil && len(e.Subnets) == 1 {
		l.warn(l.at("network.egress.subnets"), "network.egress.subnets", "name one in each of two or three Availability Zones",
			"is one subnet, and the application goes down with its Availability Zone")
	}
	if n.Public == nil || *n.Public {
		return
	}
	for i, d := range l.m.Domains {
		if d.Route53 != nil && *d.Route53 {
			p := "domains" + index(i) + ".route53"
			l.warn(l.at(p), p, "write the record into a private hosted zone of the VPC yourself; the validation records are public",
				"makes a public record of a service that only its VPC reaches")
		}
	}
	if n.Ingress == nil {
		l.warn(l.at("network.public"), "network.public", "add ingress: {vpc: vpc-…, endpoint: vpce-…}",
			"closes the service to the Internet, and no ingress says who reaches it instead")
	}
	if l.m.Verify != nil && len(*l.m.Verify) > 0 {
		l.warn(l.at("verify"), "verify", "leave it out, and verify from within the VPC",
			"asks the service's URL, which answers only through its VPC endpoint")
	}
}

// tracing knows what the collector on App Runner needs.
// https://docs.aws.amazon.com/apprunner/latest/dg/monitor-xray.html
func (l *linter) tracing() {
	if o := l.m.Observability; o == nil || o.Tracing != "xray" || l.m.Env == nil {
		return
	}
	if v, ok := l.spec.Env["OTEL_METRICS_EXPORTER"]; !ok || v.Value != "none" {
		l.warn(l.at("observability.tracing"), "observability.tracing", "add env: {OTEL_METRICS_EXPORTER: none}",
			"brings a collector of traces alone, to which OpenTelemetry sends metrics as well unless it is told not to")
	}
}
