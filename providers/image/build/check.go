package build

import (
	"cmp"
	"fmt"

	v1 "github.com/google/go-containerregistry/pkg/v1"
)

// Check verifies that an image is for the platform that was asked for and, unless the
// service brings a start command of its own, has something to run.
func Check(img v1.Image, platform string, command bool) (*v1.ConfigFile, error) {
	config, err := img.ConfigFile()
	if err != nil {
		return nil, fmt.Errorf("read the image's configuration: %w", err)
	}
	want, err := v1.ParsePlatform(cmp.Or(platform, "linux/amd64"))
	if err != nil {
		return nil, fmt.Errorf("image.build.platform: %w", err)
	}
	if config.OS != want.OS || config.Architecture != want.Architecture {
		return nil, fmt.Errorf("the image was built for %s/%s, not for %s", config.OS, config.Architecture, want)
	}
	if len(config.Config.Entrypoint)+len(config.Config.Cmd) == 0 && !command {
		return nil, fmt.Errorf("the image has neither ENTRYPOINT nor CMD, so that nothing would run; add one to the Dockerfile")
	}
	return config, nil
}
