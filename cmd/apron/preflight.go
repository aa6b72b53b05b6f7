package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"

	"golang.org/x/sync/errgroup"

	"github.com/apron-deploy/apron/providers/apprunner"
	"github.com/apron-deploy/apron/providers/iam"
	"github.com/apron-deploy/apron/providers/secretsmanager"
	"github.com/apron-deploy/apron/providers/ssm"
	"github.com/apron-deploy/apron/reconcile/state"
)

// preflightOptions say how closely to look.
type preflightOptions struct {
	adopt bool
	// deep asks for what a plan can do without: the configuration of an image that was looked
	// at when it was pushed, and what apron's own roles may do.
	deep bool
	// values reads secrets, to see whether they have the keys that are asked of them.
	values bool
	// after says that a rollout has been tried, so that its image must be there.
	after bool
	// planned says that a plan stands beside the checks: it tells itself of variables that
	// are not set here, and an apply does not begin without them.
	planned bool
}

// preflight looks at what rollouts need beside what a plan compares. The checks are in the
// order of the manifests, and of what they are about.
func (s *session) preflight(ctx context.Context, w wiring, f facts, o preflightOptions) ([]state.Check, error) {
	all := make([][]state.Check, len(s.specs))
	g, gctx := errgroup.WithContext(ctx)
	usage := sync.OnceValues(func() (apprunner.Usage, error) { return w.apprunner.Usage(gctx) }) // the same for all
	for i, spec := range s.specs {
		g.Go(func() (err error) {
			p := &preflight{session: s, w: w, f: f, o: o, spec: spec, usage: usage}
			all[i], err = p.checks(gctx)
			return err
		})
	}
	if err := g.Wait(); err != nil {
		return nil, interruptible(ctx, err)
	}
	return slices.Concat(all...), nil
}

// preflight is that of one service.
type preflight struct {
	*session
	w    wiring
	f    facts
	o    preflightOptions
	spec state.Spec
	// usage is of the account's quotas.
	usage func() (apprunner.Usage, error)
}

func (p *preflight) checks(ctx context.Context) ([]state.Check, error) {
	live, exists := p.f.live[serviceAddress(p.spec)]
	var image, access, instance, quotas []state.Check
	keys := map[string]state.Check{}
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() (err error) { image, err = p.image(ctx); return err })
	g.Go(func() (err error) { access, err = p.access(ctx); return err })
	g.Go(func() (err error) { instance, err = p.instance(ctx); return err })
	g.Go(func() (err error) { quotas, err = p.quotas(exists); return err })
	g.Go(func() (err error) { keys, err = p.keys(ctx); return err })
	if err := g.Wait(); err != nil {
		return nil, err
	}
	all := []state.Check{apprunner.CheckRegion(p.spec.Service, p.cfg.Region), apprunner.CheckName(p.spec.Service, live, exists, p.o.adopt), apprunner.CheckSize(p.spec, live)}
	all = append(all, image...)
	all = append(all, access...)
	for _, c := range instance {
		all = append(all, c)
		if key, ok := keys[c.Path]; ok {
			all = append(all, key)
		}
	}
	return append(all, quotas...), nil
}

func (p *preflight) check(path string, verdict state.Verdict, format string, args ...any) state.Check {
	return state.Check{Service: p.spec.Service, Path: path, Verdict: verdict, Text: fmt.Sprintf(format, args...)}
}

// access looks at the role that pulls the image.
func (p *preflight) access(ctx context.Context) ([]state.Check, error) {
	if p.spec.Roles.Access == "" {
		return []state.Check{p.check("roles.access", state.Passed, "ECR Public needs none")}, nil
	}
	if p.spec.Image.InPlace && p.imageAddress(p.spec).IsZero() {
		_, c, _ := p.role(iam.Access, p.spec.Roles.Access)
		return []state.Check{c}, nil
	}
	repository := ecrARN(p.id.Partition, p.cfg.Region, p.id.Account, p.spec.Image.Repository)
	rights := []iam.Right{{Action: "ecr:BatchGetImage", Resource: repository}, {Action: "ecr:GetDownloadUrlForLayer", Resource: repository}}
	role, c, ask := p.role(iam.Access, p.spec.Roles.Access)
	if !ask {
		return []state.Check{c}, nil
	}
	said, why := p.rights(ctx, role, rights)
	if why != "" {
		c.Verdict, c.Text = worse(c.Verdict, state.Unchecked), c.Text+"; what it may do was not checked: "+why
		return []state.Check{c}, nil
	}
	for _, r := range rights {
		verdict := p.judge(&c, role, r, said[r])
		if verdict != iam.NotAllowed {
			continue
		}
		if own, err := p.w.registry.HasPolicy(ctx, p.spec.Image.Repository); err != nil || own {
			c.Verdict, c.Text, c.Fix = state.Unchecked, c.Text+"; the repository's own policy may allow it", ""
		}
		break
	}
	if c.Verdict == state.Passed {
		c.Text += " and may pull " + p.spec.Image.Repository
	}
	return []state.Check{c}, nil
}

func ecrARN(partition, region, account, repository string) string {
	return fmt.Sprintf("arn:%s:ecr:%s:%s:repository/%s", partition, region, account, repository)
}

// role says what is known of a role without asking what it may do, and whether to ask.
func (p *preflight) role(purpose iam.Purpose, asked string) (arn string, c state.Check, ask bool) {
	path := "roles." + string(purpose)
	if asked != "auto" {
		r := p.f.roles[namedRole{asked, purpose}]
		c = p.check(path, r.Trust, "%s: %s", asked, r.Text())
		if r.Trust == state.Broken {
			c.Fix, c.Blame = fmt.Sprintf("let %s sts:AssumeRole it, or write %s: auto", purpose.Principal(), path), state.BlamePermission
		}
		return r.ARN, c, r.Trust != state.Broken
	}
	address := iam.Address(p.cfg.Region, p.spec.Service, purpose)
	live, exists := p.f.live[address]
	switch {
	case exists:
		return live.ID, p.check(path, state.Passed, "apron keeps %s", address.Name), p.o.deep
	case purpose == iam.Instance && len(p.spec.Secrets)+len(p.spec.Permissions) == 0:
		return "", p.check(path, state.Passed, "the application needs none"), false
	}
	return "", p.check(path, state.Passed, "apply makes %s", address.Name), false
}

// rights asks IAM, or says why that is not possible.
func (p *preflight) rights(ctx context.Context, role string, rights []iam.Right) (said map[iam.Right]iam.Decision, why string) {
	said, err := p.w.iam.Rights(ctx, role, rights)
	if err != nil {
		return nil, err.Error()
	}
	return said, ""
}

// judge turns what IAM says of a right into a check's verdict.
func (p *preflight) judge(c *state.Check, role string, r iam.Right, said iam.Decision) iam.Decision {
	switch said {
	case iam.Allowed:
	case iam.Denied, iam.NotAllowed:
		c.Verdict, c.Blame = state.Broken, state.BlamePermission
		c.Text = fmt.Sprintf("%s may not %s on %s", role, r.Action, r.Resource)
		c.Fix = "allow it in a policy of the role"
	default:
		c.Verdict = worse(c.Verdict, state.Unchecked)
		c.Text += fmt.Sprintf("; whether %s may %s depends on a condition", role, r.Action)
	}
	return said
}

// worse is the graver of two verdicts.
func worse(a, b state.Verdict) state.Verdict {
	rank := []state.Verdict{state.Passed, state.Unchecked, state.Broken}
	return rank[max(slices.Index(rank, a), slices.Index(rank, b))]
}

// instance looks at the role of the application and at each secret that it reads.
func (p *preflight) instance(ctx context.Context) ([]state.Check, error) {
	role, c, ask := p.role(iam.Instance, p.spec.Roles.Instance)
	all := []state.Check{c}
	need := map[string]iam.Right{}
	for _, key := range slices.Sorted(maps.Keys(p.spec.Secrets)) {
		secret, right := p.secret(key)
		if right.Resource != "" {
			need[secret.Path] = right
		}
		all = append(all, secret)
	}
	if !ask || len(need) == 0 {
		return all, nil
	}
	said, why := p.rights(ctx, role, slices.Collect(maps.Values(need)))
	for i := 1; i < len(all); i++ {
		secret := &all[i]
		right, ok := need[secret.Path]
		switch {
		case !ok || secret.Verdict == state.Broken:
		case why != "":
			secret.Verdict, secret.Text = state.Unchecked, secret.Text+"; whether the role may read it was not checked: "+why
		default:
			p.readable(ctx, secret, role, right, said[right])
		}
	}
	return all, nil
}

// readable joins what IAM says into the check of a secret. A secret may have a policy of
// its own that lets the role read it.
func (p *preflight) readable(ctx context.Context, c *state.Check, role string, r iam.Right, said iam.Decision) {
	text := c.Text
	if p.judge(c, role, r, said) == iam.Allowed {
		c.Text += ", and the role may read it"
		return
	}
	if said != iam.NotAllowed || r.Action != "secretsmanager:GetSecretValue" {
		return
	}
	if own, err := p.w.secrets.HasPolicy(ctx, r.Resource); err != nil || own {
		c.Verdict, c.Fix = state.Unchecked, ""
		c.Text = text + "; whether its own policy lets the role read it was not checked"
	}
}

// secret says whether a secret exists, and what reading it takes.
func (p *preflight) secret(key string) (c state.Check, needs iam.Right) {
	ref := p.spec.Secrets[key]
	path := "secrets." + key
	missing := func(what, fix string) state.Check {
		c := p.check(path, state.Broken, "%s", what)
		c.Fix, c.Blame = fix, state.BlameManifest
		return c
	}
	switch ref.Source {
	case state.FromSSM:
		r := p.f.parameters[ref.Name]
		right := iam.Right{Action: "ssm:GetParameters", Resource: r.ARN}
		switch {
		case !r.Exists:
			return missing(fmt.Sprintf("parameter %s does not exist in %s", ref.Name, p.cfg.Region), "make it there first"), iam.Right{}
		case r.Unchecked:
			return p.check(path, state.Unchecked, "%s is in another Region or account", ref.Name), right
		}
		return p.check(path, state.Passed, "%s exists", r.ARN), right
	case state.FromSecretsManager:
		r := p.f.secrets[ref.Name]
		right := iam.Right{Action: "secretsmanager:GetSecretValue", Resource: r.ARN}
		switch {
		case r.Deleting:
			return missing(fmt.Sprintf("secret %s is marked for deletion", ref.Name), "restore it: aws secretsmanager restore-secret"), iam.Right{}
		case !r.Exists:
			return missing(fmt.Sprintf("secret %s does not exist in %s", ref.Name, p.cfg.Region), "make it there first"), iam.Right{}
		case r.Unchecked:
			return p.check(path, state.Unchecked, "%s could not be looked up", ref.Name), right
		}
		told := secretsmanager.ValueFrom(r.ARN, ref.Key, ref.Stage, ref.Version)
		if r.Key != "" && r.KeyARN() == "" {
			return p.check(path, state.Unchecked, "exists, and App Runner is told %s; it is encrypted with the key %s, and whether the role may use kms:Decrypt on that was not checked", told, r.Key), right
		}
		return p.check(path, state.Passed, "exists, and App Runner is told %s", told), right
	}
	address := ssm.Address(p.spec.Service, key)
	right := iam.Right{Action: "ssm:GetParameters", Resource: ssm.ARN(p.id.Partition, p.cfg.Region, p.id.Account, ssm.ParameterName(p.spec.Service, key))}
	_, kept := p.f.live[address]
	switch {
	case ref.Set && ref.Value.Reveal() != "":
		return p.check(path, state.Passed, "apron keeps %s as %s", ref.Name, address.Name), right
	case kept:
		return p.check(path, state.Passed, "%s is not set here, and %s has a value", ref.Name, address.Name), right
	}
	if p.o.planned {
		return p.check(path, state.Unchecked, "%s is not set here", ref.Name), right
	}
	return missing(fmt.Sprintf("%s is not set here, and %s does not exist", ref.Name, address.Name), "set "+ref.Name+", in .env for example"), right
}

// keys are the checks of JSON keys within secrets, by the path of the secret.
func (p *preflight) keys(ctx context.Context) (map[string]state.Check, error) {
	all := map[string]state.Check{}
	for _, key := range slices.Sorted(maps.Keys(p.spec.Secrets)) {
		ref := p.spec.Secrets[key]
		if ref.Source != state.FromSecretsManager || ref.Key == "" || !p.f.secrets[ref.Name].Exists {
			continue
		}
		path := "secrets." + key
		c := p.check(path+"#"+ref.Key, state.Unchecked, "whether the secret has this key: --read-secrets looks")
		if p.o.values {
			value, err := p.w.secretValue(ctx, ref)
			p.a.out.Hide(value)
			p.a.err.Hide(value)
			var no *keyError
			switch {
			case errors.As(err, &no):
				c.Verdict, c.Text, c.Blame = state.Broken, no.Error(), state.BlameManifest
				c.Fix = no.Hint()
			case err != nil:
				c.Text = "the secret could not be read: " + err.Error()
			default:
				c.Verdict, c.Text = state.Passed, "the secret has this key"
			}
		}
		all[path] = c
	}
	return all, nil
}

// quotas are those that this plan uses more of.
func (p *preflight) quotas(exists bool) ([]state.Check, error) {
	scaling := false
	for _, r := range apprunner.Desired(p.spec, apprunner.Inputs{Live: p.f.live}) {
		_, have := p.f.live[r.Address]
		scaling = scaling || r.Address.Kind == "scaling" && !have
	}
	if p.o.after || exists && !scaling {
		return nil, nil
	}
	used, err := p.usage()
	if err != nil {
		return nil, err
	}
	var all []state.Check
	if !exists {
		all = append(all, used.CheckServices(p.spec.Service))
	}
	if scaling {
		all = append(all, used.CheckScalings(p.spec.Service))
	}
	return all, nil
}
