// Package runner really runs containers for the sandbox: one [Instance] is one
// container of one image, with its limits, environment, output and exit code, whose
// port the sandbox can dial.
//
// An [Engine] runs them. [Detect] takes the first that works on this machine:
//
//	docker      the docker CLI and a daemon on this machine
//	podman      the podman CLI
//	namespaces  Linux user, pid, mount, network, ipc and uts namespaces; no engine
//	process     a plain process, for images whose entrypoint is a static binary
//
// The rules they share:
//
//   - The image comes from the caller, never from a registry.
//   - The container's environment is the image's, then [Spec.Env], and PATH, HOME
//     and HOSTNAME as container engines set them; nothing of the host's.
//   - Values of the environment never appear on a command line.
//   - Process 1 is the app itself, without an init in front, as on App Runner: an app
//     that does not handle SIGTERM is killed when its grace is over.
//   - An image that cannot be executed is not an error of [Engine.Start]: the instance
//     says why in its output and ends with code 126 or 127, as containers do. Only the
//     process engine, which cannot run most images, refuses them.
//   - What a crashed sandbox left is removed by the next one of the same label. Its
//     namespaces and plain processes die with it.
//
// It knows nothing of App Runner: health, scaling and routing are the caller's.
package runner
