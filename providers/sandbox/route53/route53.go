// Package route53 is the sandbox's DNS: hosted zones and their records behind Route 53's
// API, and a name server that answers for them.
//
// The sandbox's world has no registrar. Every public hosted zone counts as delegated, and
// of several zones for a name the one with the longest name answers, the oldest of those.
// A change takes a while until it is INSYNC; [Service.Lookup] and the name server tell
// what is in sync, the API tells what was asked for, as on AWS. Records have the simple
// routing policy: weights, failover and the like are refused.
package route53

import (
	"context"
	"crypto/rand"
	"encoding/xml"
	"net/http"
	"strings"
	"time"

	"golang.org/x/time/rate"

	"github.com/apron-deploy/apron/providers/sandbox/store"
	"github.com/apron-deploy/apron/providers/sandbox/wire"
	"github.com/apron-deploy/apron/reconcile/pattern"
)

// DefaultPropagation is how long changes take to reach all name servers.
// https://docs.aws.amazon.com/Route53/latest/APIReference/API_ChangeResourceRecordSets.html
const DefaultPropagation = time.Minute

// Options configure a [Service].
type Options struct {
	Store *store.Store
	Now   func() time.Time // default time.Now
	// Propagation is how long changes are PENDING, on the clock of Now: 0 is
	// [DefaultPropagation], negative none.
	Propagation time.Duration
	// Limited turns on AWS's throughput limit of 5 requests a second.
	Limited bool
}

// Service is the Route 53 of one account.
type Service struct {
	now         func() time.Time
	propagation time.Duration
	limit       *rate.Limiter // nil without limits
	doc         *store.Doc[zones]
}

// zones is what is kept.
type zones struct {
	ByID    map[string]*zone
	Changes map[string]change
}

type zone struct {
	ID, Name, CallerReference, Comment string
	Created                            time.Time
	NameServers                        []string
	VPCs                               []vpc // of a private zone
	Records                            []recordSet
	Tags                               map[string]string
	// Pending are the changes that are not in sync yet, the oldest first, each with the
	// records before it; nil is no zone at all.
	Pending []pending
}

type pending struct {
	Submitted time.Time
	Before    []recordSet
}

type change struct {
	Submitted time.Time
	Comment   string
}

// New opens the service's state.
func New(o Options) (*Service, error) {
	doc, err := store.Load[zones](o.Store, "route53")
	if err != nil {
		return nil, err
	}
	s := &Service{now: o.Now, propagation: o.Propagation, doc: doc}
	if s.now == nil {
		s.now = time.Now
	}
	if s.propagation == 0 {
		s.propagation = DefaultPropagation
	}
	if o.Limited {
		s.limit = rate.NewLimiter(5, 5)
	}
	return s, nil
}

const namespace = "https://route53.amazonaws.com/doc/2013-04-01/"

// API is the service's wire side.
// https://docs.aws.amazon.com/Route53/latest/APIReference/API_Operations_Amazon_Route_53.html
func (s *Service) API() wire.RESTAPI {
	const zones, sets = "/2013-04-01/hostedzone", "/2013-04-01/hostedzone/{Id}/rrset"
	const tags = "/2013-04-01/tags/{ResourceType}/{ResourceId}"
	api := wire.RESTAPI{SigningName: "route53", Namespace: namespace, Operations: []wire.RESTOperation{
		{Name: "CreateHostedZone", Method: http.MethodPost, Path: zones, Run: s.createZone},
		{Name: "ListHostedZones", Method: http.MethodGet, Path: zones, Run: s.listZones},
		{Name: "ListHostedZonesByName", Method: http.MethodGet, Path: "/2013-04-01/hostedzonesbyname", Run: s.listZonesByName},
		{Name: "GetHostedZone", Method: http.MethodGet, Path: zones + "/{Id}", Run: s.getZone},
		{Name: "DeleteHostedZone", Method: http.MethodDelete, Path: zones + "/{Id}", Run: s.deleteZone},
		{Name: "ListResourceRecordSets", Method: http.MethodGet, Path: sets, Run: s.listRecords},
		{Name: "ChangeResourceRecordSets", Method: http.MethodPost, Path: sets, Run: s.changeRecords},
		{Name: "GetChange", Method: http.MethodGet, Path: "/2013-04-01/change/{Id}", Run: s.getChange},
		{Name: "ListTagsForResource", Method: http.MethodGet, Path: tags, Run: s.listTags},
		{Name: "ChangeTagsForResource", Method: http.MethodPost, Path: tags, Run: s.changeTags},
	}}
	for i := range api.Operations {
		run := api.Operations[i].Run
		api.Operations[i].Run = func(ctx context.Context, r wire.RESTRequest) (wire.RESTAnswer, error) {
			if s.limit != nil && !s.limit.Allow() {
				return wire.RESTAnswer{}, wire.Errorf("Throttling", "Rate exceeded")
			}
			return run(ctx, r)
		}
	}
	return api
}

func notFound(code, format string, args ...any) *wire.Error {
	e := wire.Errorf(code, format, args...)
	e.Status = http.StatusNotFound
	return e
}

func noZone(id string) *wire.Error {
	return notFound("NoSuchHostedZone", "No hosted zone found with ID: %s", id)
}

// newID is an id of Route 53's form: a letter that tells the kind and 20 more characters.
func newID(kind string) string { return kind + rand.Text()[:20] }

// changeInfo is a change as responses show it.
type changeInfo struct {
	ID          string `xml:"Id"`
	Status      string
	SubmittedAt string
	Comment     string `xml:",omitempty"`
}

// note begins a change of a zone, whose records were before, and of the account's list.
func (s *Service) note(all *zones, z *zone, before []recordSet, comment string) changeInfo {
	id, c := newID("C"), change{s.now().UTC().Truncate(time.Millisecond), comment}
	if all.Changes == nil {
		all.Changes = map[string]change{}
	}
	all.Changes[id] = c
	if z != nil {
		z.Pending = append(s.unfinished(z), pending{c.Submitted, before})
	}
	return s.show(id, c)
}

func (s *Service) show(id string, c change) changeInfo {
	info := changeInfo{ID: "/change/" + id, Status: "PENDING", SubmittedAt: c.Submitted.Format("2006-01-02T15:04:05.000Z"), Comment: c.Comment}
	if s.inSync(c.Submitted) {
		info.Status = "INSYNC"
	}
	return info
}

func (s *Service) inSync(submitted time.Time) bool { return s.now().Sub(submitted) >= s.propagation }

// unfinished are the zone's changes that are not in sync.
func (s *Service) unfinished(z *zone) []pending {
	for i, p := range z.Pending {
		if !s.inSync(p.Submitted) {
			return z.Pending[i:]
		}
	}
	return nil
}

func (s *Service) getChange(_ context.Context, r wire.RESTRequest) (wire.RESTAnswer, error) {
	out := struct {
		XMLName    xml.Name `xml:"https://route53.amazonaws.com/doc/2013-04-01/ GetChangeResponse"`
		ChangeInfo changeInfo
	}{}
	found := false
	s.doc.View(func(all *zones) {
		var c change
		if c, found = all.Changes[r.Path["Id"]]; found {
			out.ChangeInfo = s.show(r.Path["Id"], c)
		}
	})
	if !found {
		return wire.RESTAnswer{}, notFound("NoSuchChange", "Could not find resource with ID: %s", r.Path["Id"])
	}
	return wire.RESTAnswer{Body: out}, nil
}

var labelRE = pattern.Lazy(`^[!-~]{1,63}$`)

// fqdn returns a name as Route 53 keeps it: in lower case, with its last dot, and "*" and
// other unusual characters as octal numbers. It tells whether the name is one.
// https://docs.aws.amazon.com/Route53/latest/DeveloperGuide/DomainNameFormat.html
func fqdn(name string) (string, bool) {
	name = strings.ToLower(strings.TrimSuffix(name, "."))
	if name == "" || len(name) > 255 {
		return "", false
	}
	for label := range strings.SplitSeq(name, ".") {
		if !labelRE().MatchString(label) {
			return "", false
		}
	}
	var b strings.Builder
	for _, c := range []byte(name) {
		switch {
		case 'a' <= c && c <= 'z', '0' <= c && c <= '9', strings.IndexByte(`-_.\`, c) >= 0:
			b.WriteByte(c)
		default:
			const digits = "01234567"
			b.Write([]byte{'\\', digits[c>>6], digits[c>>3&7], digits[c&7]})
		}
	}
	return b.String() + ".", true
}

// reversed orders names as Route 53 does: com.example.www.
func reversed(name string) string {
	labels := strings.Split(strings.TrimSuffix(name, "."), ".")
	var b strings.Builder
	for i := len(labels) - 1; i >= 0; i-- {
		b.WriteString(labels[i] + ".")
	}
	return b.String()
}
