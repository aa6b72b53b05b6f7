// Package githubtest is a GitHub for tests: one repository with one pull request, its
// comments and reviews, and with issues, served over HTTP, with what GitHub refuses refused. It shares no
// code with the client. Its clock goes on by a minute with everything that happens.
package githubtest

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strconv"
	"sync"
	"testing"
	"time"
	"unicode/utf8"
)

// Comment is one that the server holds.
type Comment struct {
	ID           int64
	Author, Body string
	Editor       string // empty as long as nobody has edited it

	at, edited time.Time
}

// Server is the GitHub of a repository o/r with a pull request 7 that ann wrote. Tokens are
// logins; those that end in [bot] are apps.
type Server struct {
	URL string

	mu       sync.Mutex
	clock    time.Time
	comments []Comment
	pull     pull
	issues   []*Issue
	readOnly map[string]bool
	failures []int
}

// New starts a server that ends with the test. The given tokens can only read.
func New(t testing.TB, readOnly ...string) *Server {
	s := &Server{readOnly: map[string]bool{}, clock: time.Date(2026, 11, 26, 12, 0, 0, 0, time.UTC),
		pull: pull{author: "ann", head: "head-1", base: "main", strangers: map[string]bool{}, merged: map[string][]int{}}}
	for _, token := range readOnly {
		s.readOnly[token] = true
	}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /graphql", s.graphql)
	mux.HandleFunc("POST /repos/o/r/issues/7/comments", s.put)
	mux.HandleFunc("PATCH /repos/o/r/issues/comments/{id}", s.put)
	mux.HandleFunc("POST /repos/o/r/issues", s.putIssue)
	mux.HandleFunc("PATCH /repos/o/r/issues/{n}", s.putIssue)
	mux.HandleFunc("POST /repos/o/r/issues/{n}/comments", s.putIssue)
	mux.HandleFunc("GET /repos/o/r/commits/{sha}/pulls", s.pullsOf)
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	s.URL = server.URL
	return s
}

// ReadOnly leaves these tokens, and no others, without the right to write.
func (s *Server) ReadOnly(tokens ...string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.readOnly = map[string]bool{}
	for _, token := range tokens {
		s.readOnly[token] = true
	}
}

// Fail answers the next calls with these statuses.
func (s *Server) Fail(statuses ...int) { s.mu.Lock(); defer s.mu.Unlock(); s.failures = statuses }

// Add is somebody who comments.
func (s *Server) Add(author, body string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.comments = append(s.comments, Comment{ID: int64(len(s.comments) + 1), Author: author, Body: body, at: s.tick()})
}

// Edit is somebody who edits a comment, as whoever may write to a repository can.
func (s *Server) Edit(id int64, editor, body string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	c := &s.comments[id-1]
	c.Editor, c.Body, c.edited = editor, body, s.tick()
}

// Comments returns what there is.
func (s *Server) Comments() []Comment {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]Comment(nil), s.comments...)
}

// tick is the next moment.
func (s *Server) tick() time.Time {
	s.clock = s.clock.Add(time.Minute)
	return s.clock
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
		Query     string
		Variables struct {
			Owner, Name string
			Number      int
			Label       string
			After       *string
		}
	}
	if err := json.NewDecoder(r.Body).Decode(&in); err != nil {
		refuse(w, http.StatusBadRequest, "Problems parsing JSON")
		return
	}
	asked, err := parse(in.Query)
	if err != nil {
		failed(w, "", err.Error())
		return
	}
	v := in.Variables
	repository := map[string]any{"pullRequest": nil, "issues": s.labelled(login, v.Label, v.After)}
	if v.Number == 7 {
		repository["pullRequest"] = s.request(login, v.After)
	}
	if v.Owner != "o" || v.Name != "r" || asked["repository"]["pullRequest"] != nil && v.Number != 7 {
		failed(w, "NOT_FOUND", "Could not resolve to a PullRequest")
		return
	}
	data, err := asked.of(map[string]any{"repository": repository})
	if err != nil {
		failed(w, "", err.Error())
		return
	}
	answer(w, http.StatusOK, map[string]any{"data": data})
}

func failed(w http.ResponseWriter, kind, message string) {
	answer(w, http.StatusOK, map[string]any{"data": nil, "errors": []any{map[string]string{"type": kind, "message": message}}})
}

// request is the pull request as login sees it.
func (s *Server) request(login string, after *string) map[string]any {
	comments := make([]any, len(s.comments))
	for i, c := range s.comments {
		comments[i] = map[string]any{"databaseId": c.ID, "url": s.page(c.ID), "body": c.Body, "viewerDidAuthor": c.Author == login,
			"createdAt": c.at, "lastEditedAt": at(c.edited), "author": actor(c.Author), "editor": actor(c.Editor)}
	}
	reviews := make([]any, len(s.pull.reviews))
	for i, v := range s.pull.reviews {
		reviews[i] = map[string]any{"state": v.State, "submittedAt": at(v.at), "viewerDidAuthor": v.Author == login,
			"authorCanPushToRepository": !s.pull.strangers[v.Author], "commit": map[string]any{"oid": v.Commit}, "author": actor(v.Author)}
	}
	return map[string]any{"headRefOid": s.pull.head, "mergedAt": at(s.pull.mergedAt), "author": actor(s.pull.author),
		"comments": connection(comments, after), "reviews": connection(reviews, after)}
}

// actor is an account; nil for one that is gone, and for nobody.
func actor(login string) any {
	if login == "" {
		return nil
	}
	name, app := login, false
	if rest, ok := cutBot(login); ok {
		name, app = rest, true // GraphQL names an app without it
	}
	kind := "User"
	if app {
		kind = "Bot"
	}
	return map[string]any{"__typename": kind, "login": name, "id": kind + "_" + name}
}

func at(t time.Time) any {
	if t.IsZero() {
		return nil
	}
	return t
}

// connection is a page of at most 100.
func connection(all []any, after *string) map[string]any {
	from := 0
	if after != nil {
		from, _ = strconv.Atoi(*after) // as we gave it
	}
	from = min(from, len(all))
	to := min(from+100, len(all))
	return map[string]any{"nodes": all[from:to], "pageInfo": map[string]any{"hasNextPage": to < len(all), "endCursor": strconv.Itoa(to)}}
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
		s.comments = append(s.comments, Comment{ID: id, Author: login, Body: in.Body, at: s.tick()})
		answer(w, http.StatusCreated, map[string]any{"id": id, "html_url": s.page(id)})
	case id > int64(len(s.comments)):
		refuse(w, http.StatusNotFound, "Not Found")
	case s.comments[id-1].Author != login:
		refuse(w, http.StatusForbidden, "Must have admin rights to Repository.")
	default:
		c := &s.comments[id-1]
		c.Body, c.Editor, c.edited = in.Body, login, s.tick()
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
