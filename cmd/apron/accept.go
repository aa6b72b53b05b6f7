package main

import (
	"fmt"
	"slices"
	"strings"

	"github.com/hashicorp/go-multierror"

	"github.com/apron-deploy/apron/manifest"
	"github.com/apron-deploy/apron/reconcile/pattern"
	"github.com/apron-deploy/apron/reconcile/plan"
)

// written are the settings of a service that a manifest has under the same name.
var written = map[string]bool{"cpu": true, "memory": true, "port": true, "command": true, "auto_deploy": true,
	"health.protocol": true, "health.path": true, "health.interval": true, "health.timeout": true, "health.healthy": true, "health.unhealthy": true,
	"network.public": true, "network.ip": true}

// contentName is the name of a scaling configuration that apron made.
var contentName = pattern.Lazy(`^apprunner/scaling/apron-(\d+)-(\d+)-(\d+)$`)

// accepting turns what differs of a service into edits of its manifest that make the
// manifest want what is live. What no edit can say is left, by path and reason.
func accepting(d *manifest.Document, actions []plan.Action) (edits []manifest.Edit, left []string) {
	set := func(path, value string) {
		edits = append(edits, manifest.Edit{Path: path, Value: manifest.LiveText(path, value, d.Text(path))})
	}
	where := func(key string) string {
		if line, _ := d.Position(key); line > 0 {
			return fmt.Sprintf("%s:%d", d.Spec.File, line)
		}
		return d.Spec.File
	}
	for _, a := range actions {
		service := a.Target.Target == "apprunner" && a.Target.Kind == "service"
		if !service || a.Op != plan.Update {
			left = append(left, fmt.Sprintf("%s: no key of the manifest says this", a.Target))
			continue
		}
		for _, c := range a.Changes {
			live := c.Old
			key, inMap := c.Path, strings.HasPrefix(c.Path, "env.") || strings.HasPrefix(c.Path, "tags.") && !strings.HasPrefix(c.Path, "tags.apron:")
			switch {
			case live != nil && live.Secret || c.New != nil && c.New.Secret:
				left = append(left, key+": is a secret, or was one")
			case (inMap || written[key]) && live == nil:
				edits = append(edits, manifest.Edit{Path: key, Remove: true})
			case inMap || written[key]:
				set(key, live.Value)
			case key == "scaling" && live != nil && contentName().MatchString(live.Value):
				m := contentName().FindStringSubmatch(live.Value)
				set("scaling.min", m[1])
				set("scaling.max", m[2])
				set("scaling.concurrency", m[3])
			case key == "image" && d.Spec.Image.InPlace && live != nil:
				left = append(left, "image: another one runs, "+live.Text()+": name it under image.from")
			case key == "scaling" && live != nil:
				left = append(left, fmt.Sprintf("scaling: what is live is %s, which somebody made by hand, and a manifest says numbers: write those of it at %s, or bring back what was with --revert",
					strings.TrimPrefix(live.Value, "apprunner/scaling/"), where("scaling")))
			case key == "image":
				left = append(left, "image: what runs was built from other sources; apron rollback goes back to a release")
			default:
				left = append(left, key+": no edit of the manifest says this")
			}
		}
	}
	return edits, left
}

// accept writes what is live into the manifests, and tells what it could not write. The
// files are changed only if all of their edits can be made.
func (s *session) accept(actions map[string][]plan.Action) (complete bool, err error) {
	complete = true
	var errs *multierror.Error
	for i := range s.set.Documents {
		d := &s.set.Documents[i]
		edits, left := accepting(d, actions[d.Spec.Service])
		for _, why := range left {
			complete = false
			s.a.warn("%s: not written: %s", d.Spec.Service, why)
		}
		if len(edits) > 0 {
			errs = multierror.Append(errs, s.write(d, edits, func(written *manifest.Set) error { return s.accepted(written, d, edits) }))
		}
	}
	return complete, errs.ErrorOrNil()
}

// accepted refuses a text that would still say something else than what is live.
func (s *session) accepted(written *manifest.Set, now *manifest.Document, edits []manifest.Edit) error {
	i := slices.IndexFunc(written.Documents, func(d manifest.Document) bool { return d.Spec.Service == now.Spec.Service })
	if i < 0 {
		return &manifest.Error{File: now.Spec.File, Msg: "what it would say of " + now.Spec.Service + " cannot be read", Fix: "edit it by hand"}
	}
	d := &written.Documents[i]
	var errs *multierror.Error
	for _, e := range edits {
		line, _ := d.Position(e.Path)
		if e.Remove && line > 0 || !e.Remove && d.Text(e.Path) != e.Value {
			errs = multierror.Append(errs, s.unsaid(now, e.Path, "drift --accept"))
		}
	}
	return errs.ErrorOrNil()
}

// unsaid is why a manifest would still say something else of a key that was edited; verb is
// what to do once the key says null.
func (s *session) unsaid(now *manifest.Document, path, verb string) *manifest.Error {
	bad := &manifest.Error{File: now.Spec.File, Path: path, Msg: "is something else still", Fix: "edit it by hand"}
	if bad.Line, bad.Column = now.Position(path); s.a.environment != "" {
		bad.Msg = "would be what all environments share, once it is taken out here"
		bad.Fix = "write null there, which is none in this environment, and then the rest with apron " + verb + " again"
	}
	return bad
}

// write makes edits that nobody typed in the manifest of a service, and says which.
func (s *session) write(d *manifest.Document, edits []manifest.Edit, accept func(*manifest.Set) error) error {
	o := manifest.EditOptions{Environment: s.a.environment, Literal: true}
	if d.Shared {
		o.Service = d.Spec.Service
	}
	changes, err := s.a.rewrite(d.Spec.File, o, edits, accept)
	if err != nil {
		return err
	}
	for _, c := range changes {
		s.a.say("%s", editedText(c).line(d.Spec.File))
	}
	return nil
}
