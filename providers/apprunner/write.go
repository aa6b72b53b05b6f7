package apprunner

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	sdk "github.com/aws/aws-sdk-go-v2/service/apprunner"
	"github.com/aws/aws-sdk-go-v2/service/apprunner/types"

	"github.com/apron-deploy/apron/providers/awsapi"
	"github.com/apron-deploy/apron/reconcile/apply"
	"github.com/apron-deploy/apron/reconcile/plan"
	"github.com/apron-deploy/apron/reconcile/state"
)

// Execute implements [apply.Executor].
func (p *Provider) Execute(ctx context.Context, a plan.Action, env apply.Env) (state.Outcome, error) {
	r := run{p: p, a: a, env: env}
	switch {
	case a.Target.Kind == kindScaling && a.Op == plan.Create:
		return r.createScaling(ctx)
	case a.Target.Kind == kindScaling && a.Op == plan.Update:
		return r.tagOnly(ctx)
	case a.Target.Kind == kindScaling && a.Op == plan.Delete:
		return r.deleteScaling(ctx)
	case a.Target.Kind == kindDomain:
		return r.domain(ctx)
	case a.Target.Kind == kindActive:
		return r.active(ctx)
	case a.Target.Kind == kindConnector || a.Target.Kind == kindTracing || a.Target.Kind == kindIngress:
		return r.beside(ctx)
	case a.Target.Kind == kindService && a.Op == plan.Create:
		return r.create(ctx)
	case a.Target.Kind == kindService && a.Op == plan.Update:
		return r.update(ctx)
	case a.Target.Kind == kindService && a.Op == plan.Resume:
		return r.resume(ctx)
	case a.Target.Kind == kindService && a.Op == plan.Redeploy:
		return r.redeploy(ctx)
	case a.Target.Kind == kindService && a.Op == plan.Pause:
		return r.pause(ctx)
	case a.Target.Kind == kindService && a.Op == plan.Delete:
		return r.delete(ctx)
	}
	return state.Outcome{}, fmt.Errorf("%s: App Runner cannot %s it", a.Target, a.Op)
}

// run is one action under way.
type run struct {
	p   *Provider
	a   plan.Action
	env apply.Env
}

func (r run) progress(phase string) {
	if phase != "" && r.env.Progress != nil {
		r.env.Progress(apply.Progress{Action: r.a.ID, Phase: phase})
	}
}

func (r run) name() string { return r.a.Target.Name }

func (r run) fail(doing string, err error) (state.Outcome, error) {
	return state.Outcome{}, fmt.Errorf("%s %q: %s: %w", r.a.Target.Kind, r.name(), doing, awsapi.Explain(err))
}

func tags(want state.Resource) []types.Tag {
	var out []types.Tag
	for _, f := range want.Fields {
		if key, ok := strings.CutPrefix(f.Path, "tags."); ok {
			out = append(out, types.Tag{Key: aws.String(key), Value: aws.String(f.Value)})
		}
	}
	return out
}

func (r run) tagOnly(ctx context.Context) (state.Outcome, error) {
	if _, err := r.p.api.TagResource(ctx, &sdk.TagResourceInput{ResourceArn: &r.a.Have.ID, Tags: tags(r.a.Want)}); err != nil {
		return r.fail("tag", err)
	}
	return state.Outcome{ID: r.a.Have.ID, URL: r.a.Have.URL}, nil
}

// wanted is what the action wants with its soft references resolved, now that the
// actions it needs have ended.
func (r run) wanted() (state.Resource, error) {
	want := r.a.Want
	want.Fields = slices.Clone(want.Fields)
	for i := range want.Fields {
		f := &want.Fields[i]
		if f.Template == "" {
			continue
		}
		var missing string
		text, ok := state.Expand(f.Template, func(service string) (string, bool) {
			out, ok := r.env.Lookup(Service(service))
			if !ok || out.URL == "" {
				missing = service
			}
			return out.URL, missing == ""
		})
		if !ok {
			return want, fmt.Errorf("%s needs the URL of service %q, which is not known", f.Path, missing)
		}
		f.Value, f.Template, f.Omit = text, "", false
	}
	return want, nil
}

// define resolves what the action wants into the API's terms.
func (r run) define(have *types.Service) (state.Resource, *definition, error) {
	want, err := r.wanted()
	if err != nil {
		return want, nil, err
	}
	d, err := define(want, have, r.p.scope())
	if err != nil {
		return want, d, err
	}
	for addr, set := range d.arns {
		out, ok := r.env.Lookup(addr)
		if !ok || out.ID == "" {
			return want, d, fmt.Errorf("%s is not known", addr)
		}
		set(out.ID)
	}
	return want, d, nil
}

// gate asks whether the service may have the image. A service that keeps its image is not
// asked about: it runs already.
func (r run) gate(ctx context.Context) error {
	image := slices.ContainsFunc(r.a.Changes, func(c plan.Change) bool { return c.Path == "image" })
	if r.p.o.Gate == nil || r.a.Op == plan.Update && !r.a.Rebuild && !image {
		return nil
	}
	return r.p.o.Gate(ctx, r.name(), r.env, r.progress)
}

func (r run) create(ctx context.Context) (done state.Outcome, err error) {
	want, d, err := r.define(nil)
	if err != nil {
		return state.Outcome{}, err
	}
	defer func() { err = hide(err, want.Fields) }()
	if err := r.gate(ctx); err != nil {
		return state.Outcome{}, err
	}
	r.progress("creating")
	var out *sdk.CreateServiceOutput
	err = r.whenRolesReady(ctx, func() (err error) {
		out, err = r.p.api.CreateService(ctx, d.create(r.name()))
		return err
	})
	if err != nil {
		// The answer to a call that took effect may have got lost, and the SDK's second
		// attempt then finds the name taken: look before believing it.
		if o, op := r.ours(ctx); o != nil && op != "" {
			return r.settle(ctx, o.ID, op, want)
		}
		return r.fail("create", err)
	}
	return r.settle(ctx, aws.ToString(out.Service.ServiceArn), aws.ToString(out.OperationId), want)
}

// ours finds a service of this name that carries apron's tag, and its creation's id.
func (r run) ours(ctx context.Context) (*state.Observed, string) {
	arns, err := r.p.list(ctx, map[string]bool{r.name(): true})
	if err != nil || len(arns) == 0 {
		return nil, ""
	}
	o, err := r.p.describe(ctx, arns[0], func(_, _ string) bool { return true })
	if err != nil || o == nil || o.Owner != state.Ours {
		return nil, ""
	}
	for _, op := range o.Detail.(Live).Operations {
		if op.Type == types.OperationTypeCreateService {
			return o, aws.ToString(op.Id)
		}
	}
	return nil, ""
}

// roleWait covers the time that IAM takes to make a role known everywhere.
const roleWait = 2 * time.Minute

// whenRolesReady repeats a call while App Runner cannot assume a role that this run has
// just made. Its error has a code that says nothing, so that the text has to.
// https://docs.aws.amazon.com/IAM/latest/UserGuide/troubleshoot.html#troubleshoot_general_eventual-consistency
func (r run) whenRolesReady(ctx context.Context, call func() error) error {
	start := time.Now()
	for pause := min(time.Second, r.p.o.Poll); ; pause = min(pause*2, 2*r.p.o.Poll) {
		err := call()
		if !awsapi.Is(err, "InvalidRequestException") || !strings.Contains(awsapi.Message(err), "Error in assuming") || time.Since(start) > r.roleWait(err) {
			return r.roleError(err)
		}
		r.progress("waiting for IAM to know the new role everywhere")
		if err := awsapi.Sleep(ctx, pause); err != nil {
			return err
		}
	}
}

// roleWait is how long to try with a role: one of apron's may have been made a moment ago,
// one that the manifest names hardly, but by somebody else: a minute at the usual pace.
func (r run) roleWait(err error) time.Duration {
	if strings.Contains(awsapi.Message(err), ":role/apron/") {
		return roleWait
	}
	return 12 * r.p.o.Poll
}

func (r run) roleError(err error) error {
	if err == nil || !strings.Contains(awsapi.Message(err), "Error in assuming") {
		return err
	}
	return &awsapi.Error{Why: awsapi.Message(err), Err: err, Credentials: true, Fix: "the access role must trust build.apprunner.amazonaws.com and the instance role " +
		"tasks.apprunner.amazonaws.com: https://docs.aws.amazon.com/apprunner/latest/dg/security_iam_service-with-iam.html"}
}

// update changes a service by what its changes need: tags by themselves, a deployment
// when only what the service refers to has changed, and an update for all else.
func (r run) update(ctx context.Context) (done state.Outcome, err error) {
	have, err := r.current(ctx)
	if err != nil {
		return state.Outcome{}, err
	}
	arn := aws.ToString(have.ServiceArn)
	want, d, err := r.define(have)
	if err != nil {
		return state.Outcome{}, err
	}
	defer func() { err = hide(err, want.Fields, r.a.Have.Fields) }()
	d.displace(want, have)
	tagged, deploy, change := r.kinds()
	if tagged || r.moved() {
		if _, err := r.p.api.TagResource(ctx, &sdk.TagResourceInput{ResourceArn: &arn, Tags: d.tags}); err != nil {
			return r.fail("tag", err)
		}
	}
	var op string
	switch {
	case change || r.a.Rebuild:
		if err := r.gate(ctx); err != nil {
			return state.Outcome{}, err
		}
		r.progress("updating")
		var out *sdk.UpdateServiceOutput
		err = r.whenIdle(ctx, arn, func() (err error) {
			out, err = r.p.api.UpdateService(ctx, d.update(arn))
			if err == nil {
				op = aws.ToString(out.OperationId)
				return nil
			}
			// As with a create, the answer may have got lost, and the update be under way.
			lost := awsapi.Is(err, "InvalidStateException") || awsapi.Code(err) == ""
			if lost && !deploy {
				if op = r.underWay(ctx, arn, want); op != "" {
					return nil
				}
			}
			return err
		})
	case deploy:
		r.progress("deploying")
		var out *sdk.StartDeploymentOutput
		err = r.whenIdle(ctx, arn, func() (err error) {
			out, err = r.p.api.StartDeployment(ctx, &sdk.StartDeploymentInput{ServiceArn: &arn})
			return err
		})
		if err == nil {
			op = aws.ToString(out.OperationId)
		}
	default:
		return state.Outcome{ID: arn, URL: serviceURL(aws.ToString(have.ServiceUrl))}, nil
	}
	if err != nil {
		return r.fail("update", err)
	}
	return r.settle(ctx, arn, op, want)
}

// underWay returns the update that is going on, if it makes of the service what is wanted:
// during an update a service is described as it will be.
func (r run) underWay(ctx context.Context, arn string, want state.Resource) string {
	o, err := r.p.describe(ctx, arn, func(_, _ string) bool { return true })
	if err != nil || o == nil || o.Phase != state.Busy || len(differences(want, *o)) > 0 {
		return ""
	}
	ops := o.Detail.(Live).Operations
	if len(ops) == 0 || ops[0].Type != types.OperationTypeUpdateService || ended(ops[0].Status) {
		return ""
	}
	return aws.ToString(ops[0].Id)
}

// kinds says what an update consists of.
func (r run) kinds() (tagged, deploy, change bool) {
	for _, c := range r.a.Changes {
		switch {
		case strings.HasPrefix(c.Path, "tags."):
			tagged = true
		case c.Restart, c.Path == "deployment.secrets":
			deploy = true
		default:
			change = true
		}
	}
	return tagged, deploy, change
}

// moved reports whether the manifest is not where the service's tag has it: that is no
// change by itself, and goes along with one.
func (r run) moved() bool {
	want, ok := r.a.Want.Get("tags." + tagOrigin)
	return ok && !r.a.Second && r.a.Have.Value(want.Path) != want.Value
}

// current reads the service once nothing is under way. A second pass has no live state
// in its action: the service did not exist when the plan was made.
func (r run) current(ctx context.Context) (*types.Service, error) {
	arn := r.a.Have.ID
	if out, ok := r.env.Lookup(r.a.Target); ok && out.ID != "" {
		arn = out.ID
	}
	return r.p.idle(ctx, arn, r.progress)
}

// whenIdle repeats a call that an operation of somebody else's stands in the way of.
// UpdateService says so by its code, StartDeployment by its text alone.
func (r run) whenIdle(ctx context.Context, arn string, call func() error) error {
	var last error
	for range attempts {
		err := r.whenRolesReady(ctx, call)
		inTheWay := awsapi.Is(err, "InvalidStateException") ||
			awsapi.Is(err, "InvalidRequestException") && strings.Contains(awsapi.Message(err), "isn't in RUNNING state")
		if !inTheWay {
			return err
		}
		s, idleErr := r.p.idle(ctx, arn, r.progress)
		if idleErr != nil {
			return idleErr
		}
		if s.Status != types.ServiceStatusRunning && s.Status != types.ServiceStatusCreateFailed {
			return fmt.Errorf("it is %s: %w", s.Status, err)
		}
		if last = err; awsapi.Sleep(ctx, r.p.o.Poll) != nil {
			return context.Cause(ctx)
		}
	}
	return busy(last)
}

func (r run) delete(ctx context.Context) (state.Outcome, error) {
	arn := r.a.Have.ID
	r.progress("deleting")
	var last error
	for range attempts {
		s, err := r.p.idle(ctx, arn, r.progress)
		if awsapi.Is(err, "ResourceNotFoundException") || err == nil && s.Status == types.ServiceStatusDeleted {
			return state.Outcome{}, nil
		}
		if err != nil {
			return state.Outcome{}, err
		}
		out, err := r.p.api.DeleteService(ctx, &sdk.DeleteServiceInput{ServiceArn: &arn})
		if awsapi.Is(err, "InvalidStateException") {
			if last = err; awsapi.Sleep(ctx, r.p.o.Poll) != nil {
				return state.Outcome{}, context.Cause(ctx)
			}
			continue // perhaps this very deletion: its answer may have got lost
		}
		if err := gone(arn, "delete", err); err != nil || out == nil {
			return state.Outcome{}, err
		}
		if err := r.follow(ctx, arn, aws.ToString(out.OperationId)); !errors.Is(err, errVanished) {
			return state.Outcome{}, err
		}
		return state.Outcome{}, nil
	}
	return r.fail("delete", busy(last))
}

// attempts is how often a call is tried that operations of others stand in the way of.
const attempts = 5

var errBusy = errors.New("other operations keep coming first, or its state forbids it; nothing was changed")

// busy says what App Runner said the last time: what stands in the way need not be an
// operation.
func busy(last error) error { return fmt.Errorf("%w: %s", errBusy, awsapi.Message(last)) }
