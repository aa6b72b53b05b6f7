package state

// Verdict is how a [Check] ended.
type Verdict string

const (
	// Passed was looked at and is as it must be.
	Passed Verdict = "ok"
	// Broken was looked at, and a rollout cannot succeed as it is.
	Broken Verdict = "failed"
	// Unchecked could not be looked at, or proves nothing: Text says why.
	Unchecked Verdict = "not checked"
)

// Blame says whose a broken check is, for the exit code.
type Blame string

const (
	BlameNone       Blame = ""           // the state of things in AWS
	BlameManifest   Blame = "manifest"   // what the manifest asks cannot be
	BlamePermission Blame = "permission" // a role or identity lacks a right
)

// Check is what was found out about one thing that a rollout needs: before it, so that
// nothing is written that must fail, or after it has failed, to tell why.
type Check struct {
	Service string
	// Path is the key of the manifest that it is about, such as "roles.instance", or a word
	// for what has no key: "region", "quota".
	Path    string
	Verdict Verdict
	Text    string // what was found; without secrets
	Fix     string // of a broken one
	Blame   Blame
}
