package sandbox_test

import (
	"context"
	"flag"
	"net/http"
	"os"
	"os/exec"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
	"github.com/stretchr/testify/require"

	"github.com/apron-deploy/apron/providers/sandbox"
)

var screenshot = flag.String("screenshot", "", "file for a picture of the console")

// browser starts headless Chromium, which may be absent but not where
// APRON_TEST_ENGINES=required.
func browser(t *testing.T) context.Context {
	t.Helper()
	path := ""
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome"} {
		if found, err := exec.LookPath(name); err == nil && path == "" {
			path = found
		}
	}
	if path == "" {
		if os.Getenv("APRON_TEST_ENGINES") == "required" {
			t.Fatal("chromium is not installed")
		}
		t.Skip("chromium is not installed")
	}
	ctx, cancel := chromedp.NewExecAllocator(t.Context(), append(chromedp.DefaultExecAllocatorOptions[:],
		chromedp.ExecPath(path), chromedp.NoSandbox, chromedp.DisableGPU, chromedp.UserDataDir(t.TempDir()), chromedp.WindowSize(1280, 1500),
		chromedp.Flag("disable-background-networking", true), chromedp.Flag("disable-component-update", true), chromedp.Flag("disable-quic", true),
		chromedp.WSURLReadTimeout(time.Minute))...)
	t.Cleanup(cancel)
	ctx, cancel = chromedp.NewContext(ctx)
	t.Cleanup(cancel)
	return ctx
}

// TestConsole_inChromium clicks through the page as a person would.
func TestConsole_inChromium(t *testing.T) {
	ctx := browser(t)
	s := serve(t, func(o *sandbox.Options) { o.Speed, o.Runner = 1000, greeter{} })
	deploy(t, s)
	code, body := send(t, http.MethodGet, s.Endpoint()+"/", "shop.localhost", nil)
	require.Equal(t, 200, code, body)

	require.NoError(t, chromedp.Do(ctx,
		chromedp.Navigate(s.Info().Console()),
		chromedp.WaitVisible("#services button"),
		chromedp.Click("#services button"),
		chromedp.WaitVisible("#operations tr"),
		chromedp.WaitVisible("#logs li.service"),
		chromedp.WaitVisible("#charts figure"),
	))
	shown := func(selector string) string {
		text, err := chromedp.Run(ctx, chromedp.Text(selector))
		require.NoError(t, err)
		return text
	}
	require.Contains(t, shown("#facts"), account)
	require.Contains(t, shown("#services"), "shop RUNNING")
	require.Contains(t, shown("#settings"), "http://shop.localhost:")
	require.Contains(t, shown("#operations"), "CREATE_SERVICE")
	require.Contains(t, shown("#operations"), "SUCCEEDED")
	require.NotEmpty(t, shown("#instances"))
	require.Contains(t, shown("#calls"), "CreateService")
	require.Contains(t, shown("#charts"), "RequestLatency")
	require.NotEmpty(t, shown("#logs"))

	// A group that is not wanted goes, and comes back.
	require.NoError(t, chromedp.Do(ctx,
		chromedp.Click(`button[data-group="service"]`),
		chromedp.WaitNotPresent("#logs li.service"),
		chromedp.Click(`button[data-group="service"]`),
		chromedp.WaitVisible("#logs li.service"),
	))
	quiet, err := chromedp.Run(ctx, chromedp.Evaluate[bool](`document.getElementById("problem").hidden`))
	require.NoError(t, err)
	require.True(t, quiet, "no error is shown")
	if *screenshot != "" {
		picture, err := chromedp.Run(ctx, chromedp.FullScreenshot(100))
		require.NoError(t, err)
		require.NoError(t, os.WriteFile(*screenshot, picture, 0o644))
	}
}
