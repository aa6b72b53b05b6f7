package lifecycle_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/apron-deploy/apron/providers/sandbox/ecr/lifecycle"
)

var now = time.Date(2026, 3, 31, 12, 0, 0, 0, time.UTC)

// image is days old and carries the tags that are given as one string.
func image(digest string, days int, tags string) lifecycle.Image {
	return lifecycle.Image{Digest: digest, Tags: strings.Fields(tags), PushedAt: now.AddDate(0, 0, -days)}
}

func rule(priority int, selection string) string {
	return fmt.Sprintf(`{"rulePriority":%d,"selection":{%s},"action":{"type":"expire"}}`, priority, selection)
}

func policy(rules ...string) string { return `{"rules":[` + strings.Join(rules, ",") + `]}` }

func tagged(patterns, count string) string {
	return fmt.Sprintf(`"tagStatus":"tagged","tagPatternList":[%s],%s`, patterns, count)
}

func moreThan(n int) string {
	return fmt.Sprintf(`"countType":"imageCountMoreThan","countNumber":%d`, n)
}

func olderThan(days int) string {
	return fmt.Sprintf(`"countType":"sinceImagePushed","countUnit":"days","countNumber":%d`, days)
}

func TestApply_followsTheRulesInOrder(t *testing.T) {
	abc := []lifecycle.Image{image("a", 10, "beta-1 prod-1"), image("b", 9, "beta-2 prod-2"), image("c", 8, "beta-3")}
	for name, tc := range map[string]struct {
		rules  []string
		images []lifecycle.Image
		want   string
	}{
		"keeps the newest": {
			[]string{rule(1, tagged(`"src-*"`, moreThan(2)))},
			[]lifecycle.Image{image("c", 1, "src-3"), image("a", 3, "src-1"), image("b", 2, "src-2"), image("x", 9, "v1")}, "a:1",
		},
		"takes what is too old": {
			[]string{rule(1, `"tagStatus":"untagged",`+olderThan(7))},
			[]lifecycle.Image{image("a", 8, ""), image("b", 7, ""), image("c", 30, "v1")}, "a:1",
		},
		// The next two are AWS's own examples.
		"leaves to an earlier rule what is its": {
			[]string{rule(1, tagged(`"prod*"`, moreThan(1))), rule(2, tagged(`"beta*"`, moreThan(1)))}, abc, "a:1",
		},
		"and the other way round": {
			[]string{rule(1, tagged(`"beta*"`, moreThan(1))), rule(2, tagged(`"prod*"`, moreThan(1)))}, abc, "a:1 b:1",
		},
		"shields what is live": {
			[]string{rule(1, tagged(`"live-*"`, moreThan(1000))), rule(2, tagged(`"src-*"`, moreThan(1)))},
			[]lifecycle.Image{image("a", 3, "src-1 live-web"), image("b", 2, "src-2"), image("c", 1, "src-3")}, "b:2",
		},
		"orders by priority, not by place": {
			[]string{rule(20, `"tagStatus":"any",`+moreThan(1)), rule(10, tagged(`"v*"`, moreThan(5)))},
			[]lifecycle.Image{image("a", 3, "v1"), image("b", 2, ""), image("c", 1, "")}, "b:20",
		},
		"wants all patterns": {
			[]string{rule(1, tagged(`"a*","b*"`, olderThan(1)))},
			[]lifecycle.Image{image("a", 3, "a1 b1"), image("b", 3, "a2"), image("c", 3, "b2")}, "a:1",
		},
		"takes prefixes": {
			[]string{rule(1, `"tagStatus":"tagged","tagPrefixList":["v"],`+olderThan(1))},
			[]lifecycle.Image{image("a", 3, "v1"), image("b", 3, "w1")}, "a:1",
		},
	} {
		t.Run(name, func(t *testing.T) {
			p, err := lifecycle.Parse(policy(tc.rules...))
			require.NoError(t, err)
			var got []string
			for _, d := range p.Apply(tc.images, now) {
				require.Equal(t, lifecycle.Expire, d.Action)
				got = append(got, fmt.Sprint(d.Digest, ":", d.Priority))
			}
			require.Equal(t, tc.want, strings.Join(got, " "))
		})
	}
}

func TestApply_archivesAndThenExpires(t *testing.T) {
	p, err := lifecycle.Parse(policy(
		`{"rulePriority":1,"selection":{"tagStatus":"any","countType":"sinceImagePulled","countUnit":"days","countNumber":30},"action":{"type":"transition","targetStorageClass":"archive"}}`,
		rule(2, `"tagStatus":"any","storageClass":"archive","countType":"sinceImageTransitioned","countUnit":"days","countNumber":90`)))
	require.NoError(t, err)
	pulled := image("pulled", 60, "v1")
	pulled.PulledAt = now.AddDate(0, 0, -1)
	old := image("old", 300, "v2")
	old.ArchivedAt = now.AddDate(0, 0, -91)
	require.Equal(t, []lifecycle.Decision{
		{Digest: "idle", Priority: 1, Action: lifecycle.Transition},
		{Digest: "old", Priority: 2, Action: lifecycle.Expire},
	}, p.Apply([]lifecycle.Image{pulled, old, image("idle", 60, "")}, now))
}

func TestParse_refusesWhatECRRefuses(t *testing.T) {
	good := tagged(`"v*"`, moreThan(1))
	for name, tc := range map[string]struct{ text, want string }{
		"no JSON":               {"{", "Could not map policyString into LifecyclePolicy."},
		"a list":                {"[]", "Could not map policyString into LifecyclePolicy."},
		"no rules":              {"{}", `object has missing required properties (["rules"])`},
		"empty rules":           {policy(), "1 to 50 rules"},
		"too many rules":        {policy(strings.Split(strings.Repeat("{}|", 51), "|")[:51]...), "1 to 50 rules"},
		"no action":             {policy(`{"rulePriority":1,"selection":{}}`), `(["action"])`},
		"an unknown member":     {policy(`{"rulePriority":1,"selection":{},"action":{},"x":1}`), `not allowed by the schema: (["x"])`},
		"priority zero":         {policy(rule(0, good)), "numeric instance is lower than the required minimum (minimum: 1, found: 0)"},
		"priority twice":        {policy(rule(1, good), rule(1, tagged(`"w*"`, moreThan(1)))), "unique"},
		"a null":                {policy(rule(1, good+`,"countUnit":null`)), "instance failed to match exactly one schema (matched 0 out of 2)"},
		"count with a unit":     {policy(rule(1, good+`,"countUnit":"days"`)), "exactly one schema"},
		"age without a unit":    {policy(rule(1, `"tagStatus":"any","countType":"sinceImagePushed","countNumber":1`)), "exactly one schema"},
		"count zero":            {policy(rule(1, tagged(`"v*"`, moreThan(0)))), "minimum: 1, found: 0"},
		"tagged without tags":   {policy(rule(1, `"tagStatus":"tagged",`+moreThan(1))), "Must specify tagPrefixList or tagPatternList when tagStatus=TAGGED."},
		"any with tags":         {policy(rule(1, `"tagStatus":"any","tagPrefixList":["v"],`+moreThan(1))), "tagStatus=ANY"},
		"prefixes and patterns": {policy(rule(1, good+`,"tagPrefixList":["v"]`)), "both"},
		"five stars":            {policy(rule(1, tagged(`"*a*b*c*d*"`, moreThan(1)))), "at most 4 wildcards"},
		"unknown status":        {policy(rule(1, `"tagStatus":"x",`+moreThan(1))), `instance value ("x") not found in enum`},
		"untagged twice": {policy(rule(1, `"tagStatus":"untagged",`+moreThan(1)), rule(2, `"tagStatus":"untagged",`+olderThan(1))),
			"Only one rule can select Untagged images per storage class."},
		"any before others": {policy(rule(1, `"tagStatus":"any",`+moreThan(1)), rule(2, good)),
			"Rule for tagStatus=ANY must have the lowest priority per storage class"},
		"the same tags twice": {policy(rule(1, tagged(`"a*","b*"`, moreThan(1))), rule(2, tagged(`"b*","a*"`, olderThan(1)))), "Only one rule"},
		"archive to archive": {policy(`{"rulePriority":1,"selection":{"tagStatus":"any","storageClass":"archive","countType":"imageCountMoreThan","countNumber":1},"action":{"type":"transition","targetStorageClass":"archive"}}`),
			"exactly one schema"},
		"an unknown action": {policy(`{"rulePriority":1,"selection":{"tagStatus":"any",` + moreThan(1) + `},"action":{"type":"keep"}}`), `instance value ("keep")`},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := lifecycle.Parse(tc.text)
			require.ErrorContains(t, err, tc.want)
		})
	}
}

func TestMatch_knowsStars(t *testing.T) {
	for _, tc := range []struct {
		pattern, text string
		want          bool
	}{
		{"latest", "latest", true}, {"latest", "latest2", false}, {"v*", "v", true}, {"v*", "w", false},
		{"*", "", true}, {"*-web", "live-web", true}, {"*-web", "live-web2", false}, {"a*b*c", "axxbyyc", true},
		{"a*b*c", "acb", false}, {"a*a", "a", false},
	} {
		require.Equal(t, tc.want, lifecycle.Match(tc.pattern, tc.text), "%s %s", tc.pattern, tc.text)
	}
}
