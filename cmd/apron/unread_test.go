package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/smithy-go"
	"github.com/hashicorp/go-multierror"
	"github.com/stretchr/testify/require"

	"github.com/apron-deploy/apron/providers/apprunner"
	"github.com/apron-deploy/apron/providers/ecr"
	"github.com/apron-deploy/apron/providers/iam"
	"github.com/apron-deploy/apron/providers/logs"
	"github.com/apron-deploy/apron/providers/route53"
	"github.com/apron-deploy/apron/providers/secretsmanager"
	"github.com/apron-deploy/apron/providers/ssm"
	"github.com/apron-deploy/apron/reconcile"
	"github.com/apron-deploy/apron/reconcile/render"
	"github.com/apron-deploy/apron/reconcile/state"
)

// gatekeeper stands before a sandbox and refuses calls of AWS's JSON protocols, as AWS does
// those that a policy allows for other resources only.
type gatekeeper struct {
	// refuse says with which code a call is refused, by its operation and its body; "" lets
	// it pass.
	refuse atomic.Pointer[func(operation, body string) string]
	// registry is the status that the registry answers everything with; 0 lets it pass.
	registry atomic.Int64
}

func (g *gatekeeper) deny(of func(operation, body string) string) { g.refuse.Store(&of) }
func (g *gatekeeper) pass()                                       { g.refuse.Store(nil) }

// denied refuses the calls whose bodies name something.
func denied(code string, names ...string) func(string, string) string {
	return func(_, body string) string {
		for _, name := range names {
			if strings.Contains(body, name) {
				return code
			}
		}
		return ""
	}
}

// guarded puts a gatekeeper between a world's runs and its sandbox.
func guarded(t *testing.T, w *world) *gatekeeper {
	g := &gatekeeper{}
	behind, err := url.Parse(w.Info().Endpoint())
	require.NoError(t, err)
	proxy := &httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) {
		r.SetURL(behind)
		r.Out.Host = r.In.Host // which is signed
	}, ModifyResponse: func(res *http.Response) error {
		if !strings.HasSuffix(res.Request.Header.Get("X-Amz-Target"), ".GetAuthorizationToken") {
			return nil
		}
		text, err := io.ReadAll(res.Body) // names the registry, which is behind the gate, too
		text = bytes.ReplaceAll(text, []byte(behind.Host), []byte(res.Request.Host))
		res.Body, res.ContentLength = io.NopCloser(bytes.NewReader(text)), int64(len(text))
		res.Header.Set("Content-Length", strconv.Itoa(len(text)))
		return err
	}, ErrorLog: log.New(io.Discard, "", 0)}
	s := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		if status := int(g.registry.Load()); status != 0 && strings.HasPrefix(r.URL.Path, "/v2/") {
			rw.WriteHeader(status)
			_, _ = io.WriteString(rw, `{"errors":[{"code":"DENIED","message":"not for you"}]}`)
			return
		}
		_, operation, _ := strings.Cut(r.Header.Get("X-Amz-Target"), ".")
		body, err := io.ReadAll(r.Body)
		if err != nil {
			panic(http.ErrAbortHandler)
		}
		r.Body = io.NopCloser(bytes.NewReader(body))
		if of := g.refuse.Load(); of != nil && operation != "" {
			if code := (*of)(operation, string(body)); code != "" {
				rw.Header().Set("Content-Type", "application/x-amz-json-1.1")
				rw.WriteHeader(http.StatusBadRequest)
				fmt.Fprintf(rw, `{"__type":%q,"message":"no %s for you"}`, code, operation)
				return
			}
		}
		proxy.ServeHTTP(rw, r)
	}))
	t.Cleanup(s.Close)
	at, err := url.Parse(s.URL)
	require.NoError(t, err)
	w.port, err = strconv.Atoi(at.Port())
	require.NoError(t, err)
	return g
}

// TestServices_oneThatCannotBeReadStopsNoOther has three services, and AWS refuses to tell
// of one of them.
func TestServices_oneThatCannotBeReadStopsNoOther(t *testing.T) {
	t.Parallel()
	manifest := func(name string) string { return strings.Replace(patient, "service: shop", "service: "+name, 1) }
	p := newProposal(t, manifest("shop"))
	p.c.write("other.yaml", manifest("other"))
	p.c.write("third.yaml", manifest("third"))
	p.manifest = "."
	gate := guarded(t, p.world)
	run := func(want int, args ...string) string {
		t.Helper()
		code, out := p.run(t.Context(), args...)
		require.Equal(t, want, code, out)
		require.NotContains(t, out, canary)
		return out
	}
	run(exitOK, "apply", "--yes")
	p.replace("other.yaml", "cpu: 256", "cpu: 512")
	p.replace("other.yaml", "memory: 512", "memory: 1024")
	p.replace("third.yaml", "{min: 1, max: 2", "{min: 1, max: 3")

	// Its repository.
	saved := filepath.Join(t.TempDir(), "plan.json")
	gate.deny(denied("AccessDeniedException", `"other"`))
	out := run(exitCredentials, "plan", "--detailed-exitcode", "--out", saved)
	for _, want := range []string{
		`other +- +- +unread\n`, `third +apprunner  \+1 ~1 +changes\n`, `shop +apprunner  - +unchanged\n`, `1 service is left out: other\.`,
		`(?m)^apron: error: repository "other": \w.*: AccessDeniedException: no \w+ for you$`, "the plan is not saved in .*: nobody has seen what it is for other",
	} {
		require.Regexp(t, want, out)
	}
	require.NoFileExists(t, saved)
	var v render.Plan
	out = run(exitCredentials, "plan", "--json")
	require.NoError(t, json.NewDecoder(strings.NewReader(out[strings.Index(out, "{"):])).Decode(&v))
	require.Len(t, v.Header.Services, 3)
	require.Equal(t, render.Unread, v.Header.Services[2].Result)
	require.NotEmpty(t, v.Header.Services[2].Errors)

	// What its comment shows approves nothing, not even of the others.
	p.vars["GITHUB_REF"] = "refs/pull/7/merge"
	run(exitCredentials, "plan", "--comment", "--no-verify")
	require.Len(t, p.hub.Comments(), 1)
	body := p.hub.Comments()[0].Body
	require.Contains(t, body, "This comment approves nothing: what there is to do for `other` is not known.")
	require.Regexp(t, `\*\*Error\*\*: .repository "other": .*AccessDeniedException: no \w+ for you`, body)
	require.NotContains(t, body, "Fingerprint")
	p.hub.Review("bob", "APPROVED")
	p.hub.Merge("merge-1", 7)
	code, out := p.apply(t, "merge-1")
	require.Equal(t, exitCredentials, code, out) // which is graver
	require.Contains(t, out, "the comment that shows the plan is cut, lacks a service that could not be read")
	require.NotContains(t, out, "--approved=apron-", "nor does what is planned without it")
	gate.pass()
	code, out = p.apply(t, "merge-1")
	require.Equal(t, exitUnapproved, code, out)

	// A plan that was saved before is done as a whole or not at all.
	run(exitOK, "plan", "--out", saved)
	gate.deny(denied("AccessDeniedException", "service/other/"))
	out = run(exitCredentials, "apply", saved)
	require.Contains(t, out, "nothing was changed")
	require.Regexp(t, `no \w+ for you`, out)
	out = run(exitCredentials, "apply", "--yes")
	for _, want := range []string{`other +unread`, `third +done`, `shop +unchanged`} {
		require.Regexp(t, want, out)
	}
	require.Contains(t, run(exitCredentials, "plan", "--detailed-exitcode"), "No changes for the other services. 1 service is left out: other.")
	gate.pass()
	require.Regexp(t, `~ cpu: +256 → 512`, run(exitChanges, "plan", "--detailed-exitcode"))

	// The other commands.
	gate.deny(denied("AccessDeniedException", "service/other/"))
	out = run(exitCredentials, "drift")
	for _, want := range []string{`other was not compared, unread: arn:`, `shop is as release 1`, `No drift of the other services. 1 service is left out: other.`} {
		require.Contains(t, out, want)
	}
	require.NoError(t, resizeByHand(t.Context(), p.config(), "shop", "512", "1024"))
	require.Contains(t, run(exitCredentials, "drift"), "Drift: 2 settings changed. 1 service is left out: other.")
	out = run(exitCredentials, "status")
	require.Regexp(t, `(?s)service +shop\nstatus +RUNNING.*service +other\nstatus +UNKNOWN.*unknown +arn:.*no \w+ for you`, out)
	p.replace("third.yaml", `"env:KEY"`, `"env:KEY", T: "ssm:/team/t"`)
	gate.deny(denied("AccessDeniedException", "/team/t"))
	require.NotContains(t, run(exitOK, "status"), "UNKNOWN", "a secret is nothing that it shows")
	p.replace("third.yaml", `, T: "ssm:/team/t"`, "")
	gate.deny(denied("AccessDeniedException", "service/other/"))
	out = run(exitCredentials, "pause", "--yes")
	for _, want := range []string{`other +unread`, `third +done`, `shop +done`} {
		require.Regexp(t, want, out)
	}
	gate.pass()
	out = run(exitError, "redeploy", "--yes") // of what is paused
	for _, want := range []string{`other +done`, `third +refused`, `shop +refused`, `is paused, and a paused service cannot be deployed`} {
		require.Regexp(t, want, out)
	}

	// Credentials that expire are told once.
	gate.deny(denied("ExpiredTokenException", "service/"))
	out = run(exitCredentials, "plan")
	require.Equal(t, 1, strings.Count(out, "ExpiredTokenException"), out)

	gate.deny(denied("AccessDeniedException", "/apron/other/"))
	out = run(exitCredentials, "destroy", "--images", "--yes")
	for _, want := range []string{`other +unread`, `third +done`, `shop +done`, `read parameters below /apron/other/: AccessDeniedException`} {
		require.Regexp(t, want, out)
	}
	left := strings.Join(p.inventory(), "\n")
	require.Contains(t, left, "service RUNNING other")
	require.NotContains(t, left, "shop")
	require.NotContains(t, left, "third")
	gate.pass()
	run(exitOK, "destroy", "--images", "--yes")
	require.NotContains(t, strings.Join(p.inventory(), "\n"), "other")
}

// TestOnce tells what fails alike for many services once.
func TestOnce(t *testing.T) {
	call := func(operation, code string) error {
		return &smithy.OperationError{ServiceID: "ECR", OperationName: operation, Err: &smithy.GenericAPIError{Code: code, Message: "no"}}
	}
	var all *multierror.Error
	for n := range 200 {
		read := &reconcile.ReadError{Err: fmt.Errorf("repository %d: %w", n, call("DescribeRepositories", "AccessDeniedException"))}
		all = multierror.Append(all, &serviceError{fmt.Sprintf("s%03d", n), read})
	}
	all = multierror.Append(all, &serviceError{"s007", &reconcile.ReadError{Err: fmt.Errorf("tags: %w", call("BatchGetImage", "ThrottlingException"))}}, errors.New("and this"))
	var told []string
	for _, e := range gathered(once(all)) {
		told = append(told, e.Error())
	}
	require.Equal(t, []string{
		"repository 0: operation error ECR: DescribeRepositories, api error AccessDeniedException: no; and so it is with 199 more",
		"tags: operation error ECR: BatchGetImage, api error ThrottlingException: no", "and this",
	}, told)
	require.Len(t, gathered(once(multierror.Append(nil, all.Errors[:3]...))), 3, "few are told each")
}

// TestSession_unread says whom it concerns that something cannot be read.
func TestSession_unread(t *testing.T) {
	s := &session{isolates: true, cfg: aws.Config{Region: "us-east-1"}}
	web := state.Spec{Service: "web", Image: state.Image{Repository: "shop"}, Secrets: map[string]state.SecretRef{"A": {Source: state.FromSSM, Name: "/team/a"}}}
	api := state.Spec{Service: "api", Image: state.Image{Repository: "shop"}, Secrets: map[string]state.SecretRef{"B": {Source: state.FromSecretsManager, Name: "b"}},
		Env: map[string]state.EnvValue{"URL": {Template: "${services.gone.url}"}}, Domains: []state.Domain{{Name: "example.com"}}}
	s.specs = []state.Spec{web, api}
	denied := errors.New("denied")
	for name, tc := range map[string]struct {
		target state.Address
		also   map[string][]state.Address
		want   []string // "" for the run
	}{
		"a service":             {target: apprunner.Service("web"), want: []string{"web"}},
		"a repository they use": {target: ecr.Repository("shop"), want: []string{"web", "api"}},
		"a role":                {target: iam.Address("us-east-1", "api", iam.Access), want: []string{"api"}},
		"its parameters":        {target: ssm.Below("web"), want: []string{"web"}},
		"a parameter":           {target: ssm.Named("/team/a"), want: []string{"web"}},
		"a secret":              {target: secretsmanager.Named("b"), want: []string{"api"}},
		"its logs":              {target: logs.Below("api"), want: []string{"api"}},
		"a domain":              {target: route53.Address("example.com"), want: []string{"api"}},
		"what it refers to":     {target: apprunner.Service("gone"), want: []string{"api"}},
		"what a release had":    {target: apprunner.Scaling("apron-1-2-3"), also: map[string][]state.Address{"web": {apprunner.Scaling("apron-1-2-3")}}, want: []string{"web"}},
		"nobody's":              {target: apprunner.Scaling("apron-1-2-3"), want: []string{""}},
	} {
		var got []string
		for _, e := range gathered(s.unread(&reconcile.ReadError{Target: tc.target, Err: denied}, tc.also)) {
			require.ErrorIs(t, e, denied)
			got = append(got, about(e))
		}
		require.Equal(t, tc.want, got, name)
	}
	require.Equal(t, denied, s.unread(denied, nil))
	require.NoError(t, s.unread(nil, nil))
}
