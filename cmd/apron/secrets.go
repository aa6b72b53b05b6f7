package main

import (
	"context"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/apron-deploy/apron/providers/awsapi"
	"github.com/apron-deploy/apron/providers/ssm"
	"github.com/apron-deploy/apron/reconcile/state"
)

func (a *app) secretsCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "secrets",
		Short: "The secrets of the manifest: list, set, import, diff, rotate",
		Long: "secrets looks after the secrets that the manifest names. Values are read from stdin,\n" +
			"from a terminal without echo, or from an env file: never from the command line, which\n" +
			"every user of this machine can see. Values are never printed.",
		RunE: group,
	}
	var o applyFlags
	o.parallelism = 4
	yes := func(c *cobra.Command) *cobra.Command {
		c.Flags().BoolVarP(&o.yes, "yes", "y", false, "do not ask")
		o.lock.register(c)
		return c
	}
	one := cobra.ExactArgs(1)
	defer func() {
		for _, c := range cmd.Commands() {
			a.registerOnly(c)
		}
	}()
	cmd.AddCommand(
		&cobra.Command{Use: "list", Short: "Where each secret is kept, and how old it is", RunE: func(cmd *cobra.Command, _ []string) error {
			return a.listSecrets(cmd.Context())
		}},
		yes(&cobra.Command{Use: "set KEY", Short: "Keep a new value, read from stdin", Args: one, RunE: func(cmd *cobra.Command, args []string) error {
			return a.setSecret(cmd.Context(), o, args[0], false)
		}}),
		yes(&cobra.Command{Use: "rotate KEY", Short: "Keep a new value, read from stdin, and deploy the service with it", Args: one,
			Long: "rotate keeps a new value and deploys the services that read it, as one plan and one\n" +
				"question. Nothing else that the manifest wants is done: the configuration and the image\n" +
				"stay as they are live. Where the environment or .env has another value, which the next\n" +
				"apply would keep again, it says so.",
			RunE: func(cmd *cobra.Command, args []string) error {
				again := o
				again.timeout = 35 * time.Minute
				return a.setSecret(cmd.Context(), again, args[0], true)
			}}),
		yes(&cobra.Command{Use: "import FILE", Short: "Keep the values of an env file", Args: one,
			Long: "import keeps what FILE gives the secrets of the manifest, by the names after env:. FILE wins\n" +
				"over the environment and .env; where one of those has another value, which the next apply\n" +
				"would keep again, import says so. An empty value is refused. What FILE gives besides is\n" +
				"named, and secrets that it does not give stay as they are.",
			RunE: func(cmd *cobra.Command, args []string) error {
				return a.importSecrets(cmd.Context(), o, args[0])
			}}),
		&cobra.Command{Use: "diff", Short: "Compare the values here with those that are kept; exit 2 when they differ", RunE: func(cmd *cobra.Command, _ []string) error {
			return a.diffSecrets(cmd.Context())
		}},
	)
	return cmd
}

// parameters are the resources that hold secrets.
func parameters(addr state.Address) bool { return addr.Target == "ssm" }

// secretLine is one secret as list shows it.
type secretLine struct {
	Service  string `json:"service"`
	Key      string `json:"key"`
	Source   string `json:"source"`             // env, ssm or secretsmanager
	Place    string `json:"place"`              // the parameter or secret in AWS
	Exists   bool   `json:"exists"`             // there
	Version  int64  `json:"version,omitempty"`  // of a parameter that apron keeps
	Modified string `json:"modified,omitempty"` // RFC 3339
	Set      bool   `json:"set"`                // an env: secret has a value on this machine
	Stale    bool   `json:"stale"`              // the running service has an older value
}

func (a *app) listSecrets(ctx context.Context) error {
	s, err := a.open(ctx, false)
	if err != nil {
		return err
	}
	f, err := s.observe(ctx, s.wire(applyFlags{}), false)
	if err != nil {
		return err
	}
	all := []secretLine{}
	for _, spec := range s.specs {
		old := strings.Split(stale(spec, f), ", ")
		for _, key := range slices.Sorted(maps.Keys(spec.Secrets)) {
			line := lineOf(spec, key, f)
			line.Stale = slices.Contains(old, key)
			all = append(all, line)
		}
	}
	return list(a, "secrets", all, []string{"SERVICE", "KEY", "KEPT IN", "MODIFIED", "HERE", "NOTE"}, func(l secretLine) []string {
		return []string{l.Service, l.Key, l.Source + ":" + l.Place, dash(l.Modified), l.here(), l.note()}
	})
}

func lineOf(spec state.Spec, key string, f facts) secretLine {
	ref := spec.Secrets[key]
	l := secretLine{Service: spec.Service, Key: key, Source: string(ref.Source), Place: ref.Name, Set: ref.Set}
	var modified time.Time
	switch ref.Source {
	case state.FromEnv:
		l.Source, l.Place = string(state.FromSSM), ssm.ParameterName(spec.Service, key)
		o, ok := f.live[ssm.Address(spec.Service, key)]
		p, _ := o.Detail.(ssm.Parameter)
		l.Exists, l.Version, modified = ok, p.Version, p.LastModified
	case state.FromSSM:
		r := f.parameters[ref.Name]
		l.Exists, modified = r.Exists, r.LastModified
	case state.FromSecretsManager:
		r := f.secrets[ref.Name]
		l.Exists, modified = r.Exists, r.LastModified
	}
	if !modified.IsZero() {
		l.Modified = modified.UTC().Format(time.RFC3339)
	}
	return l
}

func (l secretLine) here() string {
	if l.Set {
		return "set"
	}
	return "-"
}

func (l secretLine) note() string {
	switch {
	case !l.Exists:
		return "not there"
	case l.Stale:
		return "the service has an older value: apply deploys it again"
	}
	return "-"
}

// uncompared are the parameters of secrets with a value here that is not to be compared with
// what is kept.
func (s *session) uncompared(live state.Live) []string {
	var names []string
	for _, spec := range s.specs {
		for _, key := range slices.Sorted(maps.Keys(spec.Secrets)) {
			ref := spec.Secrets[key]
			o, ok := live[ssm.Address(spec.Service, key)]
			p, _ := o.Detail.(ssm.Parameter)
			if ok && ref.Source == state.FromEnv && ref.Set && !p.Readable {
				names = append(names, ssm.ParameterName(spec.Service, key))
			}
		}
	}
	return names
}

func (a *app) diffSecrets(ctx context.Context) error {
	s, err := a.open(ctx, false)
	if err != nil {
		return err
	}
	s.early = true
	f, err := s.observe(ctx, s.wire(applyFlags{}).narrow("ssm"), false)
	if err != nil {
		return err
	}
	unread := s.uncompared(f.live)
	p, err := s.plan(f, planFlags{}.options(), false, parameters)
	if err != nil {
		return err
	}
	if len(unread) == 0 || !p.plan.Empty() { // no changes are not what was seen otherwise
		if err := a.write(s.view(p)); err != nil {
			return err
		}
	}
	if len(unread) > 0 {
		return &awsapi.Error{Why: "not compared, as their values cannot be read: " + strings.Join(unread, ", "), Credentials: true,
			Fix: "let the identity use ssm:GetParametersByPath on them, and kms:Decrypt on their key"}
	}
	if !p.plan.Empty() {
		return errChanges
	}
	return nil
}
