//go:build race

package image_test

// peakMiB is the peak memory of a build or a copy in MiB; the race detector takes some times
// more.
const peakMiB = 10 * allowedMiB
