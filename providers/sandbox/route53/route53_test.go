package route53_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	sdk "github.com/aws/aws-sdk-go-v2/service/route53"
	"github.com/aws/aws-sdk-go-v2/service/route53/types"
	"github.com/stretchr/testify/require"

	"github.com/apron-deploy/apron/providers/sandbox/route53"
	"github.com/apron-deploy/apron/providers/sandbox/store"
	"github.com/apron-deploy/apron/providers/sandbox/wire"
	"github.com/apron-deploy/apron/providers/sandbox/wire/wiretest"
)

// world is Route 53 behind the real SDK, at a time that the test moves.
type world struct {
	testing.TB
	ctx     context.Context
	dir     string
	now     time.Time
	service *route53.Service
	client  *sdk.Client
}

func newWorld(t testing.TB, adjust ...func(*route53.Options)) *world {
	w := &world{TB: t, ctx: context.Background(), dir: t.TempDir(), now: time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)}
	w.open(adjust...)
	return w
}

// open starts the service on what the directory holds.
func (w *world) open(adjust ...func(*route53.Options)) {
	w.Helper()
	st, err := store.Open(w.dir)
	require.NoError(w, err)
	o := route53.Options{Store: st, Now: func() time.Time { return w.now }}
	for _, f := range adjust {
		f(&o)
	}
	w.service, err = route53.New(o)
	require.NoError(w, err)
	w.client = sdk.NewFromConfig(wiretest.Config(w, func(m *wire.Mux) { m.AddREST(w.service.API()) }))
}

// sync lets every change reach the name servers.
func (w *world) sync() { w.now = w.now.Add(route53.DefaultPropagation) }

// zone makes a hosted zone and returns its id without the prefix.
func (w *world) zone(name string, adjust ...func(*sdk.CreateHostedZoneInput)) string {
	w.Helper()
	in := &sdk.CreateHostedZoneInput{Name: &name, CallerReference: aws.String(fmt.Sprint(name, w.now))}
	for _, f := range adjust {
		f(in)
	}
	out, err := w.client.CreateHostedZone(w.ctx, in)
	require.NoError(w, err)
	return strings.TrimPrefix(*out.HostedZone.Id, "/hostedzone/")
}

// set is a change: action, name, type, values.
func set(action types.ChangeAction, name, kind string, values ...string) types.Change {
	r := &types.ResourceRecordSet{Name: &name, Type: types.RRType(kind), TTL: aws.Int64(300)}
	for _, value := range values {
		r.ResourceRecords = append(r.ResourceRecords, types.ResourceRecord{Value: &value})
	}
	return types.Change{Action: action, ResourceRecordSet: r}
}

func aliasTo(name, kind, zone, target string) types.Change {
	return types.Change{Action: types.ChangeActionUpsert, ResourceRecordSet: &types.ResourceRecordSet{Name: &name, Type: types.RRType(kind),
		AliasTarget: &types.AliasTarget{HostedZoneId: &zone, DNSName: &target}}}
}

const (
	create = types.ChangeActionCreate
	upsert = types.ChangeActionUpsert
	remove = types.ChangeActionDelete
)

func (w *world) change(zone string, changes ...types.Change) (*types.ChangeInfo, error) {
	out, err := w.client.ChangeResourceRecordSets(w.ctx, &sdk.ChangeResourceRecordSetsInput{HostedZoneId: &zone,
		ChangeBatch: &types.ChangeBatch{Comment: aws.String("a & b"), Changes: changes}})
	if err != nil {
		return nil, err
	}
	return out.ChangeInfo, nil
}

// records are the zone's but for its own NS and SOA, as lines.
func (w *world) records(zone string) (lines []string) {
	w.Helper()
	pages := sdk.NewListResourceRecordSetsPaginator(w.client, &sdk.ListResourceRecordSetsInput{HostedZoneId: &zone, MaxItems: aws.Int32(2)})
	for pages.HasMorePages() {
		page, err := pages.NextPage(w.ctx)
		require.NoError(w, err)
		for _, r := range page.ResourceRecordSets {
			if r.Type == "NS" || r.Type == "SOA" {
				continue
			}
			line := *r.Name + " " + string(r.Type)
			if r.AliasTarget != nil {
				line += " → " + *r.AliasTarget.DNSName
			}
			for _, value := range r.ResourceRecords {
				line += " " + *value.Value
			}
			lines = append(lines, line)
		}
	}
	return lines
}

func TestZone_comesBackAsItWasMade(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	made, err := w.client.CreateHostedZone(w.ctx, &sdk.CreateHostedZoneInput{Name: aws.String("Example.COM"), CallerReference: aws.String("once"),
		HostedZoneConfig: &types.HostedZoneConfig{Comment: aws.String("<the> zone")}})
	require.NoError(t, err)
	require.Regexp(t, `^/hostedzone/Z[A-Z2-7]{20}$`, *made.HostedZone.Id)
	require.Equal(t, "https://route53.amazonaws.com/2013-04-01/hostedzone/"+strings.TrimPrefix(*made.HostedZone.Id, "/hostedzone/"), *made.Location)
	require.Equal(t, "example.com.", *made.HostedZone.Name)
	require.Equal(t, int64(2), *made.HostedZone.ResourceRecordSetCount)
	require.Len(t, made.DelegationSet.NameServers, 4)
	require.Equal(t, types.ChangeStatusPending, made.ChangeInfo.Status)
	w.open()
	got, err := w.client.GetHostedZone(w.ctx, &sdk.GetHostedZoneInput{Id: made.HostedZone.Id})
	require.NoError(t, err)
	require.Equal(t, made.HostedZone, got.HostedZone)
	require.Equal(t, made.DelegationSet, got.DelegationSet)
	require.Equal(t, "<the> zone", *got.HostedZone.Config.Comment)
	w.sync()
	change, err := w.client.GetChange(w.ctx, &sdk.GetChangeInput{Id: made.ChangeInfo.Id})
	require.NoError(t, err)
	require.Equal(t, types.ChangeStatusInsync, change.ChangeInfo.Status)

	_, err = w.client.CreateHostedZone(w.ctx, &sdk.CreateHostedZoneInput{Name: aws.String("other.example"), CallerReference: aws.String("once")})
	wiretest.Refused(t, err, "HostedZoneAlreadyExists", "A hosted zone has already been created with the specified caller reference.")
	_, err = w.client.CreateHostedZone(w.ctx, &sdk.CreateHostedZoneInput{Name: aws.String("a..b"), CallerReference: aws.String("2")})
	wiretest.Refused(t, err, "InvalidDomainName", "a..b")
	_, err = w.client.GetChange(w.ctx, &sdk.GetChangeInput{Id: aws.String("C0")})
	wiretest.Refused(t, err, "NoSuchChange", "Could not find resource with ID: C0")
	_, err = w.client.GetHostedZone(w.ctx, &sdk.GetHostedZoneInput{Id: aws.String("Z0")})
	wiretest.Refused(t, err, "NoSuchHostedZone", "No hosted zone found with ID: Z0")
}

func TestZones_areListedInPages(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for _, name := range []string{"b.example", "a.example", "example", "private.example"} {
		w.zone(name, func(in *sdk.CreateHostedZoneInput) {
			if name == "private.example" {
				in.VPC = &types.VPC{VPCId: aws.String("vpc-1"), VPCRegion: types.VPCRegionUsEast1}
			}
		})
	}
	var all []string
	pages := sdk.NewListHostedZonesPaginator(w.client, &sdk.ListHostedZonesInput{MaxItems: aws.Int32(3)})
	for pages.HasMorePages() {
		page, err := pages.NextPage(w.ctx)
		require.NoError(t, err)
		for _, z := range page.HostedZones {
			all = append(all, *z.Name)
		}
	}
	require.ElementsMatch(t, []string{"a.example.", "b.example.", "example.", "private.example."}, all)

	first, err := w.client.ListHostedZonesByName(w.ctx, &sdk.ListHostedZonesByNameInput{DNSName: aws.String("a.example"), MaxItems: aws.Int32(1)})
	require.NoError(t, err)
	require.Equal(t, "a.example.", *first.HostedZones[0].Name)
	require.Equal(t, "b.example.", *first.NextDNSName)
	rest, err := w.client.ListHostedZonesByName(w.ctx, &sdk.ListHostedZonesByNameInput{DNSName: first.NextDNSName, HostedZoneId: first.NextHostedZoneId})
	require.NoError(t, err)
	require.Len(t, rest.HostedZones, 2)
	require.False(t, rest.IsTruncated)
	require.True(t, rest.HostedZones[1].Config.PrivateZone)
}

func TestRecords_changeAllTogetherOrNotAtAll(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	zone := w.zone("example.com")
	info, err := w.change(zone,
		set(create, "WWW.example.com", "CNAME", "web.example.net."), set(create, "*.example.com.", "TXT", `"a" "b"`),
		set(upsert, "example.com", "A", "192.0.2.1", "192.0.2.2"), set(create, "example.com", "CAA", `0 issue "amazon.com"`))
	require.NoError(t, err)
	require.Equal(t, "a & b", *info.Comment)
	want := []string{"example.com. A 192.0.2.1 192.0.2.2", `example.com. CAA 0 issue "amazon.com"`, `\052.example.com. TXT "a" "b"`, "www.example.com. CNAME web.example.net."}
	w.open()
	require.Equal(t, want, w.records(zone))

	at := func(s string) string { return "InvalidChangeBatch: [" + s + "]" }
	for name, tc := range map[string]struct {
		change types.Change
		want   string
	}{
		"created twice":     {set(create, "www.example.com", "CNAME", "x."), at("Tried to create resource record set [name='www.example.com.', type='CNAME'] but it already exists")},
		"not there":         {set(remove, "x.example.com", "A", "192.0.2.1"), at("Tried to delete resource record set [name='x.example.com.', type='A'] but it was not found")},
		"other values":      {set(remove, "example.com", "A", "192.0.2.1"), at("Tried to delete resource record set [name='example.com.', type='A'] but the values provided do not match the current values")},
		"another zone's":    {set(create, "example.org", "A", "192.0.2.1"), at("RRSet with DNS name example.org. is not permitted in zone example.com.")},
		"beside a CNAME":    {set(create, "www.example.com", "A", "192.0.2.1"), at("RRSet of type A with DNS name www.example.com. is not permitted because a conflicting RRSet of type  CNAME with the same DNS name already exists in zone example.com.")},
		"a CNAME beside":    {set(create, "*.example.com", "CNAME", "x."), at(`RRSet of type CNAME with DNS name \052.example.com. is not permitted as it conflicts with other records with the same DNS name in zone example.com.`)},
		"a CNAME at apex":   {set(create, "example.com", "CNAME", "x."), at("RRSet of type CNAME with DNS name example.com. is not permitted at apex in zone example.com.")},
		"no address":        {set(create, "a.example.com", "A", "192.0.2"), at("Invalid Resource Record: 'FATAL problem: ARRDATAIllegalIPv4Address (Value is not a valid IPv4 address) encountered with '192.0.2''")},
		"text unquoted":     {set(create, "a.example.com", "TXT", "v=spf1"), at("Invalid Resource Record: 'FATAL problem: InvalidCharacterString (Value should be enclosed in quotation marks) encountered with 'v=spf1''")},
		"a value twice":     {set(create, "a.example.com", "A", "192.0.2.9", "192.0.2.9"), at("Duplicate Resource Record: '192.0.2.9'")},
		"the zone's NS":     {set(remove, "example.com", "NS", "x."), at("Tried to delete resource record set [name='example.com.', type='NS'] but the values provided do not match the current values")},
		"an unknown type":   {set(create, "a.example.com", "NOPE", "x"), "InvalidInput: 1 validation error detected: Value 'NOPE' at 'changeBatch.changes.2.member.resourceRecordSet.type' failed to satisfy constraint: Member must satisfy enum value set: [SOA, A, TXT, NS, CNAME, MX, PTR, SRV, SPF, AAAA, CAA]"},
		"an alias and more": {types.Change{Action: create, ResourceRecordSet: &types.ResourceRecordSet{Name: aws.String("a.example.com"), Type: "A", TTL: aws.Int64(1)}}, "InvalidInput: Invalid request: Expected exactly one of [AliasTarget, all of [TTL, and ResourceRecords], or TrafficPolicyInstanceId], but found none in Change with [Action=CREATE, Name=a.example.com, Type=A, SetIdentifier=null]"},
		"another region's":  {aliasTo("example.com", "A", "Z01915732ZBZKC8D32TPT", "x.eu-west-1.awsapprunner.com"), at("Tried to create an alias that targets x.eu-west-1.awsapprunner.com., type A in zone Z01915732ZBZKC8D32TPT, but the alias target name does not lie within the target zone")},
		"an alias to none":  {aliasTo("example.com", "A", zone, "nope.example.com"), at("Tried to create an alias that targets nope.example.com., type A in zone " + zone + ", but that target was not found")},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := w.change(zone, set(create, "fine.example.com", "A", "192.0.2.7"), tc.change)
			code, text, _ := strings.Cut(tc.want, ": ")
			wiretest.Refused(t, err, code, text)
			require.Equal(t, want, w.records(zone), "nothing of the batch happened")
		})
	}
	_, err = w.client.DeleteHostedZone(w.ctx, &sdk.DeleteHostedZoneInput{Id: &zone})
	wiretest.Refused(t, err, "HostedZoneNotEmpty", "non-required resource record sets")
	_, err = w.change(zone, set(remove, "www.example.com", "CNAME", "web.example.net."), set(create, "www.example.com", "A", "192.0.2.3"),
		set(remove, "*.example.com", "TXT", `"a" "b"`), set(remove, "example.com", "A", "192.0.2.2", "192.0.2.1"), set(remove, "example.com", "CAA", `0 issue "amazon.com"`))
	require.NoError(t, err, "a type is replaced within one batch")
	require.Equal(t, []string{"www.example.com. A 192.0.2.3"}, w.records(zone))
	_, err = w.change(zone, set(remove, "www.example.com", "A", "192.0.2.3"))
	require.NoError(t, err)
	_, err = w.client.DeleteHostedZone(w.ctx, &sdk.DeleteHostedZoneInput{Id: &zone})
	require.NoError(t, err)
}

func TestTags_areOnZones(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	zone := w.zone("example.com")
	of := func() *types.ResourceTagSet {
		out, err := w.client.ListTagsForResource(w.ctx, &sdk.ListTagsForResourceInput{ResourceId: &zone, ResourceType: types.TagResourceTypeHostedzone})
		require.NoError(t, err)
		return out.ResourceTagSet
	}
	require.Empty(t, of().Tags)
	_, err := w.client.ChangeTagsForResource(w.ctx, &sdk.ChangeTagsForResourceInput{ResourceId: &zone, ResourceType: types.TagResourceTypeHostedzone,
		AddTags: []types.Tag{{Key: aws.String("b"), Value: aws.String("2")}, {Key: aws.String("a"), Value: aws.String("1")}}})
	require.NoError(t, err)
	_, err = w.client.ChangeTagsForResource(w.ctx, &sdk.ChangeTagsForResourceInput{ResourceId: &zone, ResourceType: types.TagResourceTypeHostedzone, RemoveTagKeys: []string{"b"}})
	require.NoError(t, err)
	require.Equal(t, []types.Tag{{Key: aws.String("a"), Value: aws.String("1")}}, of().Tags)
}

func TestRequests_areLimited(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(o *route53.Options) { o.Limited = true })
	var err error
	for range 6 {
		_, err = w.client.ListHostedZones(w.ctx, &sdk.ListHostedZonesInput{})
	}
	wiretest.Refused(t, err, "Throttling", "Rate exceeded")
}
