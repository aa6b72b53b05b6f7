package main

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"slices"

	"github.com/spf13/cobra"

	"github.com/apron-deploy/apron/reconcile/approval"
	"github.com/apron-deploy/apron/reconcile/render"
)

// savedPlan is a plan in a file: what people read, and what it is compared by. It holds
// no secret value, and apron never executes it.
type savedPlan struct {
	FormatVersion string `json:"format_version"`
	Kind          string `json:"kind"` // "saved plan"
	Apron         string `json:"apron"`
	Approval      string `json:"approval"` // the fingerprint as one text
	// Masked is Fingerprint as one text where that is another one than Approval: a secret whose
	// value is a part of names, too, is masked in them.
	Masked          string               `json:"masked,omitempty"`
	Fingerprint     approval.Fingerprint `json:"fingerprint"`
	Files           []string             `json:"files"` // as -f had them
	Environment     string               `json:"environment"`
	Only            []string             `json:"only,omitempty"`
	EnvFiles        []string             `json:"env_files,omitempty"` // as --env-file had them
	Region          string               `json:"region,omitempty"`    // of --region
	AllowSecretArgs bool                 `json:"allow_secret_args,omitempty"`
	Flags           planFlags            `json:"flags"`
	Plan            *render.Plan         `json:"plan"`
}

const savedKind = "saved plan"

// fingerprint is what a plan is compared by.
func (s *session) fingerprint(p planned) approval.Fingerprint {
	return approval.Of(p.plan, s.id.Account, s.agreedIn())
}

// agreedIn is the Region that a plan is for. What was agreed to in the sandbox is agreed to there
// alone, whose account is the real one's by name.
func (s *session) agreedIn() string {
	if s.a.sandbox.on {
		return s.cfg.Region + " in the sandbox"
	}
	return s.cfg.Region
}

// approvable is the fingerprint as what `apply --approved` takes. There is none of a plan that
// lacks what could not be read: it would approve what nobody has seen the whole of.
func (s *session) approvable(p planned) string {
	if len(s.unreadServices()) > 0 {
		return ""
	}
	return s.fingerprint(p).String()
}

// save writes a plan into a file.
func (s *session) save(file string, p planned, flags planFlags) error {
	f, hide := s.fingerprint(p), s.a.out.Redact
	v := savedPlan{FormatVersion: render.FormatVersion, Kind: savedKind, Apron: version(), Approval: f.String(), Fingerprint: f.Named(hide),
		Files: s.a.files, Environment: s.a.environment, Only: s.a.only, EnvFiles: s.a.envFiles, Region: s.a.region, AllowSecretArgs: s.a.allowSecretArgs,
		Flags: flags, Plan: s.view(p).Named(hide)}
	if masked := v.Fingerprint.String(); masked != v.Approval {
		v.Masked = masked
	}
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetIndent("", "  ")
	if err := e.Encode(v); err != nil {
		return err
	}
	if err := os.WriteFile(file, b.Bytes(), 0o600); err != nil {
		return fmt.Errorf("save the plan: %w", err)
	}
	s.a.say("The plan is saved in %s, as %s: `apron apply %s` refuses to do anything else.", file, v.Approval, file)
	return nil
}

// savedError says that a file is not a plan that can be compared.
type savedError struct{ file, why string }

func (e *savedError) Error() string { return e.file + ": " + e.why }
func (e *savedError) Hint() string  { return "make it again: apron plan --out " + e.file }

// readSaved reads a plan from a file.
func readSaved(file string) (savedPlan, error) {
	var v savedPlan
	data, err := os.ReadFile(file)
	if err != nil {
		return v, fmt.Errorf("saved plan: %w", err)
	}
	switch err := json.Unmarshal(data, &v); {
	case err != nil:
		return v, &savedError{file, "is not a plan that apron saved: " + err.Error()}
	case v.Kind != savedKind || v.Plan == nil:
		return v, &savedError{file, "is not a plan that apron saved"}
	case v.FormatVersion != render.FormatVersion:
		return v, &savedError{file, fmt.Sprintf("is of version %q of the format; this apron reads %s", v.FormatVersion, render.FormatVersion)}
	case cmp.Or(v.Masked, v.Approval) != v.Fingerprint.String():
		return v, &savedError{file, "was changed after it was saved: its fingerprint does not fit"}
	}
	return v, nil
}

func (a *app) showCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "show FILE",
		Short: "Print a saved plan",
		Long:  "show prints what plan --out saved, offline.",
		Args:  cobra.ExactArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			v, err := readSaved(args[0])
			if err != nil {
				return err
			}
			if err := a.write(v.Plan); err != nil {
				return err
			}
			a.say("%s is %s", args[0], v.Approval)
			return nil
		},
	}
}

// approved is what an apply must not go beyond.
type approved struct {
	pull     bool       // the merged pull request says what
	noReview bool       // and the merge is enough
	saved    *savedPlan // nil: only the text of the fingerprint is known
	text     string
}

// approvalOf reads the arguments of apply.
func (a *app) approvalOf(args []string, text string, noReview bool, flags *planFlags) (*approved, error) {
	switch {
	case text == byPull && len(args) == 1 && fingerprintText().MatchString(args[0]):
		return nil, errors.New("the fingerprint follows an equals sign: --approved=" + args[0])
	case noReview && text != byPull:
		return nil, errors.New("--no-review is about the reviews of a pull request: it goes with --approved alone")
	case len(args) == 0 && text == "":
		return nil, nil
	case len(args) == 0 && text == byPull:
		return &approved{pull: true, noReview: noReview}, nil
	case len(args) == 0:
		return &approved{text: text}, nil
	case text != "":
		return nil, errors.New("a saved plan and --approved are two approvals: give one")
	}
	v, err := readSaved(args[0])
	if err != nil {
		return nil, err
	}
	for _, list := range []struct{ given, saved *[]string }{{&a.files, &v.Files}, {&a.only, &v.Only}, {&a.envFiles, &v.EnvFiles}} {
		if len(*list.given) == 0 {
			*list.given = *list.saved
		}
	}
	a.environment, a.region = cmp.Or(a.environment, v.Environment), cmp.Or(a.region, v.Region)
	a.allowSecretArgs = a.allowSecretArgs || v.AllowSecretArgs
	v.Flags.noVerify = flags.noVerify
	*flags = v.Flags
	return &approved{saved: &v, text: v.Approval}, nil
}

// check refuses a plan that is not what was approved, and shows the difference.
func (s *session) check(ctx context.Context, ok *approved, p planned) error {
	if ok.pull {
		return s.checkPull(ctx, ok, p)
	}
	now := s.fingerprint(p)
	if ok.saved == nil {
		if ok.text == now.String() {
			return nil
		}
		if err := s.a.write(s.view(p)); err != nil {
			return err
		}
		return &unapprovedError{why: "this plan is " + now.String() + ", and " + ok.text + " was approved; nothing was changed", fix: "look at the plan above, and approve that"}
	}
	hide := s.a.out.Redact
	agreed := ok.saved.Fingerprint.Unnamed(hide, p.plan, s.id.Account, s.agreedIn(), p.desired, p.facts.live)
	err := approval.Check(agreed, p.plan, s.id.Account, s.agreedIn(), p.desired, p.facts.live)
	different, is := errors.AsType[*approval.DifferentError](err)
	if !is {
		return err
	}
	if different.Scope == "" {
		ids := slices.Concat(different.New, different.Changed, different.Missing)
		for i := range ids {
			ids[i] = hide(ids[i])
		}
		d := render.NewDifference(ok.saved.Plan.Named(hide), s.view(p).Named(hide), ids)
		if err := render.Write(s.a.err, d, render.Options{Color: s.a.colorErr}); err != nil {
			return err
		}
	}
	return &unapprovedError{why: different.Error() + "; nothing was changed", fix: "plan again, and have that approved"}
}
