package main

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestSecretText(t *testing.T) {
	long := strings.Repeat("x", 1000)
	for name, tc := range map[string]struct{ text, want, wrong string }{
		"a line":                          {text: "value\n", want: "value"},
		"no newline":                      {text: "value", want: "value"},
		"from Windows":                    {text: "\uFEFFone\r\ntwo\r\n", want: "one\ntwo"},
		"spaces are its own":              {text: " value \n", want: " value "},
		"nothing":                         {text: "\r\n", wrong: "the value is empty"},
		"a mark and nothing":              {text: "\uFEFF\n", wrong: "the value is empty"},
		"as much as a parameter holds":    {text: strings.Repeat(long+"\r\n", 4) + long[:92], want: strings.Repeat(long+"\n", 4) + long[:92]},
		"one byte more":                   {text: strings.Repeat(long+"\r\n", 4) + long[:93], wrong: "more than 4096 bytes"},
		"so much that it was not read":    {text: strings.Repeat("\r\n", maxRead) + "value", wrong: "more than 4096 bytes"},
		"UTF-16":                          {text: "\xff\xfev\x00a\x00l\x00", wrong: "UTF-16"},
		"Latin-1":                         {text: "caf\xe9", wrong: "no text in UTF-8"},
		"bytes":                           {text: "a\x00b", wrong: "no text in UTF-8"},
		"a carriage return that is alone": {text: "a\rb\n", want: "a\rb"},
	} {
		got, err := secretText([]byte(tc.text))
		if tc.wrong != "" {
			require.ErrorContains(t, err, tc.wrong, name)
			continue
		}
		require.NoError(t, err, name)
		require.Equal(t, tc.want, got, name)
	}
}
