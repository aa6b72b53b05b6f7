package runner

// Init must be called first in main and in TestMain: if this process is one that the
// namespaces engine started from its own executable, Init takes over and never
// returns. Otherwise it does nothing.
func Init() {}

func openers() []opener {
	return []opener{{"docker", openDocker}, {"podman", openPodman}}
}
