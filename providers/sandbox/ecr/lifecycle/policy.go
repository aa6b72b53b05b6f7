// Package lifecycle is ECR's lifecycle policy as a pure function: a policy's text, a
// list of images and a time in, the images to expire or archive out.
//
// Every rule looks at all images, then the rules speak in order of priority. An image
// that carries the tags of an earlier rule is that rule's business alone: a later rule
// still counts it, but may not touch it.
//
//	images, oldest first     beta-1 prod-1 · beta-2 prod-2 · beta-3
//	1  prod*, more than 1    takes the first
//	2  beta*, more than 1    would take the first two: taken already, and rule 1's
//
// https://docs.aws.amazon.com/AmazonECR/latest/userguide/LifecyclePolicies.html
package lifecycle

import "time"

// Policy holds the rules in order of priority.
type Policy struct{ Rules []Rule }

// Rule selects images and says what becomes of them.
type Rule struct {
	Priority  int
	Selection Selection
	Action    Action
}

// Selection is what a rule looks for.
type Selection struct {
	TagStatus string // Tagged, Untagged or Any
	// Patterns must all be met, each by some tag of the image. A prefix list is kept
	// as patterns that end in a star.
	Patterns []string
	// Archived selects images in the archive instead of those in standard storage.
	Archived    bool
	CountType   string
	CountNumber int // images for MoreThan, else days
}

// The values of TagStatus and CountType, as in a policy's text.
const (
	Tagged   = "tagged"
	Untagged = "untagged"
	Any      = "any"

	MoreThan          = "imageCountMoreThan"
	SincePushed       = "sinceImagePushed"
	SincePulled       = "sinceImagePulled"
	SinceTransitioned = "sinceImageTransitioned"
)

// Action is what a rule does to the images it takes.
type Action string

const (
	Expire     Action = "expire"
	Transition Action = "transition" // to the archive
)

// Image is what rules know of an image.
type Image struct {
	Digest     string
	Tags       []string
	PushedAt   time.Time
	PulledAt   time.Time // zero: never
	ArchivedAt time.Time // zero: in standard storage
}

// Decision is one image's fate, and the priority of the rule that decided it.
type Decision struct {
	Digest   string
	Priority int
	Action   Action
}
