package apprunner

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/apron-deploy/apron/providers/sandbox/wire"
)

// maxIngresses is how many VPC ingress connections a service may have.
// https://docs.aws.amazon.com/general/latest/gr/apprunner.html
const maxIngresses = 1

// Statuses of a VPC ingress connection.
//
//	create -> PENDING_CREATION -> AVAILABLE, or FAILED_CREATION
//	update -> PENDING_UPDATE   -> AVAILABLE, or FAILED_UPDATE
//	delete -> PENDING_DELETION -> DELETED
//
// A creation or an update fails if the service has gone or become public meanwhile.
// https://docs.aws.amazon.com/apprunner/latest/api/API_VpcIngressConnection.html
const (
	ingressCreating     = "PENDING_CREATION"
	ingressAvailable    = "AVAILABLE"
	ingressCreateFailed = "FAILED_CREATION"
	ingressUpdating     = "PENDING_UPDATE"
	ingressUpdateFailed = "FAILED_UPDATE"
	ingressDeleting     = "PENDING_DELETION"
	ingressDeleted      = "DELETED"
)

// ingress is a VPC ingress connection as stored.
type ingress struct {
	Change     string // is new with each call that changes it
	ARN        string
	Name       string
	ServiceARN string
	VPC        string
	Endpoint   string
	Host       string // its domain name
	Status     string
	CreatedAt  wire.Time
	DeletedAt  wire.Time `json:",omitzero"`
	Tags       map[string]string
}

type ingressVPCShape struct {
	VpcId         *string `json:",omitempty"`
	VpcEndpointId *string `json:",omitempty"`
}

type ingressConnectionShape struct {
	VpcIngressConnectionArn  string
	VpcIngressConnectionName string
	ServiceArn               string
	Status                   string
	AccountId                string
	DomainName               string
	IngressVpcConfiguration  ingressVPCShape
	CreatedAt                wire.Time
	DeletedAt                wire.Time `json:",omitzero"`
}

type ingressSummary struct {
	VpcIngressConnectionArn string
	ServiceArn              string
}

func (i *ingress) there() bool { return i.Status != ingressDeleted }

func (s *Service) describeIngress(i *ingress) ingressConnectionShape {
	return ingressConnectionShape{
		VpcIngressConnectionArn: i.ARN, VpcIngressConnectionName: i.Name, ServiceArn: i.ServiceARN,
		Status: i.Status, AccountId: s.o.Account, DomainName: i.Host,
		IngressVpcConfiguration: ingressVPCShape{&i.VPC, &i.Endpoint}, CreatedAt: i.CreatedAt, DeletedAt: i.DeletedAt,
	}
}

type createIngressInput struct {
	ServiceArn               *string
	VpcIngressConnectionName *string
	IngressVpcConfiguration  *ingressVPCShape
	Tags                     []tagShape
}

type ingressOutput struct{ VpcIngressConnection ingressConnectionShape }

// createIngress has no ResourceNotFoundException in the model.
func (s *Service) createIngress(_ context.Context, in createIngressInput) (out ingressOutput, err error) {
	var c checks
	c.arn("serviceArn", in.ServiceArn)
	c.name("vpcIngressConnectionName", in.VpcIngressConnectionName, connectorName, 40)
	c.ingressVPC(in.IngressVpcConfiguration)
	c.tags(in.Tags)
	if err := c.err(); err != nil {
		return out, err
	}
	made := &ingress{
		Change: hex32(), Name: *in.VpcIngressConnectionName, ServiceARN: *in.ServiceArn,
		Status: ingressCreating, CreatedAt: s.now(), Tags: map[string]string{},
	}
	if err := made.join(in.IngressVpcConfiguration); err != nil {
		return out, err
	}
	made.ARN = s.arn("vpcingressconnection/%s/%s", made.Name, hex32())
	put(made.Tags, in.Tags)
	err = s.doc.Update(func(st *state) error {
		s.purge(st)
		r, err := s.find(st, made.ServiceARN)
		if err == nil {
			err = s.present(r)
		}
		if err != nil {
			return wire.Errorf(invalidRequest, "Service with the provided ARN doesn't exist: %s.", made.ServiceARN)
		}
		if err := s.allow(r, "associated with a VPC ingress connection", running, paused); err != nil {
			return err
		}
		if r.public() {
			return wire.Errorf(invalidRequest, "The service %s is publicly accessible. A VPC ingress connection needs a service with IsPubliclyAccessible set to false.", r.ARN)
		}
		if err := st.admitIngress(made); err != nil {
			return err
		}
		st.Ingresses = append(st.Ingresses, made)
		out.VpcIngressConnection = s.describeIngress(made)
		return nil
	})
	if err == nil {
		s.spawn(func() { s.settleIngress(made.Change) })
	}
	return out, err
}

// ingressVPC checks a VPC and its endpoint.
func (c *checks) ingressVPC(v *ingressVPCShape) {
	c.Present("ingressVpcConfiguration", v != nil)
	if v != nil {
		c.LengthOf("ingressVpcConfiguration.vpcId", v.VpcId, 0, maxString)
		c.LengthOf("ingressVpcConfiguration.vpcEndpointId", v.VpcEndpointId, 0, maxString)
	}
}

// join takes over a VPC and its endpoint. The sandbox knows neither, so ids are judged
// by their form.
func (i *ingress) join(v *ingressVPCShape) error {
	if !strings.HasPrefix(value(v.VpcId), "vpc-") {
		return wire.Errorf(invalidRequest, "The vpc ID '%s' does not exist", value(v.VpcId))
	}
	if !strings.HasPrefix(value(v.VpcEndpointId), "vpce-") {
		return wire.Errorf(invalidRequest, "The Vpc Endpoint Id '%s' does not exist", value(v.VpcEndpointId))
	}
	i.VPC, i.Endpoint = *v.VpcId, *v.VpcEndpointId
	if i.Host == "" {
		i.Host = hex32()[:10]
	}
	label, _, _ := strings.Cut(i.Host, ".")
	i.Host = fmt.Sprintf("%s.%s.localhost", label, i.Endpoint)
	return nil
}

func (st *state) admitIngress(made *ingress) error {
	of := 0
	for _, i := range st.Ingresses {
		if !i.there() {
			continue
		}
		if i.Name == made.Name {
			return wire.Errorf(invalidRequest, "VPC ingress connection with the provided name already exists: %s.", made.Name)
		}
		if i.ServiceARN == made.ServiceARN {
			of++
		}
	}
	if of >= maxIngresses {
		return wire.Errorf(quotaExceeded, "The maximum number of VPC ingress connections (%d) for the service %s has been reached.", maxIngresses, made.ServiceARN)
	}
	return nil
}

// settleIngress ends a change after its wait, unless another has come.
func (s *Service) settleIngress(change string) {
	if s.o.Clock.Sleep(s.ctx, s.waits.Bind) != nil {
		return
	}
	// A disk that refuses: the next start takes it up.
	_ = s.doc.Update(func(st *state) error {
		at := slices.IndexFunc(st.Ingresses, func(i *ingress) bool { return i.Change == change })
		if at < 0 {
			return nil
		}
		i := st.Ingresses[at]
		r, err := s.find(st, i.ServiceARN)
		fits := err == nil && r.Status != deleted && !r.public()
		switch {
		case i.Status == ingressDeleting:
			i.Status, i.DeletedAt = ingressDeleted, s.now()
		case fits && (i.Status == ingressCreating || i.Status == ingressUpdating):
			i.Status = ingressAvailable
		case i.Status == ingressCreating:
			i.Status = ingressCreateFailed
		case i.Status == ingressUpdating:
			i.Status = ingressUpdateFailed
		}
		return nil
	})
}

type ingressInput struct{ VpcIngressConnectionArn *string }

// findIngress returns the connection with the ARN. Deleted ones stay for a while.
func (s *Service) findIngress(st *state, arn *string) (*ingress, error) {
	for _, i := range st.Ingresses {
		if i.ARN == *arn && !s.forgotten(!i.there(), i.DeletedAt) {
			return i, nil
		}
	}
	return nil, wire.Errorf(notFound, "VPC ingress connection with the provided ARN doesn't exist: %s.", *arn)
}

func (s *Service) describeIngressConnection(_ context.Context, in ingressInput) (out ingressOutput, err error) {
	var c checks
	c.arn("vpcIngressConnectionArn", in.VpcIngressConnectionArn)
	if err := c.err(); err != nil {
		return out, err
	}
	s.doc.View(func(st *state) {
		var i *ingress
		if i, err = s.findIngress(st, in.VpcIngressConnectionArn); err == nil {
			out.VpcIngressConnection = s.describeIngress(i)
		}
	})
	return out, err
}

type updateIngressInput struct {
	VpcIngressConnectionArn *string
	IngressVpcConfiguration *ingressVPCShape
}

func (s *Service) updateIngress(_ context.Context, in updateIngressInput) (out ingressOutput, err error) {
	var c checks
	c.arn("vpcIngressConnectionArn", in.VpcIngressConnectionArn)
	c.ingressVPC(in.IngressVpcConfiguration)
	if err := c.err(); err != nil {
		return out, err
	}
	return s.changeIngress(in.VpcIngressConnectionArn, "updated", ingressUpdating, func(i *ingress) error {
		return i.join(in.IngressVpcConfiguration)
	}, ingressAvailable, ingressCreateFailed, ingressUpdateFailed)
}

func (s *Service) deleteIngress(_ context.Context, in ingressInput) (out ingressOutput, err error) {
	var c checks
	c.arn("vpcIngressConnectionArn", in.VpcIngressConnectionArn)
	if err := c.err(); err != nil {
		return out, err
	}
	return s.changeIngress(in.VpcIngressConnectionArn, "deleted", ingressDeleting, func(*ingress) error { return nil },
		ingressAvailable, ingressCreateFailed, ingressUpdateFailed)
}

// changeIngress begins a change of a connection that has one of the statuses.
func (s *Service) changeIngress(arn *string, verb, next string, edit func(*ingress) error, statuses ...string) (out ingressOutput, err error) {
	change := hex32()
	err = s.doc.Update(func(st *state) error {
		i, err := s.findIngress(st, arn)
		switch {
		case err != nil:
			return err
		case !slices.Contains(statuses, i.Status):
			return wire.Errorf(invalidState, "VPC ingress connection cannot be %s in the current state: %s.", verb, i.Status)
		}
		if err := edit(i); err != nil {
			return err
		}
		i.Change, i.Status = change, next
		out.VpcIngressConnection = s.describeIngress(i)
		return nil
	})
	if err == nil {
		s.spawn(func() { s.settleIngress(change) })
	}
	return out, err
}

type listIngressInput struct {
	Filter *struct{ ServiceArn, VpcEndpointId *string }
	pageInput
}

type listIngressOutput struct {
	VpcIngressConnectionSummaryList []ingressSummary
	NextToken                       string `json:",omitempty"`
}

func (s *Service) listIngresses(_ context.Context, in listIngressInput) (out listIngressOutput, err error) {
	var c checks
	var service, endpoint *string
	if f := in.Filter; f != nil {
		service, endpoint = f.ServiceArn, f.VpcEndpointId
		c.optionalARN("filter.serviceArn", service)
		c.LengthOf("filter.vpcEndpointId", endpoint, 0, maxString)
	}
	c.page(in.pageInput, 100)
	if err := c.err(); err != nil {
		return out, err
	}
	var all []ingressSummary
	s.doc.View(func(st *state) {
		for _, i := range st.Ingresses {
			if i.there() && (service == nil || *service == i.ServiceARN) && (endpoint == nil || *endpoint == i.Endpoint) {
				all = append(all, ingressSummary{i.ARN, i.ServiceARN})
			}
		}
	})
	key := func(i ingressSummary) string { return i.VpcIngressConnectionArn }
	list := strings.Join([]string{"ingresses", value(service), value(endpoint)}, " ")
	out.VpcIngressConnectionSummaryList, out.NextToken, err = paged(list, all, key, in.pageInput)
	return out, err
}

// ingresses are a service's connections that are not deleted.
func (st *state) ingresses(service string) (all []*ingress) {
	for _, i := range st.Ingresses {
		if i.ServiceARN == service && i.there() {
			all = append(all, i)
		}
	}
	return all
}

// unlinked refuses to delete a service that a VPC is connected to.
// https://docs.aws.amazon.com/apprunner/latest/api/API_DeleteService.html
func (st *state) unlinked(r *record) error {
	if all := st.ingresses(r.ARN); len(all) > 0 {
		return wire.Errorf(invalidRequest, "You can't delete the service. It has active VPC ingress connections. To delete it, delete them first. ARN: '%s'", all[0].ARN)
	}
	return nil
}
