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

func TestOwner_isTheListener(t *testing.T) {
	const table = `
Aktive Verbindungen

  Proto  Lokale Adresse         Remoteadresse          Status           PID
  TCP    0.0.0.0:135            0.0.0.0:0              ABHÖREN         1092
  TCP    127.0.0.1:18080        0.0.0.0:0              ABHÖREN         77
  TCP    127.0.0.1:8080         127.0.0.1:53119        HERGESTELLT     78
  TCP    127.0.0.1:8080         0.0.0.0:0              ABHÖREN         79
`
	require.Equal(t, "79", owner(table, 8080))
	require.Equal(t, "1092", owner(table, 135))
	require.Empty(t, owner(table, 80))
	require.Equal(t, "node.exe", titled("\"node.exe\",\"79\",\"Console\",\"1\",\"40,000 K\"\r\n"))
	require.Empty(t, titled("INFO: No tasks are running which match the specified criteria.\r\n"))
	require.Equal(t, " (process 79 listens there)", heldBy("79", ""))
}
