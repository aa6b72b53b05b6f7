package route53

import (
	"cmp"
	"context"
	"encoding/xml"
	"fmt"
	"hash/fnv"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/apron-deploy/apron/providers/sandbox/wire"
)

const maxZones = 500 // https://docs.aws.amazon.com/Route53/latest/DeveloperGuide/DNSLimitations.html

type vpc struct {
	Region string `xml:"VPCRegion"`
	ID     string `xml:"VPCId"`
}

// zoneView is a zone as responses show it.
type zoneView struct {
	ID              string `xml:"Id"`
	Name            string
	CallerReference string
	Config          struct {
		Comment     string `xml:",omitempty"`
		PrivateZone bool
	}
	ResourceRecordSetCount int
}

func (z *zone) show() zoneView {
	v := zoneView{ID: "/hostedzone/" + z.ID, Name: z.Name, CallerReference: z.CallerReference, ResourceRecordSetCount: len(z.Records)}
	v.Config.Comment, v.Config.PrivateZone = z.Comment, z.private()
	return v
}

func (z *zone) private() bool { return len(z.VPCs) > 0 }

// nameServers is how responses show the servers of a public zone; a private one has none.
type nameServers struct {
	NameServers struct{ NameServer []string }
}

func (z *zone) delegation() *nameServers {
	if z.private() {
		return nil
	}
	var d nameServers
	d.NameServers.NameServer = z.NameServers
	return &d
}

// delegate chooses the four servers of a zone in AWS's four domains, always the same.
func delegate(id string) []string {
	h := fnv.New64a()
	_, _ = h.Write([]byte(id)) // never fails
	n := h.Sum64()
	var names []string
	for i, domain := range []string{"com", "net", "org", "co.uk"} {
		server := n>>(8*i)&511 + uint64(512*i)
		names = append(names, fmt.Sprintf("ns-%d.awsdns-%02d.%s", server, server&63, domain))
	}
	return names
}

func (s *Service) createZone(_ context.Context, r wire.RESTRequest) (answer wire.RESTAnswer, err error) {
	var in struct {
		Name, CallerReference string
		HostedZoneConfig      struct {
			Comment     string
			PrivateZone bool
		}
		VPC *vpc
	}
	if err := wire.ReadXML(r.Body, &in); err != nil {
		return answer, err
	}
	var c wire.Checks
	c.Present("name", in.Name != "")
	c.Length("name", in.Name, 0, 1024)
	c.Present("callerReference", in.CallerReference != "")
	c.Length("callerReference", in.CallerReference, 1, 128)
	c.Length("hostedZoneConfig.comment", in.HostedZoneConfig.Comment, 0, 256)
	if err := c.Err("InvalidInput"); err != nil {
		return answer, err
	}
	name, ok := fqdn(in.Name)
	switch {
	case !ok || strings.Count(name, ".") < 1:
		return answer, wire.Errorf("InvalidDomainName", "%s is not a valid domain name.", in.Name)
	case in.HostedZoneConfig.PrivateZone && in.VPC == nil:
		return answer, wire.Errorf("InvalidInput", "When you're creating a private hosted zone (when you specify true for PrivateZone), you must also specify values for VPCId and VPCRegion.")
	}
	var out struct {
		XMLName       xml.Name `xml:"https://route53.amazonaws.com/doc/2013-04-01/ CreateHostedZoneResponse"`
		HostedZone    zoneView
		ChangeInfo    changeInfo
		DelegationSet *nameServers
		VPC           *vpc
	}
	z := &zone{
		ID: newID("Z"), Name: name, CallerReference: in.CallerReference, Comment: in.HostedZoneConfig.Comment,
		Created: s.now(), Tags: map[string]string{},
	}
	if in.VPC != nil {
		z.VPCs = []vpc{*in.VPC}
	}
	z.NameServers = delegate(z.ID)
	z.Records = z.initial()
	err = s.doc.Update(func(all *zones) error {
		for _, other := range all.ByID {
			if other.CallerReference == in.CallerReference {
				return &wire.Error{Code: "HostedZoneAlreadyExists", Status: http.StatusConflict,
					Message: "A hosted zone has already been created with the specified caller reference."}
			}
		}
		if len(all.ByID) >= maxZones {
			return wire.Errorf("TooManyHostedZones", "Cannot create more hosted zones; the limit is %d.", maxZones)
		}
		if all.ByID == nil {
			all.ByID = map[string]*zone{}
		}
		all.ByID[z.ID] = z
		out.ChangeInfo = s.note(all, z, nil, "")
		return nil
	})
	if err != nil {
		return answer, err
	}
	out.HostedZone, out.DelegationSet, out.VPC = z.show(), z.delegation(), in.VPC
	location := "https://route53.amazonaws.com/2013-04-01/hostedzone/" + z.ID
	return wire.RESTAnswer{Status: http.StatusCreated, Header: http.Header{"Location": {location}}, Body: out}, nil
}

// initial are the records that every zone has.
// https://docs.aws.amazon.com/Route53/latest/DeveloperGuide/SOA-NSrecords.html
func (z *zone) initial() []recordSet {
	ns := recordSet{Name: z.Name, Type: "NS", TTL: 172800}
	for _, name := range z.NameServers {
		ns.Values = append(ns.Values, name+".")
	}
	return []recordSet{ns, {Name: z.Name, Type: "SOA", TTL: 900,
		Values: []string{z.NameServers[0] + ". awsdns-hostmaster.amazon.com. 1 7200 900 1209600 86400"}}}
}

// view calls f with the zone of a request.
func (s *Service) view(r wire.RESTRequest, f func(*zone) error) error {
	id := r.Path["Id"]
	var err error = noZone(id)
	s.doc.View(func(all *zones) {
		if z := all.ByID[id]; z != nil {
			err = f(z)
		}
	})
	return err
}

func (s *Service) getZone(_ context.Context, r wire.RESTRequest) (wire.RESTAnswer, error) {
	var out struct {
		XMLName       xml.Name `xml:"https://route53.amazonaws.com/doc/2013-04-01/ GetHostedZoneResponse"`
		HostedZone    zoneView
		DelegationSet *nameServers
		VPCs          []vpc `xml:"VPCs>VPC,omitempty"`
	}
	err := s.view(r, func(z *zone) error {
		out.HostedZone, out.DelegationSet, out.VPCs = z.show(), z.delegation(), slices.Clone(z.VPCs)
		return nil
	})
	return wire.RESTAnswer{Body: out}, err
}

func (s *Service) deleteZone(_ context.Context, r wire.RESTRequest) (wire.RESTAnswer, error) {
	var out struct {
		XMLName    xml.Name `xml:"https://route53.amazonaws.com/doc/2013-04-01/ DeleteHostedZoneResponse"`
		ChangeInfo changeInfo
	}
	id := r.Path["Id"]
	err := s.doc.Update(func(all *zones) error {
		z := all.ByID[id]
		switch {
		case z == nil:
			return noZone(id)
		case len(z.Records) > len(z.initial()):
			return wire.Errorf("HostedZoneNotEmpty", "The specified hosted zone contains non-required resource record sets and so cannot be deleted.")
		}
		delete(all.ByID, id)
		out.ChangeInfo = s.note(all, nil, nil, "")
		return nil
	})
	return wire.RESTAnswer{Body: out}, err
}

// maxItems is the page size that a request asks for, limit if it does not.
func maxItems(r wire.RESTRequest, limit int) (int, error) {
	text := r.Query.Get("maxitems")
	if text == "" {
		return limit, nil
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 {
		return 0, wire.Errorf("InvalidInput", "Value '%s' at 'maxItems' failed to satisfy constraint: Member must be a number greater than or equal to 1", text)
	}
	return min(n, limit), nil
}

// sorted are all zones in an order.
func (s *Service) sorted(compare func(a, b *zone) int) (list []zoneView) {
	s.doc.View(func(all *zones) {
		for _, z := range slices.SortedFunc(maps.Values(all.ByID), compare) {
			list = append(list, z.show())
		}
	})
	return list
}

func (s *Service) listZones(_ context.Context, r wire.RESTRequest) (answer wire.RESTAnswer, err error) {
	limit, err := maxItems(r, 100)
	if err != nil {
		return answer, err
	}
	list := s.sorted(func(a, b *zone) int { return cmp.Compare(a.ID, b.ID) })
	marker := r.Query.Get("marker")
	if i := slices.IndexFunc(list, func(z zoneView) bool { return z.ID == "/hostedzone/"+marker }); i >= 0 {
		list = list[i:]
	} else if marker != "" {
		return answer, noZone(marker)
	}
	var out struct {
		XMLName     xml.Name `xml:"https://route53.amazonaws.com/doc/2013-04-01/ ListHostedZonesResponse"`
		HostedZones struct{ HostedZone []zoneView }
		Marker      string `xml:",omitempty"`
		IsTruncated bool
		NextMarker  string `xml:",omitempty"`
		MaxItems    int
	}
	out.Marker, out.MaxItems = marker, limit
	if out.IsTruncated = len(list) > limit; out.IsTruncated {
		out.NextMarker = strings.TrimPrefix(list[limit].ID, "/hostedzone/")
		list = list[:limit]
	}
	out.HostedZones.HostedZone = list
	return wire.RESTAnswer{Body: out}, nil
}

func (s *Service) listZonesByName(_ context.Context, r wire.RESTRequest) (answer wire.RESTAnswer, err error) {
	limit, err := maxItems(r, 100)
	if err != nil {
		return answer, err
	}
	var out struct {
		XMLName          xml.Name `xml:"https://route53.amazonaws.com/doc/2013-04-01/ ListHostedZonesByNameResponse"`
		HostedZones      struct{ HostedZone []zoneView }
		DNSName          string `xml:",omitempty"`
		HostedZoneID     string `xml:"HostedZoneId,omitempty"`
		IsTruncated      bool
		NextDNSName      string `xml:",omitempty"`
		NextHostedZoneID string `xml:"NextHostedZoneId,omitempty"`
		MaxItems         int
	}
	out.DNSName, out.HostedZoneID, out.MaxItems = r.Query.Get("dnsname"), r.Query.Get("hostedzoneid"), limit
	list := s.sorted(func(a, b *zone) int {
		return cmp.Or(cmp.Compare(reversed(a.Name), reversed(b.Name)), cmp.Compare(a.ID, b.ID))
	})
	switch name, ok := fqdn(out.DNSName); {
	case out.DNSName == "" && out.HostedZoneID != "":
		return answer, wire.Errorf("InvalidInput", "The request must specify a DNSName when it specifies a HostedZoneId.")
	case out.DNSName != "" && !ok:
		return answer, wire.Errorf("InvalidDomainName", "%s is not a valid domain name.", out.DNSName)
	case out.DNSName != "":
		from := reversed(name)
		list = slices.DeleteFunc(list, func(z zoneView) bool {
			at := reversed(z.Name)
			return at < from || at == from && strings.TrimPrefix(z.ID, "/hostedzone/") < out.HostedZoneID
		})
	}
	if out.IsTruncated = len(list) > limit; out.IsTruncated {
		out.NextDNSName, out.NextHostedZoneID = list[limit].Name, strings.TrimPrefix(list[limit].ID, "/hostedzone/")
		list = list[:limit]
	}
	out.HostedZones.HostedZone = list
	return wire.RESTAnswer{Body: out}, nil
}
