package manifest

import (
	_ "embed"
	"slices"
)

//go:embed schema.json
var schema []byte

// Schema returns the JSON Schema (draft 2020-12) of a manifest, for editors. It is
// generated from [Manifest] and its doc comments by go generate. It cannot see rules
// that concern several keys; [Load] does.
func Schema() []byte { return slices.Clone(schema) }
