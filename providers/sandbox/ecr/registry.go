package ecr

import (
	"encoding/json"
	"errors"
	"net/http"
	"regexp"
	"strings"

	"github.com/apron-deploy/apron/providers/sandbox/wire"
	"github.com/apron-deploy/apron/reconcile/pattern"
)

var _ http.Handler = (*Service)(nil)

// route is a request to the registry, taken apart.
type route struct {
	target
	kind string // "blobs", "uploads", "manifests", "tags" or "referrers"
	rest string // digest, tag or upload id; may be empty
}

var routes = []struct {
	kind string
	re   func() *regexp.Regexp
}{
	{"uploads", pattern.Lazy(`^/v2/(.+)/blobs/uploads/?([^/]*)$`)},
	{"blobs", pattern.Lazy(`^/v2/(.+)/blobs/([^/]+)$`)},
	{"manifests", pattern.Lazy(`^/v2/(.+)/manifests/([^/]+)$`)},
	{"referrers", pattern.Lazy(`^/v2/(.+)/referrers/([^/]+)$`)},
	{"tags", pattern.Lazy(`^/v2/(.+)/tags/(list)$`)},
}

// ServeHTTP answers the registry's requests, those under /v2/.
// https://docs.aws.amazon.com/AmazonECR/latest/userguide/registry_auth.html#registry_auth_http
func (s *Service) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Docker-Distribution-Api-Version", "registry/2.0")
	switch err := s.authorize(r); {
	case errors.Is(err, errExpired): // no challenge: clients that wait for one never log in again
		deny(w, http.StatusForbidden, "DENIED", err.Error())
		return
	case err != nil:
		w.Header().Set("WWW-Authenticate", `Basic realm="`+s.endpoint()+`/",service="ecr.amazonaws.com"`)
		http.Error(w, err.Error(), http.StatusUnauthorized)
		return
	}
	if r.URL.Path == "/v2/" || r.URL.Path == "/v2" {
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		return
	}
	for _, candidate := range routes {
		if m := candidate.re().FindStringSubmatch(r.URL.Path); m != nil {
			to := route{target{RepositoryName: m[1]}, candidate.kind, m[2]}
			if err := s.dispatch(w, r, to); err != nil {
				refuseHTTP(w, err)
			}
			return
		}
	}
	http.NotFound(w, r)
}

// dispatch returns an error only if nothing has been answered yet.
func (s *Service) dispatch(w http.ResponseWriter, r *http.Request, to route) error {
	if err := checkName(to.RepositoryName); err != nil {
		deny(w, http.StatusBadRequest, "NAME_INVALID", message(err))
		return nil
	}
	switch to.kind + " " + r.Method {
	case "uploads POST":
		return s.startUpload(w, r, to)
	case "uploads PATCH":
		return s.patchUpload(w, r, to)
	case "uploads PUT":
		return s.putUpload(w, r, to)
	case "uploads GET":
		return s.uploadStatus(w, to)
	case "uploads DELETE":
		return s.cancelUpload(w, to)
	case "blobs GET", "blobs HEAD":
		return s.getBlob(w, r, to)
	case "manifests GET", "manifests HEAD":
		return s.getManifest(w, r, to)
	case "manifests PUT":
		return s.putManifest(w, r, to)
	case "manifests DELETE":
		return s.deleteManifest(w, to)
	case "tags GET":
		return s.listTags(w, r, to)
	case "referrers GET":
		return s.listReferrers(w, r, to)
	default:
		deny(w, http.StatusMethodNotAllowed, "UNSUPPORTED", "The operation is unsupported")
		return nil
	}
}

// deny answers in the form of the distribution specification.
func deny(w http.ResponseWriter, status int, code, text string) {
	type one struct {
		Code    string `json:"code"`
		Message string `json:"message"`
	}
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(map[string][]one{"errors": {{code, text}}}) // the client went away
}

// refuseHTTP translates an error of the API, which the registry is built upon.
func refuseHTTP(w http.ResponseWriter, err error) {
	var e *wire.Error
	if !errors.As(failed(err), &e) {
		return
	}
	status, code := http.StatusBadRequest, "UNKNOWN"
	switch e.Code {
	case "RepositoryNotFoundException":
		status, code = http.StatusNotFound, "NAME_UNKNOWN"
	case "ImageNotFoundException":
		status, code = http.StatusNotFound, "MANIFEST_UNKNOWN"
	case "LayerInaccessibleException":
		status, code = http.StatusNotFound, "BLOB_UNKNOWN"
	case "UploadNotFoundException":
		status, code = http.StatusNotFound, "BLOB_UPLOAD_UNKNOWN"
	case "InvalidLayerException":
		code = "BLOB_UPLOAD_INVALID"
	case "LayersNotFoundException", "ReferencedImagesNotFoundException":
		code = "MANIFEST_BLOB_UNKNOWN"
	case "ImageTagAlreadyExistsException":
		code = "TAG_INVALID"
	case "ImageDigestDoesNotMatchException":
		code = "DIGEST_INVALID"
	case "LimitExceededException":
		status, code = http.StatusForbidden, "DENIED"
	case "InvalidParameterException":
		status, code = http.StatusMethodNotAllowed, "UNSUPPORTED"
	case "ServerException":
		status = http.StatusInternalServerError
	}
	deny(w, status, code, e.Message)
}

// message is an error's text without its code.
func message(err error) string {
	var e *wire.Error
	if errors.As(err, &e) {
		return e.Message
	}
	return err.Error()
}

// reference splits a manifest's reference into the id it stands for.
func reference(rest string) (imageID, error) {
	if strings.Contains(rest, ":") {
		return imageID{Digest: rest}, checkDigest("imageDigest", rest)
	}
	return imageID{Tag: rest}, checkTag(rest, maxRegistryTag)
}
