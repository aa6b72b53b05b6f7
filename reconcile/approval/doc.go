// Package approval compares two plans: the one that somebody agreed to and the one that
// would be carried out now. It is pure: no clock, no randomness, no I/O.
//
// A [Fingerprint] is what a plan is reduced to for that: a hash for each action, over what
// it does, to what, which values it sets and which it replaces, together with the account
// and the Region. Values that are secret are left out: nothing that is derived from a secret
// leaves the process. Of a value that names the commit only what the manifest makes it from is
// in it, as a merge is another commit; and nothing of the tag that says where the manifest is.
//
//	the new plan's action    the approved plan
//	is in it                 fine
//	is not in it             refused: nobody agreed to that
//	an action is missing     fine if what it wanted is live by now; else refused
//
// A saved plan is compared, never executed.
//
// A [Request] is a pull request that is taken for an agreement: a comment shows the plan,
// and a review agrees to it. What they say is compared like a saved plan.
package approval
