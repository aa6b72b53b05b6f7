// Command consultation-app turns a doctor's notes into a summary, the next steps and a
// letter to the patient. It is an example to deploy: it works offline, always answers
// the same, and says what it would call if it were real.
package main

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"
)

// drain is how long requests under way may take once the service is told to stop.
const drain = 10 * time.Second

func main() {
	log := slog.New(slog.NewJSONHandler(os.Stdout, nil))
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, os.Interrupt)
	defer stop()
	if err := run(ctx, settingsFrom(os.LookupEnv), log); err != nil {
		log.Error("stopped", "error", err.Error())
		os.Exit(1)
	}
}

// run serves until ctx ends, and then finishes what it has begun.
func run(ctx context.Context, s settings, log *slog.Logger) error {
	listener, err := net.Listen("tcp", ":"+s.port)
	if err != nil {
		return err
	}
	server := &http.Server{
		Handler:           routes(s, log),
		ReadHeaderTimeout: 5 * time.Second,
		ReadTimeout:       15 * time.Second,
		WriteTimeout:      30 * time.Second,
		IdleTimeout:       2 * time.Minute,
	}
	log.Info("listening", "port", s.port, "clerk_secret_key", s.clerk, "clerk_jwks_url", s.jwks, "openai_api_key", s.openai)
	failed := make(chan error, 1)
	go func() { failed <- server.Serve(listener) }()
	select {
	case err := <-failed:
		return err
	case <-ctx.Done():
	}
	log.Info("draining", "for_at_most", drain.String())
	last, cancel := context.WithTimeout(context.Background(), drain)
	defer cancel()
	if err := server.Shutdown(last); err != nil {
		return err
	}
	if err := <-failed; !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	log.Info("stopped")
	return nil
}
