//go:build !linux

package lock

func machine() string { return "" }

func started(int) string { return "" }
