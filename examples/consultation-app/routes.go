package main

import (
	_ "embed"
	"encoding/json"
	"html/template"
	"log/slog"
	"net/http"
	"time"
)

//go:embed index.html
var index string

var page = template.Must(template.New("index").Parse(index))

// routes is the whole service.
func routes(s settings, log *slog.Logger) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		w.Header().Set("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; connect-src 'self'")
		_ = page.Execute(w, map[string]any{
			"PublishableKey": s.publishableKey,
			"Settings": []struct {
				Name string
				Set  present
			}{{"CLERK_SECRET_KEY", s.clerk}, {"CLERK_JWKS_URL", s.jwks}, {"OPENAI_API_KEY", s.openai}},
		})
	})
	mux.HandleFunc("GET /health", func(w http.ResponseWriter, r *http.Request) {
		reply(w, http.StatusOK, map[string]string{"status": "healthy"})
	})
	mux.HandleFunc("POST /api/consultation", func(w http.ResponseWriter, r *http.Request) {
		var v visit
		body := json.NewDecoder(http.MaxBytesReader(w, r.Body, 64<<10))
		if err := body.Decode(&v); err != nil {
			reply(w, http.StatusBadRequest, map[string]string{"error": "send JSON with patient_name, date_of_visit and notes"})
			return
		}
		if err := v.check(); err != nil {
			reply(w, http.StatusUnprocessableEntity, map[string]string{"error": err.Error()})
			return
		}
		reply(w, http.StatusOK, v.consult())
	})
	return logged(mux, log)
}

func reply(w http.ResponseWriter, status int, body any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(body)
}

// logged writes a line for each request. Health checks are left out: there are three a
// minute and instance.
func logged(next http.Handler, log *slog.Logger) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		began, rec := time.Now(), &recorder{ResponseWriter: w, status: http.StatusOK}
		next.ServeHTTP(rec, r)
		if r.URL.Path == "/health" && rec.status == http.StatusOK {
			return
		}
		log.Info("request", "method", r.Method, "path", r.URL.Path, "status", rec.status, "ms", time.Since(began).Milliseconds())
	})
}

type recorder struct {
	http.ResponseWriter
	status int
}

func (r *recorder) WriteHeader(status int) {
	r.status = status
	r.ResponseWriter.WriteHeader(status)
}
