package foreign

import (
	"encoding/json"
	"strings"

	"github.com/apron-deploy/apron/manifest"
)

// scaling reads what scales a service: a configuration of the source, or its ARN, which
// says nothing about it.
func (s *service) scaling(n *node) {
	if n == nil {
		return
	}
	body := n
	if r := target(n, "AWS::AppRunner::AutoScalingConfiguration"); r != nil {
		r.used = true
		body = r.body
		s.other(n, "apron makes a configuration of its own, named by its content")
	} else if n.kind != mapping || n.get("MinSize") == nil {
		s.look(n, "names a configuration, and how it scales is not here: aws apprunner describe-auto-scaling-configuration says")
		s.suggest(manifest.Draft{{Key: "min", Value: 1}, {Key: "max", Value: 25}, {Key: "concurrency", Value: 100}}, "App Runner's defaults", "scaling")
		return
	}
	s.set(body.get("MinSize"), "scaling", "min")
	s.set(body.get("MaxSize"), "scaling", "max")
	s.set(body.get("MaxConcurrency"), "scaling", "concurrency")
	s.other(body.get("AutoScalingConfigurationName"), "apron names a configuration by its content")
	s.tell(Other, body.get("Tags"), "apron makes and tags a configuration of its own")
	s.leftovers(body)
}

func (s *service) network(n *node) {
	egress, ingress := n.get("EgressConfiguration"), n.get("IngressConfiguration")
	kind, arn := egress.get("EgressType"), egress.get("VpcConnectorArn")
	switch {
	case kind.is("DEFAULT"):
		s.put(kind, []string{}, "network", "egress", "subnets")
		s.other(kind, "network.egress without subnets says so")
	case kind.is("VPC"):
		s.other(kind, "network.egress.subnets say so")
	}
	if r := target(arn, "AWS::AppRunner::VpcConnector"); r != nil {
		r.used = true
		s.ids(r.body.get("Subnets"), "subnet-0123456789abcdef0", "network", "egress", "subnets")
		s.ids(r.body.get("SecurityGroups"), "sg-0123456789abcdef0", "network", "egress", "security_groups")
		s.other(r.body.get("VpcConnectorName"), "apron uses a connector with the same subnets and security groups, or makes one")
		s.tell(Other, r.body.get("Tags"), "apron uses a connector with the same subnets and security groups, or makes one")
		s.leftovers(r.body)
		s.other(arn, "network.egress says what it connects to")
	} else if arn != nil && !kind.is("DEFAULT") {
		s.look(arn, "names a connector, and what it connects to is not here: aws apprunner describe-vpc-connector says")
		s.suggest(manifest.Draft{{Key: "subnets", Value: []string{"subnet-0123456789abcdef0"}}}, "those of the connector", "network", "egress")
	}
	s.set(ingress.get("IsPubliclyAccessible"), "network", "public")
	if ip := n.get("IpAddressType"); ip != nil {
		s.setAs(ip, strings.ToLower, "network", "ip")
	}
}

// ids copies a list of ids. One that is known only to the source's tool is a variable; a
// list of which not even the length is known is a suggestion.
func (s *service) ids(n *node, sample string, path ...string) {
	if n == nil {
		return
	}
	if n.kind == mapping || n.kind == unknown {
		s.look(n, "which there are is known only to %s", s.tool)
		s.suggest([]string{sample}, "", path...)
		return
	}
	all := []string{}
	for i, item := range n.every() {
		if item.kind == list || item.kind == mapping {
			s.look(item, "is no id")
			continue
		}
		if r := item.text.alone(); r != nil { // ids must differ, in examples as well
			s.variable(r, sample[:len(sample)-1]+string("0123456789abcdef"[i%16]))
		}
		all = append(all, s.write(item, path...))
		item.mark()
	}
	s.put(n, all, path...)
}

// around reads what refers to a service, instead of the other way round.
func (s *service) around(service *resource) {
	var domains []any
	for _, r := range s.resources {
		switch r.kind {
		case "AWS::AppRunner::CustomDomainAssociation":
			if target(r.body.get("ServiceArn"), service.kind) == service {
				domains = append(domains, s.domain(r)...)
			}
		case "AWS::WAFv2::WebACLAssociation":
			if target(r.body.get("ResourceArn"), service.kind) == service {
				r.used = true
				s.other(r.body.get("ResourceArn"), "is this service")
				s.set(r.body.get("WebACLArn"), "apprunner", "web_acl")
				s.leftovers(r.body)
			}
		case "AWS::AppRunner::VpcIngressConnection":
			if target(r.body.get("ServiceArn"), service.kind) == service {
				s.ingress(r)
			}
		}
	}
	if len(domains) > 0 {
		s.put(nil, domains, "domains")
	}
}

// domain reads one custom domain. The API's default is that www. is the service's, too.
func (s *service) domain(r *resource) []any {
	r.used = true
	s.other(r.body.get("ServiceArn"), "is this service")
	name, www := r.body.get("DomainName"), r.body.get("EnableWwwSubdomain")
	defer s.leftovers(r.body)
	if name == nil || name.kind == list || name.kind == mapping {
		return nil
	}
	d := manifest.Draft{{Key: "name", Value: s.write(name, "domains")}}
	name.mark()
	switch {
	case www == nil && !strings.HasPrefix(s.write(name, "domains"), "*."):
		d = append(d, manifest.Entry{Key: "www", Value: "true"})
		s.missing(Other, r.body, "enable_www_subdomain", "is not given: App Runner's default is to serve www. as well: www: true says so")
	case www.is("true"), www.is("false"):
		v, _ := www.static()
		d = append(d, manifest.Entry{Key: "www", Value: v})
		www.mark()
	case www != nil:
		s.look(www, "whether www. is the service's, too, is known only to %s: write www: true or false", s.tool)
	}
	s.from["domains"] = name
	return []any{d}
}

func (s *service) ingress(r *resource) {
	r.used = true
	s.other(r.body.get("ServiceArn"), "is this service")
	vpc := r.body.get("IngressVpcConfiguration")
	s.set(vpc.get("VpcId"), "network", "ingress", "vpc")
	s.set(vpc.get("VpcEndpointId"), "network", "ingress", "endpoint")
	for _, key := range []string{"Name", "VpcIngressConnectionName"} {
		s.other(r.body.get(key), "apron names the connection")
	}
	s.tell(Other, r.body.get("Tags"), "apron makes and tags the connection")
	s.leftovers(r.body)
}

// repository reads the ECR repository that the image is in. As long as apron does not
// build, the repository stays as it is.
func (s *service) repository(r *resource) {
	r.used = true
	name := r.body.get("RepositoryName")
	if name == nil {
		name = r.body.get("Name")
	}
	name.mark() // it is in image.from
	if scan := r.body.get("ImageScanningConfiguration", "ScanOnPush"); scan.is("true") || scan.is("false") {
		on, _ := scan.static()
		s.suggest(manifest.Draft{{Key: "on_push", Value: on}}, "with that build", "image", "scan")
		s.other(scan, "image.scan is for the repository that apron keeps")
	}
	s.retention(r.body.get("LifecyclePolicy", "LifecyclePolicyText"))
	for _, other := range s.resources {
		if of := other.body.get("Repository"); other.kind == "AWS::ECR::LifecyclePolicy" && (target(of, r.kind) == r || named(of, name)) {
			other.used = true
			s.other(of, "is this repository")
			s.retention(other.body.get("Policy"))
			s.leftovers(other.body)
		}
	}
	s.tell(Look, r.body.get("Tags"), "is of the repository, whose tags apron leaves as they are")
	s.leftovers(r.body)
}

// named reports whether two nodes are the same known text.
func named(a, b *node) bool {
	one, ok := a.static()
	other, known := b.static()
	return ok && known && one == other
}

// rules are what a lifecycle policy says.
// https://docs.aws.amazon.com/AmazonECR/latest/userguide/lifecycle_policy_parameters.html
type rules struct {
	Rules []struct {
		Selection struct {
			TagStatus   string `json:"tagStatus"`
			CountType   string `json:"countType"`
			CountUnit   string `json:"countUnit"`
			CountNumber int    `json:"countNumber"`
		} `json:"selection"`
	} `json:"rules"`
}

// retention reads an ECR lifecycle policy, as far as a manifest says the same.
func (s *service) retention(n *node) {
	if n == nil {
		return
	}
	const differ = "is a lifecycle policy; apron writes its own, by image.retention"
	known, ok := n.static()
	var p rules
	if !ok || json.Unmarshal([]byte(known), &p) != nil {
		s.look(n, differ)
		return
	}
	whole, keep, days := len(p.Rules) > 0, 0, 0
	for _, r := range p.Rules {
		sel := r.Selection
		switch {
		case sel.CountType == "imageCountMoreThan" && sel.TagStatus != "untagged" && keep == 0:
			keep = sel.CountNumber
		case sel.CountType == "sinceImagePushed" && sel.TagStatus == "untagged" && sel.CountUnit == "days" && days == 0:
			days = sel.CountNumber
		default:
			whole = false
		}
	}
	var d manifest.Draft
	if keep > 0 {
		d = append(d, manifest.Entry{Key: "keep", Value: keep})
	}
	if days > 0 {
		d = append(d, manifest.Entry{Key: "untagged_days", Value: days})
	}
	if len(d) > 0 {
		s.suggest(d, "with that build", "image", "retention")
	}
	if whole {
		s.other(n, "image.retention is for the repository that apron keeps")
		return
	}
	s.look(n, differ)
}
