//go:build race

package push_test

// allowed is the peak memory of a push in MiB; the race detector takes some times more.
const allowed int64 = 1500
