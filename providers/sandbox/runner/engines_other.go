//go:build !linux

package runner

// Init is for Linux, where this executable also runs inside the namespaces it makes.
func Init() {}

func openers() []opener {
	return []opener{{"docker", openDocker}, {"podman", openPodman}}
}
