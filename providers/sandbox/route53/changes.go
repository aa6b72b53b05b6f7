package route53

import (
	"context"
	"encoding/xml"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/apron-deploy/apron/providers/sandbox/wire"
)

// https://docs.aws.amazon.com/Route53/latest/DeveloperGuide/DNSLimitations.html
const (
	maxChanges = 1000 // records of one request
	maxSets    = 10000
	maxTTL     = 2147483647
)

type changeIn struct {
	Action            string
	ResourceRecordSet recordView
}

// changeRecords does all of a batch or nothing.
// https://docs.aws.amazon.com/Route53/latest/APIReference/API_ChangeResourceRecordSets.html
func (s *Service) changeRecords(_ context.Context, r wire.RESTRequest) (answer wire.RESTAnswer, err error) {
	var in struct {
		XMLName     xml.Name `xml:"ChangeResourceRecordSetsRequest"`
		ChangeBatch struct {
			Comment string
			Changes []changeIn `xml:"Changes>Change"`
		}
	}
	if err := wire.ReadXML(r.Body, &in); err != nil {
		return answer, err
	}
	if err := checkBatch(in.ChangeBatch.Comment, in.ChangeBatch.Changes); err != nil {
		return answer, err
	}
	var out struct {
		XMLName    xml.Name `xml:"https://route53.amazonaws.com/doc/2013-04-01/ ChangeResourceRecordSetsResponse"`
		ChangeInfo changeInfo
	}
	id := r.Path["Id"]
	err = s.doc.Update(func(all *zones) error {
		z := all.ByID[id]
		if z == nil {
			return noZone(id)
		}
		after := slices.Clone(z.Records)
		var aliases []recordSet
		var problems []string
		for _, c := range in.ChangeBatch.Changes {
			set, problem := z.read(c.ResourceRecordSet)
			if problem == "" {
				after, problem = z.apply(after, c.Action, set)
			}
			if problem != "" {
				problems = append(problems, problem)
			}
			if set.Alias != nil && c.Action != "DELETE" {
				aliases = append(aliases, set)
			}
		}
		if len(problems) == 0 {
			problems = z.conflicts(after)
		}
		for _, set := range aliases {
			if problem := checkAlias(all, z, after, set); problem != "" && len(problems) == 0 {
				problems = append(problems, problem)
			}
		}
		if len(problems) > 0 {
			return wire.Errorf("InvalidChangeBatch", "[%s]", strings.Join(problems, ", "))
		}
		before := z.Records
		z.Records = after
		out.ChangeInfo = s.note(all, z, before, in.ChangeBatch.Comment)
		return nil
	})
	return wire.RESTAnswer{Body: out}, err
}

// checkBatch refuses what is wrong with a request before any zone is looked at.
func checkBatch(comment string, changes []changeIn) error {
	var c wire.Checks
	c.Length("changeBatch.comment", comment, 0, 256)
	if len(changes) == 0 {
		c.Fail("changeBatch.changes", "[]", "Member must have length greater than or equal to 1")
	}
	n := 0
	for i, change := range changes {
		at := "changeBatch.changes." + strconv.Itoa(i+1) + ".member."
		set := change.ResourceRecordSet
		c.Present(at+"action", change.Action != "")
		c.Enum(at+"action", change.Action, "CREATE", "DELETE", "UPSERT")
		c.Present(at+"resourceRecordSet.name", set.Name != "")
		c.Length(at+"resourceRecordSet.name", set.Name, 0, 1024)
		c.Present(at+"resourceRecordSet.type", set.Type != "")
		c.Enum(at+"resourceRecordSet.type", set.Type, types...)
		c.Range(at+"resourceRecordSet.tTL", set.TTL, 0, maxTTL)
		if set.Records != nil {
			n += len(set.Records.ResourceRecord)
		}
	}
	if err := c.Err("InvalidInput"); err != nil {
		return err
	}
	if n > maxChanges || len(changes) > maxChanges {
		return wire.Errorf("InvalidChangeBatch", "[Number of records limit of %d exceeded.]", maxChanges)
	}
	for _, change := range changes {
		set := change.ResourceRecordSet
		if len(set.Policy) > 0 || set.SetIdentifier != "" {
			return wire.Errorf("InvalidInput", "Invalid request: the sandbox keeps records with the simple routing policy only")
		}
		plain, found := set.TTL != nil && set.Records != nil, "none"
		switch {
		case plain && set.AliasTarget == nil, set.AliasTarget != nil && set.TTL == nil && set.Records == nil:
			continue
		case plain || set.AliasTarget != nil:
			found = "more than one"
		}
		return wire.Errorf("InvalidInput", "Invalid request: Expected exactly one of [AliasTarget, all of [TTL, and ResourceRecords], or TrafficPolicyInstanceId], but found %s in Change with [Action=%s, Name=%s, Type=%s, SetIdentifier=null]",
			found, change.Action, set.Name, set.Type)
	}
	return nil
}

// read is the set that a request describes, or what is wrong with it.
func (z *zone) read(v recordView) (set recordSet, problem string) {
	name, ok := fqdn(v.Name)
	switch {
	case !ok:
		return set, fmt.Sprintf("Invalid Domain Name: '%s'", v.Name)
	case !within(name, z.Name):
		return set, fmt.Sprintf("RRSet with DNS name %s is not permitted in zone %s", name, z.Name)
	}
	set = recordSet{Name: name, Type: v.Type, Alias: v.AliasTarget}
	if set.Alias != nil {
		target, ok := fqdn(set.Alias.DNSName)
		if !ok {
			return set, fmt.Sprintf("Invalid Domain Name: '%s'", set.Alias.DNSName)
		}
		set.Alias.DNSName = target
		return set, ""
	}
	set.TTL = *v.TTL
	for _, record := range v.Records.ResourceRecord {
		if slices.Contains(set.Values, record.Value) {
			return set, fmt.Sprintf("Duplicate Resource Record: '%s'", record.Value)
		}
		if fatal := checkValue(v.Type, record.Value); fatal != "" {
			return set, fmt.Sprintf("Invalid Resource Record: 'FATAL problem: %s encountered with '%s''", fatal, record.Value)
		}
		set.Values = append(set.Values, record.Value)
	}
	if len(set.Values) == 0 {
		return set, fmt.Sprintf("Invalid Resource Record: no value for %s of type %s", name, v.Type)
	}
	return set, ""
}

// apply returns the sets after one change, or what is wrong with it.
func (z *zone) apply(sets []recordSet, action string, set recordSet) ([]recordSet, string) {
	i, exists := find(sets, set.Name, set.Type)
	about := fmt.Sprintf("resource record set [name='%s', type='%s']", set.Name, set.Type)
	switch {
	case action == "CREATE" && exists:
		return sets, "Tried to create " + about + " but it already exists"
	case action == "DELETE" && !exists:
		return sets, "Tried to delete " + about + " but it was not found"
	case action == "DELETE" && !sets[i].same(set):
		return sets, "Tried to delete " + about + " but the values provided do not match the current values"
	case action == "DELETE" && set.Name == z.Name && set.Type == "SOA":
		return sets, "A HostedZone must contain exactly one SOA record."
	case action == "DELETE" && set.Name == z.Name && set.Type == "NS":
		return sets, "A HostedZone must contain at least one NS record for the zone itself."
	case action == "DELETE":
		return slices.Delete(slices.Clone(sets), i, i+1), ""
	case exists:
		sets = slices.Clone(sets)
		sets[i] = set
		return sets, ""
	default:
		return slices.Insert(slices.Clone(sets), i, set), ""
	}
}

// same tells whether a delete names what there is; the order of values does not matter.
func (r recordSet) same(other recordSet) bool {
	if (r.Alias == nil) != (other.Alias == nil) || r.Alias != nil && *r.Alias != *other.Alias {
		return false
	}
	return r.TTL == other.TTL && slices.Equal(slices.Sorted(slices.Values(r.Values)), slices.Sorted(slices.Values(other.Values)))
}

// conflicts is what is wrong with a zone's records as a whole, were it to have these sets.
func (z *zone) conflicts(sets []recordSet) (problems []string) {
	if len(sets) > maxSets {
		problems = append(problems, fmt.Sprintf("The zone's limit of %d records is exceeded.", maxSets))
	}
	for _, set := range sets {
		if set.Type != "CNAME" {
			continue
		}
		about := "RRSet of type CNAME with DNS name " + set.Name
		_, older := find(z.Records, set.Name, "CNAME")
		switch same := named(sets, set.Name); {
		case set.Name == z.Name:
			problems = append(problems, about+" is not permitted at apex in zone "+z.Name)
		case len(same) > 1 && older:
			for _, other := range same {
				if other.Type != "CNAME" { // the two spaces are Route 53's
					problems = append(problems, fmt.Sprintf("RRSet of type %s with DNS name %s is not permitted because a conflicting RRSet of type  CNAME with the same DNS name already exists in zone %s", other.Type, set.Name, z.Name))
				}
			}
		case len(same) > 1:
			problems = append(problems, about+" is not permitted as it conflicts with other records with the same DNS name in zone "+z.Name)
		case len(set.Values) > 1:
			problems = append(problems, about+" must have exactly one value")
		}
	}
	return problems
}

// checkAlias wants the target's own zone, and a target in it.
func checkAlias(all *zones, z *zone, sets []recordSet, set recordSet) string {
	about := fmt.Sprintf("Tried to create an alias that targets %s, type %s in zone %s, but ", set.Alias.DNSName, set.Type, set.Alias.HostedZoneID)
	target := all.ByID[set.Alias.HostedZoneID]
	if target == nil {
		for region, id := range appRunnerZones {
			if id == set.Alias.HostedZoneID {
				if within(set.Alias.DNSName, region+".awsapprunner.com.") {
					return ""
				}
				return about + "the alias target name does not lie within the target zone"
			}
		}
		return about + "that target was not found"
	}
	if target == z {
		target = &zone{Name: z.Name, Records: sets}
	}
	if !within(set.Alias.DNSName, target.Name) {
		return about + "the alias target name does not lie within the target zone"
	}
	if _, found := find(target.Records, set.Alias.DNSName, set.Type); !found {
		return about + "that target was not found"
	}
	return ""
}

// appRunnerZones are the hosted zones that alias records to services name, by Region.
// https://docs.aws.amazon.com/general/latest/gr/apprunner.html
var appRunnerZones = map[string]string{
	"us-east-1":      "Z01915732ZBZKC8D32TPT",
	"us-east-2":      "Z0224347AD7KVHMLOX31",
	"us-west-2":      "Z02243383FTQ64HJ5772Q",
	"ap-south-1":     "Z00855883LBHKTIC4ODF2",
	"ap-southeast-1": "Z09819469CZ3KQ8PWMCL",
	"ap-southeast-2": "Z03657752RA8799S0TI5I",
	"ap-northeast-1": "Z08491812XW6IPYLR6CCA",
	"eu-central-1":   "Z0334911C2FDI2Q9M4FZ",
	"eu-west-1":      "Z087551914Z2PCAU0QHMW",
	"eu-west-2":      "Z098228427VC6B3IX76ON",
	"eu-west-3":      "Z087117439MBKHYM69QS6",
}
