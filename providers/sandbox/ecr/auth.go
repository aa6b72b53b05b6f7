package ecr

import (
	"crypto/hmac"
	"crypto/rand"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"net/http"
	"net/url"
	"strconv"
	"time"
)

const (
	user           = "AWS"
	tokenLifetime  = 12 * time.Hour
	presignedValid = time.Hour
)

// issue makes a password. It carries its own expiry, signed, so nothing is kept.
func (s *Service) issue() (password string, expires time.Time) {
	expires = s.now().Add(tokenLifetime)
	claim := make([]byte, 24) // expiry in seconds, then something random
	binary.BigEndian.PutUint64(claim, uint64(expires.Unix()))
	rand.Read(claim[8:])
	return base64.RawURLEncoding.EncodeToString(append(claim, s.sign("token\n"+string(claim))...)), expires
}

// refusal is why a request has no access, in the words that ECR answers with.
type refusal string

var _ error = refusal("")

func (r refusal) Error() string { return string(r) }

const (
	errNoCredentials refusal = "Not Authorized"
	errExpired       refusal = "Your authorization token has expired. Reauthenticate and try again."
)

// authorize accepts the Basic credentials of a token, or the signature of a URL that
// presign made for this very request.
func (s *Service) authorize(r *http.Request) error {
	if s.presigned(r) {
		return nil
	}
	name, password, ok := r.BasicAuth()
	raw, err := base64.RawURLEncoding.DecodeString(password)
	if !ok || name != user || err != nil || len(raw) < 24 {
		return errNoCredentials
	}
	claim := raw[:24]
	if !hmac.Equal(raw[24:], s.sign("token\n"+string(claim))) {
		return errNoCredentials
	}
	if s.now().Unix() >= int64(binary.BigEndian.Uint64(claim)) {
		return errExpired
	}
	return nil
}

// presign returns the path under which a blob can be had without a token for an hour.
func (s *Service) presign(repository, digest string) string {
	path := "/v2/" + repository + "/blobs/" + digest
	expires := strconv.FormatInt(s.now().Add(presignedValid).Unix(), 10)
	q := url.Values{"Expires": {expires}, "Signature": {hex.EncodeToString(s.sign("url\n" + path + "\n" + expires))}}
	return path + "?" + q.Encode()
}

func (s *Service) presigned(r *http.Request) bool {
	q := r.URL.Query()
	signature, err := hex.DecodeString(q.Get("Signature"))
	expires := q.Get("Expires")
	if err != nil || len(signature) == 0 || !hmac.Equal(signature, s.sign("url\n"+r.URL.Path+"\n"+expires)) {
		return false
	}
	seconds, err := strconv.ParseInt(expires, 10, 64)
	return err == nil && s.now().Unix() < seconds && (r.Method == http.MethodGet || r.Method == http.MethodHead)
}
