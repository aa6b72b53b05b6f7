package githubtest

import (
	"net/http"
	"strconv"
	"strings"
	"time"
)

// pull is pull request 7.
type pull struct {
	author, head string
	base         string // branch
	reviews      []Review
	strangers    map[string]bool // may not push
	mergedAt     time.Time
	merged       map[string][]int // pull requests, by the commit that they were merged as
}

// Review is what somebody said of the pull request.
type Review struct {
	Author string
	State  string // APPROVED, CHANGES_REQUESTED, COMMENTED, DISMISSED
	Commit string

	at time.Time
}

// Push is another commit at the head of the pull request.
func (s *Server) Push(commit string) { s.mu.Lock(); defer s.mu.Unlock(); s.pull.head = commit }

// Review is somebody who reviews what is at the head.
func (s *Server) Review(author, state string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.pull.reviews = append(s.pull.reviews, Review{author, state, s.pull.head, s.tick()})
}

// Dismiss is somebody who dismisses the last review.
func (s *Server) Dismiss() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.pull.reviews[len(s.pull.reviews)-1].State = "DISMISSED"
}

// Strangers may review, as everybody may, and not push.
func (s *Server) Strangers(logins ...string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, login := range logins {
		s.pull.strangers[login] = true
	}
}

// Merge merges pull requests as a commit: one, unless there are merged some within another.
func (s *Server) Merge(commit string, numbers ...int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.pull.mergedAt = s.tick()
	s.pull.merged[commit] = append(s.pull.merged[commit], numbers...)
}

// Base has the pull request be of another branch than main.
func (s *Server) Base(branch string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.pull.base = branch
}

// pullsOf lists the pull requests that a commit belongs to: those that were merged as it,
// and number 7 while it is open, which has it at its head.
func (s *Server) pullsOf(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, ok := s.begin(w, r); !ok {
		return
	}
	sha := r.PathValue("sha")
	all := []any{}
	for _, n := range s.pull.merged[sha] {
		all = append(all, map[string]any{"number": n, "state": "closed", "merged_at": s.pull.mergedAt, "merge_commit_sha": sha, "base": map[string]any{"ref": s.pull.base}})
	}
	if sha == s.pull.head && s.pull.mergedAt.IsZero() {
		all = append(all, map[string]any{"number": 7, "state": "open", "merged_at": nil, "merge_commit_sha": "test-merge", "base": map[string]any{"ref": s.pull.base}})
	}
	size, _ := strconv.Atoi(r.FormValue("per_page"))
	page, _ := strconv.Atoi(r.FormValue("page"))
	if size < 1 || size > 100 {
		size = 30
	}
	from := min(max(page-1, 0)*size, len(all))
	answer(w, http.StatusOK, all[from:min(from+size, len(all))])
}

func cutBot(login string) (string, bool) { return strings.CutSuffix(login, "[bot]") }
