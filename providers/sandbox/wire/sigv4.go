package wire

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"
)

const (
	algorithm  = "AWS4-HMAC-SHA256"
	amzDate    = "20060102T150405Z"
	skew       = 15 * time.Minute
	badToken   = "The security token included in the request is invalid."
	noMatch    = "The request signature we calculated does not match the signature you provided. Check your AWS Secret Access Key and signing method. Consult the service documentation for details."
	unsigned   = "UNSIGNED-PAYLOAD"
	hashHeader = "X-Amz-Content-Sha256"
)

// Scope is what a signature was made for.
type Scope struct{ AccessKey, Date, Region, Service string }

// Verifier checks Signature Version 4 of header-signed requests.
// https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html
type Verifier struct {
	// Secret returns the secret key of an access key.
	Secret func(accessKey string) (secret string, known bool)
	// Region is the one that requests must be signed for; services whose signing
	// region does not matter (global ones) are in Global.
	Region string
	Global []string
	Now    func() time.Time
}

// denial is a refused signature. The protocols name the same refusal differently.
type denial struct{ json, query, text string }

func (d *denial) err(query bool) *Error {
	if query {
		return &Error{Code: d.query, Message: d.text, Status: http.StatusForbidden}
	}
	return &Error{Code: d.json, Message: d.text}
}

func missing() *denial {
	return &denial{"MissingAuthenticationTokenException", "MissingAuthenticationToken", "Request is missing Authentication Token"}
}

func incomplete(text string) *denial {
	return &denial{"IncompleteSignatureException", "IncompleteSignature", text}
}

func mismatch(format string, args ...any) *denial {
	return &denial{"InvalidSignatureException", "SignatureDoesNotMatch", fmt.Sprintf(format, args...)}
}

// verify returns the scope of r's signature over body, or why it is refused. A scope
// comes back even then, if it could be read.
func (v *Verifier) verify(r *http.Request, body []byte) (Scope, *denial) {
	header := r.Header.Get("Authorization")
	if header == "" {
		return Scope{}, missing()
	}
	kind, rest, _ := strings.Cut(header, " ")
	if kind != algorithm {
		return Scope{}, incomplete(fmt.Sprintf("Authorization header requires the algorithm %s; got %q", algorithm, kind))
	}
	fields := map[string]string{}
	for part := range strings.SplitSeq(rest, ",") {
		name, value, _ := strings.Cut(strings.TrimSpace(part), "=")
		fields[name] = value
	}
	var lacks []string
	for _, name := range []string{"Credential", "Signature", "SignedHeaders"} {
		if fields[name] == "" {
			lacks = append(lacks, fmt.Sprintf("Authorization header requires '%s' parameter.", name))
		}
	}
	stamp := r.Header.Get("X-Amz-Date")
	if stamp == "" {
		lacks = append(lacks, "Authorization header requires existence of either a 'X-Amz-Date' or a 'Date' header.")
	}
	if len(lacks) > 0 {
		return Scope{}, incomplete(strings.Join(lacks, " "))
	}
	parts := strings.Split(fields["Credential"], "/")
	if len(parts) != 5 || parts[4] != "aws4_request" {
		return Scope{}, incomplete("Credential must have exactly 5 slash-delimited elements, e.g. keyid/date/region/service/term.")
	}
	scope := Scope{parts[0], parts[1], parts[2], parts[3]}
	secret, known := v.Secret(scope.AccessKey)
	if !known {
		return scope, &denial{"UnrecognizedClientException", "InvalidClientTokenId", badToken}
	}
	if d := v.inTime(stamp, scope.Date); d != nil {
		return scope, d
	}
	if scope.Region != v.Region && !slices.Contains(v.Global, scope.Service) {
		return scope, mismatch("Credential should be scoped to a valid region. ")
	}
	signed := strings.Split(fields["SignedHeaders"], ";")
	if !slices.Contains(signed, "host") {
		return scope, mismatch("'Host' or ':authority' must be a 'SignedHeader' in the AWS Authorization.")
	}
	sum := sha256.Sum256(body)
	payload := hex.EncodeToString(sum[:])
	switch given := r.Header.Get(hashHeader); given {
	case "", payload:
	case unsigned:
		payload = unsigned
	default:
		return scope, mismatch("The value passed in as x-amz-content-sha256 does not match the computed payload hash. Computed digest: %s expected hash: %s", payload, given)
	}
	want := sign(secret, scope, stamp, canonical(r, signed, payload))
	if !hmac.Equal([]byte(want), []byte(fields["Signature"])) {
		return scope, mismatch(noMatch)
	}
	return scope, nil
}

// inTime refuses stamps more than a quarter of an hour off.
func (v *Verifier) inTime(stamp, date string) *denial {
	at, err := time.Parse(amzDate, stamp)
	if err != nil {
		return incomplete(fmt.Sprintf("Date must be in ISO-8601 'basic format'. Got '%s'. See http://en.wikipedia.org/wiki/ISO_8601", stamp))
	}
	if !strings.HasPrefix(stamp, date) {
		return mismatch("Date in Credential scope does not match YYYYMMDD from ISO-8601 version of date from HTTP: '%s' != '%s', from '%s'.", date, stamp[:8], stamp)
	}
	now := v.Now().UTC()
	show := func(t time.Time) string { return t.Format(amzDate) }
	if early := now.Add(-skew); at.Before(early) {
		return mismatch("Signature expired: %s is now earlier than %s (%s - 15 min.)", stamp, show(early), show(now))
	}
	if late := now.Add(skew); at.After(late) {
		return mismatch("Signature not yet current: %s is still later than %s (%s + 15 min.)", stamp, show(late), show(now))
	}
	return nil
}

// sign is the signature of a canonical request.
func sign(secret string, scope Scope, stamp, request string) string {
	mac := func(key []byte, data string) []byte {
		h := hmac.New(sha256.New, key)
		h.Write([]byte(data))
		return h.Sum(nil)
	}
	key := []byte("AWS4" + secret)
	for _, part := range []string{scope.Date, scope.Region, scope.Service, "aws4_request"} {
		key = mac(key, part)
	}
	sum := sha256.Sum256([]byte(request))
	text := strings.Join([]string{
		algorithm, stamp,
		strings.Join([]string{scope.Date, scope.Region, scope.Service, "aws4_request"}, "/"),
		hex.EncodeToString(sum[:]),
	}, "\n")
	return hex.EncodeToString(mac(key, text))
}

// canonical writes r in the one form that client and server both hash.
func canonical(r *http.Request, signed []string, payload string) string {
	var b strings.Builder
	path := r.URL.EscapedPath()
	if path == "" {
		path = "/"
	}
	fmt.Fprintf(&b, "%s\n%s\n%s\n", r.Method, escape(path, true), canonicalQuery(r.URL.RawQuery))
	for _, name := range signed {
		var value string
		switch name {
		case "host":
			value = r.Host
		case "content-length": // net/http keeps it out of the headers
			value = fmt.Sprint(r.ContentLength)
		default:
			value = strings.Join(r.Header.Values(name), ",")
		}
		fmt.Fprintf(&b, "%s:%s\n", name, strings.Join(strings.Fields(value), " "))
	}
	fmt.Fprintf(&b, "\n%s\n%s", strings.Join(signed, ";"), payload)
	return b.String()
}

func canonicalQuery(raw string) string {
	values, err := url.ParseQuery(raw)
	if err != nil {
		return raw
	}
	var pairs []string
	for name, list := range values {
		for _, value := range list {
			pairs = append(pairs, escape(name, false)+"="+escape(value, false))
		}
	}
	slices.Sort(pairs)
	return strings.Join(pairs, "&")
}

// escape is RFC 3986's percent-encoding with upper-case digits.
func escape(s string, slash bool) string {
	var b strings.Builder
	for _, c := range []byte(s) {
		switch {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9', strings.IndexByte("-_.~", c) >= 0, slash && c == '/':
			b.WriteByte(c)
		default:
			fmt.Fprintf(&b, "%%%02X", c)
		}
	}
	return b.String()
}
