// Command app is what the conformance tests run in a container.
package main

import (
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"os/signal"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
)

var (
	kept [][]byte      // what /alloc holds on to
	sink atomic.Uint32 // makes /burn do its work
)

func main() {
	if len(os.Args) > 1 {
		command(os.Args[1:])
		return
	}
	term := make(chan os.Signal, 1)
	switch os.Getenv("MODE") {
	case "ignores-term":
		signal.Ignore(syscall.SIGTERM)
	default:
		signal.Notify(term, syscall.SIGTERM)
	}
	if os.Getenv("MODE") != "deaf" {
		addr := os.Getenv("BIND") + ":" + os.Getenv("PORT")
		l, err := net.Listen("tcp", addr)
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(2)
		}
		fmt.Println("out: listening")
		fmt.Fprintln(os.Stderr, "err: listening")
		go http.Serve(l, mux())
	}
	<-term
	fmt.Print("out: bye, without a newline")
	os.Exit(7)
}

func command(args []string) {
	switch args[0] {
	case "exit":
		code, _ := strconv.Atoi(args[1])
		os.Exit(code)
	case "echo":
		fmt.Println(strings.Join(args[1:], "|"))
	case "long":
		n, _ := strconv.Atoi(args[1])
		fmt.Println(strings.Repeat("x", n))
		fmt.Println("end")
	case "crash":
		syscall.Kill(os.Getpid(), syscall.SIGSEGV)
		panic("crash")
	case "wait":
		select {}
	}
}

func mux() http.Handler {
	m := http.NewServeMux()
	m.HandleFunc("/", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "hello from ", os.Getenv("NAME")) })
	m.HandleFunc("/env", func(w http.ResponseWriter, _ *http.Request) { json.NewEncoder(w).Encode(os.Environ()) })
	m.HandleFunc("/self", func(w http.ResponseWriter, _ *http.Request) {
		dir, _ := os.Getwd()
		host, _ := os.Hostname()
		status, _ := os.ReadFile("/proc/self/status")
		json.NewEncoder(w).Encode(map[string]any{
			"pid": os.Getpid(), "uid": os.Getuid(), "gid": os.Getgid(), "dir": dir, "host": host, "status": string(status),
		})
	})
	m.HandleFunc("/file/", func(w http.ResponseWriter, r *http.Request) {
		path := strings.TrimPrefix(r.URL.Path, "/file")
		fi, err := os.Lstat(path)
		if err != nil {
			http.Error(w, err.Error(), http.StatusNotFound)
			return
		}
		uid := fi.Sys().(*syscall.Stat_t).Uid
		out := map[string]any{"mode": fi.Mode().String(), "uid": uid}
		switch {
		case fi.IsDir():
			entries, _ := os.ReadDir(path)
			names := []string{}
			for _, e := range entries {
				names = append(names, e.Name())
			}
			out["names"] = names
		case fi.Mode()&os.ModeSymlink != 0:
			out["target"], _ = os.Readlink(path)
		case fi.Mode().IsRegular():
			b, err := os.ReadFile(path)
			if err != nil {
				http.Error(w, err.Error(), http.StatusForbidden)
				return
			}
			out["text"] = string(b)
		}
		json.NewEncoder(w).Encode(out)
	})
	m.HandleFunc("/write/", func(w http.ResponseWriter, r *http.Request) {
		if err := os.WriteFile(strings.TrimPrefix(r.URL.Path, "/write"), []byte("written"), 0o644); err != nil {
			http.Error(w, err.Error(), http.StatusForbidden)
		}
	})
	m.HandleFunc("/alloc", func(w http.ResponseWriter, r *http.Request) {
		mib, _ := strconv.Atoi(r.FormValue("mib"))
		for range mib {
			b := make([]byte, 1<<20)
			for i := 0; i < len(b); i += 4096 {
				b[i] = 1
			}
			kept = append(kept, b)
		}
		fmt.Fprint(w, "ok")
	})
	m.HandleFunc("/burn", func(w http.ResponseWriter, _ *http.Request) {
		var u syscall.Rusage
		for x := uint32(1); u.Utime.Sec == 0 && u.Utime.Usec < 200_000; {
			for range 5_000_000 {
				x = x*1664525 + 1013904223
			}
			sink.Store(x)
			syscall.Getrusage(syscall.RUSAGE_SELF, &u)
		}
	})
	m.HandleFunc("/fork", func(w http.ResponseWriter, _ *http.Request) {
		cmd := exec.Command("/proc/self/exe", "wait")
		if err := cmd.Start(); err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		fmt.Fprint(w, cmd.Process.Pid)
	})
	m.HandleFunc("/dial", func(w http.ResponseWriter, r *http.Request) {
		c, err := net.Dial("tcp", r.FormValue("addr"))
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadGateway)
			return
		}
		c.Close()
	})
	return m
}
