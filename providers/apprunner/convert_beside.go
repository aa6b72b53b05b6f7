package apprunner

import (
	"strconv"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/arn"
	"github.com/aws/aws-sdk-go-v2/service/apprunner/types"

	"github.com/apron-deploy/apron/reconcile/state"
)

// observedNetwork is the network, tracing and encryption of a live service.
func observedNetwork(s *types.Service, scope Scope) []state.Field {
	var f []state.Field
	ref := func(path, kind string, text *string) {
		if addr := scope.own(kind, aws.ToString(text)); !addr.IsZero() {
			f = append(f, state.Field{Path: path, Value: addr.String(), Ref: true})
		} else {
			f = append(f, state.Field{Path: path, Value: aws.ToString(text)})
		}
	}
	if n := s.NetworkConfiguration; n != nil {
		if e := n.EgressConfiguration; e != nil && e.EgressType == types.EgressTypeVpc {
			ref("network.egress", kindConnector, e.VpcConnectorArn)
		} else if e != nil {
			f = append(f, state.Field{Path: "network.egress", Value: direct})
		}
		if i := n.IngressConfiguration; i != nil {
			f = append(f, state.Field{Path: "network.public", Value: strconv.FormatBool(i.IsPubliclyAccessible), Grant: i.IsPubliclyAccessible})
		}
		if n.IpAddressType != "" {
			f = append(f, state.Field{Path: "network.ip", Value: strings.ToLower(string(n.IpAddressType))})
		}
	}
	if o := s.ObservabilityConfiguration; o != nil && o.ObservabilityEnabled {
		ref("tracing", kindTracing, o.ObservabilityConfigurationArn)
	} else {
		f = append(f, state.Field{Path: "tracing", Value: "none"})
	}
	if e := s.EncryptionConfiguration; e != nil && e.KmsKey != nil {
		f = append(f, state.Field{Path: "kms_key", Value: *e.KmsKey, Immutable: true})
	}
	return f
}

// arnKinds are the words of ARNs for kinds.
// https://docs.aws.amazon.com/service-authorization/latest/reference/list_awsapprunner.html
var arnKinds = map[string]string{
	kindService: "service", kindConnector: "vpcconnector", kindTracing: "observabilityconfiguration", kindIngress: "vpcingressconnection",
}

// own returns the address of a resource of this account and Region, or none.
func (s Scope) own(kind, text string) state.Address {
	a, err := arn.Parse(text)
	parts := strings.Split(a.Resource, "/")
	if err != nil || a.Service != "apprunner" || a.AccountID != s.Account || a.Region != s.Region || len(parts) < 2 || parts[0] != arnKinds[kind] {
		return state.Address{}
	}
	return state.Address{Target: target, Kind: kind, Name: parts[1]}
}

// setNetwork sets one wanted part of the network, beside the live rest of it.
func (d *definition) setNetwork(name string, f state.Field, have *types.NetworkConfiguration) {
	if d.network == nil {
		d.network = &types.NetworkConfiguration{}
		if have != nil {
			*d.network = *have
		}
	}
	switch name {
	case "ip":
		d.network.IpAddressType = types.IpAddressType(strings.ToUpper(f.Value))
	case "public":
		d.network.IngressConfiguration = &types.IngressConfiguration{IsPubliclyAccessible: f.Value == "true"}
	case "egress":
		e := &types.EgressConfiguration{EgressType: types.EgressTypeDefault}
		if addr, ok := f.Target(); ok {
			e.EgressType = types.EgressTypeVpc
			d.arns[addr] = func(arn string) { e.VpcConnectorArn = &arn }
		}
		d.network.EgressConfiguration = e
	}
}

func (d *definition) setTracing(f state.Field) {
	o := &types.ServiceObservabilityConfiguration{}
	if addr, ok := f.Target(); ok {
		o.ObservabilityEnabled = true
		d.arns[addr] = func(arn string) { o.ObservabilityConfigurationArn = &arn }
	}
	d.tracing = o
}

// observedScaling is a scaling configuration as the planner sees it.
func observedScaling(c *types.AutoScalingConfiguration, tags []types.Tag, users []string) state.Observed {
	owner, fields := shared([]state.Field{
		{Path: "concurrency", Value: strconv.Itoa(int(aws.ToInt32(c.MaxConcurrency)))},
		{Path: "max", Value: strconv.Itoa(int(aws.ToInt32(c.MaxSize)))},
		{Path: "min", Value: strconv.Itoa(int(aws.ToInt32(c.MinSize)))},
	}, tags)
	return state.Observed{
		Resource: state.Resource{Address: Scaling(aws.ToString(c.AutoScalingConfigurationName)), Fields: fields},
		ID:       aws.ToString(c.AutoScalingConfigurationArn), Owner: owner, Phase: state.Ready, Users: users,
	}
}

// shared tells whose a resource is that several services may use, and adds its tags.
func shared(fields []state.Field, tags []types.Tag) (state.Owner, []state.Field) {
	owner := state.Theirs
	for _, t := range tags {
		fields = append(fields, state.Field{Path: "tags." + aws.ToString(t.Key), Value: aws.ToString(t.Value)})
		if aws.ToString(t.Key) == tagManaged && aws.ToString(t.Value) == "true" {
			owner = state.Shared
		}
	}
	return owner, state.Sort(fields)
}

// observedConnector is a VPC connector as the planner sees it.
func observedConnector(c types.VpcConnector, tags []types.Tag, users []string) state.Observed {
	owner, fields := shared([]state.Field{{Path: "security_groups", Value: ids(c.SecurityGroups)}, {Path: "subnets", Value: ids(c.Subnets)}}, tags)
	return state.Observed{
		Resource: state.Resource{Address: Connector(aws.ToString(c.VpcConnectorName)), Fields: fields},
		ID:       aws.ToString(c.VpcConnectorArn), Owner: owner, Phase: state.Ready, Users: users,
	}
}

// observedTracing is an observability configuration as the planner sees it.
func observedTracing(c *types.ObservabilityConfiguration, tags []types.Tag, users []string) state.Observed {
	vendor := "none"
	if c.TraceConfiguration != nil {
		vendor = string(c.TraceConfiguration.Vendor)
	}
	owner, fields := shared([]state.Field{{Path: "vendor", Value: vendor}}, tags)
	return state.Observed{
		Resource: state.Resource{Address: Tracing(aws.ToString(c.ObservabilityConfigurationName)), Fields: fields},
		ID:       aws.ToString(c.ObservabilityConfigurationArn), Owner: owner, Phase: state.Ready, Users: users,
	}
}

// ingressPhases maps a status to what can be done with the connection.
// https://docs.aws.amazon.com/apprunner/latest/api/API_UpdateVpcIngressConnection.html
var ingressPhases = map[types.VpcIngressConnectionStatus]state.Phase{
	types.VpcIngressConnectionStatusAvailable:       state.Ready,
	types.VpcIngressConnectionStatusPendingCreation: state.Busy,
	types.VpcIngressConnectionStatusPendingUpdate:   state.Busy,
	types.VpcIngressConnectionStatusPendingDeletion: state.Busy,
	types.VpcIngressConnectionStatusFailedCreation:  state.Failed,
	types.VpcIngressConnectionStatusFailedUpdate:    state.Failed,
	types.VpcIngressConnectionStatusFailedDeletion:  state.Stuck,
}

// observedIngress is a VPC ingress connection as the planner sees it.
func observedIngress(c *types.VpcIngressConnection, tags []types.Tag, scope Scope) state.Observed {
	service := scope.own(kindService, aws.ToString(c.ServiceArn))
	f := []state.Field{{Path: "service", Value: service.String(), Ref: true, Immutable: true}}
	if v := c.IngressVpcConfiguration; v != nil {
		f = append(f, state.Field{Path: "endpoint", Value: aws.ToString(v.VpcEndpointId)}, state.Field{Path: "vpc", Value: aws.ToString(v.VpcId)})
	}
	owner := state.Theirs
	for _, t := range tags {
		f = append(f, state.Field{Path: "tags." + aws.ToString(t.Key), Value: aws.ToString(t.Value)})
		if aws.ToString(t.Key) == tagService && aws.ToString(t.Value) == service.Name {
			owner = state.Ours
		}
	}
	o := state.Observed{
		Resource: state.Resource{Address: Ingress(aws.ToString(c.VpcIngressConnectionName)), Fields: state.Sort(f), Detail: aws.ToString(c.DomainName)},
		ID:       aws.ToString(c.VpcIngressConnectionArn), Owner: owner, Phase: ingressPhases[upper(c.Status)],
	}
	if o.Phase != state.Ready {
		o.Note = strings.ToUpper(string(c.Status))
	}
	return o
}

// upper is a status in the spelling of the API's model: some are answered in lower case.
func upper[S ~string](s S) S { return S(strings.ToUpper(string(s))) }
