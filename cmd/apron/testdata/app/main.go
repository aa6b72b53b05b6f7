// Command app is the service that apron's own tests deploy. Its image tells it how to
// behave, so that changing a Dockerfile breaks or repairs it.
//
//	VERSION  what / answers
//	HEALTH   the status of /health (200)
//	EXIT     a code to end with at once, after saying why
//	LISTEN   a port to listen on instead of PORT
//	SPILL    a variable whose value it prints, which no application should
//	NEED     a variable without which it ends as a Python program does
//	KEYS     a variable whose value must be the URL of signing keys
//	EAT      MiB of memory that it fills
//	SLOW     a duration that it takes to start, talking
//	ONLY     an address to listen on instead of all
package main

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"os/signal"
	"strconv"
	"syscall"
	"time"
)

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "app:", err)
		os.Exit(1)
	}
}

func run() error {
	if code, err := strconv.Atoi(os.Getenv("EXIT")); err == nil {
		fmt.Println("app: cannot go on: the configuration is missing")
		os.Exit(code)
	}
	if err := begin(); err != nil {
		return err
	}
	health := http.StatusOK
	if n, err := strconv.Atoi(os.Getenv("HEALTH")); err == nil {
		health = n
	}
	mux := http.NewServeMux()
	mux.HandleFunc("/", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "version", os.Getenv("VERSION")) })
	mux.HandleFunc("/health", func(w http.ResponseWriter, r *http.Request) {
		if health != http.StatusOK {
			fmt.Println("app: the database does not answer")
			fmt.Printf("%s %s %d\n", r.Method, r.URL.Path, health)
			if name := os.Getenv("SPILL"); name != "" {
				fmt.Printf("app: %s is %q\n", name, os.Getenv(name))
			}
		}
		w.WriteHeader(health)
	})
	// A variable's hash, so that a test can tell what a container got without the value.
	mux.HandleFunc("/hash/{name}", func(w http.ResponseWriter, r *http.Request) {
		v, ok := os.LookupEnv(r.PathValue("name"))
		if !ok {
			http.Error(w, "not set", http.StatusNotFound)
			return
		}
		fmt.Fprintf(w, "%x\n", sha256.Sum256([]byte(v)))
	})
	mux.HandleFunc("/env/{name}", func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintln(w, os.Getenv(r.PathValue("name")))
	})
	port := os.Getenv("PORT")
	if p := os.Getenv("LISTEN"); p != "" {
		port = p
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, os.Interrupt)
	defer stop()
	address := os.Getenv("ONLY") + ":" + port
	server := &http.Server{Addr: address, Handler: mux, ReadHeaderTimeout: 10 * time.Second}
	served := make(chan error, 1)
	go func() { served <- server.ListenAndServe() }()
	fmt.Println("app: listening on", address)
	select {
	case err := <-served:
		return err
	case <-ctx.Done():
	}
	limit, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	if err := server.Shutdown(limit); err != nil && !errors.Is(err, context.DeadlineExceeded) {
		return err
	}
	fmt.Println("app: stopped")
	return nil
}

// begin is what happens before it listens, and may end it.
func begin() error {
	if name := os.Getenv("NEED"); name != "" && os.Getenv(name) == "" {
		fmt.Println("Traceback (most recent call last):")
		return fmt.Errorf("KeyError: '%s'", name)
	}
	if name := os.Getenv("KEYS"); name != "" {
		if u, err := url.Parse(os.Getenv(name)); err != nil || u.Scheme != "https" || u.Host == "" {
			return fmt.Errorf("jwks client: unknown url type: %q", os.Getenv(name))
		}
	}
	if n, err := strconv.Atoi(os.Getenv("EAT")); err == nil {
		fmt.Println("app: filling the cache")
		if err := eat(n << 20); err != nil {
			return err
		}
	}
	if d, err := time.ParseDuration(os.Getenv("SLOW")); err == nil {
		tick, end := time.NewTicker(100*time.Millisecond), time.After(d)
		defer tick.Stop()
		for n := 1; ; n++ {
			select {
			case <-tick.C:
				fmt.Println("app: loading part", n, "of the model")
			case <-end:
				return nil
			}
		}
	}
	return nil
}
