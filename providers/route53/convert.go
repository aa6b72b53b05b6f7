package route53

import (
	"slices"
	"strconv"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/route53/types"

	"github.com/apron-deploy/apron/reconcile/pattern"
	"github.com/apron-deploy/apron/reconcile/state"
)

var octal = pattern.Lazy(`\\[0-7]{3}`)

// plain is a name as people write it: in lower case, without the dot at the end, and with
// the characters that Route 53 writes as octal numbers.
// https://docs.aws.amazon.com/Route53/latest/DeveloperGuide/DomainNameFormat.html
func plain(name string) string {
	name = octal().ReplaceAllStringFunc(name, func(code string) string {
		n, _ := strconv.ParseUint(code[1:], 8, 8) // three octal digits may be more than a byte, and are no name then
		return string(rune(n))
	})
	return strings.ToLower(strings.TrimSuffix(name, "."))
}

// leads is where a record set leads: an alias or a CNAME to a name, anything else to its
// values.
func leads(s types.ResourceRecordSet) string {
	if s.AliasTarget != nil {
		return plain(aws.ToString(s.AliasTarget.DNSName))
	}
	var values []string
	for _, r := range s.ResourceRecords {
		values = append(values, plain(aws.ToString(r.Value)))
	}
	return strings.Join(values, " ")
}

// routes are the types of record sets that lead somewhere. A name has a CNAME or the others.
func routes(t types.RRType) bool {
	return t == types.RRTypeA || t == types.RRTypeAaaa || t == types.RRTypeCname
}

// toAppRunner reports whether a name is a service's default domain, here or in the sandbox,
// or that of a VPC ingress connection.
func toAppRunner(name string) bool {
	return strings.HasSuffix(name, ".awsapprunner.com") || strings.HasSuffix(name, ".localhost")
}

// observed is the records of a domain as the planner sees them. They exist when the domain
// leads anywhere, and are the service's when that is to one of its own names: another
// service of App Runner's is somebody else's, such as that of another environment.
func observed(d state.Domain, zone Zone, sets []types.ResourceRecordSet, service state.Address, own []string) (state.Observed, bool) {
	o := state.Observed{ID: zone.ID, Owner: state.Ours, Phase: state.Ready}
	o.Address, o.Detail, o.Fields = Address(d.Name), detail{service, zone}, fixed(d.Name, zone)
	exists := false
	seen := map[string]bool{}
	for _, s := range sets {
		name, to := plain(aws.ToString(s.Name)), leads(s)
		at := ""
		switch {
		case slices.Contains(names(d), name) && routes(s.Type):
			at, exists = path(false, name), true
			if !slices.Contains(own, to) {
				o.Owner, o.Note = state.Theirs, name+" leads to "+to
			}
		case s.Type == types.RRTypeCname && strings.HasSuffix(to, ".acm-validations.aws"):
			at = path(true, name)
		}
		if at != "" && !seen[at] {
			seen[at] = true
			o.Fields = append(o.Fields, state.Field{Path: at, Value: to})
		}
	}
	o.Fields = state.Sort(o.Fields)
	return o, exists
}

// aliasZones are App Runner's hosted zones, which an alias names.
// https://docs.aws.amazon.com/general/latest/gr/apprunner.html
var aliasZones = map[string]string{
	"us-east-1": "Z01915732ZBZKC8D32TPT", "us-east-2": "Z0224347AD7KVHMLOX31", "us-west-2": "Z02243383FTQ64HJ5772Q",
	"ap-south-1": "Z00855883LBHKTIC4ODF2", "ap-southeast-1": "Z09819469CZ3KQ8PWMCL", "ap-southeast-2": "Z03657752RA8799S0TI5I",
	"ap-northeast-1": "Z08491812XW6IPYLR6CCA", "eu-central-1": "Z0334911C2FDI2Q9M4FZ", "eu-west-1": "Z087551914Z2PCAU0QHMW",
	"eu-west-2": "Z098228427VC6B3IX76ON", "eu-west-3": "Z087117439MBKHYM69QS6",
}

// ttl, in seconds, is how long resolvers may believe a record.
const ttl = 300

// set is the record set of a record: a CNAME, but an alias for the zone's own name, which
// can have no CNAME.
func set(r Record, zone Zone, region string) types.ResourceRecordSet {
	s := types.ResourceRecordSet{Name: aws.String(r.Name), Type: types.RRTypeCname}
	if r.Name == zone.Name {
		s.Type = types.RRTypeA
		s.AliasTarget = &types.AliasTarget{DNSName: aws.String(r.Value), HostedZoneId: aws.String(aliasZones[region])}
		return s
	}
	s.TTL = aws.Int64(ttl)
	s.ResourceRecords = []types.ResourceRecord{{Value: aws.String(r.Value)}}
	return s
}

// same reports whether a live record set is what is wanted, however long it is believed.
func same(live, want types.ResourceRecordSet) bool {
	return plain(aws.ToString(live.Name)) == plain(aws.ToString(want.Name)) && live.Type == want.Type && leads(live) == leads(want) &&
		live.SetIdentifier == nil
}
