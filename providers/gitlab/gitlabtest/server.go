// Package gitlabtest is a GitLab for tests: the notes of one merge request, served over
// HTTP, with what GitLab refuses refused. It shares no code with the client.
package gitlabtest

import (
	"encoding/json"
	"fmt"
	"hash/fnv"
	"net/http"
	"net/http/httptest"
	"strconv"
	"sync"
	"testing"
	"unicode/utf8"
)

// Note is one that the server holds.
type Note struct {
	ID           int64
	Author, Body string
	System       bool
}

// Server is the GitLab of project 42 with a merge request 7. Tokens are user names.
type Server struct {
	URL string // of the API

	mu       sync.Mutex
	notes    []Note
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
	const notes = "/api/v4/projects/42/merge_requests/7/notes"
	mux.HandleFunc("GET /api/v4/user", s.user)
	mux.HandleFunc("GET "+notes, s.list)
	mux.HandleFunc("POST "+notes, s.put)
	mux.HandleFunc("PUT "+notes+"/{id}", s.put)
	mux.HandleFunc("/", func(w http.ResponseWriter, _ *http.Request) {
		answer(w, 404, map[string]string{"message": "404 Not found"})
	})
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	s.URL = server.URL + "/api/v4"
	return s
}

// Variables are those that a job of the merge request has.
func (s *Server) Variables(token string) map[string]string {
	return map[string]string{"GITLAB_CI": "true", "CI_API_V4_URL": s.URL, "CI_PROJECT_ID": "42", "CI_MERGE_REQUEST_IID": "7",
		"CI_PROJECT_URL": "https://gitlab.example.com/g/p", "APRON_GITLAB_TOKEN": token}
}

// Fail answers the next calls with these statuses.
func (s *Server) Fail(statuses ...int) { s.mu.Lock(); defer s.mu.Unlock(); s.failures = statuses }

// Add is somebody who comments; without an author it is GitLab.
func (s *Server) Add(author, body string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.notes = append(s.notes, Note{int64(len(s.notes) + 1), author, body, author == ""})
}

// Notes returns what there is.
func (s *Server) Notes() []Note {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]Note(nil), s.notes...)
}

func (s *Server) begin(w http.ResponseWriter, r *http.Request) (string, bool) {
	if len(s.failures) > 0 {
		status := s.failures[0]
		s.failures = s.failures[1:]
		if status == http.StatusTooManyRequests {
			w.Header().Set("Retry-After", "1")
		}
		answer(w, status, map[string]string{"message": "as the test asked"})
		return "", false
	}
	user := r.Header.Get("PRIVATE-TOKEN")
	if user == "" || user == "expired" {
		answer(w, http.StatusUnauthorized, map[string]string{"message": "401 Unauthorized"})
		return "", false
	}
	return user, true
}

func (s *Server) user(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if user, ok := s.begin(w, r); ok {
		answer(w, http.StatusOK, map[string]any{"id": number(user), "username": user})
	}
}

func (s *Server) list(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, ok := s.begin(w, r); !ok {
		return
	}
	size, page := 20, 1
	for name, v := range map[string]*int{"per_page": &size, "page": &page} {
		if text := r.URL.Query().Get(name); text != "" {
			n, err := strconv.Atoi(text)
			if err != nil || n < 1 {
				answer(w, http.StatusBadRequest, map[string]string{"error": name + " is invalid"})
				return
			}
			*v = n
		}
	}
	size = min(size, 100)
	all := []any{}
	for i := (page - 1) * size; i < min(page*size, len(s.notes)); i++ {
		n := s.notes[i]
		all = append(all, map[string]any{"id": n.ID, "body": n.Body, "system": n.System, "author": map[string]any{"id": number(n.Author), "username": n.Author}})
	}
	if page*size < len(s.notes) {
		w.Header().Set("X-Next-Page", strconv.Itoa(page+1))
	}
	answer(w, http.StatusOK, all)
}

func (s *Server) put(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	user, ok := s.begin(w, r)
	if !ok {
		return
	}
	var in struct{ Body string }
	err := json.NewDecoder(r.Body).Decode(&in)
	id, _ := strconv.ParseInt(r.PathValue("id"), 10, 64) // none: 0
	switch {
	case s.readOnly[user]:
		answer(w, http.StatusForbidden, map[string]string{"message": "403 Forbidden"})
	case err != nil || in.Body == "":
		answer(w, http.StatusBadRequest, map[string]string{"error": "body is missing"})
	case utf8.RuneCountInString(in.Body) > 1_000_000:
		answer(w, http.StatusBadRequest, map[string]any{"message": map[string]any{"note": []string{"is too long (maximum is 1000000 characters)"}}})
	case id == 0:
		id = int64(len(s.notes) + 1)
		s.notes = append(s.notes, Note{ID: id, Author: user, Body: in.Body})
		answer(w, http.StatusCreated, map[string]any{"id": id, "body": in.Body})
	case id > int64(len(s.notes)):
		answer(w, http.StatusNotFound, map[string]string{"message": "404 Note Not Found"})
	case s.notes[id-1].Author != user:
		answer(w, http.StatusForbidden, map[string]string{"message": "403 Forbidden"})
	default:
		s.notes[id-1].Body = in.Body
		answer(w, http.StatusOK, map[string]any{"id": id, "body": in.Body})
	}
}

// number is the id of a user.
func number(user string) int64 {
	h := fnv.New32a()
	fmt.Fprint(h, user)
	return int64(h.Sum32())
}

func answer(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(v) // the client has gone
}
