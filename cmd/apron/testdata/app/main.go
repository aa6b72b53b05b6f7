// Command app is the service that apron's own tests deploy. Its image tells it how to
// behave, so that changing a Dockerfile breaks or repairs it.
//
//	VERSION  what / answers
//	HEALTH   the status of /health (200)
//	EXIT     a code to end with at once, after saying why
//	LISTEN   a port to listen on instead of PORT
//	SPILL    a variable whose value it prints, which no application should
package main

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"net/http"
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
	health := http.StatusOK
	if n, err := strconv.Atoi(os.Getenv("HEALTH")); err == nil {
		health = n
	}
	mux := http.NewServeMux()
	mux.HandleFunc("/", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "version", os.Getenv("VERSION")) })
	mux.HandleFunc("/health", func(w http.ResponseWriter, _ *http.Request) {
		if health != http.StatusOK {
			fmt.Println("app: the database does not answer")
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
	server := &http.Server{Addr: ":" + port, Handler: mux, ReadHeaderTimeout: 10 * time.Second}
	served := make(chan error, 1)
	go func() { served <- server.ListenAndServe() }()
	fmt.Println("app: listening on", port)
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
