package main

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestListener_isTheFirstProcess(t *testing.T) {
	for fields, want := range map[string]string{
		"p596\ncControlCenter\nf10\nf11\np77\ncnode\nf3\n": " (process 596, ControlCenter, listens there)",
		"p77\ncpython3.12 -m http\nf3\n":                   " (process 77, python3.12 -m http, listens there)",
		"":                                                 "",
	} {
		require.Equal(t, want, listener(fields))
	}
}
