// Package discover tells what a directory says about the service in it, for a first
// manifest: what its Dockerfile exposes and asks for, which variables its env file names,
// and how it seems to answer a health check.
//
// It reads files, and nothing of the values in env files but whether they look like a
// secret. What it does not find it leaves empty: a guess is told as one.
package discover
