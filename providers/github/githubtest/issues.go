package githubtest

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strconv"
)

// Issue is one that the server holds.
type Issue struct {
	Number      int
	Author      string
	Title, Body string
	Labels      []string
	Closed      bool
	Comments    []string
	Edits       int
}

// firstIssue is the number of the first issue: the pull request has a lower one.
const firstIssue = 8

// AddIssue is somebody who opens one.
func (s *Server) AddIssue(author, title, body string, labels ...string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.issues = append(s.issues, &Issue{Number: firstIssue + len(s.issues), Author: author, Title: title, Body: body, Labels: labels})
}

// Issues returns what there is.
func (s *Server) Issues() []Issue {
	s.mu.Lock()
	defer s.mu.Unlock()
	var all []Issue
	for _, i := range s.issues {
		all = append(all, *i)
	}
	return all
}

// labelled is a connection of the issues with a label, as login sees them.
func (s *Server) labelled(login, label string, after *string) any {
	found := []any{}
	for _, i := range s.issues {
		if !slices.Contains(i.Labels, label) {
			continue
		}
		state := "OPEN"
		if i.Closed {
			state = "CLOSED"
		}
		found = append(found, map[string]any{"number": i.Number, "url": issuePage(i.Number), "title": i.Title, "body": i.Body, "state": state, "viewerDidAuthor": i.Author == login})
	}
	return connection(found, after)
}

func issuePage(n int) string { return fmt.Sprintf("https://github.com/o/r/issues/%d", n) }

// putIssue opens an issue, edits one, or comments on it.
func (s *Server) putIssue(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	login, ok := s.begin(w, r)
	if !ok {
		return
	}
	var in struct {
		Title, Body, State *string
		Labels             []string
	}
	err := json.NewDecoder(r.Body).Decode(&in)
	n, _ := strconv.Atoi(r.PathValue("n")) // none: 0
	at := n - firstIssue
	switch {
	case s.readOnly[login]:
		refuse(w, http.StatusForbidden, "Resource not accessible by integration")
	case err != nil || in.Body != nil && len([]rune(*in.Body)) > 65536:
		refuse(w, http.StatusUnprocessableEntity, "Validation Failed")
	case n == 0 && in.Title != nil && in.Body != nil:
		s.issues = append(s.issues, &Issue{Number: firstIssue + len(s.issues), Author: login, Title: *in.Title, Body: *in.Body, Labels: in.Labels})
		answer(w, http.StatusCreated, map[string]any{"html_url": issuePage(firstIssue + len(s.issues) - 1)})
	case at < 0 || at >= len(s.issues):
		refuse(w, http.StatusNotFound, "Not Found")
	case r.Method == http.MethodPost:
		s.issues[at].Comments = append(s.issues[at].Comments, *in.Body)
		answer(w, http.StatusCreated, map[string]any{"html_url": issuePage(n)})
	default:
		i := s.issues[at]
		if in.Body != nil {
			i.Body = *in.Body
			i.Edits++
		}
		if in.State != nil {
			i.Closed = *in.State == "closed"
		}
		answer(w, http.StatusOK, map[string]any{"html_url": issuePage(n)})
	}
}
