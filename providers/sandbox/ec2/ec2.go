// Package ec2 is the part of the sandbox's EC2 that App Runner's network settings refer to:
// the default VPC of the account and Region, with a default subnet in each of three
// Availability Zones and the default security group. Nothing in it can be changed, and no
// packet passes through it.
package ec2

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/apron-deploy/apron/providers/sandbox/wire"
)

// API answers for the account's default VPC.
// https://docs.aws.amazon.com/AWSEC2/latest/APIReference/OperationList-query-vpc.html
func API(account, region string) wire.EC2API {
	n := network{account, region}
	return wire.EC2API{
		SigningName: "ec2",
		Version:     "2016-11-15",
		Namespace:   "http://ec2.amazonaws.com/doc/2016-11-15/",
		Operations: map[string]wire.EC2Operation{
			"DescribeVpcs": func(_ context.Context, form url.Values) (any, error) {
				items, err := pick(form, "VpcId", "InvalidVpcID.NotFound", "The vpc ID '%s' does not exist", n.vpcs())
				return struct {
					Set set[vpc] `ec2:"vpcSet"`
				}{set[vpc]{items}}, err
			},
			"DescribeSubnets": func(_ context.Context, form url.Values) (any, error) {
				items, err := pick(form, "SubnetId", "InvalidSubnetID.NotFound", "The subnet ID '%s' does not exist", n.subnets())
				return struct {
					Set set[subnet] `ec2:"subnetSet"`
				}{set[subnet]{items}}, err
			},
			"DescribeSecurityGroups": func(_ context.Context, form url.Values) (any, error) {
				items, err := pick(form, "GroupId", "InvalidGroup.NotFound", "The security group '%s' does not exist", n.groups())
				return struct {
					Set set[group] `ec2:"securityGroupInfo"`
				}{set[group]{items}}, err
			},
			"DescribeVpcEndpoints": func(_ context.Context, form url.Values) (any, error) {
				items, err := pick(form, "VpcEndpointId", "InvalidVpcEndpointId.NotFound", "The Vpc Endpoint Id '%s' does not exist", []endpoint(nil))
				return struct {
					Set set[endpoint] `ec2:"vpcEndpointSet"`
				}{set[endpoint]{items}}, err
			},
		},
	}
}

// set is a list as EC2 writes it.
type set[T any] struct {
	Item []T `xml:"item"`
}

type network struct{ account, region string }

// id is the same for an account and Region at all times.
func (n network) id(prefix, of string) string {
	sum := sha256.Sum256([]byte(n.account + n.region + of))
	return prefix + "-0" + hex.EncodeToString(sum[:])[:16]
}

// resource is what a request can choose: by its id, or by the values that filters name.
type resource interface {
	id() string
	attributes() map[string]string
}

type vpc struct {
	VpcID         string `xml:"vpcId"`
	OwnerID       string `xml:"ownerId"`
	State         string `xml:"state"`
	CidrBlock     string `xml:"cidrBlock"`
	DhcpOptionsID string `xml:"dhcpOptionsId"`
	Tenancy       string `xml:"instanceTenancy"`
	IsDefault     bool   `xml:"isDefault"`
}

func (v vpc) id() string { return v.VpcID }
func (v vpc) attributes() map[string]string {
	return map[string]string{"vpc-id": v.VpcID, "owner-id": v.OwnerID, "state": v.State, "cidr": v.CidrBlock,
		"is-default": strconv.FormatBool(v.IsDefault), "isDefault": strconv.FormatBool(v.IsDefault)}
}

func (n network) vpcs() []vpc {
	return []vpc{{n.id("vpc", "vpc"), n.account, "available", "172.31.0.0/16", n.id("dopt", "dopt"), "default", true}}
}

type subnet struct {
	SubnetID     string `xml:"subnetId"`
	SubnetArn    string `xml:"subnetArn"`
	State        string `xml:"state"`
	OwnerID      string `xml:"ownerId"`
	VpcID        string `xml:"vpcId"`
	CidrBlock    string `xml:"cidrBlock"`
	Available    int    `xml:"availableIpAddressCount"`
	Zone         string `xml:"availabilityZone"`
	DefaultForAz bool   `xml:"defaultForAz"`
	MapPublicIP  bool   `xml:"mapPublicIpOnLaunch"`
	Ipv6Native   bool   `xml:"ipv6Native"`
}

func (s subnet) id() string { return s.SubnetID }
func (s subnet) attributes() map[string]string {
	return map[string]string{"subnet-id": s.SubnetID, "vpc-id": s.VpcID, "state": s.State, "availability-zone": s.Zone,
		"cidr-block": s.CidrBlock, "owner-id": s.OwnerID, "default-for-az": strconv.FormatBool(s.DefaultForAz)}
}

func (n network) subnets() (list []subnet) {
	for i, zone := range []string{"a", "b", "c"} {
		id := n.id("subnet", zone)
		list = append(list, subnet{
			SubnetID: id, SubnetArn: fmt.Sprintf("arn:aws:ec2:%s:%s:subnet/%s", n.region, n.account, id), State: "available",
			OwnerID: n.account, VpcID: n.vpcs()[0].VpcID, CidrBlock: fmt.Sprintf("172.31.%d.0/20", 16*i),
			Available: 4091, Zone: n.region + zone, DefaultForAz: true, MapPublicIP: true, // AWS keeps five of 4,096
		})
	}
	return list
}

type group struct {
	OwnerID     string          `xml:"ownerId"`
	GroupID     string          `xml:"groupId"`
	GroupName   string          `xml:"groupName"`
	Description string          `xml:"groupDescription"`
	VpcID       string          `xml:"vpcId"`
	Ingress     set[permission] `xml:"ipPermissions"`
	Egress      set[permission] `xml:"ipPermissionsEgress"`
}

type permission struct {
	Protocol string         `xml:"ipProtocol"`
	Groups   set[groupPair] `xml:"groups"`
	Ranges   set[cidr]      `xml:"ipRanges"`
}

type groupPair struct {
	UserID  string `xml:"userId"`
	GroupID string `xml:"groupId"`
}

type cidr struct {
	Block string `xml:"cidrIp"`
}

func (g group) id() string { return g.GroupID }
func (g group) attributes() map[string]string {
	return map[string]string{"group-id": g.GroupID, "group-name": g.GroupName, "vpc-id": g.VpcID, "owner-id": g.OwnerID, "description": g.Description}
}

// groups is the default group: all from itself, and all to everywhere.
// https://docs.aws.amazon.com/vpc/latest/userguide/default-security-group.html
func (n network) groups() []group {
	id := n.id("sg", "sg")
	return []group{{
		OwnerID: n.account, GroupID: id, GroupName: "default", Description: "default VPC security group", VpcID: n.vpcs()[0].VpcID,
		Ingress: set[permission]{[]permission{{Protocol: "-1", Groups: set[groupPair]{[]groupPair{{n.account, id}}}}}},
		Egress:  set[permission]{[]permission{{Protocol: "-1", Ranges: set[cidr]{[]cidr{{"0.0.0.0/0"}}}}}},
	}}
}

// endpoint is what a new account has none of.
type endpoint struct {
	ID string `xml:"vpcEndpointId"`
}

func (e endpoint) id() string                    { return e.ID }
func (e endpoint) attributes() map[string]string { return map[string]string{"vpc-endpoint-id": e.ID} }

// pick keeps what the ids and the filters of a request choose. Values of one filter are
// alternatives, and filters all have to hold; * in a value stands for anything.
// https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/Using_Filtering.html
func pick[T resource](form url.Values, member, code, missing string, all []T) ([]T, error) {
	ids := numbered(form, member)
	for _, id := range ids {
		if !slices.ContainsFunc(all, func(r T) bool { return r.id() == id }) {
			return nil, wire.Errorf(code, missing, id)
		}
	}
	var out []T
	for _, r := range all {
		fits := len(ids) == 0 || slices.Contains(ids, r.id())
		for n := 1; form.Has(fmt.Sprintf("Filter.%d.Name", n)); n++ {
			at := fmt.Sprintf("Filter.%d.", n)
			name := form.Get(at + "Name")
			value, known := r.attributes()[name]
			if !known {
				return nil, wire.Errorf("InvalidParameterValue", "The filter '%s' is invalid", name)
			}
			fits = fits && slices.ContainsFunc(numbered(form, at+"Value"), func(want string) bool { return matches(want, value) })
		}
		if fits {
			out = append(out, r)
		}
	}
	return out, nil
}

// numbered are the values of a list in a form.
func numbered(form url.Values, name string) (list []string) {
	for n := 1; form.Has(name + "." + strconv.Itoa(n)); n++ {
		list = append(list, form.Get(name+"."+strconv.Itoa(n)))
	}
	return list
}

func matches(want, value string) bool {
	parts := strings.Split(want, "*")
	if len(parts) == 1 {
		return want == value
	}
	rest, ok := strings.CutPrefix(value, parts[0])
	for _, part := range parts[1 : len(parts)-1] {
		_, after, found := strings.Cut(rest, part)
		ok, rest = ok && found, after
	}
	return ok && strings.HasSuffix(rest, parts[len(parts)-1])
}
