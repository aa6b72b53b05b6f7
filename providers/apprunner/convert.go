package apprunner

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/arn"
	sdk "github.com/aws/aws-sdk-go-v2/service/apprunner"
	"github.com/aws/aws-sdk-go-v2/service/apprunner/types"

	"github.com/apron-deploy/apron/reconcile/state"
)

// Live is what package-level joins need to know of an observed service.
type Live struct {
	ID string // 32 hexadecimal digits, part of the log groups' names
	// DeployedAt is when the operation behind the running deployment started; zero when
	// there was none.
	DeployedAt time.Time
	// Secrets are what the running deployment reads: variable → ARN.
	Secrets map[string]string
	// Operations are the last ones, newest first.
	Operations []types.OperationSummary
	Status     types.ServiceStatus
	Health     *types.HealthCheckConfiguration
	Uses       Uses
	// Sources says what the service is built from, where that is no image.
	Sources string
}

// phases maps a status to what can be done with the service.
// https://docs.aws.amazon.com/apprunner/latest/api/API_Service.html
var phases = map[types.ServiceStatus]state.Phase{
	types.ServiceStatusRunning:             state.Ready,
	types.ServiceStatusPaused:              state.Paused,
	types.ServiceStatusOperationInProgress: state.Busy,
	types.ServiceStatusCreateFailed:        state.Failed,
	types.ServiceStatusDeleteFailed:        state.Stuck,
}

// observed is a live service as the planner sees it. hidden says which plain variables
// must be masked.
func observed(s *types.Service, tags []types.Tag, ops []types.OperationSummary, scope Scope, hidden func(name, value string) bool) state.Observed {
	name := aws.ToString(s.ServiceName)
	var f []state.Field
	add := func(path, value string) { f = append(f, state.Field{Path: path, Value: value}) }
	ref := func(path, value string, a state.Address) {
		if !a.IsZero() {
			f = append(f, state.Field{Path: path, Value: a.String(), Ref: true})
		} else if value != "" {
			add(path, value)
		}
	}
	live := Live{ID: aws.ToString(s.ServiceId), Operations: ops, Status: s.Status, Health: s.HealthCheckConfiguration, Secrets: map[string]string{},
		Uses: usesOf(s)}
	if src := s.SourceConfiguration; src != nil {
		add("auto_deploy", strconv.FormatBool(aws.ToBool(src.AutoDeploymentsEnabled)))
		if auth := src.AuthenticationConfiguration; auth != nil {
			ref("access_role", aws.ToString(auth.AccessRoleArn), scope.role(aws.ToString(auth.AccessRoleArn)))
		}
		live.Sources = sources(src.CodeRepository)
		if image := src.ImageRepository; image != nil { // nil for a service built from source code
			ref("image", aws.ToString(image.ImageIdentifier), scope.image(aws.ToString(image.ImageIdentifier)))
			if c := image.ImageConfiguration; c != nil {
				add("port", aws.ToString(c.Port))
				if c.StartCommand != nil { // UpdateService keeps it unless it is sent another
					f = append(f, state.Field{Path: "command", Value: *c.StartCommand, Lasting: true})
				}
				for k, v := range c.RuntimeEnvironmentVariables {
					f = append(f, state.Field{Path: "env." + k, Value: v, Secret: hidden(k, v)})
				}
				for k, v := range c.RuntimeEnvironmentSecrets {
					v = scope.secret(v)
					ref("secrets."+k, v, scope.parameter(v))
					live.Secrets[k] = v
				}
			}
		}
	}
	if i := s.InstanceConfiguration; i != nil {
		add("cpu", aws.ToString(i.Cpu))
		add("memory", aws.ToString(i.Memory))
		ref("instance_role", aws.ToString(i.InstanceRoleArn), scope.role(aws.ToString(i.InstanceRoleArn)))
		if i.InstanceRoleArn != nil {
			f[len(f)-1].Lasting = true
		}
	}
	if h := s.HealthCheckConfiguration; h != nil {
		add("health.protocol", string(h.Protocol))
		if h.Protocol == types.HealthCheckProtocolHttp {
			add("health.path", aws.ToString(h.Path))
		}
		add("health.interval", (time.Duration(aws.ToInt32(h.Interval)) * time.Second).String())
		add("health.timeout", (time.Duration(aws.ToInt32(h.Timeout)) * time.Second).String())
		add("health.healthy", strconv.Itoa(int(aws.ToInt32(h.HealthyThreshold))))
		add("health.unhealthy", strconv.Itoa(int(aws.ToInt32(h.UnhealthyThreshold))))
	}
	f = append(f, observedNetwork(s, scope)...)
	if a := s.AutoScalingConfigurationSummary; a != nil {
		f = append(f, state.Field{Path: "scaling", Value: Scaling(aws.ToString(a.AutoScalingConfigurationName)).String(), Ref: true})
	}
	for _, group := range []string{"application", "service"} {
		name := "/aws/apprunner/" + name + "/" + live.ID + "/" + group
		ref("log_group."+group, name, state.Address{Target: "logs", Kind: "group", Name: name})
	}
	owner := state.Theirs
	for _, t := range tags {
		add("tags."+aws.ToString(t.Key), aws.ToString(t.Value))
		if aws.ToString(t.Key) == tagService && aws.ToString(t.Value) == name {
			owner = state.Ours
		}
	}
	if i := slices.IndexFunc(ops, deployed); i >= 0 {
		live.DeployedAt = aws.ToTime(ops[i].StartedAt)
	}
	o := state.Observed{
		Resource: state.Resource{Address: Service(name), Fields: state.Sort(f), Detail: live},
		ID:       aws.ToString(s.ServiceArn), Owner: owner, Phase: phases[s.Status],
	}
	if s.Status != types.ServiceStatusCreateFailed {
		o.URL = serviceURL(aws.ToString(s.ServiceUrl))
	}
	if o.Phase == state.Busy {
		o.Note = underWay(ops)
	}
	return o
}

// sources names the repository that App Runner builds a service from.
func sources(code *types.CodeRepository) string {
	if code == nil {
		return ""
	}
	text := aws.ToString(code.RepositoryUrl)
	if v := code.SourceCodeVersion; v != nil {
		text += " at " + strings.ToLower(string(v.Type)) + " " + aws.ToString(v.Value)
	}
	return text
}

// underWay says what keeps a service busy: an operation, or AWS itself, which lists none.
// https://docs.aws.amazon.com/apprunner/latest/dg/architecture.html
func underWay(ops []types.OperationSummary) string {
	if len(ops) == 0 || ended(ops[0].Status) {
		return "maintenance by AWS, which takes minutes; traffic goes on"
	}
	return fmt.Sprintf("%s %s, started %s", ops[0].Type, aws.ToString(ops[0].Id), aws.ToTime(ops[0].StartedAt).UTC().Format(time.RFC3339))
}

// deployed reports whether an operation has started instances that read their secrets.
func deployed(op types.OperationSummary) bool {
	switch op.Type {
	case types.OperationTypeCreateService, types.OperationTypeUpdateService, types.OperationTypeStartDeployment:
		return op.Status == types.OperationStatusSucceeded
	}
	return false
}

// serviceURL adds the scheme that App Runner leaves out: https, but http for a name that
// only this machine can reach.
func serviceURL(host string) string {
	if host == "" {
		return ""
	}
	name, _, _ := strings.Cut(host, ":")
	if strings.HasSuffix(name, ".localhost") {
		return "http://" + host
	}
	return "https://" + host
}

// role returns the address of a role that apron made, or none.
func (s Scope) role(text string) state.Address {
	a, err := arn.Parse(text)
	name, ours := strings.CutPrefix(a.Resource, "role/apron/")
	if err != nil || a.Service != "iam" || a.AccountID != s.Account || !ours {
		return state.Address{}
	}
	return state.Address{Target: "iam", Kind: "role", Name: name}
}

// parameter returns the address of a parameter that apron keeps, or none.
func (s Scope) parameter(text string) state.Address {
	a, err := arn.Parse(text)
	name, ours := strings.CutPrefix(a.Resource, "parameter/apron/")
	if err != nil || a.Service != "ssm" || a.AccountID != s.Account || a.Region != s.Region || !ours {
		return state.Address{}
	}
	return state.Address{Target: "ssm", Kind: "parameter", Name: "/apron/" + name}
}

// secret is the ARN of what a secret variable refers to: a parameter may be given by its
// name alone.
// https://docs.aws.amazon.com/apprunner/latest/dg/env-variable.html
func (s Scope) secret(text string) string {
	if strings.HasPrefix(text, "arn:") {
		return text
	}
	return fmt.Sprintf("arn:%s:ssm:%s:%s:parameter/%s", s.Partition, s.Region, s.Account, strings.TrimPrefix(text, "/"))
}

// publicRegistry begins the images of ECR Public.
const publicRegistry = "public.ecr.aws/"

// image returns the address of an image in the account's own registry, or none.
func (s Scope) image(identifier string) state.Address {
	name, ours := strings.CutPrefix(identifier, s.registry()+"/")
	if !ours || !strings.Contains(name, ":") || strings.Contains(name, "@") {
		return state.Address{}
	}
	return state.Address{Target: "ecr", Kind: "image", Name: name}
}

// arnOf turns the value of a field into what the API takes: addresses become ARNs or
// image identifiers, and everything else stays.
func (s Scope) arnOf(f state.Field) string {
	a, ok := f.Target()
	if !ok {
		return f.Value
	}
	switch a.Type() {
	case "ecr/image":
		return s.registry() + "/" + a.Name
	case "iam/role":
		return fmt.Sprintf("arn:%s:iam::%s:role/apron/%s", s.Partition, s.Account, a.Name)
	case "ssm/parameter":
		return fmt.Sprintf("arn:%s:ssm:%s:%s:parameter%s", s.Partition, s.Region, s.Account, a.Name)
	}
	return f.Value
}

// definition is a service's whole wanted configuration in the API's terms. What the
// manifest leaves out stays nil, and UpdateService keeps what it is not sent.
// https://docs.aws.amazon.com/apprunner/latest/api/API_UpdateService.html
type definition struct {
	source   *types.SourceConfiguration
	instance *types.InstanceConfiguration
	health   *types.HealthCheckConfiguration
	tags     []types.Tag
	network  *types.NetworkConfiguration
	tracing  *types.ServiceObservabilityConfiguration
	key      *types.EncryptionConfiguration // at its creation only

	scalingARN *string
	// arns are references that the API wants as ARNs, and where each goes.
	arns map[state.Address]func(arn string)
}

// define builds the definition. have fills in the parts of the health check and of the
// network that the manifest leaves out, because a sent structure may replace the whole.
func define(want state.Resource, have *types.Service, scope Scope) (*definition, error) {
	if have == nil {
		have = &types.Service{}
	}
	image := &types.ImageRepository{ImageRepositoryType: types.ImageRepositoryTypeEcr, ImageConfiguration: &types.ImageConfiguration{}}
	d := &definition{source: &types.SourceConfiguration{ImageRepository: image}, instance: &types.InstanceConfiguration{}, arns: map[state.Address]func(string){}}
	c := image.ImageConfiguration
	for _, prefix := range want.Whole {
		switch prefix {
		case "env.":
			c.RuntimeEnvironmentVariables = map[string]string{}
		case "secrets.":
			c.RuntimeEnvironmentSecrets = map[string]string{}
		}
	}
	h := types.HealthCheckConfiguration{}
	if have.HealthCheckConfiguration != nil {
		h = *have.HealthCheckConfiguration
	}
	for _, f := range want.Fields {
		if f.Omit {
			continue
		}
		group, name, _ := strings.Cut(f.Path, ".")
		switch group {
		case "env":
			c.RuntimeEnvironmentVariables[name] = f.Value
		case "secrets":
			c.RuntimeEnvironmentSecrets[name] = scope.arnOf(f)
		case "tags":
			d.tags = append(d.tags, types.Tag{Key: aws.String(name), Value: aws.String(f.Value)})
		case "health":
			if err := setHealth(&h, name, f.Value); err != nil {
				return nil, fmt.Errorf("%s: %w", f.Path, err)
			}
			d.health = &h
		case "image":
			image.ImageIdentifier = aws.String(scope.arnOf(f))
			if strings.HasPrefix(f.Value, publicRegistry) {
				image.ImageRepositoryType = types.ImageRepositoryTypeEcrPublic
			}
		case "port":
			c.Port = aws.String(f.Value)
		case "command":
			c.StartCommand = aws.String(f.Value)
		case "cpu":
			d.instance.Cpu = aws.String(f.Value)
		case "memory":
			d.instance.Memory = aws.String(f.Value)
		case "instance_role":
			d.instance.InstanceRoleArn = aws.String(scope.arnOf(f))
		case "access_role":
			d.source.AuthenticationConfiguration = &types.AuthenticationConfiguration{AccessRoleArn: aws.String(scope.arnOf(f))}
		case "auto_deploy":
			d.source.AutoDeploymentsEnabled = aws.Bool(f.Value == "true")
		case "scaling":
			if addr, ok := f.Target(); ok {
				d.arns[addr] = func(arn string) { d.scalingARN = &arn }
			}
		case "network":
			d.setNetwork(name, f, have.NetworkConfiguration)
		case "tracing":
			d.setTracing(f)
		case "kms_key":
			d.key = &types.EncryptionConfiguration{KmsKey: aws.String(f.Value)}
		}
	}
	return d, nil
}

// displace takes single variables out of a map that the manifest does not manage. The map
// is sent whole then, as it is live and without them.
func (d *definition) displace(want state.Resource, s *types.Service) {
	source := s.SourceConfiguration
	if source == nil || source.ImageRepository == nil || source.ImageRepository.ImageConfiguration == nil {
		return
	}
	live := source.ImageRepository.ImageConfiguration
	c := d.source.ImageRepository.ImageConfiguration
	c.RuntimeEnvironmentVariables = without(c.RuntimeEnvironmentVariables, live.RuntimeEnvironmentVariables, "env.", want)
	c.RuntimeEnvironmentSecrets = without(c.RuntimeEnvironmentSecrets, live.RuntimeEnvironmentSecrets, "secrets.", want)
}

// without returns what to send of a map: what the manifest says of it, else what is live
// less what must not be, or nil if that is nothing.
func without(managed, live map[string]string, prefix string, want state.Resource) map[string]string {
	if managed != nil {
		return managed
	}
	left := maps.Clone(live)
	maps.DeleteFunc(left, func(name, _ string) bool { return want.Covers(prefix + name) })
	if len(left) == len(live) {
		return nil
	}
	return left
}

func setHealth(h *types.HealthCheckConfiguration, name, value string) error {
	switch name {
	case "protocol":
		h.Protocol = types.HealthCheckProtocol(value)
		return nil
	case "path":
		h.Path = aws.String(value)
		return nil
	case "interval", "timeout":
		d, err := time.ParseDuration(value)
		if err != nil {
			return err
		}
		seconds := aws.Int32(int32(d / time.Second))
		if name == "interval" {
			h.Interval = seconds
		} else {
			h.Timeout = seconds
		}
		return nil
	}
	n, err := strconv.ParseInt(value, 10, 32)
	if err != nil {
		return err
	}
	if name == "healthy" {
		h.HealthyThreshold = aws.Int32(int32(n))
	} else {
		h.UnhealthyThreshold = aws.Int32(int32(n))
	}
	return nil
}

func (d *definition) create(name string) *sdk.CreateServiceInput {
	return &sdk.CreateServiceInput{ServiceName: &name, SourceConfiguration: d.source, InstanceConfiguration: d.instance,
		HealthCheckConfiguration: d.health, AutoScalingConfigurationArn: d.scalingARN, Tags: d.tags,
		NetworkConfiguration: d.network, ObservabilityConfiguration: d.tracing, EncryptionConfiguration: d.key}
}

func (d *definition) update(arn string) *sdk.UpdateServiceInput {
	return &sdk.UpdateServiceInput{ServiceArn: &arn, SourceConfiguration: d.source, InstanceConfiguration: d.instance,
		HealthCheckConfiguration: d.health, AutoScalingConfigurationArn: d.scalingARN,
		NetworkConfiguration: d.network, ObservabilityConfiguration: d.tracing}
}
