package apprunner

import (
	"crypto/sha256"
	"encoding/hex"
	"slices"
	"strconv"
	"strings"

	"github.com/apron-deploy/apron/reconcile/state"
)

const (
	// direct is the way out without a VPC.
	direct = "internet"
	// tracingName is the one observability configuration that apron makes: X-Ray is all
	// that there is to choose.
	tracingName = "apron-xray"
	xray        = "AWSXRAY"
)

// beside is what a manifest asks of the network, of tracing and of encryption: resources
// beside the service, and the service's own fields.
func beside(spec state.Spec, live state.Live) (resources []state.Resource, f []state.Field) {
	if n := spec.Network; n != nil {
		if n.Egress != nil && len(n.Egress.Subnets) == 0 {
			f = append(f, state.Field{Path: "network.egress", Value: direct})
		} else if n.Egress != nil {
			addr, own := connectorFor(spec, live)
			if own != nil {
				resources = append(resources, *own)
			}
			f = append(f, state.Field{Path: "network.egress", Value: addr.String(), Ref: true})
		}
		if n.Public != nil {
			f = append(f, state.Field{Path: "network.public", Value: strconv.FormatBool(*n.Public), Grant: *n.Public})
		}
		if n.IP != "" {
			f = append(f, state.Field{Path: "network.ip", Value: n.IP})
		}
		if n.Ingress != nil {
			resources = append(resources, ingressOf(spec, live))
		}
	}
	switch spec.Tracing {
	case "":
	case "none":
		f = append(f, state.Field{Path: "tracing", Value: "none"})
	default:
		addr, own := tracingFor(spec, live)
		if own != nil {
			resources = append(resources, *own)
		}
		f = append(f, state.Field{Path: "tracing", Value: addr.String(), Ref: true})
	}
	if spec.KMSKey != "" {
		f = append(f, state.Field{Path: "kms_key", Value: spec.KMSKey, Immutable: true})
	}
	return resources, f
}

// ids is a list of ids as a field has it.
func ids(list []string) string {
	list = slices.Clone(list)
	slices.Sort(list)
	return strings.Join(list, " ")
}

// connectorFor finds the VPC connector of some subnets and groups: the one that the service
// has, or somebody else's, or the one that apron makes and names by its content. There are ten in a Region, and none can be
// changed. Which group stands for none given only App Runner knows, so that only apron's
// own is found then.
// https://docs.aws.amazon.com/apprunner/latest/api/API_VpcConnector.html
func connectorFor(spec state.Spec, live state.Live) (state.Address, *state.Resource) {
	e := *spec.Network.Egress
	subnets, groups := ids(e.Subnets), ids(e.SecurityGroups)
	sum := sha256.Sum256([]byte(subnets + "/" + groups))
	own := state.Resource{Address: Connector("apron-" + hex.EncodeToString(sum[:6])), Fields: []state.Field{
		{Path: "subnets", Value: subnets, Immutable: true},
		{Path: "tags." + tagManaged, Value: "true"},
	}}
	if groups != "" {
		own.Fields = state.Sort(append(own.Fields, state.Field{Path: "security_groups", Value: groups, Immutable: true}))
	}
	var found []state.Address
	for addr, o := range live {
		if addr.Kind == kindConnector && o.Owner == state.Theirs && groups != "" &&
			o.Value("subnets") == subnets && o.Value("security_groups") == groups {
			found = append(found, addr)
		}
	}
	if used := stateAddress(live[Service(spec.Service)].Value("network.egress")); slices.Contains(found, used) {
		return used, nil
	}
	if _, exists := live[own.Address]; exists || len(found) == 0 {
		return own.Address, &own
	}
	return slices.MinFunc(found, state.Address.Compare), nil
}

// ingressOf is the way in from a VPC. A service has one at most, so that one under another
// name is the one that is meant.
func ingressOf(spec state.Spec, live state.Live) state.Resource {
	service := Service(spec.Service)
	r := state.Resource{Address: Ingress(spec.Service), Fields: []state.Field{
		{Path: "endpoint", Value: spec.Network.Ingress.Endpoint},
		{Path: "service", Value: service.String(), Ref: true, Immutable: true},
		{Path: "tags." + tagService, Value: spec.Service},
		{Path: "vpc", Value: spec.Network.Ingress.VPC},
	}}
	for k, v := range spec.Tags {
		r.Fields = append(r.Fields, state.Field{Path: "tags." + k, Value: v})
	}
	r.Fields = state.Sort(r.Fields)
	var names []string
	for addr, o := range live {
		if addr.Kind == kindIngress && o.Value("service") == service.String() {
			names = append(names, addr.Name)
		}
	}
	slices.Sort(names)
	if len(names) > 0 && !slices.Contains(names, spec.Service) {
		r.Address = Ingress(names[0])
	}
	return r
}

// Notes are what a plan should say of settings that have consequences elsewhere.
func Notes(spec state.Spec, live state.Live) []state.Note {
	var notes []state.Note
	addr := Service(spec.Service)
	if n := spec.Network; n != nil && n.Egress != nil && len(n.Egress.Subnets) > 0 && !strings.Contains(live[addr].Value("network.egress"), kindConnector) {
		notes = append(notes, state.Note{Target: addr, Text: "sends all that goes out through the VPC: the Internet and AWS are then reached only through a NAT gateway or endpoints there. The first start with these subnets and groups takes 2 to 5 minutes longer"})
	}
	return notes
}
