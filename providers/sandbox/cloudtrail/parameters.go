package cloudtrail

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"net/url"
	"slices"
	"strings"

	"github.com/apron-deploy/apron/providers/sandbox/wire"
	"github.com/apron-deploy/apron/reconcile/pattern"
)

// hidden stands for a value that AWS does not record.
const hidden = "HIDDEN_DUE_TO_SECURITY_REASONS"

// secret are the parameters of any depth whose values are not recorded; "value" is one at
// the top only, where it is a parameter's, not a tag's.
var secret = []string{"secretstring", "secretbinary", "layerpartblob", "runtimeenvironmentvariables", "password", "plaintext", "authorizationtoken"}

// read is what a call asked for, as its protocol writes it, without what is secret.
func read(x wire.Exchange) map[string]any {
	parameters := map[string]any{}
	kind := x.Request.Header.Get("Content-Type")
	switch {
	case x.Request.Header.Get("X-Amz-Target") != "":
		_ = json.Unmarshal(x.Body, &parameters) // what is no JSON was refused, and tells nothing
	case strings.HasPrefix(kind, "application/x-www-form-urlencoded"):
		form, _ := url.ParseQuery(string(x.Body)) // as above
		for name := range form {
			if name != "Action" && name != "Version" {
				parameters[name] = form.Get(name)
			}
		}
	default:
		parameters["path"] = x.Request.URL.Path
		var root element
		if xml.NewDecoder(bytes.NewReader(x.Body)).Decode(&root) == nil {
			parameters["body"] = root.value()
		}
	}
	for name := range parameters {
		if strings.EqualFold(name, "value") {
			parameters[name] = hidden
		}
	}
	hide(parameters)
	return parameters
}

// hide replaces secret values below v.
func hide(v any) {
	switch v := v.(type) {
	case map[string]any:
		for name, member := range v {
			if slices.Contains(secret, strings.ToLower(name)) {
				v[name] = hidden
			} else {
				hide(member)
			}
		}
	case []any:
		for _, element := range v {
			hide(element)
		}
	}
}

// element is any of XML.
type element struct {
	XMLName  xml.Name
	Text     string    `xml:",chardata"`
	Children []element `xml:",any"`
}

// value is a string, a list of elements with one name, or a map.
func (e element) value() any {
	if len(e.Children) == 0 {
		return e.Text
	}
	members := map[string]any{}
	for _, child := range e.Children {
		list, _ := members[child.XMLName.Local].([]any)
		members[child.XMLName.Local] = append(list, child.value())
	}
	for name, list := range members {
		if list := list.([]any); len(list) == 1 {
			members[name] = list[0]
		}
	}
	return members
}

var quotedRE = pattern.Lazy(`'[^']*'|"[^"]*"`)

// scrub takes out of an error's text what it repeats of the request.
func scrub(text string) string { return quotedRE().ReplaceAllString(text, "'"+hidden+"'") }

// named are the parameters that name what a call is about, and the type of that.
// https://docs.aws.amazon.com/awscloudtrail/latest/userguide/view-cloudtrail-events-supported-resource-types.html
var named = []struct{ service, parameter, kind string }{
	{"apprunner", "ServiceName", "AWS::AppRunner::Service"},
	{"apprunner", "ServiceArn", "AWS::AppRunner::Service"},
	{"apprunner", "AutoScalingConfigurationName", "AWS::AppRunner::AutoScalingConfiguration"},
	{"apprunner", "AutoScalingConfigurationArn", "AWS::AppRunner::AutoScalingConfiguration"},
	{"ecr", "repositoryName", "AWS::ECR::Repository"},
	{"iam", "RoleName", "AWS::IAM::Role"},
	{"iam", "PolicyArn", "AWS::IAM::Policy"},
	{"secretsmanager", "SecretId", "AWS::SecretsManager::Secret"},
	{"secretsmanager", "Name", "AWS::SecretsManager::Secret"},
	{"ssm", "Name", "AWS::SSM::Parameter"},
	{"wafv2", "WebACLArn", "AWS::WAFv2::WebACL"},
	{"wafv2", "ResourceArn", "AWS::AppRunner::Service"},
	{"logs", "logGroupName", "AWS::Logs::LogGroup"},
	{"kms", "KeyId", "AWS::KMS::Key"},
}

// resources are what a call names. A service's name is a resource of its own beside the
// ARN that has it.
func resources(service string, parameters map[string]any) []resource {
	list := []resource{}
	for _, n := range named {
		name, ok := parameters[n.parameter].(string)
		if n.service != service || !ok || name == "" {
			continue
		}
		list = append(list, resource{n.kind, name})
		if parts := strings.Split(name, "/"); service == "apprunner" && strings.HasPrefix(name, "arn:") && len(parts) > 1 {
			list = append(list, resource{n.kind, parts[1]})
		}
	}
	return list
}
