package wire

import (
	"bytes"
	"context"
	"encoding/xml"
	"net/url"
	"reflect"
)

// EC2Operation answers one call of EC2's query protocol: the form in, the response's
// members out, with encoding/xml's tags.
type EC2Operation func(ctx context.Context, form url.Values) (any, error)

// EC2API is a service that speaks EC2's own query protocol: a form in, whose lists have no
// "member"; XML out, without a result element.
// https://smithy.io/2.0/aws/protocols/aws-ec2-query-protocol.html
type EC2API struct {
	// SigningName, Version and Namespace are as in [QueryAPI].
	SigningName, Version, Namespace string
	Operations                      map[string]EC2Operation
}

// AddEC2 mounts a service that speaks EC2's query protocol.
func (m *Mux) AddEC2(api EC2API) { m.ec2[api.SigningName] = api }

// serveEC2 answers a form whose signature has been looked at.
func (m *Mux) serveEC2(x *exchange, api EC2API, form url.Values, denied *denial) {
	op, found := api.Operations[x.call.Operation]
	switch {
	case denied != nil:
		e := denied.err(true)
		if e.Code == "InvalidClientTokenId" || e.Code == "SignatureDoesNotMatch" {
			e = &Error{Code: "AuthFailure", Message: "AWS was not able to validate the provided access credentials", Status: 401}
		}
		m.failEC2(x, e)
		return
	case !found || form.Get("Version") != api.Version:
		m.failEC2(x, Errorf("InvalidAction", "The action %s is not valid for this web service.", x.call.Operation))
		return
	}
	out, err := m.run(x, func(ctx context.Context) (any, error) { return op(ctx, form) })
	if err != nil {
		m.failEC2(x, err)
		return
	}
	var b bytes.Buffer
	b.WriteString(xml.Header)
	start := xml.StartElement{Name: xml.Name{Local: x.call.Operation + "Response"}, Attr: []xml.Attr{{Name: xml.Name{Local: "xmlns"}, Value: api.Namespace}}}
	encoder := xml.NewEncoder(&b)
	err = encoder.EncodeToken(start)
	if err == nil {
		err = encoder.EncodeElement(x.id, xml.StartElement{Name: xml.Name{Local: "requestId"}})
	}
	for i, v := 0, reflect.ValueOf(out); err == nil && i < v.NumField(); i++ {
		err = encoder.EncodeElement(v.Field(i).Interface(), xml.StartElement{Name: xml.Name{Local: v.Type().Field(i).Tag.Get("ec2")}})
	}
	if err == nil {
		err = encoder.EncodeToken(start.End())
	}
	if err == nil {
		err = encoder.Flush()
	}
	if err != nil {
		m.failEC2(x, err)
		return
	}
	m.answer(x, 200, "", "", "text/xml;charset=UTF-8", b.Bytes())
}

func (m *Mux) failEC2(x *exchange, err error) {
	e, detail := m.asError(x, err)
	var b bytes.Buffer
	b.WriteString(xml.Header + "<Response><Errors><Error>")
	text(&b, "Code", e.Code)
	text(&b, "Message", e.Message)
	b.WriteString("</Error></Errors>")
	text(&b, "RequestID", x.id)
	b.WriteString("</Response>")
	m.answer(x, e.HTTPStatus(), e.Code, detail, "text/xml;charset=UTF-8", b.Bytes())
}
