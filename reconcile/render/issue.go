package render

import (
	"slices"
	"strings"
	"unicode/utf8"
)

// Of is the drift of one service alone, with what was said of the whole.
func (v *Drift) Of(service string) *Drift {
	one := *v
	one.Leftovers = Leftovers{} // which are of no service that the run is about
	one.Services = slices.DeleteFunc(slices.Clone(v.Services), func(s ServiceDrift) bool { return s.Service != service })
	one.Header.Services = slices.DeleteFunc(slices.Clone(v.Header.Services), func(s Service) bool { return s.Name != service })
	one.Drifted = slices.ContainsFunc(one.Services, func(s ServiceDrift) bool { return len(s.Resources) > 0 })
	return &one
}

// Issue writes drift as the body of an issue that is found again by its marker. What would
// be longer than limit characters is cut between lines, and says so.
func (v *Drift) Issue(marker string, limit int) string {
	const help = "`apron drift --revert` undoes it, `apron drift --accept` writes it into the manifest. This issue is kept up to date, and closed once nothing differs.\n"
	body := marker + "\n" + v.markdown() + "\n" + help
	if utf8.RuneCountInString(body) <= limit {
		return body
	}
	const cut = "\n\nThere is more than an issue can hold: `apron drift` shows it.\n"
	r := []rune(body)[:limit-utf8.RuneCountInString(cut)]
	kept := string(r)
	return kept[:strings.LastIndexByte(kept, '\n')] + cut
}
