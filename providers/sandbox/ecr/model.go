package ecr

import (
	"maps"
	"slices"
	"time"

	"github.com/apron-deploy/apron/providers/sandbox/ecr/lifecycle"
)

// registry is the state that belongs to no repository.
type registry struct {
	// Key signs authorization tokens and download URLs, so that both outlive a restart.
	Key      []byte            `json:"key"`
	Settings map[string]string `json:"settings"`
}

// repository is what one file under repositories/ holds.
type repository struct {
	Name       string            `json:"name"`
	CreatedAt  time.Time         `json:"createdAt"`
	Mutability string            `json:"mutability"`
	Exclusions []exclusion       `json:"exclusions,omitempty"`
	ScanOnPush bool              `json:"scanOnPush,omitempty"`
	Encryption encryption        `json:"encryption"`
	Tags       map[string]string `json:"tags"`
	Policy     string            `json:"policy,omitempty"`
	Lifecycle  *lifecyclePolicy  `json:"lifecycle,omitempty"`
	// EvaluatedAt is when the daily run last came by, with or without a policy to act
	// on; at first, the creation. The next run is due a day later.
	EvaluatedAt time.Time `json:"evaluatedAt"`

	Layers map[string]layer  `json:"layers"`    // by digest
	Images map[string]*image `json:"images"`    // by digest
	Named  map[string]string `json:"imageTags"` // image tag → digest
}

type exclusion struct {
	FilterType string `json:"filterType"`
	Filter     string `json:"filter"`
}

type encryption struct {
	EncryptionType string `json:"encryptionType"`
	KmsKey         string `json:"kmsKey,omitempty"`
}

type lifecyclePolicy struct {
	Text string `json:"text"`
	// EvaluatedAt is when the policy first or last acted; zero until it has.
	EvaluatedAt time.Time `json:"evaluatedAt,omitzero"`
}

// layer is a repository's link to a blob.
type layer struct {
	Size      int64     `json:"size"`
	MediaType string    `json:"mediaType,omitempty"` // known once a manifest names it
	LinkedAt  time.Time `json:"linkedAt"`
}

// image is a manifest of any kind, with what its JSON says that listings need.
type image struct {
	Digest       string            `json:"digest"`
	MediaType    string            `json:"mediaType"`
	ArtifactType string            `json:"artifactType,omitempty"` // the configuration's media type, if nothing better is given
	Annotations  map[string]string `json:"annotations,omitempty"`
	Subject      string            `json:"subject,omitempty"`
	ManifestSize int64             `json:"manifestSize"`
	Size         int64             `json:"size"` // compressed
	Blobs        []string          `json:"blobs,omitempty"`
	Members      []string          `json:"members,omitempty"` // of an index
	PushedAt     time.Time         `json:"pushedAt"`
	PulledAt     time.Time         `json:"pulledAt,omitzero"`
	ArchivedAt   time.Time         `json:"archivedAt,omitzero"`
	OrphanedAt   time.Time         `json:"orphanedAt,omitzero"` // when the subject went
	ScannedAt    time.Time         `json:"scannedAt,omitzero"`
	Scan         *Scan             `json:"scan,omitempty"` // nil found nothing
}

func newRepository(name string, now time.Time) *repository {
	return &repository{
		Name: name, CreatedAt: now, EvaluatedAt: now, Mutability: mutable, Encryption: encryption{EncryptionType: "AES256"},
		Tags: map[string]string{}, Layers: map[string]layer{}, Images: map[string]*image{}, Named: map[string]string{},
	}
}

// tagsOf returns each image's tags in lexical order, by digest.
func (r *repository) tagsOf() map[string][]string {
	tags := make(map[string][]string, len(r.Images))
	for _, t := range slices.Sorted(maps.Keys(r.Named)) {
		tags[r.Named[t]] = append(tags[r.Named[t]], t)
	}
	return tags
}

// countTags returns how many tags an image has.
func (r *repository) countTags(digest string) int {
	n := 0
	for _, d := range r.Named {
		if d == digest {
			n++
		}
	}
	return n
}

// frozen reports whether an existing tag may not move.
// https://docs.aws.amazon.com/AmazonECR/latest/userguide/image-tag-mutability.html
func (r *repository) frozen(tag string) bool {
	excluded := slices.ContainsFunc(r.Exclusions, func(e exclusion) bool { return lifecycle.Match(e.Filter, tag) })
	switch r.Mutability {
	case immutable:
		return true
	case immutableExcept:
		return !excluded
	case mutableExcept:
		return excluded
	default:
		return false
	}
}

// listsThat returns the digests of the indexes that have the image as a member.
func (r *repository) listsThat(member string) []string {
	var lists []string
	for d, i := range r.Images {
		if slices.Contains(i.Members, member) {
			lists = append(lists, d)
		}
	}
	slices.Sort(lists)
	return lists
}

// remove deletes an image and its tags. What refers to it loses its subject and goes
// with the next evaluation.
func (r *repository) remove(digest string, now time.Time) {
	delete(r.Images, digest)
	maps.DeleteFunc(r.Named, func(_, d string) bool { return d == digest })
	for _, i := range r.Images {
		if i.Subject == digest {
			i.OrphanedAt = now
		}
	}
}

// uses reports whether some manifest of the repository names the blob.
func (r *repository) uses(blob string) bool {
	for _, i := range r.Images {
		if slices.Contains(i.Blobs, blob) {
			return true
		}
	}
	return false
}
