package wire

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/url"
	"runtime/debug"
	"strings"
	"time"
)

// MaxBody is the largest request an API takes: a PutLogEvents or a layer part fit.
const MaxBody = 32 << 20

// ErrDropped, returned by [MuxOptions.Around], breaks the connection instead of answering.
var ErrDropped = errors.New("response dropped")

// Call names what a request asks for: "ssm", "PutParameter".
type Call struct{ Service, Operation string }

// Next runs the operation that a call asks for.
type Next func(ctx context.Context) (any, error)

// Entry is one answered call, for a log. It never holds a body.
type Entry struct {
	Call
	Status  int
	Code    string // the error's code, "" after success
	Detail  string // what went wrong inside, for errors that are not AWS's own
	Elapsed time.Duration
}

// MuxOptions configure a [Mux].
type MuxOptions struct {
	Verifier *Verifier
	// Around, if set, runs instead of each known operation and decides when, and
	// whether, to call next.
	Around func(ctx context.Context, call Call, next Next) (any, error)
	// Log, if set, hears of every answered call.
	Log func(Entry)
	// Seen, if set, gets every call that was answered, with its body.
	Seen func(Exchange)
}

// Exchange is one call as it came in, and what became of it. It holds what is secret.
type Exchange struct {
	Call
	Request   *http.Request // its body is read
	Body      []byte
	Scope     Scope // of the signature, as far as it could be read
	RequestID string
	At        time.Time
	Refused   *Error // nil after success
}

// Mux answers for many services on one address. A JSON service is told by the prefix of
// X-Amz-Target, one of RPC v2 by its path, query and REST services by the scope of the
// signature.
type Mux struct {
	options    MuxOptions
	json       map[string]API
	query      map[string]QueryAPI
	rest       map[string]RESTAPI
	ec2        map[string]EC2API
	compatible map[string]CompatibleAPI
}

var _ http.Handler = (*Mux)(nil)

// NewMux returns a Mux without services.
func NewMux(options MuxOptions) *Mux {
	if options.Around == nil {
		options.Around = func(ctx context.Context, _ Call, next Next) (any, error) { return next(ctx) }
	}
	if options.Log == nil {
		options.Log = func(Entry) {}
	}
	if options.Seen == nil {
		options.Seen = func(Exchange) {}
	}
	return &Mux{options: options, json: map[string]API{}, query: map[string]QueryAPI{}, rest: map[string]RESTAPI{}, ec2: map[string]EC2API{}, compatible: map[string]CompatibleAPI{}}
}

// Add mounts a JSON service.
func (m *Mux) Add(api API) { m.json[api.Target] = api }

// AddQuery mounts a query service.
func (m *Mux) AddQuery(api QueryAPI) { m.query[api.SigningName] = api }

// exchange is one request on its way to its answer.
type exchange struct {
	w     http.ResponseWriter
	r     *http.Request
	body  []byte
	id    string
	start time.Time
	call  Call
	scope Scope
	err   *Error // the answer's
}

func (x *exchange) seen() Exchange {
	return Exchange{Call: x.call, Request: x.r, Body: x.body, Scope: x.scope, RequestID: x.id, At: x.start, Refused: x.err}
}

// ServeHTTP answers one call.
func (m *Mux) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	x := &exchange{w: w, r: r, id: NewID(), start: time.Now()}
	w.Header().Set("x-amzn-RequestId", x.id)
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, MaxBody))
	x.body = body
	kind, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type"))
	isForm := kind == "application/x-www-form-urlencoded"
	if err != nil {
		m.failJSON(x, API{}, tooLarge(err))
		return
	}
	switch target := r.Header.Get("X-Amz-Target"); {
	case r.Header.Get("Smithy-Protocol") == rpcv2:
		m.serveCBOR(x)
	case target != "":
		m.serveJSON(x, target)
	case isForm && r.Method == http.MethodPost:
		m.serveQuery(x)
	default:
		m.serveREST(x)
	}
}

func tooLarge(err error) error {
	var limit *http.MaxBytesError
	if errors.As(err, &limit) {
		return &Error{"RequestEntityTooLargeException", "The request body is too large.", http.StatusRequestEntityTooLarge}
	}
	return &Error{Code: "RequestAbortedException", Message: "The request was aborted before its body had arrived."}
}

func unknownOperation() *Error {
	return &Error{"UnknownOperationException", "The sandbox has no such operation.", http.StatusNotFound}
}

func (m *Mux) serveJSON(x *exchange, target string) {
	dot := strings.LastIndexByte(target, '.')
	api, known := m.json[target[:max(dot, 0)]]
	x.call = Call{api.SigningName, target[dot+1:]}
	scope, denied := m.options.Verifier.verify(x.r, x.body)
	x.scope = scope
	switch {
	case denied != nil:
		m.failJSON(x, api, denied.err(false))
		return
	case known && scope.Service != api.SigningName:
		m.failJSON(x, api, mismatch("Credential should be scoped to correct service: '%s'. ", api.SigningName).err(false))
		return
	}
	op, found := api.Operations[x.call.Operation]
	if !found {
		m.failJSON(x, api, unknownOperation())
		return
	}
	out, err := m.run(x, func(ctx context.Context) (any, error) { return op(ctx, x.body) })
	if err != nil {
		m.failJSON(x, api, err)
		return
	}
	b, err := json.Marshal(out)
	if err != nil {
		m.failJSON(x, api, err)
		return
	}
	if string(b) == "null" {
		b = nil
	}
	m.answer(x, http.StatusOK, "", "", "application/x-amz-json-"+api.Version, b)
}

func (m *Mux) serveQuery(x *exchange) {
	scope, denied := m.options.Verifier.verify(x.r, x.body)
	api, known := m.query[scope.Service]
	x.scope, x.call.Service = scope, scope.Service
	form, err := url.ParseQuery(string(x.body))
	if err != nil {
		m.failQuery(x, api, Errorf("MalformedQueryString", "The query string contains a syntax error."))
		return
	}
	x.call.Operation = form.Get("Action")
	if api, known := m.ec2[scope.Service]; known {
		m.serveEC2(x, api, form, denied)
		return
	}
	switch {
	case denied != nil:
		m.failQuery(x, api, denied.err(true))
		return
	case !known:
		m.failQuery(x, api, Errorf("InvalidAction", "The sandbox does not emulate the service %s", scope.Service))
		return
	}
	op, found := api.Operations[x.call.Operation]
	if !found || form.Get("Version") != api.Version {
		m.failQuery(x, api, Errorf("InvalidAction", "Could not find operation %s for version %s", x.call.Operation, form.Get("Version")))
		return
	}
	out, err := m.run(x, func(ctx context.Context) (any, error) { return op(ctx, form) })
	if err != nil {
		m.failQuery(x, api, err)
		return
	}
	m.answer(x, http.StatusOK, "", "", "text/xml", encodeResult(x.call.Operation, api.Namespace, x.id, out))
}

// run calls the operation; a panic in it becomes an error with the stack.
func (m *Mux) run(x *exchange, next Next) (any, error) {
	safe := func(ctx context.Context) (out any, err error) {
		defer func() {
			if p := recover(); p != nil {
				err = fmt.Errorf("panic: %v\n%s", p, debug.Stack())
			}
		}()
		return next(ctx)
	}
	return m.options.Around(x.r.Context(), x.call, safe)
}

// asError splits err into what the client hears and what the log keeps.
func (m *Mux) asError(x *exchange, err error) (*Error, string) {
	if errors.Is(err, ErrDropped) {
		m.options.Seen(x.seen())
		m.options.Log(Entry{Call: x.call, Code: "dropped", Elapsed: time.Since(x.start)})
		panic(http.ErrAbortHandler)
	}
	var e *Error
	if errors.As(err, &e) {
		x.err = e
		return e, ""
	}
	x.err = &Error{"InternalFailure", "The sandbox failed; its log says why.", http.StatusInternalServerError}
	return x.err, err.Error()
}

func (m *Mux) failJSON(x *exchange, api API, err error) {
	e, detail := m.asError(x, err)
	key, version := api.MessageKey, api.Version
	if key == "" {
		key = "message"
	}
	if version == "" {
		version = "1.1"
	}
	var b bytes.Buffer
	encoder := json.NewEncoder(&b)
	encoder.SetEscapeHTML(false)
	body := map[string]string{"__type": e.Code}
	if e.Message != "" {
		body[key] = e.Message
	}
	_ = encoder.Encode(body) // strings always encode
	x.w.Header().Set("X-Amzn-ErrorType", e.Code)
	queryError(x.w.Header(), api.QueryCodes, e)
	m.answer(x, e.HTTPStatus(), e.Code, detail, "application/x-amz-json-"+version, b.Bytes())
}

func (m *Mux) failQuery(x *exchange, api QueryAPI, err error) {
	e, detail := m.asError(x, err)
	m.answer(x, e.HTTPStatus(), e.Code, detail, "text/xml", encodeError(e, api.Namespace, x.id))
}

func (m *Mux) answer(x *exchange, status int, code, detail, kind string, body []byte) {
	m.options.Log(Entry{x.call, status, code, detail, time.Since(x.start)})
	if x.call != (Call{}) { // else its body never came
		m.options.Seen(x.seen())
	}
	h := x.w.Header()
	h.Set("Content-Type", kind)
	h.Set("Content-Length", fmt.Sprint(len(body)))
	x.w.WriteHeader(status)
	_, _ = x.w.Write(body) // a client that has gone is no concern of the service
}
