// Package store opens images where they are: an OCI layout, an archive of docker or
// podman, what `docker save` writes, the store of an engine. Nothing is unpacked, and a
// layer is compressed only when a registry turns out to lack it.
//
//	source                         layers            a push reads
//	OCI layout, directory or tar   compressed        what the registry lacks, as it is
//	the same                       plain             what it lacks, compressed on the way
//	docker archive                 plain             what it lacks, compressed on the way
//	docker archive of crane        gzip              what it lacks, as it is
//	engine (docker, podman, …)     known by Known    nothing, if the registry has them
//	the same                       unknown           what it lacks, from the files in its store, or from a saved archive
//
// [Known] remembers what a layer became when it was compressed, so that its digest is
// known the next time without reading it. It is a hint: the registry is always asked
// whether it has that digest. The same layer compresses to the same bytes on any number
// of processors.
package store
