package render

import "strings"

// cutNote is what is left of Markdown for which there is no room.
const cutNote = "> [!WARNING]\n> This is cut: the whole would be longer than is shown here. The log of the run has the rest.\n"

// Cut is as much of Markdown, from its start, as fits into so many bytes. It is cut between
// blocks, never within something folded or a block of code, and says so.
func Cut(markdown string, most int) string {
	if len(markdown) <= most {
		return markdown
	}
	kept, at := 0, 0
	folded, fenced := 0, false
	for line := range strings.Lines(markdown) {
		at += len(line)
		if at+len(cutNote) > most {
			break
		}
		switch text := strings.TrimSpace(line); {
		case strings.HasPrefix(text, "```"):
			fenced = !fenced
		case fenced:
		case strings.HasPrefix(text, "<details>"):
			folded++
		case strings.HasPrefix(text, "</details>"):
			folded--
		case text == "" && folded == 0:
			kept = at
		}
	}
	if kept == 0 && len(cutNote) > most {
		return ""
	}
	return markdown[:kept] + cutNote
}
