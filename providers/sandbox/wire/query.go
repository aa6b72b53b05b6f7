package wire

import (
	"context"
	"fmt"
	"net/url"
	"reflect"
	"strconv"
	"time"
)

// QueryOperation answers one call of the query protocol: the form in, the value to
// encode as the operation's result out. An operation without a result returns nil or a
// struct without members; one whose result is empty, a pointer to such a struct.
type QueryOperation func(ctx context.Context, form url.Values) (any, error)

// QueryAPI is one service that speaks the query protocol: form in, XML out.
type QueryAPI struct {
	// SigningName is the service's name in Signature Version 4: "iam". It is what tells
	// query services on one address apart.
	SigningName string
	// Version is the API version that requests name: "2010-05-08".
	Version string
	// Namespace is the XML namespace of responses.
	Namespace  string
	Operations map[string]QueryOperation
}

// HandleQuery adapts a typed function to a [QueryOperation]. In and Out are structs
// whose exported fields have AWS's own member names: strings, ints, bools, [Time], pointers to
// these, structs, and slices, which the protocol writes as "Tags.member.1.Key".
func HandleQuery[In, Out any](f func(ctx context.Context, in In) (Out, error)) QueryOperation {
	return func(ctx context.Context, form url.Values) (any, error) {
		var in In
		if err := decodeForm(form, "", reflect.ValueOf(&in).Elem()); err != nil {
			return nil, err
		}
		return f(ctx, in)
	}
}

// decodeForm sets v from the form's members whose name is, or begins with, prefix.
func decodeForm(form url.Values, prefix string, v reflect.Value) error {
	if at, ok := v.Addr().Interface().(*Time); ok {
		return decodeTime(form, prefix, at)
	}
	switch v.Kind() {
	case reflect.Struct:
		for i := range v.NumField() {
			name := v.Type().Field(i).Name
			if prefix != "" {
				name = prefix + "." + name
			}
			if err := decodeForm(form, name, v.Field(i)); err != nil {
				return err
			}
		}
		return nil
	case reflect.Slice:
		for n := 1; ; n++ {
			member := fmt.Sprintf("%s.member.%d", prefix, n)
			if !has(form, member) {
				return nil
			}
			element := reflect.New(v.Type().Elem()).Elem()
			if err := decodeForm(form, member, element); err != nil {
				return err
			}
			v.Set(reflect.Append(v, element))
		}
	case reflect.Pointer:
		if !has(form, prefix) {
			return nil
		}
		v.Set(reflect.New(v.Type().Elem()))
		return decodeForm(form, prefix, v.Elem())
	}
	if !form.Has(prefix) {
		return nil
	}
	text := form.Get(prefix)
	switch v.Kind() {
	case reflect.String:
		v.SetString(text)
	case reflect.Int:
		n, err := strconv.Atoi(text)
		if err != nil {
			return Errorf("MalformedInput", "%s must be a number", prefix)
		}
		v.SetInt(int64(n))
	case reflect.Bool:
		b, err := strconv.ParseBool(text)
		if err != nil {
			return Errorf("MalformedInput", "%s must be true or false", prefix)
		}
		v.SetBool(b)
	default:
		panic("wire: a request's member of kind " + v.Kind().String())
	}
	return nil
}

// decodeTime reads a time as ISO 8601, or as seconds since 1970.
func decodeTime(form url.Values, name string, at *Time) error {
	text := form.Get(name)
	if seconds, err := strconv.ParseFloat(text, 64); err == nil {
		at.Time = time.UnixMilli(int64(seconds * 1000)).UTC()
		return nil
	}
	for _, layout := range []string{time.RFC3339Nano, "2006-01-02T15:04:05", "2006-01-02T15:04Z", "2006-01-02"} {
		if t, err := time.Parse(layout, text); err == nil {
			at.Time = t.UTC()
			return nil
		}
	}
	return Errorf("MalformedInput", "timestamp must follow ISO8601: %s", name)
}

// has tells whether the form has the member itself or a part of it.
func has(form url.Values, name string) bool {
	if form.Has(name) {
		return true
	}
	for key := range form {
		if len(key) > len(name) && key[:len(name)] == name && key[len(name)] == '.' {
			return true
		}
	}
	return false
}
