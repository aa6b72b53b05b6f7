// Package state is the vocabulary that every other package shares: what a manifest
// asks for ([Spec]), and what a resource of any kind looks like to the planner.
//
// A [Resource] is an [Address] and a sorted list of [Field]s. A kind lists its managed
// settings as fields, one line each; the diff, the text, the JSON, masking,
// immutability and references are written once for all kinds and both targets. Values
// are canonical strings, so == is equality: providers and the manifest make them so.
//
//	left out of Fields   unmanaged: never compared, never changed
//	Ref                  the value is the address of a resource this one needs
//	Order                a reference that orders and is never compared
//	Secret               the value is never printed, only whether it changed
//	Immutable            a change needs delete and create
//	Lasting              can be changed and not taken away
//	Later                known once what it comes from exists
//	Once                 set once: asking for another value is refused
//
// The package is pure: no I/O, no clock, and no AWS type.
package state
