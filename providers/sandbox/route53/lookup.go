package route53

import (
	"cmp"
	"slices"
	"strings"
)

// Lookup returns the values that the world's resolvers would find for a name and type:
// those in sync, with wildcards and aliases followed, a CNAME not. Values are as Route 53
// keeps them: "10 mail.example.com.", text in quotation marks.
func (s *Service) Lookup(name, kind string) []string {
	name, ok := fqdn(name)
	if !ok {
		return nil
	}
	var values []string
	s.doc.View(func(all *zones) {
		if in := s.serving(all, name); in != nil {
			sets, _ := in.at(name)
			for _, set := range s.resolved(all, sets) {
				if set.Type == strings.ToUpper(kind) {
					values = append(values, set.Values...)
				}
			}
		}
	})
	return values
}

// served is what the name servers have of a zone.
type served struct {
	*zone
	sets []recordSet
}

// serving is the zone that answers for a name, nil if there is none.
func (s *Service) serving(all *zones, name string) *served {
	var best *served
	for _, z := range all.ByID {
		if z.private() || !within(name, z.Name) {
			continue
		}
		candidate := &served{z, z.Records}
		if unfinished := s.unfinished(z); len(unfinished) > 0 {
			candidate.sets = unfinished[0].Before
		}
		if candidate.sets != nil && (best == nil || candidate.before(best)) {
			best = candidate
		}
	}
	return best
}

// before tells whether z answers rather than other, for a name that both have.
func (z *served) before(other *served) bool {
	return cmp.Or(cmp.Compare(len(other.Name), len(z.Name)), z.Created.Compare(other.Created), cmp.Compare(z.ID, other.ID)) < 0
}

// at returns the sets of a name, which may be a wildcard's, and whether it exists. A name
// with others below it exists although it has no sets.
// https://www.rfc-editor.org/rfc/rfc4592#section-2.2
func (z *served) at(name string) (sets []recordSet, exists bool) {
	below := func(name string) bool {
		return slices.ContainsFunc(z.sets, func(set recordSet) bool { return within(set.Name, name) })
	}
	if below(name) {
		return named(z.sets, name), true
	}
	parent := name
	for parent != z.Name && !below(parent) {
		_, parent, _ = strings.Cut(parent, ".")
	}
	for _, set := range named(z.sets, `\052.`+parent) {
		set.Name = name
		sets = append(sets, set)
	}
	return sets, len(sets) > 0
}

// delegated are the NS records, below the zone's own, that give name away.
func (z *served) delegated(name string) []recordSet {
	for name != z.Name {
		if i, found := find(z.sets, name, "NS"); found {
			return z.sets[i : i+1]
		}
		_, name, _ = strings.Cut(name, ".")
	}
	return nil
}

// resolved replaces aliases by what they are for. A target outside of the zones has no
// values, except where this machine answers for it.
func (s *Service) resolved(all *zones, sets []recordSet) []recordSet {
	out := slices.Clone(sets)
	for i := range out {
		for depth := 0; out[i].Alias != nil && depth < maxDepth; depth++ {
			target, kind := out[i].Alias.DNSName, out[i].Type
			out[i].Alias, out[i].TTL = nil, 60
			if in := s.serving(all, target); in != nil {
				found, _ := in.at(target)
				if k := slices.IndexFunc(found, func(set recordSet) bool { return set.Type == kind }); k >= 0 {
					out[i].Alias, out[i].TTL, out[i].Values = found[k].Alias, found[k].TTL, found[k].Values
				}
			} else if kind == "A" && here(all, target) {
				out[i].Values = []string{"127.0.0.1"}
			}
		}
	}
	return out
}

// maxDepth is how many CNAMEs or aliases in a row are followed.
const maxDepth = 8

// here tells whether a name outside of all zones is this machine's: those of services,
// and of the zones' name servers, all of which this process is.
func here(all *zones, name string) bool {
	if within(name, "localhost.") || within(name, "awsapprunner.com.") {
		return true
	}
	for _, z := range all.ByID {
		if slices.Contains(z.NameServers, strings.TrimSuffix(name, ".")) {
			return true
		}
	}
	return false
}
