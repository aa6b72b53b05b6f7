// Package manifest reads deploy.yaml: it turns YAML into [state.Spec]s, strictly and
// with messages that say where, what, why and what instead.
//
//	bytes ─▶ nodes ─▶ overlay ─▶ types ─▶ rules ─▶ state.Spec
//	         parse    choose     decode   check    spec
//	         aliases  -e NAME    ${VAR}   lint
//
// The nouns: a [Document] is one service, a [Set] all that are planned together. The
// schema is the type [Manifest] with its tags; the table in support.go says what becomes
// of each key on each target, and which keys nothing carries out yet.
//
// The rules:
//
//	a key left out      unmanaged: never compared, never changed
//	null                only in an overlay, where it removes a key
//	${VAR}              the environment, then .env; unset without a default is an error
//	${git.sha}          provenance: never a change by itself
//	${self.url}         only in env: known once the service runs
//	x-…                 ignored at the top level: a place for anchors
//	secrets             references; a value read here never enters a message
//
// Every mistake is reported at once. Messages show what was substituted as it was
// written, never its value. The package reads manifests and env files and nothing else:
// it starts no process and opens no connection.
package manifest
