package sandbox

import (
	"cmp"
	"context"
	"errors"
	"hash/fnv"
	"maps"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/apron-deploy/apron/providers/sandbox/apprunner"
	"github.com/apron-deploy/apron/providers/sandbox/cloudtrail"
	"github.com/apron-deploy/apron/providers/sandbox/cloudwatch"
	"github.com/apron-deploy/apron/providers/sandbox/ec2"
	"github.com/apron-deploy/apron/providers/sandbox/ecr"
	"github.com/apron-deploy/apron/providers/sandbox/iam"
	"github.com/apron-deploy/apron/providers/sandbox/kms"
	"github.com/apron-deploy/apron/providers/sandbox/logs"
	"github.com/apron-deploy/apron/providers/sandbox/route53"
	"github.com/apron-deploy/apron/providers/sandbox/secretsmanager"
	"github.com/apron-deploy/apron/providers/sandbox/servicequotas"
	"github.com/apron-deploy/apron/providers/sandbox/ssm"
	"github.com/apron-deploy/apron/providers/sandbox/store"
	"github.com/apron-deploy/apron/providers/sandbox/sts"
	"github.com/apron-deploy/apron/providers/sandbox/tagging"
	"github.com/apron-deploy/apron/providers/sandbox/wafv2"
	"github.com/apron-deploy/apron/providers/sandbox/wire"
)

// world is one state's services, put together.
type world struct {
	apis      *wire.Mux
	registry  *ecr.Service
	apprunner *apprunner.Service
	zones     *route53.Service
	metrics   *cloudwatch.Service
	// operations are those of the JSON protocols, by the service's signing name.
	operations map[string]map[string]wire.Operation
}

// close stops what runs. The engine belongs to the server.
func (w *world) close(ctx context.Context) error {
	return errors.Join(w.apprunner.Close(ctx), w.metrics.Close())
}

// measured names what App Runner measures as CloudWatch does.
func measured(to *cloudwatch.Service) func(apprunner.Measurement) {
	return func(m apprunner.Measurement) {
		to.Put(cloudwatch.Datum{Namespace: "AWS/AppRunner", Name: m.Name, Unit: m.Unit, At: m.At, Value: m.Value,
			Dimensions: []cloudwatch.Dimension{{Name: "ServiceName", Value: m.Service}, {Name: "ServiceID", Value: m.ServiceID}}})
	}
}

func stateDir(dir string) string { return filepath.Join(dir, "state") }

// label tells the containers of this sandbox from those of others on the machine.
func label(dir string) string {
	h := fnv.New64a()
	_, _ = h.Write([]byte(dir)) // never fails
	return "apron-" + strconv.FormatUint(h.Sum64(), 36)
}

// assemble loads the state and connects the services. This is the one place that knows
// them all.
func (s *Server) assemble() (*world, error) {
	o := s.options
	dir := stateDir(o.Dir)
	st, err := store.Open(dir)
	if err != nil {
		return nil, err
	}
	roles, err := iam.New(iam.Options{Store: st, Account: o.Account, Now: o.Clock.Now, Propagation: s.propagation()})
	if err != nil {
		return nil, err
	}
	parameters, err := ssm.New(ssm.Options{Store: st, Account: o.Account, Region: o.Region, Now: o.Clock.Now, Limited: o.Limited})
	if err != nil {
		return nil, err
	}
	secrets, err := secretsmanager.New(secretsmanager.Options{Store: st, Account: o.Account, Region: o.Region, Now: o.Clock.Now})
	if err != nil {
		return nil, err
	}
	lost := func(err error) { s.log.Warn("an event is lost", "error", err) }
	events, err := logs.New(logs.Options{Store: st, Account: o.Account, Region: o.Region, Now: o.Clock.Now, Lost: lost})
	if err != nil {
		return nil, err
	}
	var services *apprunner.Service
	images, err := ecr.New(ecr.Options{
		Dir: filepath.Join(dir, "ecr"), Account: o.Account, Region: o.Region, Now: o.Clock.Now, Endpoint: s.Endpoint,
		Pushed: func(repository, tag string) { services.ImagePushed(repository, tag) },
	})
	if err != nil {
		return nil, err
	}
	zones, err := route53.New(route53.Options{
		Store: st, Now: o.Clock.Now, Propagation: o.Clock.Scale(route53.DefaultPropagation), Limited: o.Limited,
	})
	if err != nil {
		return nil, err
	}
	metrics, err := cloudwatch.New(cloudwatch.Options{Store: st, Now: o.Clock.Now,
		Lost: func(err error) { s.log.Warn("metrics are not saved", "error", err) }})
	if err != nil {
		return nil, err
	}
	services, err = apprunner.New(apprunner.Options{
		Dir: filepath.Join(dir, "apprunner"), Account: o.Account, Region: o.Region, Clock: o.Clock, Endpoint: s.Endpoint,
		Images: images, Roles: roles, Secrets: values{parameters, secrets}, Logs: events, Engine: s.engine, Services: o.Services,
		Resolver: apprunner.Resolvers{names{zones}, elsewhere{s}}, Metrics: measured(metrics),
	})
	if err != nil {
		return nil, err
	}
	firewall, err := wafv2.New(wafv2.Options{
		Store: st, Account: o.Account, Region: o.Region, Now: o.Clock.Now,
		Propagation: o.Clock.Scale(wafv2.DefaultPropagation), Status: services.Status,
	})
	if err != nil {
		return nil, err
	}
	cryptographic, err := kms.New(kms.Options{Store: st, Account: o.Account, Region: o.Region, Now: o.Clock.Now})
	if err != nil {
		return nil, err
	}
	trail, err := cloudtrail.New(cloudtrail.Options{
		Store: st, Account: o.Account, Region: o.Region, Now: o.Clock.Now, Delay: cmp.Or(o.TrailDelay, o.Clock.Scale(cloudtrail.DefaultDelay)),
		UserARN: sts.UserArn(o.Account), Lost: lost,
	})
	if err != nil {
		return nil, err
	}
	seen := func(x wire.Exchange) {
		trail.Record(x)
		if o.Seen != nil {
			o.Seen(x)
		}
	}
	quotas, err := servicequotas.API(servicequotas.Options{Account: o.Account, Region: o.Region, Values: enforced(services)})
	if err != nil {
		return nil, err
	}
	mux := wire.NewMux(wire.MuxOptions{Verifier: s.verifier(), Around: s.around, Log: s.logCall, Seen: seen})
	operations := map[string]map[string]wire.Operation{}
	tags := tagging.API(tagging.Options{Sources: map[string]func() map[string]map[string]string{
		"apprunner": services.Tagged, "ecr": images.Tagged, "ssm": parameters.Tagged, "secretsmanager": secrets.Tagged, "logs": events.Tagged,
	}})
	for _, api := range []wire.API{images.API(), services.API(), parameters.API(), secrets.API(), events.API(), firewall.API(), cryptographic.API(), quotas, tags} {
		mux.Add(api)
		operations[api.SigningName] = api.Operations
	}
	metrics.Refresh(services.Measure)
	api := metrics.API()
	mux.AddCompatible(api)
	operations[api.SigningName] = map[string]wire.Operation{}
	for name, operation := range api.Operations {
		operations[api.SigningName][name] = operation.JSON()
	}
	mux.AddQuery(sts.API(o.Account))
	mux.AddQuery(roles.API())
	for _, api := range trail.APIs() {
		mux.Add(api)
	}
	mux.AddREST(zones.API())
	mux.AddEC2(ec2.API(o.Account, o.Region))
	return &world{apis: mux, registry: images, apprunner: services, zones: zones, metrics: metrics, operations: operations}, nil
}

// enforced are the quotas of all services by their codes.
func enforced(services *apprunner.Service) map[string]int {
	all := services.Quotas()
	maps.Copy(all, ecr.Quotas())
	return all
}

// propagation is IAM's delay on the sandbox's clock.
func (s *Server) propagation() time.Duration {
	switch d := s.options.Propagation; {
	case d < 0:
		return d
	case d == 0:
		return s.options.Clock.Scale(iam.DefaultPropagation)
	default:
		return s.options.Clock.Scale(d)
	}
}

func (s *Server) verifier() *wire.Verifier {
	return &wire.Verifier{
		Secret: func(accessKey string) (string, bool) { return s.options.SecretKey, accessKey == s.options.AccessKey },
		Region: s.options.Region,
		Global: []string{"iam", "sts", "route53"},
		Now:    time.Now, // clients have not turned their clocks
	}
}

func (s *Server) logCall(e wire.Entry) {
	s.recent.Add(e, s.options.Clock.Now())
	attrs := []any{"service", e.Service, "operation", e.Operation, "status", e.Status, "elapsed", e.Elapsed.Round(time.Microsecond)}
	if e.Code != "" {
		attrs = append(attrs, "code", e.Code)
	}
	if e.Detail != "" {
		s.log.Error("call", append(attrs, "detail", e.Detail)...)
		return
	}
	s.log.Info("call", attrs...)
}

// values resolves the references to secrets that a service's configuration holds.
type values struct {
	parameters *ssm.Service
	secrets    *secretsmanager.Service
}

// Value reads a Secrets Manager ARN, or the name or ARN of a parameter.
func (v values) Value(ref string) (string, error) {
	if strings.HasPrefix(ref, "arn:") && strings.Contains(ref, ":secretsmanager:") {
		return v.secrets.Value(ref)
	}
	return v.parameters.Value(ref)
}
