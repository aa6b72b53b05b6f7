//go:build !race

package push_test

// allowed is the peak memory of a push in MiB.
const allowed int64 = 150
