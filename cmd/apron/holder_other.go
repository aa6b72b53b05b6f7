//go:build !linux && !darwin && !windows

package main

import "context"

// listening would say which process listens on a port; here no file tells.
func listening(context.Context, int) string { return "" }
