package apprunner

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/apron-deploy/apron/reconcile/pattern"
)

var healthFailed = pattern.Lazy("Health check failed on protocol `(HTTP|TCP)` ?(?:\\[Path: '([^']*)'\\], )?\\[Port: '(\\d+)'\\]")

// unhealthy is a health check that kept failing. App Runner's line is the same whatever
// the reason: nothing listens, something else answers, or it takes too long. The
// application's own log tells these apart, if anything does, and the cause says so.
func (e *evidence) unhealthy() (finding, bool) {
	for _, l := range e.service {
		if m := healthFailed().FindStringSubmatch(l.text); m != nil {
			return e.health(m[1] == "HTTP", m[2], m[3], l.at), true
		}
	}
	return finding{}, false
}

func (e *evidence) health(http bool, path, port string, failed time.Time) finding {
	check := fmt.Sprintf("the health check GET %s on port %s", path, port)
	if http {
		if status := e.answered(path); status != 0 {
			return finding{fmt.Sprintf("%s answers %d, and only 200 to 299 count as healthy", check, status), e.at(statusFix(status, path), "health.path", "health")}
		}
	}
	heard := e.heard()
	on := func(s socket) bool { return s.port == port }
	switch {
	case slices.ContainsFunc(heard, func(s socket) bool { return on(s) && !s.loopback }):
		if http {
			return finding{check + " did not answer 2xx, though the application says that it listens there",
				e.at("it must answer "+path+" without a login, within health.timeout", "health.path", "health")}
		}
		return finding{"port " + port + " takes no connection from outside, though the application says that it listens there",
			"it must listen on 0.0.0.0:" + port + ", not on one address"}
	case slices.ContainsFunc(heard, on):
		return finding{"the application listens on 127.0.0.1:" + port + ", by its own words, where App Runner cannot reach it", "it must listen on 0.0.0.0:" + port}
	case len(heard) > 0:
		other := heard[len(heard)-1].port
		return finding{fmt.Sprintf("nothing listens on port %s: by its own words the application listens on %s", port, other),
			e.at(fmt.Sprintf("set port: %s, or let the application follow the variable PORT", other), "port", "service")}
	}
	if e.stillStarting(failed) {
		return finding{"the application was still starting when the five minutes that App Runner gives it were over",
			"listen first and load afterwards, or do the slow part when the image is built"}
	}
	if f, ok := e.exposed(); ok {
		return finding{"probably nothing listens on port " + port + ": " + f.cause, f.fix}
	}
	fix := e.at(fmt.Sprintf("the application must listen on 0.0.0.0:%s; compare port: with it", port), "port")
	if http {
		return finding{check + " did not answer 2xx; the application's log says neither what it answered nor where it listens",
			fix + ", and answer " + path + " without a login"}
	}
	return finding{"nothing listens on port " + port, fix}
}

func statusFix(status int, path string) string {
	switch {
	case status == 401 || status == 403:
		return "let " + path + " be asked without a login, or name another path"
	case status == 404:
		return "name a path that the application has"
	case status >= 300 && status < 400:
		return "name a path that answers by itself: a redirection is not followed"
	}
	return "the application itself fails at " + path + ": see its last lines"
}

// answered is the status that the application's log gives for its health path, or 0: the
// last one that is not good.
func (e *evidence) answered(path string) int {
	q := regexp.QuoteMeta(path)
	formats := []func() *regexp.Regexp{
		// Common log format, uvicorn: "GET /health HTTP/1.1" 404
		pattern.Lazy(`"(?:GET|HEAD) ` + q + `(?:\?\S*)? HTTP/[\d.]+" (\d{3})\b`),
		// morgan and many by hand: GET /health 404
		pattern.Lazy(`\b(?:GET|HEAD) ` + q + `(?:\?\S*)?(?: HTTP/[\d.]+)?(?: +[-=>|]+)? +(\d{3})\b`),
		// gin, echo: | 404 | 1.2ms | ::1 | GET "/health"
		pattern.Lazy(`\b(\d{3})\b[^"]*\b(?:GET|HEAD) +"?` + q + `"?(?:\s|$)`),
		// structured: "path":"/health" with "status":404, in any order
		pattern.Lazy(`"(?:path|url|uri|request_?[uU]ri)": ?"` + q + `".*"(?:status|statusCode|status_code)": ?(\d{3})\b`),
		pattern.Lazy(`"(?:status|statusCode|status_code)": ?(\d{3})\b.*"(?:path|url|uri|request_?[uU]ri)": ?"` + q + `"`),
	}
	for _, l := range slices.Backward(e.output) {
		m := firstMatch(formats, l.text)
		if m == nil {
			continue
		}
		if n, err := strconv.Atoi(m[1]); err == nil && n >= 100 && n < 600 && n/100 != 2 {
			return n
		}
	}
	return 0
}

// socket is where an application says that it listens.
type socket struct {
	port     string
	loopback bool
}

var (
	speaksOfListening = pattern.Lazy(`(?i)\b(?:listen|listening|running|started|serving|bound|binding|ready|available|local|server|tomcat)\b`)
	hostPort          = pattern.Lazy(`(localhost|127\.0\.0\.1|0\.0\.0\.0|\[::1\]|\[::\]|\*|:::|(?:^|\s)):(\d{2,5})\b`)
	afterPort         = pattern.Lazy(`(?i)\bport(?:\(s\))?[ :=]+(\d{2,5})\b`)
	afterListen       = pattern.Lazy(`(?i)\blisten(?:ing|s)?(?: on| at)?[ :=]+(\d{2,5})\b`)
)

// heard is where the application says that it listens, in the order of its log.
func (e *evidence) heard() []socket {
	var all []socket
	for _, l := range e.output {
		if !speaksOfListening().MatchString(l.text) {
			continue
		}
		if m := hostPort().FindStringSubmatch(l.text); m != nil {
			// Many say localhost and mean every address.
			all = append(all, socket{m[2], m[1] == "127.0.0.1" || m[1] == "[::1]"})
		} else if m := firstMatch([]func() *regexp.Regexp{afterPort, afterListen}, l.text); m != nil {
			all = append(all, socket{port: m[1]})
		}
	}
	return all
}

// stillStarting reports whether the application went on saying things until its health
// check had failed: one that waits for somebody to connect is silent.
func (e *evidence) stillStarting(failed time.Time) bool {
	if len(e.output) < 3 {
		return false
	}
	first := e.output[0].at
	late := first.Add(failed.Sub(first) * 3 / 4)
	return slices.ContainsFunc(e.output, func(l logLine) bool { return l.at.After(late) && !l.at.After(failed) }) &&
		!slices.ContainsFunc(e.output, func(l logLine) bool { return strings.Contains(l.text, "GET ") || strings.Contains(l.text, "HEAD ") })
}
