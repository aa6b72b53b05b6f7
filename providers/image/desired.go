package image

import (
	"cmp"
	"slices"

	"github.com/apron-deploy/apron/reconcile/state"
)

// Type is the address type of an image in a repository.
const Type = "ecr/image"

// Detail is what a [Provider] needs to make an image.
type Detail struct {
	Dir        string // the manifest's directory
	Build      state.Build
	Repository string
	Identity   Identity
	Port       int      // that the service listens on; 0 if the manifest leaves it out
	Command    bool     // the service brings a start command, so the image need not
	Like       []string // tags of the repository whose images probably have layers in common
}

// Address returns the address of the image with a tag in a repository.
func Address(repository, tag string) state.Address {
	return state.Address{Target: "ecr", Kind: "image", Name: repository + ":" + tag}
}

// Desired returns the image that a manifest asks for. It is pure. The spec must have a
// build, and id be its identity. What is remembered nowhere is learned from the images of
// the tags that like names, and from those that move.
func Desired(spec state.Spec, id Identity, like ...string) state.Resource {
	repository := cmp.Or(spec.Image.Repository, spec.Service)
	d := Detail{Dir: spec.Dir, Build: *spec.Image.Build, Repository: repository, Identity: id, Command: spec.Command != nil, Like: slices.Concat(like, spec.Image.Tags)}
	if spec.Port != nil {
		d.Port = *spec.Port
	}
	return state.Resource{
		Address: Address(repository, id.Tag),
		Fields: state.Sort([]state.Field{
			{Path: "repository", Value: state.Address{Target: "ecr", Kind: "repository", Name: repository}.String(), Ref: true, Order: true},
			// The tag covers the platform, and ECR does not tell it: shown, never compared.
			{Path: "platform", Value: cmp.Or(d.Build.Platform, platform), Provenance: true},
		}),
		Detail: d,
	}
}
