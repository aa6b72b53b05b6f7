package apprunner

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"slices"

	"github.com/apron-deploy/apron/providers/sandbox/wire"
	"github.com/apron-deploy/apron/reconcile/pattern"
)

// maxConnectors is the quota of VPC connectors.
// https://docs.aws.amazon.com/general/latest/gr/apprunner.html
const maxConnectors = 10

// connector is a VPC connector as stored. App Runner supports one revision per name.
// https://docs.aws.amazon.com/apprunner/latest/api/API_VpcConnector.html
type connector struct {
	revised
	Subnets        []string
	SecurityGroups []string
}

type connectorShape struct {
	VpcConnectorName     string
	VpcConnectorArn      string
	VpcConnectorRevision int
	Subnets              []string
	SecurityGroups       []string
	Status               string
	CreatedAt            wire.Time
	DeletedAt            wire.Time `json:",omitzero"`
}

func (c *connector) shape() *connectorShape {
	return &connectorShape{
		VpcConnectorName: c.Name, VpcConnectorArn: c.ARN, VpcConnectorRevision: c.Revision,
		Subnets: slices.Clone(c.Subnets), SecurityGroups: slices.Clone(c.SecurityGroups),
		Status: c.status(), CreatedAt: c.CreatedAt, DeletedAt: c.DeletedAt,
	}
}

var connectorARN = partialARN("vpcconnector")

// The sandbox knows no VPC, so ids are judged by their form.
var (
	subnetID        = pattern.Lazy(`^subnet-([0-9a-f]{8}|[0-9a-f]{17})$`)
	securityGroupID = pattern.Lazy(`^sg-([0-9a-f]{8}|[0-9a-f]{17})$`)
)

type createConnectorInput struct {
	VpcConnectorName *string
	Subnets          []string
	SecurityGroups   []string
	Tags             []tagShape
}

type connectorOutput struct{ VpcConnector *connectorShape }

func (s *Service) createConnector(_ context.Context, in createConnectorInput) (out connectorOutput, err error) {
	var c checks
	c.name("vpcConnectorName", in.VpcConnectorName, connectorName, 40)
	c.Present("subnets", in.Subnets != nil)
	for _, id := range in.Subnets {
		c.LengthOf("subnets.member", &id, 0, maxString)
	}
	for _, id := range in.SecurityGroups {
		c.LengthOf("securityGroups.member", &id, 0, maxString)
	}
	c.tags(in.Tags)
	if err := c.err(); err != nil {
		return out, err
	}
	if err := vpcIDs(in.Subnets, in.SecurityGroups); err != nil {
		return out, err
	}
	made := &connector{
		revised:        revised{Name: *in.VpcConnectorName, Revision: 1, CreatedAt: s.now(), Tags: map[string]string{}},
		Subnets:        slices.Clone(in.Subnets),
		SecurityGroups: slices.Clone(in.SecurityGroups),
	}
	if len(made.SecurityGroups) == 0 {
		made.SecurityGroups = []string{s.defaultGroup()}
	}
	put(made.Tags, in.Tags)
	err = s.doc.Update(func(st *state) error {
		s.purge(st)
		if err := st.admitConnector(made); err != nil {
			return err
		}
		made.ARN = s.arn("vpcconnector/%s/%d/%s", made.Name, made.Revision, hex32())
		st.Connectors = append(st.Connectors, made)
		out.VpcConnector = made.shape()
		return nil
	})
	return out, err
}

func vpcIDs(subnets, groups []string) error {
	if len(subnets) == 0 {
		return wire.Errorf(invalidRequest, "Subnets must not be empty.")
	}
	for _, id := range subnets {
		if !subnetID().MatchString(id) {
			return wire.Errorf(invalidRequest, "The subnet ID '%s' does not exist", id)
		}
	}
	for _, id := range groups {
		if !securityGroupID().MatchString(id) {
			return wire.Errorf(invalidRequest, "The security group '%s' does not exist", id)
		}
	}
	return nil
}

// defaultGroup stands for the default security group of the VPC, which App Runner takes
// if none is named.
func (s *Service) defaultGroup() string {
	sum := sha256.Sum256([]byte("default security group of " + s.o.Account + " in " + s.o.Region))
	return "sg-" + hex.EncodeToString(sum[:])[:17]
}

// admitConnector refuses a name that is taken, a second connector of the same subnets
// and groups, and one too many.
func (st *state) admitConnector(made *connector) error {
	active := 0
	for _, c := range st.Connectors {
		if !c.active() {
			continue
		}
		active++
		switch {
		case c.Name == made.Name:
			return wire.Errorf(invalidRequest, "VPC connector with the provided name already exists: %s.", made.Name)
		case sameSet(c.Subnets, made.Subnets) && sameSet(c.SecurityGroups, made.SecurityGroups):
			return wire.Errorf(invalidRequest, "VPC connector with the provided subnets and security groups already exists. ARN: '%s'", c.ARN)
		}
	}
	if active >= maxConnectors {
		return quota(maxConnectors, "VPC connectors")
	}
	return nil
}

func sameSet(a, b []string) bool {
	sorted := func(list []string) []string { return slices.Compact(slices.Sorted(slices.Values(list))) }
	return slices.Equal(sorted(a), sorted(b))
}

type connectorInput struct{ VpcConnectorArn *string }

func (in connectorInput) check() error {
	var c checks
	c.arn("vpcConnectorArn", in.VpcConnectorArn)
	return c.err()
}

// findConnector wants a full ARN.
func (s *Service) findConnector(st *state, arn string) (*connector, error) {
	parts := connectorARN().FindStringSubmatch(arn)
	if parts == nil || parts[3] == "" {
		return nil, invalidConnector(arn)
	}
	c, ok := lookUp(st.Connectors, connectorARN, arn)
	if !ok || s.forgotten(!c.active(), c.DeletedAt) {
		return nil, wire.Errorf(notFound, "The VPC connector you specified doesn't exist. ARN: '%s'", arn)
	}
	return c, nil
}

func invalidConnector(arn string) error {
	return wire.Errorf(invalidRequest, "The VPC connector ARN you specified isn't valid. ARN: '%s'", arn)
}

func (s *Service) describeConnector(_ context.Context, in connectorInput) (out connectorOutput, err error) {
	if err := in.check(); err != nil {
		return out, err
	}
	s.doc.View(func(st *state) {
		var c *connector
		if c, err = s.findConnector(st, *in.VpcConnectorArn); err == nil {
			out.VpcConnector = c.shape()
		}
	})
	return out, err
}

func (s *Service) deleteConnector(_ context.Context, in connectorInput) (out connectorOutput, err error) {
	if err := in.check(); err != nil {
		return out, err
	}
	err = s.doc.Update(func(st *state) error {
		c, err := s.findConnector(st, *in.VpcConnectorArn)
		switch {
		case err != nil:
			return err
		case !c.active():
			return wire.Errorf(invalidRequest, "The VPC connector you specified has been deleted. ARN: '%s'", c.ARN)
		case len(st.usersOf(func(used config) bool { return used.connector() == c.ARN })) > 0:
			// https://github.com/aws/apprunner-roadmap/issues/161
			return wire.Errorf(invalidRequest, "Provided VPC connector arn is being used by other services. ARN: %s", c.ARN)
		}
		c.DeletedAt = s.now()
		out.VpcConnector = c.shape()
		return nil
	})
	return out, err
}

type connectorsOutput struct {
	VpcConnectors []connectorShape
	NextToken     string `json:",omitempty"`
}

// listConnectors lists the active ones.
func (s *Service) listConnectors(_ context.Context, in pageInput) (out connectorsOutput, err error) {
	var c checks
	c.page(in, 100)
	if err := c.err(); err != nil {
		return out, err
	}
	var all []connectorShape
	s.doc.View(func(st *state) {
		for _, c := range st.Connectors {
			if c.active() {
				all = append(all, *c.shape())
			}
		}
	})
	out.VpcConnectors, out.NextToken, err = paged("connectors", all, func(c connectorShape) string { return c.VpcConnectorArn }, in)
	return out, err
}

// connector is the ARN of the VPC connector that carries the service's traffic, or "".
func (c config) connector() string {
	if e := c.NetworkConfiguration.EgressConfiguration; value(e.EgressType) == vpcEgress {
		return value(e.VpcConnectorArn)
	}
	return ""
}

// attach checks that the egress is one that exists.
func (s *Service) attach(st *state, c config) error {
	e := c.NetworkConfiguration.EgressConfiguration
	arn := value(e.VpcConnectorArn)
	if value(e.EgressType) != vpcEgress {
		if arn != "" {
			return wire.Errorf(invalidRequest, "VpcConnectorArn can be specified only when EgressType is VPC.")
		}
		return nil
	}
	found, ok := lookUp(st.Connectors, connectorARN, arn)
	if !ok || found.ARN != arn || !found.active() {
		return invalidConnector(arn)
	}
	return nil
}
