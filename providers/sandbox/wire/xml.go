package wire

import (
	"bytes"
	"cmp"
	"encoding/xml"
	"fmt"
	"reflect"
	"slices"
	"time"
)

// encodeResult writes a query operation's answer:
//
//	<OpResponse xmlns="…"><OpResult>…</OpResult><ResponseMetadata>…</ResponseMetadata></OpResponse>
func encodeResult(operation, namespace, requestID string, result any) []byte {
	var b bytes.Buffer
	fmt.Fprintf(&b, `<%sResponse xmlns="%s">`, operation, namespace)
	if v := reflect.ValueOf(result); v.IsValid() && !(v.Kind() == reflect.Struct && v.NumField() == 0) {
		element(&b, operation+"Result", v)
	}
	fmt.Fprintf(&b, "<ResponseMetadata><RequestId>%s</RequestId></ResponseMetadata></%sResponse>", requestID, operation)
	return b.Bytes()
}

// encodeError writes a query service's error.
func encodeError(e *Error, namespace, requestID string) []byte {
	kind := "Sender"
	if e.HTTPStatus() >= 500 {
		kind = "Receiver"
	}
	var b bytes.Buffer
	fmt.Fprintf(&b, `<ErrorResponse xmlns="%s"><Error><Type>%s</Type>`, namespace, kind)
	element(&b, "Code", reflect.ValueOf(e.Code))
	element(&b, "Message", reflect.ValueOf(e.Message))
	fmt.Fprintf(&b, "</Error><RequestId>%s</RequestId></ErrorResponse>", requestID)
	return b.Bytes()
}

// element writes v under name. Absent are nil pointers and empty strings (a pointer to
// one is written); a slice is always there and holds <member> elements, a map <entry> elements.
func element(b *bytes.Buffer, name string, v reflect.Value) {
	if at, ok := v.Interface().(Time); ok {
		v = reflect.ValueOf(at.Time)
	}
	if at, ok := v.Interface().(time.Time); ok {
		if !at.IsZero() {
			fmt.Fprintf(b, "<%s>%s</%s>", name, at.UTC().Format("2006-01-02T15:04:05Z"), name)
		}
		return
	}
	switch v.Kind() {
	case reflect.Pointer:
		if v.IsNil() {
			return
		}
		if v.Elem().Kind() == reflect.String {
			text(b, name, v.Elem().String())
			return
		}
		element(b, name, v.Elem())
	case reflect.Struct:
		fmt.Fprintf(b, "<%s>", name)
		for i := range v.NumField() {
			element(b, v.Type().Field(i).Name, v.Field(i))
		}
		fmt.Fprintf(b, "</%s>", name)
	case reflect.Slice:
		fmt.Fprintf(b, "<%s>", name)
		for i := range v.Len() {
			element(b, "member", v.Index(i))
		}
		fmt.Fprintf(b, "</%s>", name)
	case reflect.String:
		if v.Len() > 0 {
			text(b, name, v.String())
		}
	case reflect.Map:
		fmt.Fprintf(b, "<%s>", name)
		for _, key := range slices.SortedFunc(slices.Values(v.MapKeys()), func(a, b reflect.Value) int { return cmp.Compare(a.String(), b.String()) }) {
			b.WriteString("<entry>")
			text(b, "key", key.String())
			element(b, "value", v.MapIndex(key))
			b.WriteString("</entry>")
		}
		fmt.Fprintf(b, "</%s>", name)
	case reflect.Int, reflect.Int64, reflect.Float64, reflect.Bool:
		fmt.Fprintf(b, "<%s>%v</%s>", name, v.Interface(), name)
	default:
		panic("wire: a result's member of kind " + v.Kind().String())
	}
}

func text(b *bytes.Buffer, name, value string) {
	fmt.Fprintf(b, "<%s>", name)
	_ = xml.EscapeText(b, []byte(value)) // a bytes.Buffer does not fail
	fmt.Fprintf(b, "</%s>", name)
}
