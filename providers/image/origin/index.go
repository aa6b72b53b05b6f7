package origin

import (
	"fmt"
	"slices"
	"strings"

	v1 "github.com/google/go-containerregistry/pkg/v1"
)

// depth is how far indexes may nest.
const depth = 4

// choose returns the image of an index that runs on a platform.
func choose(p place, index v1.ImageIndex, want v1.Platform) (v1.Image, error) {
	var there []string
	img, err := search(index, want, &there, depth)
	if img != nil || err != nil {
		return img, err
	}
	slices.Sort(there)
	has := "it names no platforms"
	if there = slices.Compact(there); len(there) > 0 {
		has = "it has " + strings.Join(there, ", ")
	}
	return nil, p.wrong(fmt.Sprintf("has no image for %s: %s", want, has),
		fmt.Sprintf("name a tag that has one, or build the image for it: docker buildx build --platform %s", want))
}

// search returns nil if there is none, and notes the platforms that it came by.
func search(index v1.ImageIndex, want v1.Platform, there *[]string, depth int) (v1.Image, error) {
	m, err := index.IndexManifest()
	if err != nil {
		return nil, err
	}
	for _, d := range m.Manifests {
		switch {
		case d.MediaType.IsIndex():
			if depth == 0 {
				return nil, fmt.Errorf("indexes are nested too deeply")
			}
			inner, err := index.ImageIndex(d.Digest)
			if err != nil {
				return nil, err
			}
			if img, err := search(inner, want, there, depth-1); img != nil || err != nil {
				return img, err
			}
		case !d.MediaType.IsImage() || attestation(d):
		case d.Platform != nil:
			if d.Platform.Satisfies(want) {
				return index.Image(d.Digest)
			}
			*there = append(*there, d.Platform.String())
		default: // only the image itself knows
			img, err := index.Image(d.Digest)
			if err != nil {
				return nil, err
			}
			c, err := img.ConfigFile()
			if err != nil {
				return nil, err
			}
			if own := (v1.Platform{OS: c.OS, Architecture: c.Architecture, Variant: c.Variant}); own.Satisfies(want) {
				return img, nil
			}
			*there = append(*there, platformOf(c))
		}
	}
	return nil, nil
}

// attestation reports whether a member of an index is BuildKit's word about another.
// https://docs.docker.com/build/metadata/attestations/attestation-storage/
func attestation(d v1.Descriptor) bool {
	return d.Annotations["vnd.docker.reference.type"] != "" || d.Platform != nil && d.Platform.OS == "unknown"
}
