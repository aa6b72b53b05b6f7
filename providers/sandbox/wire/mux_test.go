package wire_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	"github.com/stretchr/testify/require"

	"github.com/apron-deploy/apron/providers/sandbox/wire"
	"github.com/apron-deploy/apron/providers/sandbox/wire/wiretest"
)

type echo struct {
	Text  string   `json:"text,omitempty"`
	Count *int     `json:"count,omitempty"`
	On    bool     `json:"on,omitempty"`
	List  []string `json:"list,omitempty"`
}

type form struct {
	Text  string
	Count int
	Maybe *bool
	Tags  []formTag
	Inner struct{ Names []string }
}

type formTag struct{ Key, Value string }

type answer struct {
	Text  string
	Empty string
	None  *string
	Zero  *string
	Tags  []formTag
	At    time.Time
	Never time.Time
	Big   int64
}

// world is a mux with two services, and what it logged.
type world struct {
	testing.TB
	url     string
	around  func(context.Context, wire.Call, wire.Next) (any, error)
	mu      sync.Mutex
	entries []wire.Entry
	got     form
}

func newWorld(t testing.TB) *world {
	w := &world{TB: t}
	mux := wire.NewMux(wire.MuxOptions{
		Verifier: wiretest.Verifier(),
		Around: func(ctx context.Context, c wire.Call, next wire.Next) (any, error) {
			if w.around != nil {
				return w.around(ctx, c, next)
			}
			return next(ctx)
		},
		Log: func(e wire.Entry) {
			w.mu.Lock()
			defer w.mu.Unlock()
			w.entries = append(w.entries, e)
		},
	})
	mux.Add(wire.API{Target: "Echo_2026", Version: "1.0", SigningName: "echo", MessageKey: "Message", Operations: map[string]wire.Operation{
		"Echo":    wire.Handle(func(_ context.Context, in echo) (echo, error) { return in, nil }),
		"Nothing": wire.Handle(func(context.Context, struct{}) (*echo, error) { return nil, nil }),
		"Refuse": wire.Handle(func(_ context.Context, in echo) (echo, error) {
			return in, &wire.Error{Code: "NoWayException", Message: "no <way>", Status: http.StatusConflict}
		}),
		"Fail":  wire.Handle(func(_ context.Context, in echo) (echo, error) { return in, errors.New("the disk is full") }),
		"Panic": wire.Handle(func(_ context.Context, in echo) (echo, error) { panic("oh no") }),
	}})
	mux.AddQuery(wire.QueryAPI{SigningName: "forms", Version: "2026-01-01", Namespace: "https://forms/doc/", Operations: map[string]wire.QueryOperation{
		"Keep": wire.HandleQuery(func(_ context.Context, in form) (answer, error) {
			w.got = in
			return answer{Text: in.Text, Zero: new(string), Tags: in.Tags, At: time.Date(2026, 3, 1, 12, 0, 0, 1, time.UTC), Big: 1 << 40}, nil
		}),
		"Nothing": wire.HandleQuery(func(context.Context, struct{}) (any, error) { return nil, nil }),
		"Hollow":  wire.HandleQuery(func(context.Context, struct{}) (*struct{}, error) { return &struct{}{}, nil }),
		"Refuse":  wire.HandleQuery(func(context.Context, form) (any, error) { return nil, wire.Errorf("NoSuchEntity", "not <here>") }),
		"Fail":    wire.HandleQuery(func(context.Context, form) (any, error) { return nil, errors.New("the disk is full") }),
	}})
	w.url = wiretest.Serve(t, mux)
	return w
}

// last is the entry of the call that was answered last.
func (w *world) last() wire.Entry {
	w.mu.Lock()
	defer w.mu.Unlock()
	require.NotEmpty(w, w.entries)
	return w.entries[len(w.entries)-1]
}

// request is a call, signed as AWS's own clients sign it once sign is called.
type request struct {
	service, region, key, secret string
	at                           time.Time
	header                       http.Header
	hash                         string // the payload's, if not its true one
	path                         string
}

func signedFor(service string) request {
	return request{service: service, region: wiretest.Region, key: wiretest.AccessKey, secret: wiretest.SecretKey, at: time.Now(), header: http.Header{}}
}

func (w *world) send(r request, body string) (*http.Response, string) {
	w.Helper()
	req, err := http.NewRequest(http.MethodPost, w.url+r.path, strings.NewReader(body))
	require.NoError(w, err)
	req.Header = r.header.Clone()
	if r.key != "" {
		hash := r.hash
		if hash == "" {
			hash = sha256Hex(body)
		}
		require.NoError(w, v4.NewSigner().SignHTTP(context.Background(), aws.Credentials{AccessKeyID: r.key, SecretAccessKey: r.secret}, req, hash, r.service, r.region, r.at))
	}
	res, err := http.DefaultClient.Do(req)
	require.NoError(w, err)
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	require.NoError(w, err)
	return res, string(b)
}

// json calls an operation of the JSON service.
func (w *world) json(operation, body string) (*http.Response, string) {
	w.Helper()
	r := signedFor("echo")
	r.header.Set("X-Amz-Target", "Echo_2026."+operation)
	return w.send(r, body)
}

// query calls an operation of the query service.
func (w *world) query(body string) (*http.Response, string) {
	w.Helper()
	r := signedFor("forms")
	r.header.Set("Content-Type", "application/x-www-form-urlencoded; charset=utf-8")
	return w.send(r, body)
}

func TestJSON_answers(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	res, body := w.json("Echo", `{"text":"<a&b>","count":0,"unknown":[1]}`)
	require.Equal(t, 200, res.StatusCode)
	require.Equal(t, "application/x-amz-json-1.0", res.Header.Get("Content-Type"))
	require.Regexp(t, `^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$`, res.Header.Get("x-amzn-RequestId"))
	require.JSONEq(t, `{"text":"<a&b>","count":0}`, body)
	e := w.last()
	require.Equal(t, wire.Call{Service: "echo", Operation: "Echo"}, e.Call)
	require.Equal(t, 200, e.Status)
	_, body = w.json("Nothing", "")
	require.Empty(t, body)
}

func TestJSON_refuses(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for name, tc := range map[string]struct {
		operation, body string
		status          int
		code, text      string
	}{
		"what the operation refuses": {"Refuse", "{}", 409, "NoWayException", "no <way>"},
		"an unknown operation":       {"Nope", "{}", 404, "UnknownOperationException", "The sandbox has no such operation."},
		"no JSON":                    {"Echo", "{", 400, "SerializationException", "the request's body is not the JSON that the operation takes"},
		"another type":               {"Echo", `{"count":"s3cret"}`, 400, "SerializationException", "count: a JSON string can not be converted to int"},
		"a fault of its own":         {"Fail", "{}", 500, "InternalFailure", "The sandbox failed; its log says why."},
		"a panic":                    {"Panic", "{}", 500, "InternalFailure", "The sandbox failed; its log says why."},
	} {
		t.Run(name, func(t *testing.T) {
			res, body := w.json(tc.operation, tc.body)
			require.Equal(t, tc.status, res.StatusCode)
			require.Equal(t, tc.code, res.Header.Get("X-Amzn-ErrorType"))
			var got map[string]string
			require.NoError(t, json.Unmarshal([]byte(body), &got))
			require.Equal(t, map[string]string{"__type": tc.code, "Message": tc.text}, got)
			require.Equal(t, tc.code, w.last().Code)
		})
	}
	w.json("Fail", "{}")
	require.Equal(t, "the disk is full", w.last().Detail)
	w.json("Panic", "{}")
	require.Contains(t, w.last().Detail, "panic: oh no\n")
	require.Contains(t, w.last().Detail, "mux_test.go", "the stack")
}

func TestMux_knowsOnlyItsServices(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for name, target := range map[string]string{"another service": "Other_2026.Echo", "no dot": "Echo", "no target": ""} {
		r := signedFor("echo")
		r.header.Set("X-Amz-Target", target)
		res, _ := w.send(r, "{}")
		require.Equal(t, 404, res.StatusCode, name)
		require.Equal(t, "UnknownOperationException", res.Header.Get("X-Amzn-ErrorType"), name)
	}
}

func TestMux_limitsBodies(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	body := strings.Repeat("x", wire.MaxBody+1)
	res, _ := w.json("Echo", body[1:])
	require.Equal(t, "SerializationException", res.Header.Get("X-Amzn-ErrorType"), "it was read")
	res, _ = w.json("Echo", body)
	require.Equal(t, 413, res.StatusCode)
	require.Equal(t, "RequestEntityTooLargeException", res.Header.Get("X-Amzn-ErrorType"))
}

func TestMux_asksAroundFirst(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.around = func(ctx context.Context, c wire.Call, next wire.Next) (any, error) {
		switch c.Operation {
		case "Refuse":
			return nil, wire.Errorf("ThrottlingException", "Rate exceeded")
		case "Nothing":
			_, _ = next(ctx) // happens, but nobody hears of it
			return nil, wire.ErrDropped
		}
		return next(ctx)
	}
	res, _ := w.json("Refuse", "{}")
	require.Equal(t, "ThrottlingException", res.Header.Get("X-Amzn-ErrorType"))
	res, _ = w.query("Action=Refuse&Version=2026-01-01")
	require.Equal(t, 400, res.StatusCode)

	r, err := http.NewRequest(http.MethodPost, w.url, http.NoBody)
	require.NoError(t, err)
	r.Header.Set("X-Amz-Target", "Echo_2026.Nothing")
	require.NoError(t, v4.NewSigner().SignHTTP(context.Background(), aws.Credentials{AccessKeyID: wiretest.AccessKey, SecretAccessKey: wiretest.SecretKey},
		r, sha256Hex(""), "echo", wiretest.Region, time.Now()))
	_, err = http.DefaultClient.Do(r)
	require.ErrorIs(t, err, io.EOF)
	require.Equal(t, "dropped", w.last().Code)
}

func TestQuery_decodesForms(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	values := url.Values{
		"Action": {"Keep"}, "Version": {"2026-01-01"}, "Text": {"a&b <c> ü\n"}, "Count": {"3"}, "Maybe": {"false"},
		"Tags.member.1.Key": {"k"}, "Tags.member.1.Value": {"v"}, "Tags.member.2.Key": {"only"}, "Tags.member.4.Key": {"after a gap"},
		"Inner.Names.member.1": {"x"}, "Inner.Names.member.2": {""},
	}
	res, body := w.query(values.Encode())
	require.Equal(t, 200, res.StatusCode, body)
	want := form{Text: "a&b <c> ü\n", Count: 3, Maybe: new(bool), Tags: []formTag{{"k", "v"}, {Key: "only"}}}
	want.Inner.Names = []string{"x", ""}
	require.Equal(t, want, w.got)
	require.Equal(t, "text/xml", res.Header.Get("Content-Type"))
	require.Equal(t, `<KeepResponse xmlns="https://forms/doc/"><KeepResult><Text>a&amp;b &lt;c&gt; ü&#xA;</Text><Zero></Zero>`+
		`<Tags><member><Key>k</Key><Value>v</Value></member><member><Key>only</Key></member></Tags>`+
		`<At>2026-03-01T12:00:00Z</At><Big>1099511627776</Big></KeepResult>`+
		`<ResponseMetadata><RequestId>`+res.Header.Get("x-amzn-RequestId")+`</RequestId></ResponseMetadata></KeepResponse>`, body)
	_, body = w.query("Action=Nothing&Version=2026-01-01")
	require.NotContains(t, body, "NothingResult")
	_, body = w.query("Action=Hollow&Version=2026-01-01")
	require.Contains(t, body, "<HollowResult></HollowResult>")
}

func TestQuery_refuses(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for name, tc := range map[string]struct {
		body       string
		status     int
		kind       string
		code, text string
	}{
		"what the operation refuses": {"Action=Refuse&Version=2026-01-01", 400, "Sender", "NoSuchEntity", "not &lt;here&gt;"},
		"an unknown operation":       {"Action=Nope&Version=2026-01-01", 400, "Sender", "InvalidAction", "Could not find operation Nope for version 2026-01-01"},
		"another version":            {"Action=Keep&Version=2010-05-08", 400, "Sender", "InvalidAction", "Could not find operation Keep for version 2010-05-08"},
		"no form":                    {"Action=%zz", 400, "Sender", "MalformedQueryString", "The query string contains a syntax error."},
		"no number":                  {"Action=Keep&Version=2026-01-01&Count=many", 400, "Sender", "MalformedInput", "Count must be a number"},
		"no bool":                    {"Action=Keep&Version=2026-01-01&Maybe=2", 400, "Sender", "MalformedInput", "Maybe must be true or false"},
		"a fault of its own":         {"Action=Fail&Version=2026-01-01", 500, "Receiver", "InternalFailure", "The sandbox failed; its log says why."},
	} {
		t.Run(name, func(t *testing.T) {
			res, body := w.query(tc.body)
			require.Equal(t, tc.status, res.StatusCode)
			require.Contains(t, body, "<Error><Type>"+tc.kind+"</Type><Code>"+tc.code+"</Code><Message>"+tc.text+"</Message></Error>")
			require.Contains(t, body, "<RequestId>"+res.Header.Get("x-amzn-RequestId")+"</RequestId></ErrorResponse>")
		})
	}
}

func TestREST_tellsRoutesApart(t *testing.T) {
	t.Parallel()
	mux := wire.NewMux(wire.MuxOptions{Verifier: wiretest.Verifier()})
	run := func(_ context.Context, r wire.RESTRequest) (wire.RESTAnswer, error) {
		if r.Path["Id"] == "none" {
			return wire.RESTAnswer{}, &wire.Error{Code: "NoSuchThing", Message: "not <here>", Status: 404}
		}
		return wire.RESTAnswer{Status: 201, Body: struct {
			XMLName  struct{} `xml:"Thing"`
			ID, Size string
		}{ID: r.Path["Id"], Size: r.Query.Get("size")}}, nil
	}
	mux.AddREST(wire.RESTAPI{SigningName: "things", Namespace: "https://things/", Operations: []wire.RESTOperation{
		{Name: "PutThing", Method: http.MethodPost, Path: "/1/thing/{Id}", Run: run}}})
	w := &world{TB: t, url: wiretest.Serve(t, mux)}
	for path, want := range map[string]string{
		"/1/thing/a%20b/?size=2": "201 <Thing><ID>a b</ID><Size>2</Size></Thing>",
		"/1/thing/none":          "404 <ErrorResponse xmlns=\"https://things/\"><Error><Type>Sender</Type><Code>NoSuchThing</Code><Message>not &lt;here&gt;</Message></Error>",
		"/1/other/a":             "404 <ErrorResponse xmlns=\"https://things/\"><Error><Type>Sender</Type><Code>UnknownOperationException</Code>",
	} {
		r := signedFor("things")
		r.path = path
		res, body := w.send(r, "")
		_, body, _ = strings.Cut(body, "\n")
		require.True(t, strings.HasPrefix(fmt.Sprint(res.StatusCode, " ", body), want), body)
	}
	r := signedFor("things")
	r.path, r.secret = "/1/thing/a", "wrong"
	res, body := w.send(r, "")
	require.Equal(t, 403, res.StatusCode)
	require.Contains(t, body, "<Code>SignatureDoesNotMatch</Code>")
}
