package wire

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/fxamacker/cbor/v2"
)

// CompatibleAPI is one service that speaks three protocols, as AWS's do that began with
// the query protocol: Smithy RPC v2 with CBOR, JSON 1.0, and query.
// https://smithy.io/2.0/additional-specs/protocols/smithy-rpc-v2.html
type CompatibleAPI struct {
	// Target names the service in X-Amz-Target and in the paths of RPC v2:
	// "GraniteServiceVersion20100801".
	Target string
	// Shapes is the namespace of the model's shapes: "com.amazonaws.cloudwatch".
	Shapes string
	// SigningName is the service's name in Signature Version 4: "monitoring".
	SigningName string
	// Version and Namespace are those of the query protocol, see [QueryAPI].
	Version, Namespace string
	// QueryCodes are the codes by which the query protocol names errors, where they are
	// not the shapes' names. Clients of the other protocols hear them in a header.
	// https://smithy.io/2.0/aws/protocols/aws-query-protocol.html
	QueryCodes map[string]string
	Operations map[string]CompatibleOperation
}

// CompatibleOperation is one operation in the three protocols, see [HandleCompatible].
type CompatibleOperation struct {
	cbor, json Operation
	query      QueryOperation
}

// HandleCompatible adapts a typed function. Fields have AWS's own member names; those
// that may be absent are pointers, slices or strings with omitempty.
func HandleCompatible[In, Out any](f func(ctx context.Context, in In) (Out, error)) CompatibleOperation {
	return CompatibleOperation{
		json:  Handle(f),
		query: HandleQuery(f),
		cbor: func(ctx context.Context, body []byte) (any, error) {
			var in In
			if len(body) > 0 {
				if err := cbor.Unmarshal(body, &in); err != nil {
					return nil, Errorf("SerializationException", "the request's body is not the CBOR that the operation takes")
				}
			}
			return f(ctx, in)
		},
	}
}

// JSON is the operation in JSON 1.0.
func (o CompatibleOperation) JSON() Operation { return o.json }

// AddCompatible mounts a service in all three protocols.
func (m *Mux) AddCompatible(api CompatibleAPI) {
	jsons, queries := map[string]Operation{}, map[string]QueryOperation{}
	for name, op := range api.Operations {
		jsons[name] = op.json
		queries[name] = func(ctx context.Context, form url.Values) (any, error) {
			out, err := op.query(ctx, form)
			if e, ok := err.(*Error); ok && api.QueryCodes[e.Code] != "" {
				err = &Error{api.QueryCodes[e.Code], e.Message, e.Status}
			}
			return out, err
		}
	}
	m.Add(API{Target: api.Target, Version: "1.0", SigningName: api.SigningName, MessageKey: "message", Operations: jsons, QueryCodes: api.QueryCodes})
	m.AddQuery(QueryAPI{SigningName: api.SigningName, Version: api.Version, Namespace: api.Namespace, Operations: queries})
	m.compatible[api.Target] = api
}

const rpcv2 = "rpc-v2-cbor"

func (m *Mux) serveCBOR(x *exchange) {
	target, operation, _ := strings.Cut(strings.TrimPrefix(x.r.URL.Path, "/service/"), "/operation/")
	api, known := m.compatible[target]
	x.call = Call{api.SigningName, operation}
	scope, denied := m.options.Verifier.verify(x.r, x.body)
	op, found := api.Operations[operation]
	switch {
	case denied != nil:
		m.failCBOR(x, api, denied.err(false))
		return
	case known && scope.Service != api.SigningName:
		m.failCBOR(x, api, mismatch("Credential should be scoped to correct service: '%s'. ", api.SigningName).err(false))
		return
	case !found:
		m.failCBOR(x, api, unknownOperation())
		return
	}
	out, err := m.run(x, func(ctx context.Context) (any, error) { return op.cbor(ctx, x.body) })
	var b []byte
	if err == nil {
		b, err = cbor.Marshal(out)
	}
	if err != nil {
		m.failCBOR(x, api, err)
		return
	}
	x.w.Header().Set("Smithy-Protocol", rpcv2)
	m.answer(x, http.StatusOK, "", "", "application/cbor", b)
}

func (m *Mux) failCBOR(x *exchange, api CompatibleAPI, err error) {
	e, detail := m.asError(x, err)
	body := map[string]string{"__type": api.Shapes + "#" + e.Code, "message": e.Message}
	b, err := cbor.Marshal(body)
	if err != nil { // strings always encode
		panic(err)
	}
	x.w.Header().Set("Smithy-Protocol", rpcv2)
	queryError(x.w.Header(), api.QueryCodes, e)
	m.answer(x, e.HTTPStatus(), e.Code, detail, "application/cbor", b)
}

// queryError tells clients that came from the query protocol the code they know.
func queryError(h http.Header, codes map[string]string, e *Error) {
	code := codes[e.Code]
	if code == "" {
		return
	}
	kind := "Sender"
	if e.HTTPStatus() >= 500 {
		kind = "Receiver"
	}
	h.Set("X-Amzn-Query-Error", code+";"+kind)
}

// epoch is the tag of a number of seconds since 1970.
const epoch = 1

// MarshalCBOR writes tagged seconds.
func (t Time) MarshalCBOR() ([]byte, error) {
	return cbor.Marshal(cbor.Tag{Number: epoch, Content: float64(t.UnixMilli()) / 1000})
}

// UnmarshalCBOR reads tagged seconds, whole or not.
func (t *Time) UnmarshalCBOR(b []byte) error {
	var tag cbor.RawTag
	if err := cbor.Unmarshal(b, &tag); err != nil || tag.Number != epoch {
		return fmt.Errorf("timestamp: no number of seconds")
	}
	var seconds float64
	if err := cbor.Unmarshal(tag.Content, &seconds); err != nil {
		return fmt.Errorf("timestamp: %w", err)
	}
	t.Time = time.UnixMilli(int64(seconds*1000 + 0.5)).UTC()
	return nil
}
