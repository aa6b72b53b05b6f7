package ecr

import (
	"regexp"
	"strings"

	"github.com/apron-deploy/apron/providers/sandbox/ecr/blob"
	"github.com/apron-deploy/apron/providers/sandbox/wire"
	"github.com/apron-deploy/apron/reconcile/pattern"
)

// Patterns of the API's model, here without anchors as they appear in errors.
// https://docs.aws.amazon.com/AmazonECR/latest/APIReference/API_CreateRepository.html
const (
	namePattern   = `[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*(\/[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*)*`
	tagPattern    = `[a-zA-Z0-9_][a-zA-Z0-9._-]*`
	filterPattern = `[0-9a-zA-Z._*-]{1,128}`
	digestPattern = `[a-zA-Z0-9-_+.]+:[a-fA-F0-9]+`
)

var (
	nameRE   = whole(namePattern)
	tagRE    = whole(tagPattern)
	filterRE = whole(filterPattern)
)

func whole(text string) func() *regexp.Regexp { return pattern.Lazy(`^(?:` + text + `)$`) }

const (
	mutable         = "MUTABLE"
	immutable       = "IMMUTABLE"
	mutableExcept   = "MUTABLE_WITH_EXCLUSION"
	immutableExcept = "IMMUTABLE_WITH_EXCLUSION"
)

func checkLength(parameter, value string, low, high int) error {
	switch {
	case len(value) < low:
		return constraint(parameter, "Member must have length greater than or equal to %d", low)
	case len(value) > high:
		return constraint(parameter, "Member must have length less than or equal to %d", high)
	}
	return nil
}

func checkPattern(parameter, value string, re func() *regexp.Regexp, text string) error {
	if !re().MatchString(value) {
		return constraint(parameter, "must satisfy regular expression '%s'", text)
	}
	return nil
}

func checkName(name string) error {
	if err := checkLength("repositoryName", name, 2, 256); err != nil {
		return err
	}
	return checkPattern("repositoryName", name, nameRE, namePattern)
}

// maxAPITag and maxRegistryTag differ: the registry keeps to docker's grammar.
const (
	maxAPITag      = 300
	maxRegistryTag = 128
)

func checkTag(tag string, longest int) error {
	if err := checkLength("imageTag", tag, 1, longest); err != nil {
		return err
	}
	return checkPattern("imageTag", tag, tagRE, tagPattern)
}

func checkDigest(parameter, digest string) error {
	if !blob.Valid(digest) {
		return constraint(parameter, "must satisfy regular expression '%s'", digestPattern)
	}
	return nil
}

func checkEnum(parameter, value string, allowed ...string) error {
	for _, a := range allowed {
		if a == value {
			return nil
		}
	}
	return constraint(parameter, "Member must satisfy enum value set: [%s]", strings.Join(allowed, ", "))
}

func checkCount(parameter string, n, high int) error {
	switch {
	case n < 1:
		return constraint(parameter, "Member must have length greater than or equal to 1")
	case n > high:
		return constraint(parameter, "Member must have length less than or equal to %d", high)
	}
	return nil
}

// checkMutability also knows that filters and the *_WITH_EXCLUSION modes need each
// other, and that a filter has at most two wildcards.
// https://docs.aws.amazon.com/AmazonECR/latest/userguide/image-tag-mutability.html
func checkMutability(mode string, filters []exclusion) error {
	if err := checkEnum("imageTagMutability", mode, immutable, mutable, immutableExcept, mutableExcept); err != nil {
		return err
	}
	const parameter = "imageTagMutabilityExclusionFilters"
	switch excluding := mode == immutableExcept || mode == mutableExcept; {
	case excluding && len(filters) == 0:
		return constraint(parameter, "ImageTagMutabilityExclusionFilters can't be null when imageTagMutability is set as %s", mode)
	case !excluding && len(filters) > 0:
		return constraint(parameter, "ImageTagMutabilityExclusionFilters can't be specified when imageTagMutability is set as %s", mode)
	case len(filters) > 5:
		return constraint(parameter, "Member must have length less than or equal to 5")
	}
	for _, f := range filters {
		if err := checkEnum(parameter, f.FilterType, "WILDCARD"); err != nil {
			return err
		}
		if err := checkPattern(parameter, f.Filter, filterRE, filterPattern); err != nil {
			return err
		}
		if strings.Count(f.Filter, "*") > 2 {
			return constraint(parameter, "Filter '%s' has more than 2 wildcards", f.Filter)
		}
	}
	return nil
}

type tag struct {
	Key   string `json:"Key"`
	Value string `json:"Value"`
}

const maxTags = 50

// checkTags holds new tags to AWS's rules.
// https://docs.aws.amazon.com/AmazonECR/latest/userguide/ecr-using-tags.html
func checkTags(tags []tag) *wire.Error {
	seen := map[string]bool{}
	for _, t := range tags {
		switch {
		case t.Key == "" || len(t.Key) > 128:
			return refuse("InvalidTagParameterException", "A tag key has 1 to 128 characters, found '%s'", t.Key)
		case len(t.Value) > 256:
			return refuse("InvalidTagParameterException", "A tag value has at most 256 characters: tag '%s'", t.Key)
		case strings.HasPrefix(strings.ToLower(t.Key), "aws:"):
			return refuse("InvalidTagParameterException", "aws: prefixed tag key names are not allowed for external use.")
		case seen[t.Key]:
			return refuse("InvalidTagParameterException", "Duplicate tag keys found. Please note that Tag keys are case insensitive.")
		}
		seen[t.Key] = true
	}
	return nil
}
