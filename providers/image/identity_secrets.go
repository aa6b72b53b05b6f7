package image

import (
	"path"
	"slices"
	"strings"
)

// EnvFiles lists the files of the build context that are named like those which hold
// secrets, .env and .env.production among them: COPY . takes them into the image, where
// everybody who may pull it reads them. Examples of such files are not listed.
func (id Identity) EnvFiles() []string {
	var files []string
	for _, in := range id.Inputs {
		if name, ok := strings.CutPrefix(in.Name, "context "); ok && isEnvFile(in.Name) {
			files = append(files, name)
		}
	}
	return files
}

// isEnvFile reports whether an input is a file of that kind, for the image or for the hook.
func isEnvFile(input string) bool {
	kind, name, _ := strings.Cut(input, " ")
	base := path.Base(name)
	return (kind == "context" || kind == "input") && (base == ".env" || strings.HasPrefix(base, ".env.") && !slices.Contains(examples, path.Ext(base)))
}

// examples are the endings of env files without values.
var examples = []string{".example", ".sample", ".template", ".dist", ".defaults"}
