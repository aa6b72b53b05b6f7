package ecr

import (
	"context"
	"fmt"
	"maps"
	"slices"
)

// view answers from a repository, under the lock. Lifecycle rules that are due act
// first, as if AWS's daily run had just passed.
func view[T any](s *Service, t target, f func(*repository) (T, error)) (T, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	r, err := s.find(t.RegistryID, t.RepositoryName)
	if err != nil {
		var none T
		return none, err
	}
	out, err := f(r)
	return out, failed(err)
}

// change is view, and saves the repository when f returns no error. f must decide
// before it writes: an error leaves the repository as f left it.
func change[T any](s *Service, t target, f func(*repository) (T, error)) (T, error) {
	return view(s, t, func(r *repository) (T, error) {
		out, err := f(r)
		if err != nil {
			return out, err
		}
		return out, s.disk.save(r)
	})
}

func (s *Service) find(registryID, name string) (*repository, error) {
	if err := checkName(name); err != nil {
		return nil, err
	}
	r := s.repositories[name]
	if r == nil || s.orSelf(registryID) != s.account {
		return nil, s.noRepository(registryID, name)
	}
	if s.now().Sub(r.EvaluatedAt) >= evaluateEvery {
		if err := s.evaluate(r); err != nil {
			return nil, failed(err)
		}
	}
	return r, nil
}

// Expire evaluates every lifecycle policy now, without waiting for the daily run.
func (s *Service) Expire(ctx context.Context) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, name := range slices.Sorted(maps.Keys(s.repositories)) {
		if err := context.Cause(ctx); err != nil {
			return err
		}
		if err := s.evaluate(s.repositories[name]); err != nil {
			return fmt.Errorf("ecr: repository %q: %w", name, err)
		}
	}
	return nil
}
