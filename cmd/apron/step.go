package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"slices"
	"strconv"

	"github.com/apron-deploy/apron/providers/ecr"
	"github.com/apron-deploy/apron/reconcile/apply"
	"github.com/apron-deploy/apron/reconcile/plan"
	"github.com/apron-deploy/apron/reconcile/render"
	"github.com/apron-deploy/apron/reconcile/state"
)

// reporting are the commands that leave outputs and a summary to the job they run in.
var reporting = []string{"plan", "apply", "drift", "rollback", "promote"}

// output gives later steps of the job a value. The delimiter is random, so that no value
// can end itself and go on as another output.
// https://docs.github.com/en/actions/reference/workflows-and-actions/workflow-commands#multiline-strings
func (a *app) output(name, value string) error {
	file := a.fallback("GITHUB_OUTPUT", "")
	if file == "" {
		return nil
	}
	end := word()
	if err := appendTo(file, fmt.Sprintf("%s<<%s\n%s\n%s\n", name, end, a.out.Redact(value), end)); err != nil {
		return fmt.Errorf("output of the step: %w", err)
	}
	return nil
}

// summaryMax is how large the summary of a step may be, in bytes: of a larger one nothing
// is shown.
// https://docs.github.com/en/actions/reference/workflows-and-actions/workflow-commands#step-isolation-and-limits
const summaryMax = 1 << 20

// summarize appends to the summary of the step.
// https://docs.github.com/en/actions/reference/workflows-and-actions/workflow-commands#adding-a-job-summary
func (a *app) summarize(v render.View) error {
	if a.fallback("GITHUB_STEP_SUMMARY", "") == "" {
		return nil
	}
	var b bytes.Buffer
	if err := render.Write(&b, v, render.Options{Format: render.Markdown}); err != nil {
		return err
	}
	return a.summarizeText(b.String())
}

// summarizeText appends Markdown, as much of it as there is room for.
func (a *app) summarizeText(markdown string) error {
	file := a.fallback("GITHUB_STEP_SUMMARY", "")
	if file == "" {
		return nil
	}
	a.summarized = true
	room := summaryMax
	if info, err := os.Stat(file); err == nil {
		room -= int(info.Size())
	}
	if err := appendTo(file, render.Cut(a.out.Redact(markdown)+"\n", room)); err != nil {
		return fmt.Errorf("summary of the step: %w", err)
	}
	return nil
}

func appendTo(file, text string) error {
	f, err := os.OpenFile(file, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	_, err = f.WriteString(text)
	return errors.Join(err, f.Close())
}

// outcomes are the names of exit codes for those who branch on them.
var outcomes = map[int]string{exitOK: "ok", exitError: "error", exitChanges: "changes", exitUsage: "usage", exitCredentials: "credentials",
	exitPolicy: "policy", exitUnapproved: "unapproved", exitFailed: "failed", exitTimeout: "timeout", exitInterrupted: "interrupted"}

// leave tells the job how the run ended, even where that is all there is to tell.
func (a *app) leave(code int, err error) error {
	if !slices.Contains(reporting, a.command) {
		return nil
	}
	errs := []error{a.output("exit-code", strconv.Itoa(code)), a.output("outcome", outcomes[code])}
	if err != nil && !a.summarized {
		errs = append(errs, a.summarize(render.NewFailure(err)))
	}
	return errors.Join(errs...)
}

// deployed is what an apply has left of a service, for later steps.
type deployed struct {
	Service string `json:"service"`
	URL     string `json:"url"`
	Version string `json:"version"` // that the image got; empty if it got none
	Image   string `json:"image"`   // that runs: its digest, if it is known
	Release int    `json:"release,omitempty"`
}

// tellDeployed gives later steps what an apply has left: of one service each by itself, and
// of all as JSON.
func (s *session) tellDeployed(p planned, report *apply.Report, services []render.Service) error {
	if p.destroy || !slices.Contains(reporting, s.a.command) {
		return nil
	}
	all := []deployed{}
	for i, spec := range s.specs {
		image, version := deployment(spec, s.imageAddress(spec), p.facts, report)
		d := deployed{Service: spec.Service, URL: services[i].URL, Version: version, Image: image, Release: services[i].Release}
		all = append(all, d)
	}
	data, err := json.Marshal(all)
	errs := []error{err, s.a.output("services", string(data))}
	if len(all) == 1 {
		errs = append(errs, s.a.output("url", all[0].URL), s.a.output("version", all[0].Version), s.a.output("image", all[0].Image))
	}
	return errors.Join(errs...)
}

// deployment is the digest of the image that a service runs after an apply that was to have
// it run image, and the version that this one has got. A rollout that did not succeed leaves
// what ran before it, and no version.
func deployment(spec state.Spec, image state.Address, f facts, report *apply.Report) (digest, version string) {
	service := serviceAddress(spec)
	runs := f.live[service].Value("image")
	made, rolledOut, named := f.live[image].ID, true, true
	for _, r := range report.Results {
		switch a, done := r.Action, r.Status == apply.Done; {
		case a.Target == image && done:
			made = r.Outcome.ID
		case a.Target == service && a.Op == plan.Delete && done:
			runs = ""
		case a.Target == service && !a.Second:
			rolledOut = rolledOut && done
		case a.Target == ecr.Tag(spec.Image.Repository, spec.Image.Version):
			named = named && done
		}
	}
	switch {
	case rolledOut && named:
		return made, spec.Image.Version
	case rolledOut || runs == image.String():
		return made, ""
	case runs == "":
		return "", ""
	}
	if tag := f.live[ecr.Tag(spec.Image.Repository, ecr.LiveTag(spec.Service))]; tag.Value("image") == runs {
		return tag.ID, ""
	}
	recent := f.recent[spec.Service]
	records := recent.Attempts
	if recent.Success != nil {
		records = append(slices.Clone(records), *recent.Success)
	}
	for _, r := range records {
		if ecr.Image(r.Image.Repository, r.Image.Tag).String() == runs {
			return r.Image.Digest, ""
		}
	}
	return "", ""
}
