package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	wafsdk "github.com/aws/aws-sdk-go-v2/service/wafv2"
	"github.com/hashicorp/go-multierror"

	"github.com/apron-deploy/apron/manifest"
	"github.com/apron-deploy/apron/manifest/inverse"
	"github.com/apron-deploy/apron/providers/awsapi"
	"github.com/apron-deploy/apron/providers/iam"
	"github.com/apron-deploy/apron/providers/wafv2"
	"github.com/apron-deploy/apron/reconcile"
	"github.com/apron-deploy/apron/reconcile/plan"
	"github.com/apron-deploy/apron/reconcile/state"
)

// whole reads a service and all about it once nothing is under way. denied says of what
// could not be read why.
func (s *session) whole(ctx context.Context, arn string, o importFlags) (live state.Live, denied map[string]string, err error) {
	w := s.wire(o.apply)
	service := serviceAddress(s.specs[0])
	for range 2 {
		if live, err = w.apprunner.Whole(ctx, arn); err != nil {
			return nil, nil, interruptible(ctx, err)
		}
		if _, ok := live[service]; !ok {
			return nil, nil, fmt.Errorf("%s is gone meanwhile; nothing was written", arn)
		}
		if err := s.refused(live[service], o); err != nil {
			return nil, nil, err
		}
		if !s.busy(live) {
			break
		}
		if err := s.idle(ctx, w, live); err != nil {
			return nil, nil, err
		}
	}
	if role := iam.Address(s.cfg.Region, service.Name, iam.Instance); live[service].Value("instance_role") == role.String() {
		roles, _, err := w.iam.Observe(ctx, reconcile.Query{Region: s.cfg.Region, Specs: s.specs})
		if err != nil {
			return nil, nil, interruptible(ctx, err)
		}
		maps.Copy(live, roles)
	}
	acl := wafv2.New(wafsdk.NewFromConfig(s.cfg), wafv2.Options{ARNs: func(context.Context, []string) (map[string]string, error) {
		return map[string]string{service.Name: arn}, nil
	}})
	associated, _, err := acl.Observe(ctx, reconcile.Query{Specs: []state.Spec{{Service: service.Name, WebACL: wafv2.None}}})
	if api, ok := errors.AsType[*awsapi.Error](err); ok && api.Credentials {
		denied = map[string]string{"apprunner.web_acl": "whether a web ACL is associated could not be read: " + api.Why}
	} else if err != nil {
		return nil, nil, interruptible(ctx, err)
	}
	maps.Copy(live, associated)
	return live, denied, nil
}

func (s *session) inverseOptions(file string) (inverse.Options, error) {
	name := s.specs[0].Service
	_, err := os.Stat(filepath.Join(filepath.Dir(file), "Dockerfile"))
	return inverse.Options{Account: s.id.Account, Region: s.cfg.Region, Partition: s.id.Partition, Registry: s.scope().Registry(),
		Access: iam.Address(s.cfg.Region, name, iam.Access), Instance: iam.Address(s.cfg.Region, name, iam.Instance),
		Leave: map[string]string{}, Dockerfile: err == nil}, nil
}

// drafting is a manifest in the making. Until it is written it is in memory alone, and is
// loaded from there as from a file.
type drafting struct {
	a       *app
	file    string
	live    state.Live
	service state.Address
	denied  map[string]string
	o       inverse.Options

	result inverse.Result
	text   []byte
	env    string // the file for the values of what looks like a secret, or ""
	s      *session
	w      wiring
	p      planned
}

// rounds is how often a draft is written again without what has turned out not to work:
// more often than there are keys.
const rounds = 40

// converge drafts until the plan of the draft makes the service apron's and does nothing
// else. What stands in the way is left out, and named.
func (d *drafting) converge(ctx context.Context, o importFlags) error {
	for range rounds {
		d.draft()
		again, err := d.valid()
		if err != nil {
			return err
		}
		if again {
			continue
		}
		if err := d.plan(ctx, o); err != nil {
			return err
		}
		if again, err = d.fits(); err != nil || !again {
			return err
		}
	}
	return &importError{service: d.service.Name, why: "no manifest was found whose plan has no changes", fix: "report it, with what aws apprunner describe-service shows"}
}

func (d *drafting) draft() {
	d.result = inverse.Draft(d.live, d.service, d.o)
	for path, why := range d.denied {
		d.result.Left = append(d.result.Left, inverse.Left{Path: path, Why: why})
		d.result.Draft = append(d.result.Draft, manifest.Entry{Above: []string{"- " + path + ": " + why}})
	}
	d.text, d.env = d.result.Draft.Text(), ""
	for _, v := range d.result.Variables {
		d.a.out.Hide(v.Value.Reveal())
		d.a.err.Hide(v.Value.Reveal())
	}
	if env := filepath.Join(filepath.Dir(d.file), ".env"); len(d.result.Variables) > 0 && len(d.a.envFiles) == 0 && !exists(env) {
		d.env = env
	}
	d.a.unwritten = map[string][]byte{d.file: d.text}
	if d.env != "" {
		d.a.unwritten[d.env] = d.envText()
	}
}

func exists(file string) bool {
	_, err := os.Lstat(file)
	return err == nil
}

// envText is the env file: what looks like a secret is no part of the manifest.
func (d *drafting) envText() []byte {
	var b strings.Builder
	b.WriteString("# Written by apron import for " + filepath.Base(d.file) + ". Keep it out of the repository.\n")
	for _, v := range d.result.Variables {
		b.WriteString(manifest.EnvLine(v.From, v.Value.Reveal()))
	}
	return []byte(b.String())
}

// valid looks for what is wrong with the draft, and leaves that out.
func (d *drafting) valid() (again bool, err error) {
	var fatal, unset *multierror.Error
	for _, bad := range d.a.mistakes(d.file, d.text) {
		switch {
		case strings.HasSuffix(bad.Msg, " is not set"):
			unset = multierror.Append(unset, bad)
		case !d.leave(bad.Path, bad.Msg):
			fatal = multierror.Append(fatal, bad)
		default:
			again = true
		}
	}
	if unset != nil && !again {
		where := "in the environment"
		if len(d.a.envFiles) == 0 {
			where = "in .env, which is there already and is not written to"
		}
		return false, &importError{service: d.service.Name, why: "it has what looks like secrets as plain variables, and a manifest takes their values from the environment: " + strings.Join(d.names(), ", "),
			fix: "set them " + where + ": aws apprunner describe-service shows the values"}
	}
	if err := fatal.ErrorOrNil(); err != nil {
		return false, fmt.Errorf("service %q: a manifest cannot say this; nothing was written or changed: %w", d.service.Name, err)
	}
	return again, nil
}

// names are those of the variables in the environment.
func (d *drafting) names() []string {
	names := []string{}
	for _, v := range d.result.Variables {
		names = append(names, v.From)
	}
	return names
}

// leave has a key left out of the next draft. It reports false for what every manifest
// needs, and for what was left out before.
func (d *drafting) leave(path, why string) bool {
	top, _, _ := strings.Cut(path, ".")
	if _, before := d.o.Leave[path]; before || slices.Contains([]string{"", "version", "service", "region", "account", "image"}, top) {
		return false
	}
	d.o.Leave[path] = why
	return true
}

// plan makes the plan of the draft, adoption included.
func (d *drafting) plan(ctx context.Context, o importFlags) (err error) {
	d.a.files, d.a.quiet = []string{d.file}, true
	defer func() { d.a.quiet = false }()
	if d.s, err = d.a.open(ctx, true); err != nil {
		return err
	}
	d.w = d.s.wire(o.apply)
	d.p, err = replannable(ctx, func(ctx context.Context) (planned, error) {
		f, err := d.s.settled(ctx, d.w, false)
		if err != nil {
			return planned{}, err
		}
		p, err := d.s.plan(f, plan.Options{Adopt: true}, true, everything)
		if err != nil {
			return planned{}, err
		}
		p.verb = "import"
		p.plan.Notes = slices.DeleteFunc(p.plan.Notes, func(n state.Note) bool { return !n.Warning }) // there is no manifest yet that they could be about
		return p, nil
	})
	return err
}

// fits reports false once the plan changes nothing but tags. It has left out what else
// there was.
func (d *drafting) fits() (again bool, err error) {
	if d.p.missing != nil {
		return false, d.p.missing
	}
	for _, act := range d.p.plan.Actions {
		if act.Op != plan.Update {
			if !d.leave(keyOf(act.Target), fmt.Sprintf("apron would %s %s", act.Op, act.Target)) {
				return false, &importError{service: d.service.Name, why: fmt.Sprintf("apron would %s %s", act.Op, act.Target), fix: "report it, with what aws apprunner describe-service shows"}
			}
			again = true
			continue
		}
		for _, c := range act.Changes {
			if strings.HasPrefix(c.Path, "tags.") {
				continue
			}
			if err := d.differs(act, c); err != nil {
				return false, err
			}
			again = true
		}
	}
	return again, nil
}

// differs leaves out a key of which the plan would make something else than is live.
func (d *drafting) differs(act plan.Action, c plan.Change) error {
	for _, v := range d.result.Variables {
		if c.Path == "env."+v.Name {
			return &importError{service: d.service.Name, why: v.From + " is set here, and to another value than the service has", fix: "unset it, or set it to what aws apprunner describe-service shows"}
		}
	}
	path := c.Path
	if act.Target != d.service {
		path = keyOf(act.Target)
	} else if key, ok := map[string]string{"tracing": "observability", "access_role": "roles.access", "instance_role": "roles.instance", "kms_key": "apprunner.kms_key"}[path]; ok {
		path = key
	}
	text := "apron would change it"
	if c.Old != nil && c.New != nil && !c.Old.Secret && !c.New.Secret {
		text += " to " + c.New.Text()
	}
	if !d.leave(path, text) {
		return &importError{service: d.service.Name, why: fmt.Sprintf("%s: %s, whatever the manifest says", c.Path, text), fix: "report it, with what aws apprunner describe-service shows"}
	}
	return nil
}

// keyOf is the key of a manifest that asks for a resource.
func keyOf(addr state.Address) string {
	switch addr.Type() {
	case "apprunner/scaling":
		return "scaling"
	case "apprunner/vpc-connector":
		return "network.egress"
	case "apprunner/observability":
		return "observability"
	case "apprunner/vpc-ingress":
		return "network.ingress"
	case "apprunner/domain", "apprunner/domain-validation":
		return "domains"
	case "wafv2/association":
		return "apprunner.web_acl"
	}
	return ""
}
