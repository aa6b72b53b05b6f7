package sandbox

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"

	"github.com/apron-deploy/apron/providers/sandbox/apprunner"
)

// resolverVariable is the environment variable that is [Options.Resolver] of a sandbox in
// the background.
const resolverVariable = "APRON_SANDBOX_RESOLVER"

// elsewhere is DNS beyond the sandbox's hosted zones: the other name server, if any.
type elsewhere struct{ s *Server }

var _ apprunner.Resolver = elsewhere{}

// CNAME implements [apprunner.Resolver].
func (e elsewhere) CNAME(ctx context.Context, name string) (string, error) {
	if other := *e.s.resolver.Load(); other != "" {
		return apprunner.NameServer(other).CNAME(ctx, name)
	}
	return "", nil
}

// SetResolver makes the sandbox ask another name server, host:port, about custom
// domains that no hosted zone of its own has; "" is none.
func (s *Server) SetResolver(address string) error {
	if address != "" {
		host, port, err := net.SplitHostPort(address)
		if n, bad := strconv.Atoi(port); err != nil || host == "" || bad != nil || n < 1 || n > 65535 {
			return fmt.Errorf("%q is not a name server's host:port", address)
		}
	}
	s.resolver.Store(&address)
	return nil
}

func (s *Server) serveResolver(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(io.LimitReader(r.Body, 1024))
	if err == nil {
		err = s.SetResolver(strings.TrimSpace(string(body)))
	}
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	w.WriteHeader(http.StatusNoContent)
}
