package build

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os/exec"
	"strconv"
	"strings"
	"time"
)

// findDocker returns the docker builder if a daemon answers, or says why there is none.
// Called is docker, for whatever carries out its build, or buildx; an instance is one of
// buildx's.
func findDocker(ctx context.Context, env []string, called, instance string) (*engine, error) {
	e := &engine{name: "docker", pull: "--pull", called: called, instance: instance, kit: legacy, caches: []string{"registry"}}
	help, missing := ask(ctx, env, "docker", "buildx", "build", "--help")
	if missing == nil && strings.Contains(help, "--iidfile") {
		if err := e.useBuildx(ctx, env, help); err != nil {
			return nil, err
		}
	}
	if called == "buildx" && e.kit != buildx {
		if _, err := exec.LookPath("docker"); err != nil {
			return nil, errors.New("docker is not installed")
		}
		return nil, errors.New("docker has no buildx plugin; install docker-buildx-plugin, or use the builder docker")
	}
	if called == "buildx" && e.exports {
		return e, nil // no daemon has a part in it
	}
	client, err := ask(ctx, env, "docker", "version", "--format", "{{.Client.Version}} {{.Server.Version}}")
	if err != nil {
		return nil, err
	}
	major, _, _ := strings.Cut(client, ".")
	switch n, err := strconv.Atoi(major); {
	case called != "buildx" && lookup(env, "DOCKER_BUILDKIT") == "0": // as docker itself understands it
		*e = engine{name: "docker", pull: "--pull", called: called, kit: legacy, caches: e.caches}
	case e.kit != buildx && err == nil && n < 23: // later clients have the legacy builder only
		e.kit = buildkit
	}
	return e, nil
}

// useBuildx fits the engine to the plugin and to the instance that is used.
func (e *engine) useBuildx(ctx context.Context, env []string, help string) error {
	e.kit, e.caches = buildx, []string{"registry", "gha", "local"}
	for _, attestation := range []string{"--provenance", "--sbom"} {
		if strings.Contains(help, attestation) {
			e.flags = append(e.flags, attestation+"=false") // App Runner cannot pull their index
		}
	}
	args := []string{"buildx", "inspect"}
	if e.instance != "" {
		args = append(args, e.instance)
	}
	out, err := ask(ctx, env, "docker", args...)
	if err != nil && e.instance != "" {
		return fmt.Errorf("buildx instance %s: %w", e.instance, err)
	}
	for line := range strings.Lines(out) {
		if driver, ok := strings.CutPrefix(line, "Driver:"); ok {
			e.exports = strings.TrimSpace(driver) != "docker"
		}
	}
	return nil
}

// findOther returns podman or buildah if it is installed and works.
func findOther(ctx context.Context, env []string, name string) (*engine, error) {
	// What opens its store; podman's info does so as well, and asks the package manager
	// about the programs it knows, which takes ten times as long.
	works := map[string][]string{"podman": {"ps", "--quiet"}, "buildah": {"containers", "--quiet"}}[name]
	if _, err := ask(ctx, env, name, works...); err != nil {
		return nil, err
	}
	e := &engine{name: name, called: name, pull: "--pull-always", flags: []string{"--format", "docker"}}
	if name == "buildah" {
		e.flags = append(e.flags, "--layers") // one for each step, as the others do: what did not change is not sent again
	}
	help, err := ask(ctx, env, name, "build", "--help")
	if err != nil {
		return e, nil // it works, and its help only tells what more it can
	}
	if strings.Contains(help, "--identity-label") {
		e.flags = append(e.flags, "--identity-label=false")
	}
	if strings.Contains(help, "--cache-to") {
		e.caches = []string{"registry"}
	}
	return e, nil
}

// patience is how long a program may take to say whether it works.
const patience = 30 * time.Second

func ask(ctx context.Context, env []string, name string, args ...string) (string, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, patience, fmt.Errorf("%s did not answer within %s", name, patience))
	defer cancel()
	var out bytes.Buffer
	err := run(ctx, command(ctx, env, name, args...), name, &out, nil)
	if errors.Is(err, exec.ErrNotFound) {
		return "", fmt.Errorf("%s is not installed", name)
	}
	return out.String(), explain(err, name, nil)
}
