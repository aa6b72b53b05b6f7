package render

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/apron-deploy/apron/reconcile/apply"
	"github.com/apron-deploy/apron/reconcile/plan"
	"github.com/apron-deploy/apron/reconcile/state"
)

// Report is the view of how an apply ended.
type Report struct {
	FormatVersion string        `json:"format_version"`
	Kind          string        `json:"kind"` // "apply"
	Header        Header        `json:"header"`
	Summary       ReportSummary `json:"summary"`
	Results       []Result      `json:"results"` // in plan order
	// Errors are those of the results, and what else went wrong.
	Errors []Problem `json:"errors"`
}

var _ View = (*Report)(nil)

// ReportSummary counts resources that were changed, and actions by how they ended.
type ReportSummary struct {
	Added     int `json:"added"`
	Changed   int `json:"changed"`
	Destroyed int `json:"destroyed"`
	Done      int `json:"done"`
	Failed    int `json:"failed"`
	Skipped   int `json:"skipped"`
}

// Result is how one action ended.
type Result struct {
	Action  string   `json:"action"` // its ID
	Op      string   `json:"op"`
	Symbol  string   `json:"symbol"`
	Address string   `json:"address"`
	Second  bool     `json:"second,omitempty"` // as in [Action]
	Status  string   `json:"status"`           // done, failed, skipped
	Error   *Problem `json:"error,omitempty"`
	// Because is the failed action for which this one was skipped; empty on a skipped
	// one when the run was interrupted.
	Because string  `json:"because,omitempty"`
	TookMS  int64   `json:"took_ms"`
	Outcome Outcome `json:"outcome"`
}

// Outcome is what an action made known.
type Outcome struct {
	ID  string `json:"id,omitempty"`
	URL string `json:"url,omitempty"`
}

// Problem is an error: what failed, why, and what to do next.
type Problem struct {
	What string `json:"what,omitempty"`
	Why  string `json:"why"`
	Hint string `json:"hint,omitempty"`
}

// NewReport makes the view of r and of err, which [apply.Run] returned together or what
// followed the run returned.
func NewReport(r *apply.Report, err error, h Header) *Report {
	v := &Report{FormatVersion: FormatVersion, Kind: "apply", Header: h.normal(), Results: []Result{}, Errors: []Problem{}}
	s := &v.Summary
	s.Done, s.Failed, s.Skipped = r.Counts()
	s.Added, s.Changed, s.Destroyed = done(r).Counts()
	for _, res := range r.Results {
		v.Results = append(v.Results, newResult(res))
	}
	for _, p := range problems(err) {
		v.Errors = append(v.Errors, Problem{Why: p.text, Hint: p.hint})
	}
	return v
}

func newResult(r apply.Result) Result {
	v := Result{
		Action: string(r.Action.ID), Op: string(r.Action.Op), Symbol: symbol(r.Action.Op, false), Address: r.Action.Target.String(), Second: r.Action.Second,
		Status: string(r.Status), Because: string(r.Because), TookMS: r.Took.Milliseconds(), Outcome: Outcome{r.Outcome.ID, r.Outcome.URL},
	}
	if r.Err != nil {
		v.Error = &Problem{What: v.Action, Why: r.Err.Error(), Hint: hint(r.Err)}
	}
	return v
}

// done is the part of a plan that was done, which counts resources as plans do.
func done(r *apply.Report) *plan.Plan {
	p := &plan.Plan{}
	for _, res := range r.Results {
		if res.Status == apply.Done {
			p.Actions = append(p.Actions, res.Action)
		}
	}
	return p
}

// hint is what an error says to do next, or "".
func hint(err error) string {
	var h interface{ Hint() string }
	if errors.As(err, &h) {
		return h.Hint()
	}
	return ""
}

// took is a duration for people: 0.4s, 12s, 3m05s, 1h02m.
func took(d time.Duration) string {
	if d < 9950*time.Millisecond {
		return fmt.Sprintf("%.1fs", d.Seconds())
	}
	return whole(d.Round(time.Second))
}

// whole is a duration in whole seconds or minutes.
func whole(d time.Duration) string {
	switch s := int(d.Seconds()); {
	case s < 60:
		return fmt.Sprintf("%ds", s)
	case s < 3600:
		return fmt.Sprintf("%dm%02ds", s/60, s%60)
	default:
		return fmt.Sprintf("%dh%02dm", s/3600, s/60%60)
	}
}

// urls are the services that the run leaves behind: those of the header, with what the
// run made known and without what it deleted.
func (v *Report) urls() []Service {
	urls := slices.Clone(v.Header.Services)
	for _, r := range v.Results {
		a, err := state.ParseAddress(r.Address)
		if err != nil || r.Status != string(apply.Done) {
			continue
		}
		i := slices.IndexFunc(urls, func(s Service) bool { return s.Name == a.Name })
		switch {
		case r.Op == string(plan.Delete) && a.Kind == "service" && i >= 0:
			urls[i].URL = ""
		case r.Outcome.URL != "" && i >= 0:
			urls[i].URL = r.Outcome.URL
		case r.Outcome.URL != "":
			urls = append(urls, Service{Name: a.Name, URL: r.Outcome.URL})
		}
	}
	return slices.DeleteFunc(urls, func(s Service) bool { return s.URL == "" })
}
