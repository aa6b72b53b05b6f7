// Package githubtest is a GitHub for tests: the comments of one pull request, served over
// HTTP, with what GitHub refuses refused. It shares no code with the client.
package githubtest

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strconv"
	"sync"
	"testing"
	"unicode/utf8"
)

// Comment is one that the server holds.
type Comment struct {
	ID           int64
	Author, Body string
}

// Server is the GitHub of a repository o/r with a pull request 7. Tokens are logins.
type Server struct {
	URL string

	mu       sync.Mutex
	comments []Comment
	readOnly map[string]bool
	failures []int
}

// New starts a server that ends with the test. The given tokens can only read.
func New(t testing.TB, readOnly ...string) *Server {
	s := &Server{readOnly: map[string]bool{}}
	for _, token := range readOnly {
		s.readOnly[token] = true
	}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /graphql", s.graphql)
	mux.HandleFunc("POST /repos/o/r/issues/7/comments", s.put)
	mux.HandleFunc("PATCH /repos/o/r/issues/comments/{id}", s.put)
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	s.URL = server.URL
	return s
}

// Fail answers the next calls with these statuses.
func (s *Server) Fail(statuses ...int) { s.mu.Lock(); defer s.mu.Unlock(); s.failures = statuses }

// Add is somebody who comments.
func (s *Server) Add(author, body string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.comments = append(s.comments, Comment{int64(len(s.comments) + 1), author, body})
}

// Comments returns what there is.
func (s *Server) Comments() []Comment {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]Comment(nil), s.comments...)
}

func (s *Server) begin(w http.ResponseWriter, r *http.Request) (string, bool) {
	if len(s.failures) > 0 {
		status := s.failures[0]
		s.failures = s.failures[1:]
		if status == http.StatusTooManyRequests {
			w.Header().Set("Retry-After", "1")
		}
		refuse(w, status, "as the test asked")
		return "", false
	}
	var login string
	if n, _ := fmt.Sscanf(r.Header.Get("Authorization"), "Bearer %s", &login); n != 1 {
		refuse(w, http.StatusUnauthorized, "Bad credentials")
		return "", false
	}
	return login, true
}

func (s *Server) graphql(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	login, ok := s.begin(w, r)
	if !ok {
		return
	}
	var in struct {
		Variables struct {
			Owner, Name string
			Number      int
			After       *string
		}
	}
	if err := json.NewDecoder(r.Body).Decode(&in); err != nil {
		refuse(w, http.StatusBadRequest, "Problems parsing JSON")
		return
	}
	v := in.Variables
	if v.Owner != "o" || v.Name != "r" || v.Number != 7 {
		answer(w, http.StatusOK, map[string]any{"data": map[string]any{"repository": nil}, "errors": []any{map[string]string{"type": "NOT_FOUND", "message": "Could not resolve to a PullRequest"}}})
		return
	}
	from := 0
	if v.After != nil {
		from, _ = strconv.Atoi(*v.After) // as we gave it
	}
	to := min(from+100, len(s.comments))
	nodes := []any{}
	for _, c := range s.comments[from:to] {
		nodes = append(nodes, map[string]any{"databaseId": c.ID, "url": s.page(c.ID), "body": c.Body, "viewerDidAuthor": c.Author == login})
	}
	answer(w, http.StatusOK, map[string]any{"data": map[string]any{"repository": map[string]any{"pullRequest": map[string]any{"comments": map[string]any{
		"nodes": nodes, "pageInfo": map[string]any{"hasNextPage": to < len(s.comments), "endCursor": strconv.Itoa(to)}}}}}})
}

func (s *Server) put(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	login, ok := s.begin(w, r)
	if !ok {
		return
	}
	var in struct{ Body string }
	err := json.NewDecoder(r.Body).Decode(&in)
	id, _ := strconv.ParseInt(r.PathValue("id"), 10, 64) // none: 0
	switch {
	case s.readOnly[login]:
		refuse(w, http.StatusForbidden, "Resource not accessible by integration")
	case err != nil || in.Body == "" || utf8.RuneCountInString(in.Body) > 65536:
		refuse(w, http.StatusUnprocessableEntity, "Validation Failed")
	case id == 0:
		id = int64(len(s.comments) + 1)
		s.comments = append(s.comments, Comment{id, login, in.Body})
		answer(w, http.StatusCreated, map[string]any{"id": id, "html_url": s.page(id)})
	case id > int64(len(s.comments)):
		refuse(w, http.StatusNotFound, "Not Found")
	case s.comments[id-1].Author != login:
		refuse(w, http.StatusForbidden, "Must have admin rights to Repository.")
	default:
		s.comments[id-1].Body = in.Body
		answer(w, http.StatusOK, map[string]any{"id": id, "html_url": s.page(id)})
	}
}

func (s *Server) page(id int64) string {
	return fmt.Sprintf("https://github.com/o/r/pull/7#issuecomment-%d", id)
}

func refuse(w http.ResponseWriter, status int, message string) {
	answer(w, status, map[string]string{"message": message})
}

func answer(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(v) // the client has gone
}
