package ecr

import (
	"context"
	"encoding/json"
	"time"

	"github.com/apron-deploy/apron/providers/sandbox/ecr/lifecycle"
	"github.com/apron-deploy/apron/providers/sandbox/wire"
)

type lifecycleIn struct {
	target
	Text string `json:"lifecyclePolicyText"`
}

type lifecycleOut struct {
	target
	Text          string    `json:"lifecyclePolicyText"`
	LastEvaluated wire.Time `json:"lastEvaluatedAt,omitzero"`
}

func (s *Service) putLifecyclePolicy(_ context.Context, in lifecycleIn) (*lifecycleOut, error) {
	if err := checkLength("lifecyclePolicyText", in.Text, 100, 30720); err != nil {
		return nil, err
	}
	if _, err := lifecycle.Parse(in.Text); err != nil {
		return nil, constraint("LifecyclePolicyText", "Lifecycle policy validation failure: %v", err)
	}
	in.RegistryID = s.orSelf(in.RegistryID)
	return change(s, in.target, func(r *repository) (*lifecycleOut, error) {
		r.Lifecycle = &lifecyclePolicy{Text: in.Text}
		return &lifecycleOut{target: in.target, Text: in.Text}, nil
	})
}

func (s *Service) getLifecyclePolicy(_ context.Context, in target) (*lifecycleOut, error) {
	return view(s, in, s.lifecycleOf)
}

func (s *Service) deleteLifecyclePolicy(_ context.Context, in target) (*lifecycleOut, error) {
	return change(s, in, func(r *repository) (*lifecycleOut, error) {
		out, err := s.lifecycleOf(r)
		r.Lifecycle = nil
		return out, err
	})
}

func (s *Service) lifecycleOf(r *repository) (*lifecycleOut, error) {
	l := r.Lifecycle
	if l == nil {
		return nil, refuse("LifecyclePolicyNotFoundException",
			"Lifecycle policy does not exist for the repository with name '%s' in the registry with id '%s'", r.Name, s.account)
	}
	evaluated := wire.At(time.Unix(0, 0)) // what AWS says before the first run
	if !l.EvaluatedAt.IsZero() {
		evaluated = wire.At(l.EvaluatedAt)
	}
	return &lifecycleOut{target{s.account, r.Name}, l.Text, evaluated}, nil
}

type policy struct {
	target
	Text string `json:"policyText"`
}

func (s *Service) setRepositoryPolicy(_ context.Context, in policy) (*policy, error) {
	if err := checkLength("policyText", in.Text, 0, 10240); err != nil {
		return nil, err
	}
	var document struct {
		Statement json.RawMessage
	}
	if err := json.Unmarshal([]byte(in.Text), &document); err != nil || len(document.Statement) == 0 {
		return nil, constraint("PolicyText", "Invalid repository policy provided")
	}
	in.RegistryID = s.orSelf(in.RegistryID)
	return change(s, in.target, func(r *repository) (*policy, error) {
		r.Policy = in.Text
		return &in, nil
	})
}

func (s *Service) getRepositoryPolicy(_ context.Context, in target) (*policy, error) {
	return view(s, in, s.policyOf)
}

func (s *Service) deleteRepositoryPolicy(_ context.Context, in target) (*policy, error) {
	return change(s, in, func(r *repository) (*policy, error) {
		out, err := s.policyOf(r)
		r.Policy = ""
		return out, err
	})
}

func (s *Service) policyOf(r *repository) (*policy, error) {
	if r.Policy == "" {
		return nil, refuse("RepositoryPolicyNotFoundException",
			"Repository policy does not exist for the repository with name '%s' in the registry with id '%s'", r.Name, s.account)
	}
	return &policy{target{s.account, r.Name}, r.Policy}, nil
}
