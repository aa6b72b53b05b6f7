package awsapi_test

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/stretchr/testify/require"

	"github.com/apron-deploy/apron/providers/awsapi"
)

// server answers as every AWS service at once, and remembers who came.
type server struct {
	*httptest.Server
	connections atomic.Int64
	mu          sync.Mutex
	operations  []string // by X-Amz-Target, or else by the form's Action
	headers     []http.Header
}

// serve starts a server that gives each call to answer.
func serve(t *testing.T, answer http.HandlerFunc) *server {
	t.Helper()
	s := &server{}
	s.Server = httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		r.Body = io.NopCloser(bytes.NewReader(body))
		operation := r.Header.Get("X-Amz-Target")
		operation = operation[strings.LastIndexByte(operation, '.')+1:]
		if operation == "" {
			operation = r.FormValue("Action")
		}
		s.mu.Lock()
		s.operations = append(s.operations, operation)
		s.headers = append(s.headers, r.Header.Clone())
		s.mu.Unlock()
		w.Header().Set("X-Amzn-Requestid", "11111111-2222-3333-4444-555555555555")
		answer(w, r)
	}))
	s.Config.ConnState = func(_ net.Conn, state http.ConnState) {
		if state == http.StateNew {
			s.connections.Add(1)
		}
	}
	s.Start()
	t.Cleanup(s.Close)
	return s
}

func (s *server) called() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]string(nil), s.operations...)
}

// empty answers every call with success and nothing else.
func empty(w http.ResponseWriter, r *http.Request) {
	if r.Header.Get("X-Amz-Target") == "" {
		w.Header().Set("Content-Type", "text/xml")
		_, _ = fmt.Fprintf(w, "<%[1]sResponse><%[1]sResult/></%[1]sResponse>", r.FormValue("Action"))
		return
	}
	_, _ = io.WriteString(w, "{}")
}

// refuse answers every call with an error, in the service's own protocol.
func refuse(status int, code, message string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("X-Amz-Target") == "" {
			w.Header().Set("Content-Type", "text/xml")
			w.WriteHeader(status)
			_, _ = fmt.Fprintf(w, "<ErrorResponse><Error><Type>Sender</Type><Code>%s</Code><Message>%s</Message></Error></ErrorResponse>", code, message)
			return
		}
		w.WriteHeader(status)
		_, _ = fmt.Fprintf(w, `{"__type":%q,"message":%q}`, code, message)
	}
}

const (
	accessKey    = "AKIDOFTHETESTS"
	secretKey    = "secret-key-of-the-tests"
	sessionToken = "session-token-of-the-tests"
)

// load is awsapi.Load against the server.
func load(t *testing.T, s *server, o awsapi.Options) aws.Config {
	t.Helper()
	o.Region, o.Endpoint = "us-east-1", s.URL
	o.Credentials = credentials.NewStaticCredentialsProvider(accessKey, secretKey, sessionToken)
	cfg, err := awsapi.Load(t.Context(), o)
	require.NoError(t, err)
	return cfg
}

// impatient takes the pauses out of the retries, and most of the retries.
func impatient(cfg aws.Config) aws.Config {
	cfg.Retryer = func() aws.Retryer { return aws.NopRetryer{} }
	return cfg
}
