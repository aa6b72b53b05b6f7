// Package build makes a container image from a context: with the docker, podman or
// buildah that is installed, or, for a Dockerfile that runs nothing, by itself.
//
// The built-in builder needs no daemon and no root. It parses with BuildKit's own parser
// and follows BuildKit in what FROM, COPY, ADD of local files, ENV, ARG, WORKDIR and the
// settings of an image mean; what would execute something (RUN, ONBUILD) or fetch
// something other than an image (ADD of a URL) is refused with its line. Equal inputs
// give equal digests: entries are sorted, times are SOURCE_DATE_EPOCH or 1970, and what
// comes from the context belongs to root with mode 0644 or 0755.
//
// Every engine builds the same image: for the platform that is asked for, without
// provenance or SBOM, whose index App Runner cannot pull, and with nothing in it that
// tells when, where or by whom it was built. That is also why no label names the commit:
// an image's tag is made of its inputs, a commit is none of them, and two images of one
// tag would differ. Labels of the manifest are inputs. What is in a label is in the
// image's configuration, and a registry keeps both.
//
// What an engine has built stays where it is, in its store or in the archive that it
// writes; a push reads of it what the registry lacks. The built-in builder makes layers
// as files.
//
// Values of arguments and secrets are in the environment of the engine, which its owner
// alone can read, and never on a command line.
//
//	Dockerfile ─▶ stages ─▶ tree      a file system without its contents
//	                         │ COPY
//	                         ▼
//	                        layer     tar, compressed to a temporary file
package build

import (
	"context"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/apron-deploy/apron/providers/image/source"
	"github.com/apron-deploy/apron/providers/image/store"
	"github.com/apron-deploy/apron/reconcile/state"
)

// Request is one build.
type Request struct {
	Context *source.Context
	Build   state.Build
	// Name is what the image is called locally, where a builder needs a name.
	Name string
	// Spool is a directory for temporary files. The image reads from it, so it must
	// live as long as the image; removing it is the caller's.
	Spool string
	// NoCache builds every step anew.
	NoCache bool
	// Environ is the environment of processes, see [Environ].
	Environ []string
	// Pull reads a base image for the builder that has no engine. Nil goes by what docker login
	// stored.
	Pull func(ctx context.Context, reference string, platform v1.Platform) (v1.Image, error)
	// Known remembers what layers became when they were compressed. Nil remembers nothing.
	Known *store.Known
	// Line is told of each line of output, and of each layer that is compressed, which may
	// come from several goroutines. It may be nil.
	Line func(source, line string)
}

func (r Request) line(source, line string) {
	if r.Line != nil {
		r.Line(source, line)
	}
}

// Image is an image that was built.
type Image interface {
	v1.Image
	// Archived is the same for use on this machine, where nothing need be compressed.
	Archived() (v1.Image, error)
	// Sizes are those of the layers that are compressed and of those that are plain, in
	// bytes, as far as that is known without reading any.
	Sizes() (compressed, plain int64)
	// Close must come after the last use of the image and its layers.
	Close() error
}

// Builder makes images.
type Builder interface {
	// Name is what the builder is called: docker, buildx, podman, buildah or builtin.
	Name() string
	// Build builds. The image may be read from the engine, under ctx, until it is closed.
	Build(ctx context.Context, r Request) (Image, error)
}
