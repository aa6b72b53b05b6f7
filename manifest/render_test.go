package manifest_test

import (
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/apron-deploy/apron/manifest"
)

// TestRendered_hasTheTextsThatAreUsed holds that JSON has a number only where the manifest
// means one: YAML alone would read 0123 as 83.
func TestRendered_hasTheTextsThatAreUsed(t *testing.T) {
	v, err := manifest.Rendered(one(t, `version: 1
service: shop
account: 012345678901
image: {version: 1.10, build: {args: {YEAR: 2024, EXACT: 1.0}}}
env: {V: 1.10, CODE: 0123, DEBUG: true, HEX: 0x1F, BIG: 12345678901234567890123, "NO": no}
tags: {cost: 007}
port: 3000
cpu: 0.25
memory: 0512
health: {path: /, interval: 010, timeout: 2}
auto_deploy: false
`, ""))
	require.NoError(t, err)
	text, err := json.Marshal(v)
	require.NoError(t, err)
	require.JSONEq(t, `{
		"version": 1, "service": "shop", "account": "012345678901",
		"image": {"version": "1.10", "build": {"args": {"YEAR": "2024", "EXACT": "1.0"}}},
		"env": {"V": "1.10", "CODE": "0123", "DEBUG": "true", "HEX": "0x1F", "BIG": "12345678901234567890123", "NO": "no"},
		"tags": {"cost": "007"}, "port": 3000, "cpu": 0.25, "memory": "0512",
		"health": {"path": "/", "interval": "010", "timeout": 2}, "auto_deploy": false
	}`, string(text))
}
