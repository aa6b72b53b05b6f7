package foreign

import (
	"slices"
	"strings"

	"github.com/apron-deploy/apron/manifest"
)

// template is a CloudFormation template on its way.
type template struct {
	*source
	root   *node
	byName map[string]*resource
	asked  map[string]bool    // parameters, mappings and conditions that something refers to
	truths map[string]verdict // of conditions
	depth  int
}

// wanted are the kinds of resources whose properties a draft may need.
func wanted(kind string) bool {
	return strings.HasPrefix(kind, "AWS::AppRunner::") || slices.Contains([]string{"AWS::ECR::Repository", "AWS::ECR::LifecyclePolicy",
		"AWS::WAFv2::WebACLAssociation", "AWS::IAM::Role", "AWS::SecretsManager::Secret", "AWS::SSM::Parameter"}, kind)
}

// readCloudFormation reads a template.
// https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/aws-resource-apprunner-service.html
func readCloudFormation(f File, root *node) (*Result, error) {
	t := &template{source: newSource("CloudFormation", "CloudFormation", []File{f}), root: root, byName: map[string]*resource{}, asked: map[string]bool{}, truths: map[string]verdict{}}
	declared := root.get("Resources").fields
	for _, d := range declared {
		kind, _ := d.value.get("Type").static()
		r := &resource{kind: kind, name: "Resources." + d.key, body: d.value}
		t.resources = append(t.resources, r)
		t.byName[d.key] = r
	}
	for _, r := range t.resources {
		if wanted(r.kind) {
			r.body = t.properties(r.body)
		}
	}
	for _, r := range t.resources { // only now each has its name
		if wanted(r.kind) {
			lookUps(r.body)
		}
	}
	var services []*service
	for _, r := range t.resources {
		if r.kind == "AWS::AppRunner::Service" {
			s := t.service()
			s.appRunner(r)
			services = append(services, s)
		}
	}
	if len(services) == 0 {
		at := root.get("Resources").at
		return nil, &manifest.Error{File: f.Name, Line: at.Line, Column: at.Column, Path: "Resources", Msg: "has no AWS::AppRunner::Service",
			Fix: "name the template that declares the service"}
	}
	t.rest()
	return t.finish(services)
}

// properties are those of a resource, resolved, and what else stands beside them.
func (t *template) properties(body *node) *node {
	out := &node{kind: mapping, at: body.at, path: body.path}
	if p := body.get("Properties"); p != nil && p.kind == mapping {
		resolved := t.resolve(p)
		out.fields = append(out.fields, resolved.fields...)
	}
	for _, f := range body.fields {
		switch f.key {
		case "Type", "Properties":
		case "Condition":
			name, _ := f.value.static()
			t.asked["Conditions."+name] = true
			out.fields = append(out.fields, f)
		default:
			out.fields = append(out.fields, field{f.key, f.at, t.resolve(f.value)})
		}
	}
	return out
}

// rest tells of all that is no part of a service.
func (t *template) rest() {
	for _, r := range t.resources {
		switch {
		case r.used:
		case strings.HasPrefix(r.kind, "AWS::AppRunner::"):
			t.note(Look, r.body.at, r.name, "no service here refers to it")
		default:
			t.note(Remain, r.body.at, r.name, "is declared here, and stays as it is")
		}
	}
	for _, f := range t.root.fields {
		switch f.key {
		case "Resources":
		case "Parameters", "Mappings", "Conditions":
			for _, p := range f.value.fields {
				t.declared(f.key+"."+p.key, p)
			}
			if len(f.value.fields) == 0 {
				t.note(Remain, f.at, f.key, "is of the template alone")
			}
		default:
			t.note(Remain, f.at, f.key, "is of the template alone")
		}
	}
}

func (t *template) declared(path string, f field) {
	switch {
	case !t.asked[path]:
		t.note(Remain, f.at, path, "no part of a service refers to it")
	case strings.HasPrefix(path, "Parameters.") && f.value.get("Default") != nil:
		t.note(Other, f.at, path, "its default is used: another value may have been deployed")
	case strings.HasPrefix(path, "Parameters."):
		t.note(Other, f.at, path, "is a variable of the manifest")
	default:
		t.note(Other, f.at, path, "is worked out where it is used")
	}
}
