package foreign

import (
	"bytes"
	"strings"
	"unicode/utf8"

	"github.com/apron-deploy/apron/manifest"
	"github.com/apron-deploy/apron/reconcile/pattern"
)

// Known lists the sources that can be read, for messages.
var Known = []string{
	"Terraform or OpenTofu with aws_apprunner_service (*.tf, or the directory of a module)",
	"CloudFormation with AWS::AppRunner::Service (YAML or JSON)",
	"Copilot's manifest.yml of a Request-Driven Web Service",
	"a GitHub workflow that uses awslabs/amazon-app-runner-deploy",
	"the AWS CLI's JSON or YAML: the input of create-service, or what describe-service prints",
}

var hclBlock = pattern.Lazy(`(?m)^[ \t]*(resource|data|variable|output|module|provider)[ \t]+"|^[ \t]*(terraform|locals)[ \t]*\{`)

// Read drafts manifests from a source. Which tool's it is, its content says. Several files
// are a Terraform module. Its error is a [*manifest.Error], unless apron is at fault.
func Read(files []File) (*Result, error) {
	for i := range files {
		files[i].Name = printable(strings.ReplaceAll(files[i].Name, "\\", "/"))
		files[i].Data = bytes.TrimPrefix(files[i].Data, []byte("\xef\xbb\xbf"))
		if !utf8.Valid(files[i].Data) || bytes.IndexByte(files[i].Data, 0) >= 0 {
			return nil, &manifest.Error{File: files[i].Name, Msg: "is not UTF-8 text", Fix: "save the file as UTF-8"}
		}
	}
	if len(files) == 0 {
		return nil, unknownSource("the source", "holds nothing that could be read")
	}
	f := files[0]
	trimmed := bytes.TrimSpace(f.Data)
	switch {
	case len(files) > 1 || strings.HasSuffix(f.Name, ".tf") || strings.HasSuffix(f.Name, ".tofu"):
		return readTerraform(files)
	case len(trimmed) == 0:
		return nil, unknownSource(f.Name, "is empty")
	case trimmed[0] == '{':
		root, err := readJSON(f)
		if err != nil {
			return nil, err
		}
		return readTree(f, root)
	case hclBlock().Match(f.Data):
		return readTerraform(files)
	}
	docs, err := readYAML(f)
	if err != nil {
		return nil, err
	}
	for _, doc := range docs {
		if doc.kind == mapping && doc.tag == "" {
			return readTree(f, doc)
		}
	}
	return nil, unknownSource(f.Name, "is none of the sources that apron knows")
}

func unknownSource(file, what string) error {
	return &manifest.Error{File: file, Msg: what, Fix: "apron reads " + strings.Join(Known, "; ")}
}

// readTree tells the formats that are JSON or YAML apart.
func readTree(f File, root *node) (*Result, error) {
	kind, _ := root.get("type").static()
	service := root.get("Service")
	switch {
	case root.get("Resources") != nil && root.get("Resources").kind == mapping:
		return readCloudFormation(f, root)
	case kind == "Request-Driven Web Service":
		return readCopilot(f, root)
	case strings.HasSuffix(kind, "Service") || kind == "Scheduled Job" || kind == "Static Site":
		at := root.get("type").at
		return nil, &manifest.Error{File: f.Name, Line: at.Line, Column: at.Column, Path: "type", Msg: "is a " + printable(kind) + " of Copilot's, which does not run on App Runner",
			Fix: "apron reads manifests of the type Request-Driven Web Service"}
	case root.get("jobs") != nil && root.get("jobs").kind == mapping:
		return readWorkflow(f, root)
	case service.get("ServiceArn") != nil, service.get("SourceConfiguration") != nil:
		return readCLI(f, root)
	case root.get("ServiceName") != nil, root.get("ServiceArn") != nil, root.get("SourceConfiguration") != nil:
		return readCLI(f, root)
	case root.get("version") != nil && root.get("service") != nil:
		return nil, &manifest.Error{File: f.Name, Msg: "is a manifest of apron's already", Fix: "name it with -f, such as apron plan -f " + f.Name}
	case root.get("runtime") != nil && root.get("run") != nil:
		return nil, &manifest.Error{File: f.Name, Msg: "is App Runner's own apprunner.yaml, for services that it builds from source code; apron deploys images",
			Fix: "write a Dockerfile with the same commands, then apron init"}
	case root.get("resource", "aws_apprunner_service") != nil:
		return nil, &manifest.Error{File: f.Name, Msg: "is Terraform in JSON, which apron does not read", Fix: "import the live service instead: apron import NAME"}
	}
	return nil, unknownSource(f.Name, "is none of the sources that apron knows")
}
