package main

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/hashicorp/go-multierror"

	"github.com/apron-deploy/apron/manifest"
	"github.com/apron-deploy/apron/providers/apprunner"
	"github.com/apron-deploy/apron/providers/ecr"
	"github.com/apron-deploy/apron/providers/iam"
	"github.com/apron-deploy/apron/providers/secretsmanager"
	"github.com/apron-deploy/apron/providers/ssm"
	"github.com/apron-deploy/apron/providers/wafv2"
	"github.com/apron-deploy/apron/reconcile/state"
)

// desire asks every provider what one manifest means to it. Of a part that comes before the
// service itself, no more than that.
func (s *session) desire(spec state.Spec, f facts, applying bool, missing **multierror.Error) ([]state.Resource, []state.Note, error) {
	in := apprunner.Inputs{Image: s.imageAddress(spec), Secrets: map[string]string{}}
	var resources []state.Resource
	if !spec.Image.InPlace {
		resources = append(resources, s.imageOf(spec))
		resources = append(resources, ecr.Desired(spec, in.Image, serviceAddress(spec), f.live)...)
	}

	kept, err := ssm.Desired(spec, ssm.Inputs{Live: f.live, Apply: applying})
	if err != nil {
		return nil, nil, err
	}
	resources = append(resources, kept.Resources...)
	notes := kept.Notes
	for _, m := range kept.Missing {
		*missing = multierror.Append(*missing, &serviceError{spec.Service, m})
	}
	if s.early {
		return resources, notes, nil
	}
	arns, err := s.secretARNs(spec, f, in.Secrets)
	if err != nil {
		return nil, nil, err
	}
	role := f.live[iam.Address(s.cfg.Region, spec.Service, iam.Instance)]
	roles, more, err := iam.Desired(spec, iam.Inputs{Account: s.id.Account, Region: s.cfg.Region, Partition: s.id.Partition, Secrets: arns,
		Instance: role.Owner == state.Ours, Live: role.Fields})
	if err != nil {
		return nil, nil, err
	}
	resources, notes = append(resources, roles...), append(notes, more...)
	in.Access, in.Instance = f.roles[namedRole{spec.Roles.Access, iam.Access}].ARN, f.roles[namedRole{spec.Roles.Instance, iam.Instance}].ARN
	for _, r := range roles {
		switch r.Address {
		case iam.Address(s.cfg.Region, spec.Service, iam.Access):
			in.Access = r.Address.String()
		case iam.Address(s.cfg.Region, spec.Service, iam.Instance):
			in.Instance = r.Address.String()
		}
	}
	in.Stale = stale(spec, f)
	if in.Stale != "" {
		markStale(f.live, serviceAddress(spec), in.Stale)
	}
	records, err := s.records(spec, f)
	if err != nil {
		return nil, nil, err
	}
	resources = append(resources, records...)
	in.Live = f.live
	resources = append(resources, wafv2.Desired(spec, serviceAddress(spec))...)
	return append(resources, apprunner.Desired(spec, in)...), append(notes, apprunner.Notes(spec, f.live)...), nil
}

// position is where a key of a service's manifest stands.
func (s *session) position(spec state.Spec, path string) (line, column int) {
	for i := range s.set.Documents {
		if d := &s.set.Documents[i]; d.Spec.Service == spec.Service && d.Spec.File == spec.File {
			return d.Position(path)
		}
	}
	return 0, 0
}

// place is where a service's manifest has a key, or else what holds it, as FILE:LINE, or "".
func (s *session) place(service, path string) string {
	for _, spec := range s.specs {
		if spec.Service != service {
			continue
		}
		for key := path; key != ""; key = key[:max(strings.LastIndexAny(key, ".#"), 0)] {
			if line, _ := s.position(spec, key); line > 0 {
				return fmt.Sprintf("%s:%d", spec.File, line)
			}
		}
	}
	return ""
}

// source is the text that a key of a service's manifest was made from, if from variables.
func (s *session) source(service, path string) string {
	for i := range s.set.Documents {
		if d := &s.set.Documents[i]; d.Spec.Service == service {
			return d.Source(path)
		}
	}
	return ""
}

// secretARNs fills what App Runner reads for each secret variable, and returns the ARNs
// that the instance role must be allowed to read, and those of the keys to do so.
func (s *session) secretARNs(spec state.Spec, f facts, from map[string]string) ([]string, error) {
	var arns []string
	var errs *multierror.Error
	for _, key := range slices.Sorted(maps.Keys(spec.Secrets)) {
		ref := spec.Secrets[key]
		gone := func(what string) {
			e := &manifest.Error{File: spec.File, Path: "secrets." + key, Msg: fmt.Sprintf("%s %s does not exist in %s", what, ref.Name, s.cfg.Region),
				Fix: "make it there first, or write env:NAME, whose value apron keeps for you"}
			e.Line, e.Column = s.position(spec, e.Path)
			errs = multierror.Append(errs, e)
		}
		switch ref.Source {
		case state.FromEnv:
			from[key] = ssm.Address(spec.Service, key).String()
			arns = append(arns, ssm.ARN(s.id.Partition, s.cfg.Region, s.id.Account, ssm.ParameterName(spec.Service, key)))
		case state.FromSSM:
			r := f.parameters[ref.Name]
			if !r.Exists {
				gone("parameter")
				continue
			}
			from[key] = r.ARN
			arns = append(arns, r.ARN)
		case state.FromSecretsManager:
			r := f.secrets[ref.Name]
			if !r.Exists {
				gone("secret")
				continue
			}
			from[key] = secretsmanager.ValueFrom(r.ARN, ref.Key, ref.Stage, ref.Version)
			arns = append(arns, r.ARN)
			if own := r.KeyARN(); own != "" && !slices.Contains(arns, own) {
				arns = append(arns, own)
			}
		}
	}
	return arns, errs.ErrorOrNil()
}
