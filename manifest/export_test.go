package manifest

import "flag"

// Update is set to rewrite golden files, the JSON Schema among them.
var Update = flag.Bool("update", false, "rewrite golden files")
