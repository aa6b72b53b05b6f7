package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/apron-deploy/apron/manifest/inverse"
	"github.com/apron-deploy/apron/reconcile/plan"
	"github.com/apron-deploy/apron/reconcile/render"
)

// finish shows what makes the service apron's, asks, writes the files, does it, and plans
// once more from what is written.
func (d *drafting) finish(ctx context.Context, o importFlags) error {
	a := d.a
	d.tell()
	if !d.p.plan.Empty() {
		if err := render.Write(a.err, d.s.view(d.p), render.Options{Color: a.colorErr}); err != nil {
			return err
		}
		if err := a.confirm(ctx, o.apply.yes); err != nil {
			return err
		}
	}
	if err := d.write(ctx); err != nil {
		return err
	}
	v := imported{Service: d.service.Name, ARN: d.live[d.service].ID, URL: d.live[d.service].URL, File: filepath.ToSlash(d.file), EnvFile: filepath.ToSlash(d.env),
		Variables: d.names(), Adopted: []string{}, Left: append([]inverse.Left{}, d.result.Left...)}
	if !d.p.plan.Empty() {
		done, err := d.carryOut(ctx, o.apply)
		if err != nil {
			file := filepath.ToSlash(d.file)
			a.say("apron: note: %s is written, and %s is not apron's: `apron apply --adopt -f %s` goes on from here", file, v.Service, file)
			return err
		}
		v.Adopted = append(v.Adopted, done...)
	}
	if err := d.prove(ctx); err != nil {
		return err
	}
	return a.writeImported(v)
}

// carryOut makes the service apron's while nobody else writes to it.
func (d *drafting) carryOut(ctx context.Context, o applyFlags) ([]string, error) {
	d.s.guard.PermitWrites()
	p, unlock, err := d.s.locked(ctx, d.p, o)
	if err != nil || p.plan.Empty() {
		return nil, err
	}
	defer unlock()
	report, err := d.s.walk(ctx, d.w, p, o)
	var done []string
	for _, r := range report.Results {
		done = append(done, r.Action.Target.String())
	}
	return done, interruptible(ctx, err)
}

// tell names on stderr what the manifest does not say.
func (d *drafting) tell() {
	for _, l := range d.result.Left {
		d.a.warn("not in the manifest: %s: %s", l.Path, l.Why)
	}
}

// write writes the files, of which none exists.
func (d *drafting) write(ctx context.Context) error {
	if d.env != "" {
		if err := createFile(d.env, d.envText(), 0o600); err != nil {
			return fmt.Errorf("%s: %w; nothing was written or changed", filepath.ToSlash(d.env), err)
		}
		d.a.say("apron: note: %s holds the values of %s, which look like secrets", filepath.ToSlash(d.env), strings.Join(d.names(), ", "))
		if _, err := gitCommand(ctx, d.file, "check-ignore", "--quiet", ".env"); err != nil && inRepository(d.file) {
			d.a.warn("git does not ignore .env: add it to .gitignore, or the values get into the repository")
		}
	}
	if err := createFile(d.file, d.text, 0o644); err != nil {
		if d.env != "" {
			err = errors.Join(err, os.Remove(d.env))
		}
		return fmt.Errorf("%s: %w; nothing was changed", filepath.ToSlash(d.file), err)
	}
	d.a.unwritten = nil
	return nil
}

func inRepository(file string) bool {
	_, ok := gitFacts(filepath.Dir(file))("sha")
	return ok
}

// createFile writes a file that must not exist yet.
func createFile(name string, text []byte, mode os.FileMode) error {
	f, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, mode)
	if err != nil {
		return err
	}
	_, err = f.Write(text)
	return errors.Join(err, f.Close())
}

// prove plans as anybody does who finds the manifest.
func (d *drafting) prove(ctx context.Context) error {
	s, err := d.a.open(ctx, true)
	if err != nil {
		return err
	}
	f, err := s.observe(ctx, s.wire(applyFlags{}), false)
	if err != nil {
		return err
	}
	p, err := s.plan(f, plan.Options{}, false, everything)
	if err != nil {
		return err
	}
	if p.plan.Empty() {
		return nil
	}
	if err := render.Write(d.a.err, s.view(p), render.Options{Color: d.a.colorErr}); err != nil {
		return err
	}
	return &unprovenError{file: filepath.ToSlash(d.file), service: d.service.Name}
}

// unprovenError says that a manifest was written, and that its plan has changes.
type unprovenError struct{ file, service string }

var _ error = (*unprovenError)(nil)

func (e *unprovenError) Error() string {
	return fmt.Sprintf("%s is written and %s is apron's, but the first plan has changes, which are shown above: somebody may have changed the service meanwhile", e.file, e.service)
}

// Hint says what to do.
func (e *unprovenError) Hint() string {
	return "change the manifest where it is wrong; apply makes the service what it says"
}
