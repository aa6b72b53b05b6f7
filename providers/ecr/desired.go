package ecr

import (
	"fmt"
	"slices"
	"strconv"

	"github.com/apron-deploy/apron/reconcile/state"
)

// tagManaged marks what any manifest may share.
const tagManaged = "apron:managed"

// Desired is what a manifest asks of ECR, but for the image itself: its repository, and
// the tags that are put once service runs image.
//
// The repository's tags are immutable but for live-* and the moving tags: five
// exclusion filters are allowed, hence four moving tags. What live shows decides which
// version is suggested where the wanted one is taken, and nothing else.
// https://docs.aws.amazon.com/AmazonECR/latest/userguide/image-tag-mutability.html
func Desired(spec state.Spec, image, service state.Address, live state.Live) []state.Resource {
	name := spec.Image.Repository
	fields := []state.Field{
		{Path: "tag_mutability", Value: "IMMUTABLE_WITH_EXCLUSION"},
		{Path: "tag_mutability.exclude.live-*", Value: "true"},
		{Path: "tags." + tagManaged, Value: "true"},
	}
	for _, t := range spec.Image.Tags {
		fields = append(fields, state.Field{Path: "tag_mutability.exclude." + t, Value: "true"})
	}
	if on := spec.Image.ScanOnPush; on != nil {
		fields = append(fields, state.Field{Path: "scan_on_push", Value: strconv.FormatBool(*on)})
	}
	if keep, days := spec.Image.Keep, spec.Image.Untagged; keep != nil || days != nil {
		fields = append(fields, state.Field{Path: "lifecycle", Value: retention(keep, days).String()})
	}
	resources := []state.Resource{{Address: Repository(name), Fields: state.Sort(fields)}}
	tag := func(t string, after state.Address, stands state.Field) {
		stands.Path, stands.Value, stands.Ref = "image", image.String(), true
		resources = append(resources, state.Resource{Address: Tag(name, t), Fields: []state.Field{
			{Path: "after." + after.String(), Value: after.String(), Ref: true, Order: true}, stands,
		}})
	}
	runs := LiveTag(spec.Service)
	tag(runs, service, state.Field{})
	if spec.Image.Version != "" {
		tag(spec.Image.Version, Tag(name, runs), state.Field{Once: true, Fix: renamed(spec, live)})
	}
	for _, t := range spec.Image.Tags {
		tag(t, Tag(name, runs), state.Field{})
	}
	return resources
}

// livePrefix begins the tag that a service's verified rollout leaves on its image. The
// other tags wait for it, so that a version and latest only ever name what has served.
const livePrefix = "live-"

// LiveTag names the image that a service runs, in its repository.
func LiveTag(service string) string { return livePrefix + service }

// Merge joins what several manifests ask of one repository or tag: the settings of both,
// and a tag that waits for the services of both. What they disagree on is an error.
func Merge(a, b state.Resource) (state.Resource, error) {
	merged := a
	merged.Fields = slices.Clone(a.Fields)
	for _, f := range b.Fields {
		have, ok := a.Get(f.Path)
		switch {
		case !ok:
			merged.Fields = append(merged.Fields, f)
		case have.Value != f.Value:
			return state.Resource{}, fmt.Errorf("%s: two manifests disagree on %s: %s and %s", a.Address, f.Path, have.Value, f.Value)
		}
	}
	state.Sort(merged.Fields)
	return merged, nil
}
