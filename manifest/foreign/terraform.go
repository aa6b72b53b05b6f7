package foreign

import (
	"path"
	"slices"
	"strings"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"

	"github.com/apron-deploy/apron/manifest"
)

// terraformKinds are the resources that a draft may need, by CloudFormation's names.
// https://registry.terraform.io/providers/hashicorp/aws/latest/docs/resources/apprunner_service
var terraformKinds = map[string]string{
	"aws_apprunner_service":                            "AWS::AppRunner::Service",
	"aws_apprunner_auto_scaling_configuration_version": "AWS::AppRunner::AutoScalingConfiguration",
	"aws_apprunner_vpc_connector":                      "AWS::AppRunner::VpcConnector",
	"aws_apprunner_vpc_ingress_connection":             "AWS::AppRunner::VpcIngressConnection",
	"aws_apprunner_observability_configuration":        "AWS::AppRunner::ObservabilityConfiguration",
	"aws_apprunner_custom_domain_association":          "AWS::AppRunner::CustomDomainAssociation",
	"aws_ecr_repository":                               "AWS::ECR::Repository",
	"aws_ecr_lifecycle_policy":                         "AWS::ECR::LifecyclePolicy",
	"aws_wafv2_web_acl_association":                    "AWS::WAFv2::WebACLAssociation",
	"aws_iam_role":                                     "AWS::IAM::Role",
	"aws_secretsmanager_secret":                        "AWS::SecretsManager::Secret",
	"aws_ssm_parameter":                                "AWS::SSM::Parameter",
}

// module is a Terraform module on its way.
type module struct {
	*source
	text      map[string][]byte           // of the files
	blocks    []*hclsyntax.Block          // in the order of the files
	declared  map[string]*hclsyntax.Block // by address: var.tag, data.aws_region.current, aws_iam_role.app
	locals    map[string]*hclsyntax.Attribute
	given     map[string]*hclsyntax.Attribute // values of variables, from tfvars
	values    map[string]*node                // of variables and locals that were asked for
	asked     map[string]bool
	instances map[string]*resource
	keyed     map[string][]string // keys of for_each, by address
	depth     int
}

func readTerraform(files []File) (*Result, error) {
	m := &module{source: newSource("Terraform", "Terraform", files), text: map[string][]byte{}, declared: map[string]*hclsyntax.Block{},
		locals: map[string]*hclsyntax.Attribute{}, given: map[string]*hclsyntax.Attribute{}, values: map[string]*node{}, asked: map[string]bool{}, instances: map[string]*resource{}, keyed: map[string][]string{}}
	for _, f := range files {
		if err := m.parse(f); err != nil {
			return nil, err
		}
	}
	for _, b := range m.blocks {
		if b.Type == "resource" && len(b.Labels) == 2 && terraformKinds[b.Labels[0]] != "" {
			for _, key := range m.keys(b) {
				m.instance(b, key)
			}
		}
	}
	var services []*service
	for _, b := range m.blocks {
		if b.Type != "resource" || len(b.Labels) != 2 || b.Labels[0] != "aws_apprunner_service" {
			continue
		}
		for _, key := range m.keys(b) {
			services = append(services, m.drafted(m.instance(b, key)))
		}
	}
	if len(services) == 0 {
		return nil, &manifest.Error{File: files[0].Name, Msg: "has no resource \"aws_apprunner_service\"" + m.elsewhere(),
			Fix: "name the file, or the directory of the module, that declares the service"}
	}
	m.rest()
	return m.finish(services)
}

// elsewhere names the modules that may hold the service instead.
func (m *module) elsewhere() string {
	for _, b := range m.blocks {
		if b.Type == "module" && len(b.Labels) == 1 {
			return "; it may be in module " + printable(b.Labels[0]) + ", which apron does not follow"
		}
	}
	return ""
}

func (m *module) parse(f File) error {
	parsed, diags := hclsyntax.ParseConfig(f.Data, f.Name, hcl.InitialPos)
	for _, d := range diags {
		if d.Severity != hcl.DiagError {
			continue
		}
		e := &manifest.Error{File: f.Name, Msg: "is not HCL: " + printable(d.Summary)}
		if d.Subject != nil {
			e.Line, e.Column = d.Subject.Start.Line, d.Subject.Start.Column
		}
		return e
	}
	m.text[f.Name] = f.Data
	body := parsed.Body.(*hclsyntax.Body) //nolint:forcetypeassert // what ParseConfig returns
	if strings.HasSuffix(f.Name, ".tfvars") {
		for name, a := range body.Attributes {
			m.given[name] = a
		}
		return nil
	}
	for _, a := range body.Attributes {
		m.note(Look, m.at(a.SrcRange), a.Name, "stands outside of any block")
	}
	for _, b := range body.Blocks {
		m.blocks = append(m.blocks, b)
		switch {
		case b.Type == "variable" && len(b.Labels) == 1:
			m.declared["var."+b.Labels[0]] = b
		case b.Type == "resource" && len(b.Labels) == 2:
			m.declared[strings.Join(b.Labels, ".")] = b
		case b.Type == "data" && len(b.Labels) == 2:
			m.declared["data."+strings.Join(b.Labels, ".")] = b
		case b.Type == "locals":
			for name, a := range b.Body.Attributes {
				m.locals[name] = a
			}
		}
	}
	return nil
}

func (m *module) at(r hcl.Range) Place { return Place{r.Filename, r.Start.Line, r.Start.Column} }

// address is how Terraform names a block.
func address(b *hclsyntax.Block) string {
	parts := append([]string{b.Type}, b.Labels...)
	if b.Type == "resource" && len(parts) > 1 {
		parts = parts[1:]
	}
	return strings.Join(parts, ".")
}

// keys are those that for_each makes of a block; "" is the block alone.
func (m *module) keys(b *hclsyntax.Block) []string {
	a, name := b.Body.Attributes["for_each"], address(b)
	if a == nil {
		return []string{""}
	}
	if keys, ok := m.keyed[name]; ok {
		return keys
	}
	m.keyed[name] = []string{""} // meanwhile: it may refer to itself
	each := scope{module: m}.node(a.Expr, address(b)+".for_each")
	var keys []string
	switch {
	case each.kind == mapping && each.tag == "":
		for _, f := range each.fields {
			keys = append(keys, f.key)
		}
	case each.kind == list:
		for _, item := range each.items {
			if key, ok := item.static(); ok && !slices.Contains(keys, key) {
				keys = append(keys, key)
			}
		}
	}
	if each.kind == list && len(keys) > 0 {
		each.leaves(func(l *node) { m.note(Other, l.at, l.path, "is worked out: there is one of "+name+" for it") })
		each.mark()
	}
	if len(keys) > 0 && !slices.Contains(keys, "") {
		m.keyed[name] = keys
	}
	return m.keyed[name]
}

// instance is a resource, or that of a key of its for_each.
func (m *module) instance(b *hclsyntax.Block, key string) *resource {
	name := address(b)
	if key != "" {
		name += `["` + key + `"]`
	}
	if r := m.instances[name]; r != nil {
		return r
	}
	at := m.at(b.DefRange())
	r := &resource{kind: terraformKinds[b.Labels[0]], name: name, body: &node{kind: mapping, at: at, path: name}}
	m.instances[name] = r
	if b.Type == "resource" {
		m.resources = append(m.resources, r)
	}
	s := scope{module: m}
	if key != "" {
		each := s.node(b.Body.Attributes["for_each"].Expr, address(b)+".for_each")
		s.names = map[string]*node{"each.key": leaf(at, "", key), "each.value": leaf(at, "", key)}
		if v := each.exact(key); v != nil {
			s.names["each.value"] = v
		}
	}
	if b.Body.Attributes["count"] != nil {
		first := leaf(at, "", "0")
		first.bare = true
		s.names = map[string]*node{"count.index": first}
	}
	r.body.fields = s.body(b.Body, name).fields
	return r
}

// drafted is the draft of one service, with what its provider says for all resources.
func (m *module) drafted(r *resource) *service {
	s := m.service()
	alias := ""
	if p := r.body.get("provider"); p != nil {
		if ref := p.text.alone(); ref != nil {
			alias = path.Ext(ref.as)
		}
	}
	for _, b := range m.blocks {
		if b.Type != "provider" || len(b.Labels) != 1 || b.Labels[0] != "aws" {
			continue
		}
		body := scope{module: m}.body(b.Body, address(b))
		named, _ := body.get("alias").static()
		if named != strings.TrimPrefix(alias, ".") {
			continue
		}
		if region := body.get("region"); region != nil && (region.kind == scalar || region.kind == unknown) {
			s.region = region.text
			s.set(region, "region")
			m.asked[m.at(b.DefRange()).String()] = true
		}
		s.tags(body.get("default_tags", "tags"))
		s.tell(Remain, body, "is about how Terraform reaches AWS")
		m.asked[m.at(b.DefRange()).String()] = true
	}
	if region := r.body.get("region"); region != nil && region.kind == scalar {
		s.region = region.text
		s.set(region, "region")
	}
	s.appRunner(r)
	return s
}

// rest tells of all that is no part of a service.
func (m *module) rest() {
	for _, b := range m.blocks {
		at, name := m.at(b.DefRange()), address(b)
		switch {
		case b.Type == "locals":
			m.restOfLocals(b)
		case b.Type == "variable" && len(b.Labels) == 1:
			m.restOfVariable(b, at, name)
		case b.Type == "resource" && m.adopted(b):
		case b.Type == "resource" && strings.HasPrefix(name, "aws_apprunner_"):
			m.note(Look, at, name, "no service here refers to it, or a manifest has no place for it")
		case m.asked[at.String()]:
		case b.Type == "resource":
			m.note(Remain, at, name, "is declared here, and stays as it is")
		default:
			m.note(Remain, at, name, "is of the module alone")
		}
	}
	for name, a := range m.given {
		if !m.asked["var."+name] {
			m.note(Remain, m.at(a.SrcRange), name, "no part of a service refers to it")
		}
	}
	sortNotes(m.notes)
}

func (m *module) adopted(b *hclsyntax.Block) bool {
	for _, r := range m.resources {
		if name := address(b); r.used && (r.name == name || strings.HasPrefix(r.name, name+"[")) {
			return true
		}
	}
	return false
}

func (m *module) restOfLocals(b *hclsyntax.Block) {
	for _, name := range sortedKeys(b.Body.Attributes) {
		a := b.Body.Attributes[name]
		n := m.values["local."+name]
		if n == nil {
			m.note(Remain, m.at(a.SrcRange), "local."+name, "no part of a service refers to it")
			continue
		}
		n.leaves(func(l *node) { m.note(Remain, l.at, l.path, "no part of a service refers to it") })
	}
}

func (m *module) restOfVariable(b *hclsyntax.Block, at Place, name string) {
	switch {
	case !m.asked["var."+b.Labels[0]]:
		m.note(Remain, at, name, "no part of a service refers to it")
	case m.given[b.Labels[0]] != nil:
		m.note(Other, at, name, "its value is from "+m.given[b.Labels[0]].SrcRange.Filename)
	case b.Body.Attributes["default"] != nil:
		m.note(Other, at, name, "its default is used: another value may have been applied")
	default:
		m.note(Other, at, name, "is a variable of the manifest")
	}
}
