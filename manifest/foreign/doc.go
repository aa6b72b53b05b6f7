// Package foreign drafts manifests from what other tools keep about an App Runner
// service: Terraform, CloudFormation, Copilot, the GitHub action, the AWS CLI.
//
//	bytes ─▶ tree ─▶ service ─▶ draft ─▶ settled
//	         read,    walk,      lay      loads without
//	         resolve  account    out      an error
//
// The nouns: a [File] goes in; a [Result] of [Service]s comes out, each with its draft,
// its [Note]s and its [Variable]s. In between there is a tree of nodes, the same for each
// format, whose leaves know their place and what the source could not say about them.
//
// The rules:
//
//	a text that is known      is copied
//	a text that is not        is ${VAR}, with a note
//	a secret                  is a reference, never its value
//	what cannot be expressed  is a note: place, key and why
//	what was not asked for    is a note as well: each leaf is marked by whoever reads it,
//	                          and those that nobody has marked are told at the end
//
// The package is pure: it reads no file, starts no process and opens no connection.
package foreign
