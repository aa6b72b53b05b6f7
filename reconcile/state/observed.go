package state

// Owner says whose a live resource is.
type Owner string

const (
	// Ours carries this service's apron:service tag.
	Ours Owner = "ours"
	// Shared carries apron:managed=true: any manifest may use it, and none deletes it
	// while another user exists.
	Shared Owner = "shared"
	// Derived belongs to an owned parent and has no tags of its own.
	Derived Owner = "derived"
	// Theirs was made by somebody else: adopted only when asked, never deleted.
	Theirs Owner = "theirs"
)

// Phase is what a live resource can take just now.
type Phase string

const (
	Ready  Phase = "ready"
	Busy   Phase = "busy"   // an operation is under way: wait, then write
	Paused Phase = "paused" // must be resumed before it can be changed
	Failed Phase = "failed" // its creation failed; an update rebuilds it
	Stuck  Phase = "stuck"  // its deletion failed; only a further delete is possible
)

// Observed is a resource as it is live.
type Observed struct {
	Resource
	ID    string // ARN, digest or name: what the API calls it
	URL   string // of a service that serves; with scheme
	Owner Owner
	Phase Phase
	// Users are other users of a shared resource, by name: who would lose it.
	Users []string
	// Note explains Phase or Owner to people.
	Note string
	// Fix is the way out where somebody else's resource cannot simply be taken over.
	Fix string
}

// Desired is what the manifests ask for.
type Desired map[Address]Resource

// Live is what was observed. What is absent from it does not exist.
type Live map[Address]Observed

// Outcome is what an executed action has made known.
type Outcome struct {
	ID  string
	URL string
	// Version is what the store of a secret's value calls the value that was written.
	Version string
}

// Note is a remark about a resource that is not a change: why something stays, what
// could not be checked.
type Note struct {
	Target Address
	Text   string
	// Warning lifts the remark above the merely informative.
	Warning bool
}
