package route53

import (
	"cmp"
	"context"
	"encoding/xml"
	"slices"
	"strings"

	"github.com/apron-deploy/apron/providers/sandbox/wire"
)

// recordSet is the records of one name and type.
type recordSet struct {
	Name, Type string
	TTL        int // seconds
	Values     []string
	Alias      *alias `json:",omitempty"`
}

type alias struct {
	HostedZoneID         string `xml:"HostedZoneId"`
	DNSName              string
	EvaluateTargetHealth bool
}

// recordView is a record set on the wire, both ways.
type recordView struct {
	Name          string
	Type          string
	SetIdentifier string `xml:",omitempty"`
	TTL           *int
	Records       *struct {
		ResourceRecord []struct{ Value string }
	} `xml:"ResourceRecords"`
	AliasTarget *alias
	// Policy is present in requests that want another routing policy than the simple.
	Policy []struct {
		XMLName xml.Name
	} `xml:",any"`
}

func (r recordSet) show() recordView {
	v := recordView{Name: r.Name, Type: r.Type, AliasTarget: r.Alias}
	if r.Alias != nil {
		return v
	}
	v.TTL = &r.TTL
	v.Records = &struct {
		ResourceRecord []struct{ Value string }
	}{}
	for _, value := range r.Values {
		v.Records.ResourceRecord = append(v.Records.ResourceRecord, struct{ Value string }{value})
	}
	return v
}

// compare is the order of record sets in a zone.
func (r recordSet) compare(other recordSet) int {
	return cmp.Or(cmp.Compare(reversed(r.Name), reversed(other.Name)), cmp.Compare(r.Type, other.Type))
}

// find is where the set of that name and type is, or belongs.
func find(sets []recordSet, name, kind string) (int, bool) {
	return slices.BinarySearchFunc(sets, recordSet{Name: name, Type: kind}, recordSet.compare)
}

// named are the sets of a name.
func named(sets []recordSet, name string) []recordSet {
	from, _ := find(sets, name, "")
	to := from
	for to < len(sets) && sets[to].Name == name {
		to++
	}
	return sets[from:to]
}

func (s *Service) listRecords(_ context.Context, r wire.RESTRequest) (answer wire.RESTAnswer, err error) {
	limit, err := maxItems(r, 300)
	if err != nil {
		return answer, err
	}
	name, kind := r.Query.Get("name"), r.Query.Get("type")
	if kind != "" && name == "" {
		return answer, wire.Errorf("InvalidInput", "The input is not valid: a record type needs a record name.")
	}
	if name != "" {
		var ok bool
		if name, ok = fqdn(name); !ok {
			return answer, wire.Errorf("InvalidInput", "Invalid DNS name: %s", r.Query.Get("name"))
		}
	}
	var out struct {
		XMLName            xml.Name `xml:"https://route53.amazonaws.com/doc/2013-04-01/ ListResourceRecordSetsResponse"`
		ResourceRecordSets struct{ ResourceRecordSet []recordView }
		IsTruncated        bool
		MaxItems           int
		NextRecordName     string `xml:",omitempty"`
		NextRecordType     string `xml:",omitempty"`
	}
	out.MaxItems = limit
	err = s.view(r, func(z *zone) error {
		from := 0
		if name != "" {
			from, _ = find(z.Records, name, kind)
		}
		list := z.Records[from:]
		if out.IsTruncated = len(list) > limit; out.IsTruncated {
			out.NextRecordName, out.NextRecordType = list[limit].Name, list[limit].Type
			list = list[:limit]
		}
		for _, set := range list {
			out.ResourceRecordSets.ResourceRecordSet = append(out.ResourceRecordSets.ResourceRecordSet, set.show())
		}
		return nil
	})
	return wire.RESTAnswer{Body: out}, err
}

// within tells whether name is zone's own or one below it.
func within(name, zone string) bool { return name == zone || strings.HasSuffix(name, "."+zone) }
