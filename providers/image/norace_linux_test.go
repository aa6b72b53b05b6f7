//go:build !race

package image_test

// peakMiB is the peak memory of a build or a copy in MiB.
const peakMiB = allowedMiB
