package apprunner

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/apron-deploy/apron/providers/sandbox/ecr"
)

// failure ends a deployment. Its reason is what App Runner writes at the end of the
// deployment's log, where it gives one.
type failure struct {
	reason string
	err    error
}

var _ error = (*failure)(nil)

func (f *failure) Error() string { return f.err.Error() }
func (f *failure) Unwrap() error { return f.err }

const invalidAccessRole = "Failed to pull your application image. Reason: Invalid Access Role in AuthenticationConfiguration."

// linger is how long an operation waits for instances that it replaced to be gone.
// After that they leave in the background, still within their limits.
const linger = 10 * time.Second

// roll brings a version up beside what serves, and switches over to it. If it fails,
// what served still serves.
func (a *app) roll(ctx context.Context, v version, log line) error {
	img, release, err := a.pull(&v, log)
	if err != nil {
		return err
	}
	f, err := a.newFleet(v, img, release)
	if err != nil {
		release()
		// AWS says no more than this of secrets that cannot be read.
		log("Failed to deploy your application image.")
		return &failure{err: err}
	}
	if err := a.bringUp(ctx, f, log); err != nil {
		a.dismiss(f)
		return err
	}
	if err := a.change(func(_ *state, r *record) { r.Live = &v }); err != nil {
		a.dismiss(f)
		return err
	}
	old := a.fleet.Swap(f)
	log("Successfully routed incoming traffic to application.")
	a.dismiss(old)
	return nil
}

// bringUp starts a fleet and waits until it is healthy.
func (a *app) bringUp(ctx context.Context, f *fleet, log line) error {
	clock, waits := a.s.o.Clock, a.s.waits
	log("Provisioning instances and deploying image for publicly accessible service.")
	if err := clock.Sleep(ctx, waits.Provision); err != nil {
		return err
	}
	if err := a.mishap(ctx, log); err != nil {
		return err
	}
	h := f.rev.health
	path := ""
	if h.http {
		path = fmt.Sprintf("[Path: '%s'], ", h.path)
	}
	log("Performing health check on protocol `%s` %s[Port: '%d'].", h.protocol(), path, f.rev.port)
	err := f.launch(ctx)
	var exited *exitError
	switch {
	case err == nil:
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case errors.As(err, &exited):
		log("Your application stopped or failed to start. See logs for more information.  Container exit code: %d", exited.code)
		return &failure{err: err}
	case errors.Is(err, errUnhealthy):
		log("Health check failed on protocol `%s`%s[Port: '%d']. Check your configured port number. For more information, see the application logs.", h.protocol(), path, f.rev.port)
		return &failure{"Health check failed.", err}
	default:
		log("Failed to deploy your application image.")
		log("The sandbox could not start an instance: %v", err)
		return &failure{err: err}
	}
	log("Health check is successful. Routing traffic to application.")
	return clock.Sleep(ctx, waits.Route)
}

// dismiss retires a fleet and waits for it, but not forever.
func (a *app) dismiss(f *fleet) {
	if f == nil {
		return
	}
	gone := make(chan struct{})
	// Called from an operation, so the emulator's work cannot have ended yet.
	a.s.work.Go(func() {
		defer close(gone)
		// An engine that cannot stop an instance has said so; nothing waits for it.
		_ = f.retire(a.s.ctx, a.s.waits.Request)
	})
	t := time.NewTimer(linger)
	defer t.Stop()
	select {
	case <-gone:
	case <-t.C:
	case <-a.s.ctx.Done():
	}
}

// pull gets a version's image: App Runner's own copy if it has one, else from ECR with
// the access role. It fills in what exactly was pulled.
func (a *app) pull(v *version, log line) (v1.Image, func(), error) {
	identifier := *v.Config.image().ImageIdentifier
	if v.Digest != "" {
		img, release, err := a.s.copies.get(v.Digest)
		if err != nil {
			err = &failure{"Failed to copy the image from ECR", err}
		}
		return img, release, err
	}
	log("Pulling image %s from ECR repository.", identifier)
	if err := a.mayPull(v.Config, identifier); err != nil {
		log(invalidAccessRole)
		return nil, nil, &failure{err: err}
	}
	img, digest, err := a.s.o.Images.Image(identifier)
	switch {
	case errors.Is(err, ecr.ErrNoPlatform):
		return nil, nil, &failure{"Failed to copy the image from ECR", err}
	case err != nil:
		log("Failed to pull your application image. Reason: ECR image doesn't exist.")
		return nil, nil, &failure{err: err}
	}
	log("Successfully pulled your application image from ECR.")
	own, copied, release, err := a.s.copies.add(img)
	if err != nil {
		return nil, nil, &failure{"Failed to copy the image from ECR", err}
	}
	log("Successfully copied the image from ECR.")
	name, _, _ := strings.Cut(identifier, "@")
	if at := strings.LastIndex(name, ":"); at > strings.LastIndex(name, "/") {
		name = name[:at]
	}
	v.Ref, v.Digest = name+"@"+digest, copied
	return own, release, nil
}

// mayPull asks whether the access role can be assumed and may read the repository.
func (a *app) mayPull(c config, identifier string) error {
	parts := repository().FindStringSubmatch(identifier)
	if parts == nil {
		return nil
	}
	role := c.accessRole()
	if err := a.s.assumeOne(role, buildPrincipal); err != nil {
		return err
	}
	arn := fmt.Sprintf("arn:aws:ecr:%s:%s:repository/%s", parts[2], parts[1], parts[3])
	for _, action := range []string{"ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer"} {
		if !a.s.o.Roles.Allowed(role, action, arn) {
			return fmt.Errorf("role %s may not %s on %s", role, action, arn)
		}
	}
	return nil
}

// environment is what the instances of a version get besides what their image says:
// the variables, the secrets' values, and PORT. The values are read as the instance
// role; errors name references, never values.
func (a *app) environment(c config) ([]string, error) {
	settings := c.settings()
	env := maps.Clone(settings.RuntimeEnvironmentVariables)
	if env == nil {
		env = map[string]string{}
	}
	if len(settings.RuntimeEnvironmentSecrets) > 0 {
		if err := a.s.assumeOne(c.instanceRole(), tasksPrincipal); err != nil {
			return nil, fmt.Errorf("role %s can't be assumed: %w", c.instanceRole(), err)
		}
	}
	for _, key := range slices.Sorted(maps.Keys(settings.RuntimeEnvironmentSecrets)) {
		ref := settings.RuntimeEnvironmentSecrets[key]
		if action, arn := a.s.secret(ref); !a.s.o.Roles.Allowed(c.instanceRole(), action, arn) {
			return nil, fmt.Errorf("secret %s: role %s may not %s on %s", key, c.instanceRole(), action, arn)
		}
		v, err := a.s.o.Secrets.Value(ref)
		if err != nil {
			return nil, fmt.Errorf("secret %s: %w", key, err)
		}
		env[key] = v
	}
	env["PORT"] = *settings.Port
	list := make([]string, 0, len(env))
	for _, key := range slices.Sorted(maps.Keys(env)) {
		list = append(list, key+"="+env[key])
	}
	return list, nil
}

// secret tells what reading a reference takes: an action and a resource.
// https://docs.aws.amazon.com/apprunner/latest/dg/env-variable.html
func (s *Service) secret(ref string) (action, arn string) {
	switch parts := strings.Split(ref, ":"); {
	case len(parts) >= 7 && parts[2] == "secretsmanager":
		return "secretsmanager:GetSecretValue", strings.Join(parts[:7], ":")
	case len(parts) >= 6 && parts[2] == "ssm":
		return "ssm:GetParameters", ref
	}
	return "ssm:GetParameters", fmt.Sprintf("arn:aws:ssm:%s:%s:parameter/%s", s.o.Region, s.o.Account, strings.TrimPrefix(ref, "/"))
}

// newFleet makes the fleet of a version, without any instance yet. It fails if an
// instance could not be given its environment.
func (a *app) newFleet(v version, img v1.Image, release func()) (*fleet, error) {
	env, err := a.environment(v.Config)
	if err != nil {
		return nil, err
	}
	c := v.Config
	port, _ := strconv.Atoi(*c.settings().Port) // checked when it came in
	cpu, _ := strconv.Atoi(*c.InstanceConfiguration.Cpu)
	memory, _ := strconv.Atoi(*c.InstanceConfiguration.Memory)
	h := c.HealthCheckConfiguration
	rev := revision{
		image: img, ref: v.Ref, env: env, command: split(value(c.settings().StartCommand)),
		port: port, cpu: cpu, memory: memory,
		health: health{
			http: *h.Protocol == "HTTP", path: *h.Path,
			interval: seconds(h.Interval), timeout: seconds(h.Timeout),
			healthy: *h.HealthyThreshold, unhealthy: *h.UnhealthyThreshold,
			failing: a.befalls == HealthFails,
		},
		readable: func() error { _, err := a.environment(c); return err },
	}
	a.s.doc.View(func(st *state) {
		scaling := st.scaling(*c.AutoScalingConfigurationArn)
		rev.min, rev.max, rev.concurrency = scaling.Min, scaling.Max, scaling.Concurrency
	})
	return newFleet(a, rev, release), nil
}

// split cuts a start command into words as a shell would, with quotes and backslashes
// but without a shell: images need not have one.
func split(text string) []string {
	var words []string
	var word strings.Builder
	var quote rune
	open, escaped := false, false
	for _, r := range text {
		switch {
		case escaped:
			word.WriteRune(r)
			escaped = false
		case r == '\\' && quote != '\'':
			escaped, open = true, true
		case quote != 0 && r == quote:
			quote = 0
		case quote == 0 && (r == '\'' || r == '"'):
			quote, open = r, true
		case quote == 0 && (r == ' ' || r == '\t'):
			if open {
				words = append(words, word.String())
				word.Reset()
				open = false
			}
		default:
			word.WriteRune(r)
			open = true
		}
	}
	if open {
		words = append(words, word.String())
	}
	return words
}
