// Package console is the sandbox's page for people: services, their operations, instances,
// logs and metrics, and the last requests that tools made. It is a static page over JSON;
// what it shows it asks of the same operations that AWS's tools call, and of those it may
// only read.
//
// The data needs the sandbox's token, in a header that no page of another origin can send.
package console

import (
	"crypto/subtle"
	"embed"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/url"
	"sync"
	"time"

	"github.com/apron-deploy/apron/providers/sandbox/wire"
)

// Path is where the page is.
const Path = "/_apron/console"

// TokenHeader carries the token.
const TokenHeader = "X-Apron-Token"

//go:embed page
var page embed.FS

// Options say what the console shows.
type Options struct {
	Token string
	// Operation returns what answers an operation such as "apprunner", "ListServices".
	Operation func(service, operation string) (wire.Operation, bool)
	// Facts are about the sandbox itself, Instances what serves; both become JSON.
	Facts, Instances func() any
	Calls            *Calls
}

// reads are the operations that the page may call.
var reads = map[string]bool{
	"apprunner.ListServices": true, "apprunner.DescribeService": true, "apprunner.ListOperations": true,
	"apprunner.DescribeCustomDomains": true, "apprunner.ListTagsForResource": true,
	"logs.FilterLogEvents": true, "logs.DescribeLogStreams": true,
	"monitoring.GetMetricData": true,
	"ecr.DescribeRepositories": true, "ecr.DescribeImages": true,
}

// Handler answers for everything below [Path].
func Handler(o Options) http.Handler {
	mux := http.NewServeMux()
	file := func(name, media string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			b, err := page.ReadFile("page/" + name)
			if err != nil {
				http.Error(w, err.Error(), http.StatusInternalServerError)
				return
			}
			w.Header().Set("Content-Type", media)
			_, _ = w.Write(b) // a browser that has gone needs no answer
		}
	}
	mux.HandleFunc("GET "+Path, func(w http.ResponseWriter, r *http.Request) {
		if !o.knows(r.URL.Query().Get("token")) {
			http.Error(w, "the console's address needs the sandbox's token: apron sandbox console prints it", http.StatusForbidden)
			return
		}
		file("index.html", "text/html; charset=utf-8")(w, r)
	})
	mux.HandleFunc("GET "+Path+"/console.js", file("console.js", "text/javascript; charset=utf-8"))
	mux.HandleFunc("GET "+Path+"/console.css", file("console.css", "text/css; charset=utf-8"))
	mux.Handle("GET "+Path+"/overview", o.guarded(o.overview))
	mux.Handle("POST "+Path+"/call/{service}/{operation}", o.guarded(o.call))
	return secured(mux)
}

// secured lets the page load nothing from elsewhere, and nobody else frame or cache it.
func secured(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Content-Security-Policy", "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'")
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Referrer-Policy", "no-referrer") // the address holds the token
		h.Set("Cross-Origin-Resource-Policy", "same-origin")
		h.Set("Cache-Control", "no-store")
		if origin := r.Header.Get("Origin"); origin != "" {
			if u, err := url.Parse(origin); err != nil || u.Host != r.Host {
				http.Error(w, "the console answers its own page only", http.StatusForbidden)
				return
			}
		}
		next.ServeHTTP(w, r)
	})
}

func (o Options) knows(token string) bool {
	return subtle.ConstantTimeCompare([]byte(token), []byte(o.Token)) == 1
}

func (o Options) guarded(next http.HandlerFunc) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !o.knows(r.Header.Get(TokenHeader)) {
			http.Error(w, "the sandbox's token is missing or wrong", http.StatusForbidden)
			return
		}
		next(w, r)
	})
}

func (o Options) overview(w http.ResponseWriter, _ *http.Request) {
	answer(w, http.StatusOK, map[string]any{"facts": o.Facts(), "instances": o.Instances(), "calls": o.Calls.Last()})
}

// call runs one operation of a service's API, unsigned: the token stands for the signature.
func (o Options) call(w http.ResponseWriter, r *http.Request) {
	service, operation := r.PathValue("service"), r.PathValue("operation")
	run, known := o.Operation(service, operation)
	if !reads[service+"."+operation] || !known {
		answer(w, http.StatusNotFound, map[string]string{"code": "UnknownOperationException"})
		return
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, 1<<20))
	if err != nil {
		answer(w, http.StatusBadRequest, map[string]string{"code": "SerializationException"})
		return
	}
	out, err := run(r.Context(), body)
	if e, ok := errors.AsType[*wire.Error](err); ok {
		answer(w, e.HTTPStatus(), map[string]string{"code": e.Code, "message": e.Message})
		return
	}
	if err != nil {
		answer(w, http.StatusInternalServerError, map[string]string{"code": "InternalFailure", "message": err.Error()})
		return
	}
	answer(w, http.StatusOK, out)
}

func answer(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(v) // a page that has gone needs no answer
}

// Call is one request that a tool made to an API.
type Call struct {
	At        time.Time `json:"at"`
	Service   string    `json:"service"`
	Operation string    `json:"operation"`
	Status    int       `json:"status"`
	Code      string    `json:"code,omitempty"`
	Took      float64   `json:"took_ms"`
}

// remembered is how many calls the console shows.
const remembered = 200

// Calls keeps the last requests. Its zero value is ready, and safe for concurrent use.
type Calls struct {
	mu  sync.Mutex
	all []Call
}

// Add notes a call.
func (c *Calls) Add(e wire.Entry, at time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.all) == remembered {
		c.all = append(c.all[:0], c.all[1:]...)
	}
	c.all = append(c.all, Call{At: at.UTC(), Service: e.Service, Operation: e.Operation, Status: e.Status, Code: e.Code,
		Took: float64(e.Elapsed.Microseconds()) / 1000})
}

// Last returns the calls, the newest first.
func (c *Calls) Last() []Call {
	c.mu.Lock()
	defer c.mu.Unlock()
	last := make([]Call, 0, len(c.all))
	for i := range c.all {
		last = append(last, c.all[len(c.all)-1-i])
	}
	return last
}
