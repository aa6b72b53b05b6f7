package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/hashicorp/go-multierror"
	"github.com/spf13/cobra"

	"github.com/apron-deploy/apron/reconcile/render"
)

// notifyFlags are where drift is told besides. Both are addresses that whoever knows them
// may write to, so that they come from flags or the environment, never from a manifest,
// and are never printed.
type notifyFlags struct {
	webhook string // gets the view as JSON
	slack   string // gets Slack's {"text": …}, which others understand too
}

func (n *notifyFlags) register(a *app, cmd *cobra.Command) {
	// Not as defaults of the flags, which --help would print.
	cmd.Flags().StringVar(&n.webhook, "notify-webhook", "", "URL that gets the result as JSON when there is drift; also APRON_NOTIFY_WEBHOOK")
	cmd.Flags().StringVar(&n.slack, "notify-slack", "", "incoming webhook of Slack, or of what speaks like it; also APRON_SLACK_WEBHOOK")
	pre := cmd.PreRunE
	cmd.PreRunE = func(cmd *cobra.Command, args []string) error {
		if n.webhook == "" {
			n.webhook = a.fallback("APRON_NOTIFY_WEBHOOK", "")
		}
		if n.slack == "" {
			n.slack = a.fallback("APRON_SLACK_WEBHOOK", "")
		}
		a.out.Hide(n.webhook, n.slack)
		a.err.Hide(n.webhook, n.slack)
		if pre != nil {
			return pre(cmd, args)
		}
		return nil
	}
}

// check refuses what is no address to post to, without quoting it.
func (n *notifyFlags) check() error {
	for flag, target := range map[string]string{"--notify-webhook": n.webhook, "--notify-slack": n.slack} {
		if target == "" {
			continue
		}
		if u, err := url.Parse(target); err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http" {
			return fmt.Errorf("%s: it is not a URL of the form https://host/path", flag)
		}
	}
	return nil
}

// notifyTime is how long one target may take.
const notifyTime = 10 * time.Second

// notify tells the targets what drifted. That one cannot be told is an error: whoever waits to
// be told looks at nothing else.
func (a *app) notify(ctx context.Context, n notifyFlags, v *render.Drift) error {
	var errs *multierror.Error
	for _, t := range []struct {
		name, target string
		body         func() ([]byte, error)
	}{
		{"the webhook", n.webhook, func() ([]byte, error) {
			var b bytes.Buffer
			err := render.Write(&b, v, render.Options{Format: render.JSON})
			return b.Bytes(), err
		}},
		{"Slack", n.slack, func() ([]byte, error) { return json.Marshal(map[string]string{"text": slackText(v)}) }},
	} {
		if t.target == "" {
			continue
		}
		body, err := t.body()
		if err == nil {
			err = post(ctx, t.target, []byte(a.out.Redact(string(body))))
		}
		if err != nil {
			errs = multierror.Append(errs, fmt.Errorf("%s was not told: %w", t.name, interruptible(ctx, err)))
		}
	}
	return errs.ErrorOrNil()
}

// post sends JSON to a target. Its errors do not name the target.
func post(ctx context.Context, target string, body []byte) error {
	ctx, cancel := context.WithTimeout(ctx, notifyTime)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, target, bytes.NewReader(body))
	if err != nil {
		return errors.New("its URL is malformed")
	}
	req.Header.Set("Content-Type", "application/json")
	client := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	res, err := client.Do(req)
	if err != nil {
		var failed *url.Error
		if errors.As(err, &failed) {
			err = failed.Err
		}
		return err
	}
	defer res.Body.Close()
	_, _ = io.Copy(io.Discard, io.LimitReader(res.Body, 1<<16)) // so that the connection can end in peace
	if res.StatusCode/100 != 2 {
		return fmt.Errorf("it answered %s", res.Status)
	}
	return nil
}

// slackMax keeps a message within what Slack shows as one.
// https://docs.slack.dev/messaging/formatting-message-text
const slackMax = 3500

// slackText is drift as a message: the text output as code, with what Slack would take
// for markup escaped.
func slackText(v *render.Drift) string {
	var text bytes.Buffer
	if err := render.Write(&text, v, render.Options{}); err != nil {
		return v.Headline()
	}
	lines := strings.TrimSpace(strings.ReplaceAll(text.String(), "`", "'"))
	if r := []rune(lines); len(r) > slackMax {
		lines = string(r[:slackMax]) + "\n… and more: apron drift shows it"
	}
	lines = strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;").Replace(lines)
	return "*" + v.Headline() + "*\n```\n" + lines + "\n```"
}
