package main

import (
	"context"
	"errors"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/apron-deploy/apron/providers/apprunner"
	"github.com/apron-deploy/apron/providers/secretsmanager"
	"github.com/apron-deploy/apron/providers/ssm"
	"github.com/apron-deploy/apron/reconcile/state"
)

// learn reads the secrets that the manifests and the live services refer to, which apron
// has no use for but this: an application may print them, and its lines are shown. The
// error says which of them are not masked.
func (s *session) learn(ctx context.Context, w wiring, live state.Live) error {
	parameters, secrets := map[string]bool{}, map[secretsmanager.Value]bool{}
	for _, spec := range s.specs {
		for key, ref := range spec.Secrets {
			switch ref.Source {
			case state.FromEnv:
				parameters[ssm.ParameterName(spec.Service, key)] = true // it may be older than the value here
			case state.FromSSM:
				parameters[ref.Name] = true
			case state.FromSecretsManager:
				secrets[secretsmanager.Value{Name: ref.Name, Stage: ref.Stage, Version: ref.Version}] = true
			}
		}
		service := live[serviceAddress(spec)]
		for _, f := range service.Fields {
			if f.Secret {
				s.a.out.Hide(f.Value)
				s.a.err.Hide(f.Value)
			}
		}
		detail, _ := service.Detail.(apprunner.Live)
		for _, arn := range detail.Secrets {
			if strings.Contains(arn, ":secretsmanager:") {
				secrets[secretsmanager.ParseValue(arn)] = true
			} else {
				parameters[arn] = true
			}
		}
	}
	patience := 20 * time.Second
	if ctx.Err() != nil { // somebody waits for it to end
		patience = time.Second
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), patience)
	defer cancel()
	values, err := w.ssm.Values(ctx, slices.Sorted(maps.Keys(parameters)))
	more, err2 := w.secrets.Values(ctx, slices.Collect(maps.Keys(secrets)))
	values = append(values, more...)
	s.a.out.Hide(values...)
	s.a.err.Hide(values...)
	return errors.Join(err, err2)
}

// warnUnlearned says what it means that learn failed.
func (a *app) warnUnlearned(err error) {
	if err != nil {
		a.warn("where the application prints a secret it is not masked below: %v", err)
	}
}

// learnOnce returns a learn of what was last observed, for the providers: it reads once
// however often it is called.
func (s *session) learnOnce(w func() wiring) func(context.Context) error {
	var once sync.Once
	var err error
	return func(ctx context.Context) error {
		once.Do(func() { err = s.learn(ctx, w(), s.seen) })
		return err
	}
}
