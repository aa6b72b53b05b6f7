package main

import (
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"strings"
)

// output gives later steps of the job a value. The delimiter is random, so that no value
// can end itself and go on as another output.
// https://docs.github.com/en/actions/reference/workflows-and-actions/workflow-commands#multiline-strings
func (a *app) output(name, value string) error {
	file := a.fallback("GITHUB_OUTPUT", "")
	if file == "" {
		return nil
	}
	f, err := os.OpenFile(file, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return fmt.Errorf("output of the step: %w", err)
	}
	end := "apron-" + strings.ToLower(rand.Text())
	_, err = fmt.Fprintf(f, "%s<<%s\n%s\n%s\n", name, end, a.out.Redact(value), end)
	if err := errors.Join(err, f.Close()); err != nil {
		return fmt.Errorf("output of the step: %w", err)
	}
	return nil
}
