// Package image brings a container image from its source into a registry.
//
//	Identify   inputs → the tag that names them; starts no process
//	build      the before hook, then docker, podman, buildah or the built-in builder
//	push       into the repository, unless the tag is there already
//
// An image is named after what it is made of: equal inputs have the same tag on any
// machine, so a tag that the registry knows is never built again, and the first build
// that was pushed under it stays. [Provider] does this for plans; it knows nothing of
// ECR's API and observes nothing: that an image exists is for the ECR provider to see.
package image
