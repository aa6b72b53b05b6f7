package wire

import (
	"bytes"
	"context"
	"encoding/xml"
	"fmt"
	"net/http"
	"net/url"
	"strings"
)

// RESTRequest is a call of a REST service, taken apart.
type RESTRequest struct {
	// Path has the values of the route's {names}.
	Path  map[string]string
	Query url.Values
	Body  []byte
}

// RESTAnswer is a response: 200 unless Status says something else, with Body as XML.
type RESTAnswer struct {
	Status int
	Header http.Header
	Body   any // carries encoding/xml's tags, its root element's name included
}

// RESTOperation is one route and what answers it.
type RESTOperation struct {
	// Name is the operation's: "ListHostedZones".
	Name string
	// Method and Path tell it: "GET", "/2013-04-01/hostedzone/{Id}". A slash at the end
	// of a request's path makes no difference.
	Method, Path string
	Run          func(ctx context.Context, r RESTRequest) (RESTAnswer, error)
}

// RESTAPI is one service that speaks the REST-XML protocol.
type RESTAPI struct {
	// SigningName is the service's name in Signature Version 4: "route53". It is what
	// tells REST services on one address apart.
	SigningName string
	// Namespace is the XML namespace of error responses.
	Namespace  string
	Operations []RESTOperation
}

// AddREST mounts a REST service.
func (m *Mux) AddREST(api RESTAPI) { m.rest[api.SigningName] = api }

// ReadXML decodes a request's body, in the words of AWS's parser where it is not XML.
func ReadXML(body []byte, into any) error {
	if err := xml.Unmarshal(body, into); err != nil {
		return Errorf("MalformedInput", "Unexpected content in the request's body: it is not the XML that the operation takes")
	}
	return nil
}

func (m *Mux) serveREST(x *exchange) {
	scope, denied := m.options.Verifier.verify(x.r, x.body)
	api, known := m.rest[scope.Service]
	x.scope, x.call.Service = scope, scope.Service
	op, values := api.route(x.r.Method, x.r.URL.Path)
	if op != nil {
		x.call.Operation = op.Name
	}
	switch {
	case !known:
		m.failJSON(x, API{}, unknownOperation())
		return
	case denied != nil:
		m.failREST(x, api, denied.err(true))
		return
	case op == nil:
		m.failREST(x, api, unknownOperation())
		return
	}
	request := RESTRequest{Path: values, Query: x.r.URL.Query(), Body: x.body}
	out, err := m.run(x, func(ctx context.Context) (any, error) { return op.Run(ctx, request) })
	if err != nil {
		m.failREST(x, api, err)
		return
	}
	answer := out.(RESTAnswer)
	body, err := xml.Marshal(answer.Body)
	if err != nil {
		m.failREST(x, api, err)
		return
	}
	for name, values := range answer.Header {
		x.w.Header()[name] = values
	}
	if answer.Status == 0 {
		answer.Status = http.StatusOK
	}
	m.answer(x, answer.Status, "", "", "text/xml", append([]byte(xml.Header), body...))
}

// route finds the operation of a request, and the values of the path's names.
func (a RESTAPI) route(method, path string) (*RESTOperation, map[string]string) {
	parts := strings.Split(strings.TrimSuffix(path, "/"), "/")
next:
	for i := range a.Operations {
		op := &a.Operations[i]
		want := strings.Split(op.Path, "/")
		if op.Method != method || len(want) != len(parts) {
			continue
		}
		values := map[string]string{}
		for k, part := range want {
			switch {
			case strings.HasPrefix(part, "{"):
				values[strings.Trim(part, "{}")] = parts[k]
			case part != parts[k]:
				continue next
			}
		}
		return op, values
	}
	return nil, nil
}

func (m *Mux) failREST(x *exchange, api RESTAPI, err error) {
	e, detail := m.asError(x, err)
	var b bytes.Buffer
	fmt.Fprintf(&b, `<?xml version="1.0"?>`+"\n")
	b.Write(encodeError(e, api.Namespace, x.id))
	m.answer(x, e.HTTPStatus(), e.Code, detail, "text/xml", b.Bytes())
}
