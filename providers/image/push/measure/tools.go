//go:build linux

package main

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// tool pushes one kind of source.
type tool struct {
	name   string
	needs  string                                // a program
	before func(v version, addr string) []string // not measured; nil for nothing
	push   func(v version, addr, dir string) []string
}

// source is a kind of source, and who can push it.
type source struct {
	name  string
	load  string // the engine that must have the image, or empty
	tools []tool
}

func apron(kind string, from func(version) string) tool {
	return tool{name: "apron", push: func(v version, addr, dir string) []string {
		return []string{os.Args[0], "push", kind, from(v), "http://" + addr, dir}
	}}
}

func skopeo(from func(version) string, flags ...string) tool {
	return tool{name: "skopeo", needs: "skopeo", push: func(v version, addr, _ string) []string {
		args := append([]string{"skopeo", "--insecure-policy", "copy", "--quiet", "--dest-tls-verify=false"}, flags...)
		return append(args, from(v), "docker://"+addr+"/web:one")
	}}
}

func crane(from func(version) string) tool {
	return tool{name: "crane", needs: "crane", push: func(v version, addr, _ string) []string {
		return []string{"crane", "push", "--insecure", from(v), addr + "/web:one"}
	}}
}

var sources = []source{
	{"OCI layout", "", []tool{
		apron("layout", func(v version) string { return v.layout }),
		crane(func(v version) string { return v.layout }),
		skopeo(func(v version) string { return "oci:" + v.layout }),
	}},
	{"docker archive", "", []tool{
		apron("archive", func(v version) string { return v.archive }),
		crane(func(v version) string { return v.archive }),
		skopeo(func(v version) string { return "docker-archive:" + v.archive }),
	}},
	{"docker's store", "docker", []tool{
		apron("docker", func(v version) string { return v.id }),
		{"docker", "docker",
			func(v version, addr string) []string { return []string{"docker", "tag", v.name, addr + "/web:one"} },
			func(_ version, addr, _ string) []string {
				return []string{"docker", "push", "--quiet", addr + "/web:one"}
			}},
		skopeo(func(v version) string { return "docker-daemon:" + v.name },
			"--src-daemon-host", cmp.Or(os.Getenv("DOCKER_HOST"), "unix:///var/run/docker.sock")),
	}},
	{"podman's store", "podman", []tool{
		apron("podman", func(v version) string { return v.id }),
		{"podman", "podman", nil, func(v version, addr, _ string) []string {
			return []string{"podman", "push", "--quiet", "--tls-verify=false", "localhost/" + v.name, addr + "/web:one"}
		}},
	}},
	{"buildah's store", "buildah", []tool{
		apron("buildah", func(v version) string { return v.id }),
		{"buildah", "buildah", nil, func(v version, addr, _ string) []string {
			return []string{"buildah", "push", "--quiet", "--tls-verify=false", "localhost/" + v.name, "docker://" + addr + "/web:one"}
		}},
	}},
}

// has reports whether a program is there, and an engine answers.
func has(ctx context.Context, name string) bool {
	if _, err := exec.LookPath(name); err != nil {
		return false
	}
	engine := name == "docker" || name == "podman" || name == "buildah"
	return !engine || exec.CommandContext(ctx, name, "info").Run() == nil
}

// load brings both versions of an image into an engine, and returns what removes them.
func load(ctx context.Context, engine string, versions [2]version) (func(), error) {
	remove := func() {
		for _, v := range versions {
			_ = exec.Command(engine, "rmi", "--force", v.name).Run()
		}
	}
	for _, v := range versions {
		args := []string{"load", "--input", v.archive}
		if engine == "buildah" {
			args = []string{"pull", "--quiet", "docker-archive:" + v.archive}
		}
		if out, err := exec.CommandContext(ctx, engine, args...).CombinedOutput(); err != nil {
			remove()
			return nil, fmt.Errorf("%s %s: %w: %s", engine, args[0], err, out)
		}
	}
	return remove, nil
}

// result is one push.
type result struct {
	took     time.Duration
	requests int
	peakMiB  int64 // of the process, which for docker is only the client
}

var phases = [3]string{"cold", "unchanged", "one layer changed"}

// threePushes pushes an image to an empty registry, again, and with another last layer.
func threePushes(ctx context.Context, t tool, versions [2]version, shaped bool, dir string) (results [3]result, err error) {
	r, err := serve()
	if err != nil {
		return results, err
	}
	defer r.close()
	addr := r.addr
	if shaped {
		to, end, err := shape(r.addr)
		if err != nil {
			return results, err
		}
		defer end()
		addr = to
	}
	memory, err := os.MkdirTemp(dir, "memory-")
	if err != nil {
		return results, err
	}
	for i, v := range []version{versions[0], versions[0], versions[1]} {
		if t.before != nil {
			if out, err := command(ctx, t.before(v, addr)).CombinedOutput(); err != nil {
				return results, fmt.Errorf("%s: %w: %s", t.name, err, out)
			}
		}
		r.count()
		cmd := command(ctx, t.push(v, addr, memory))
		var out bytes.Buffer
		cmd.Stdout, cmd.Stderr = &out, &out
		start := time.Now()
		if err := cmd.Run(); err != nil {
			return results, fmt.Errorf("%s: %w: %s", strings.Join(cmd.Args, " "), err, out.String())
		}
		results[i] = result{time.Since(start), r.count(), cmd.ProcessState.SysUsage().(*syscall.Rusage).Maxrss >> 10}
	}
	if t.name == "docker" {
		_ = exec.CommandContext(ctx, "docker", "rmi", addr+"/web:one").Run()
	}
	return results, os.RemoveAll(memory)
}

func command(ctx context.Context, args []string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, args[0], args[1:]...)
	cmd.Env = append(os.Environ(), "TMPDIR="+filepath.Clean(os.TempDir()))
	return cmd
}
