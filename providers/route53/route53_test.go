package route53

import (
	"context"
	"fmt"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	sdk "github.com/aws/aws-sdk-go-v2/service/route53"
	"github.com/aws/aws-sdk-go-v2/service/route53/types"
	"github.com/stretchr/testify/require"

	emulator "github.com/apron-deploy/apron/providers/sandbox/route53"
	"github.com/apron-deploy/apron/providers/sandbox/store"
	"github.com/apron-deploy/apron/providers/sandbox/wire"
	"github.com/apron-deploy/apron/reconcile"
	"github.com/apron-deploy/apron/reconcile/apply"
	"github.com/apron-deploy/apron/reconcile/plan"
	"github.com/apron-deploy/apron/reconcile/state"
)

var web = state.Address{Target: "apprunner", Kind: "service", Name: "web"}

// rig is the provider against the sandbox's Route 53, with an App Runner that asks for
// records.
type rig struct {
	*Provider
	t      *testing.T
	client *sdk.Client
	asks   map[string][]Record // by domain
	made   map[string]bool     // domains that are there
	own    []string            // names of the service
}

func newRig(t *testing.T) *rig {
	disk, err := store.Open(t.TempDir())
	require.NoError(t, err)
	service, err := emulator.New(emulator.Options{Store: disk, Now: time.Now, Propagation: time.Millisecond})
	require.NoError(t, err)
	mux := wire.NewMux(wire.MuxOptions{Verifier: &wire.Verifier{
		Secret: func(string) (string, bool) { return "secret", true }, Region: "us-east-1", Global: []string{"route53"}, Now: time.Now}})
	mux.AddREST(service.API())
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	r := &rig{t: t, asks: map[string][]Record{}, made: map[string]bool{}, own: []string{"x.localhost", "x.us-east-1.awsapprunner.com"}, client: sdk.New(sdk.Options{
		Region: "us-east-1", BaseEndpoint: &server.URL, HTTPClient: server.Client(),
		Credentials: credentials.NewStaticCredentialsProvider("AKIDEXAMPLE", "secret", "")})}
	r.Provider = New(r.client, Options{Region: "us-east-1", Poll: time.Millisecond,
		Required: func(_ context.Context, _, domain string) ([]Record, error) { return r.asks[domain], nil },
		Leads: func(_ context.Context, service string) ([]string, error) {
			require.Equal(t, "web", service)
			return r.own, nil
		}})
	return r
}

func (r *rig) zone(name string) string {
	out, err := r.client.CreateHostedZone(r.t.Context(), &sdk.CreateHostedZoneInput{Name: &name, CallerReference: aws.String(fmt.Sprint(name, time.Now()))})
	require.NoError(r.t, err)
	return strings.TrimPrefix(*out.HostedZone.Id, "/hostedzone/")
}

func (r *rig) put(zone, name string, kind types.RRType, value string) {
	_, err := r.client.ChangeResourceRecordSets(r.t.Context(), &sdk.ChangeResourceRecordSetsInput{HostedZoneId: &zone, ChangeBatch: &types.ChangeBatch{
		Changes: []types.Change{{Action: types.ChangeActionCreate, ResourceRecordSet: &types.ResourceRecordSet{Name: &name, Type: kind,
			TTL: aws.Int64(60), ResourceRecords: []types.ResourceRecord{{Value: &value}}}}}}})
	require.NoError(r.t, err)
}

// records are those of a zone but its own, "NAME TYPE VALUE".
func (r *rig) records(zone string) []string {
	sets, err := r.client.ListResourceRecordSets(r.t.Context(), &sdk.ListResourceRecordSetsInput{HostedZoneId: &zone})
	require.NoError(r.t, err)
	var all []string
	for _, s := range sets.ResourceRecordSets {
		if s.Type != types.RRTypeNs && s.Type != types.RRTypeSoa {
			all = append(all, fmt.Sprintf("%s %s %s", plain(*s.Name), s.Type, leads(s)))
		}
	}
	return all
}

func asked(name, target string, www bool) []Record {
	records := []Record{{Name: name, Value: target}}
	if www {
		records = append(records, Record{Name: "www." + name, Value: target})
	}
	return append(records, Record{Name: "_a." + base(name), Value: "_b.acm-validations.aws", Validation: true},
		Record{Name: "_c.own." + base(name), Value: "_d.acm-validations.aws", Validation: true})
}

// converge observes, plans and applies. A domain exists once a plan has made it.
func (r *rig) converge(spec state.Spec, o plan.Options) ([]string, error) {
	r.t.Helper()
	live, _, err := r.Observe(r.t.Context(), reconcile.Query{Specs: []state.Spec{spec}})
	if err != nil {
		return nil, err
	}
	zones, err := r.Zones(r.t.Context(), []state.Spec{spec})
	require.NoError(r.t, err)
	d := state.Desired{web: {Address: web}}
	live[web] = state.Observed{Resource: d[web], ID: "arn", Owner: state.Ours, Phase: state.Ready}
	required := map[string][]Record{}
	for _, domain := range spec.Domains {
		res := state.Resource{Address: state.Address{Target: "apprunner", Kind: "domain", Name: domain.Name}}
		d[res.Address] = res
		if r.made[domain.Name] {
			live[res.Address] = state.Observed{Resource: res, Owner: state.Ours, Phase: state.Ready}
			required[domain.Name] = r.asks[domain.Name]
		}
	}
	for _, res := range Desired(spec, web, zones, required) {
		d[res.Address] = res
	}
	pl, err := plan.Build(d, live, o)
	if err != nil {
		return nil, err
	}
	var ids []string
	for _, a := range pl.Actions {
		ids = append(ids, string(a.ID))
	}
	_, err = apply.Run(r.t.Context(), pl, reconcile.Known(live), r, apply.Options{})
	return ids, err
}

// Execute makes domains as well.
func (r *rig) Execute(ctx context.Context, a plan.Action, env apply.Env) (state.Outcome, error) {
	if a.Target.Kind == "domain" {
		r.made[a.Target.Name] = true
		return state.Outcome{ID: "arn"}, nil
	}
	return r.Provider.Execute(ctx, a, env)
}

func domains(list ...state.Domain) state.Spec { return state.Spec{Service: "web", Domains: list} }

func TestRecords_areWrittenOnceTheDomainSaysThemAndFollowIt(t *testing.T) {
	r := newRig(t)
	r.zone("example.org")
	zone := r.zone("example.com")
	r.put(zone, "other.example.com", types.RRTypeA, "192.0.2.1")
	spec := domains(state.Domain{Name: "app.example.com", WWW: true, Route53: true})
	r.asks["app.example.com"] = asked("app.example.com", "x.localhost", true)
	done, err := r.converge(spec, plan.Options{})
	require.NoError(t, err)
	require.Equal(t, []string{"create apprunner/domain/app.example.com", "create route53/records/app.example.com"}, done)
	require.ElementsMatch(t, []string{
		"other.example.com A 192.0.2.1", "app.example.com CNAME x.localhost", "www.app.example.com CNAME x.localhost",
		"_a.app.example.com CNAME _b.acm-validations.aws", "_c.own.app.example.com CNAME _d.acm-validations.aws"}, r.records(zone))
	done, err = r.converge(spec, plan.Options{})
	require.NoError(t, err)
	require.Empty(t, done, "the next plan is empty")

	r.asks["app.example.com"][0].Value = "y.localhost" // a service that is no longer public
	done, err = r.converge(spec, plan.Options{})
	require.NoError(t, err)
	require.Equal(t, []string{"update route53/records/app.example.com"}, done)
	require.Contains(t, r.records(zone), "app.example.com CNAME y.localhost")
}

func TestRecords_ofTheZonesOwnNameAreAnAlias(t *testing.T) {
	r := newRig(t)
	zone := r.zone("example.com")
	spec := domains(state.Domain{Name: "example.com", Route53: true})
	r.asks["example.com"] = asked("example.com", "x.us-east-1.awsapprunner.com", false)
	_, err := r.converge(spec, plan.Options{})
	require.NoError(t, err)
	require.Contains(t, r.records(zone), "example.com A x.us-east-1.awsapprunner.com")
	done, err := r.converge(spec, plan.Options{})
	require.NoError(t, err)
	require.Empty(t, done)

	r.asks["example.com"][0].Value = "x.localhost"
	_, err = r.converge(spec, plan.Options{})
	var apex *ApexError
	require.ErrorAs(t, err, &apex)
}

func TestRecords_ofAWildcard(t *testing.T) {
	r := newRig(t)
	zone := r.zone("example.com")
	spec := domains(state.Domain{Name: "*.example.com", Route53: true})
	r.asks["*.example.com"] = asked("*.example.com", "x.localhost", false)
	_, err := r.converge(spec, plan.Options{})
	require.NoError(t, err)
	require.Contains(t, r.records(zone), "*.example.com CNAME x.localhost")
	done, err := r.converge(spec, plan.Options{})
	require.NoError(t, err)
	require.Empty(t, done)
}

func TestRecords_thatLeadElsewhereAreAdoptedOnlyWhenAsked(t *testing.T) {
	for to, kind := range map[string]types.RRType{
		"192.0.2.1":                          types.RRTypeA,
		"production.localhost":               types.RRTypeCname, // another service's
		"y.us-east-1.awsapprunner.com":       types.RRTypeCname,
		"deep.x.us-east-1.awsapprunner.com":  types.RRTypeCname,
		"x.us-east-1.awsapprunner.com.proxy": types.RRTypeCname,
	} {
		t.Run(to, func(t *testing.T) {
			r := newRig(t)
			zone := r.zone("example.com")
			r.put(zone, "app.example.com", kind, to)
			spec := domains(state.Domain{Name: "app.example.com", Route53: true})
			r.asks["app.example.com"] = asked("app.example.com", "x.localhost", false)
			_, err := r.converge(spec, plan.Options{})
			require.ErrorContains(t, err, "exists already and was not made by apron for this service: app.example.com leads to "+to)
			was := fmt.Sprintf("app.example.com %s %s", kind, to)
			require.Equal(t, []string{was}, r.records(zone))

			live, _, err := r.Observe(t.Context(), reconcile.Query{Specs: []state.Spec{spec}})
			require.NoError(t, err)
			pl, err := plan.Build(nil, live, plan.Options{})
			require.NoError(t, err)
			require.True(t, pl.Empty(), "a destroy leaves it")

			_, err = r.converge(spec, plan.Options{Adopt: true})
			require.NoError(t, err)
			require.NotContains(t, r.records(zone), was)
			require.Contains(t, r.records(zone), "app.example.com CNAME x.localhost")
		})
	}
}

func TestRecords_areNobodysWhileTheServiceDoesNotExist(t *testing.T) {
	r := newRig(t)
	r.own = nil
	r.put(r.zone("example.com"), "app.example.com", types.RRTypeCname, "production.localhost")
	live, _, err := r.Observe(t.Context(), reconcile.Query{Specs: []state.Spec{domains(state.Domain{Name: "app.example.com", Route53: true})}})
	require.NoError(t, err)
	require.Equal(t, state.Theirs, live[Address("app.example.com")].Owner)
}

func TestRecords_areDeletedWithTheDomainAndNoOthers(t *testing.T) {
	r := newRig(t)
	zone := r.zone("example.com")
	spec := domains(state.Domain{Name: "app.example.com", Route53: true})
	r.asks["app.example.com"] = asked("app.example.com", "x.localhost", false)
	_, err := r.converge(spec, plan.Options{})
	require.NoError(t, err)
	r.put(zone, "_of.another.app.example.com", types.RRTypeCname, "_z.acm-validations.aws")
	live, _, err := r.Observe(t.Context(), reconcile.Query{Specs: []state.Spec{spec}})
	require.NoError(t, err)
	require.Equal(t, state.Ours, live[Address("app.example.com")].Owner)
	live[web] = state.Observed{Resource: state.Resource{Address: web}, ID: "arn", Owner: state.Derived}
	pl, err := plan.Build(nil, live, plan.Options{})
	require.NoError(t, err)
	require.Len(t, pl.Actions, 1)
	for range 2 { // what is gone already is no error
		_, err = apply.Run(t.Context(), pl, reconcile.Known(live), r, apply.Options{})
		require.NoError(t, err)
	}
	require.Equal(t, []string{"_of.another.app.example.com CNAME _z.acm-validations.aws"}, r.records(zone))
}

func TestZones_takesTheLongestPublicName(t *testing.T) {
	r := newRig(t)
	r.zone("example.com")
	deep := r.zone("apps.example.com")
	zones, err := r.Zones(t.Context(), []state.Spec{domains(state.Domain{Name: "web.apps.example.com", Route53: true},
		state.Domain{Name: "example.net", Route53: true}, state.Domain{Name: "by-hand.example.com"})})
	require.NoError(t, err)
	require.Equal(t, map[string]Zone{"web.apps.example.com": {ID: deep, Name: "apps.example.com"}}, zones)

	r = newRig(t)
	r.zone("example.com")
	r.zone("example.com")
	_, err = r.Zones(t.Context(), []state.Spec{domains(state.Domain{Name: "example.com", Route53: true})})
	require.ErrorContains(t, err, "there are several public hosted zones named example.com")
}
