package sandbox

import (
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"time"
)

// StartOptions configure [Start]. Only Dir is required.
type StartOptions struct {
	// Dir is the sandbox's directory, ".apron" beside the manifest. It is made, and
	// hidden from git and from other users.
	Dir string
	// Account and Region are those to present; defaults as for [Options].
	Account, Region string
	// Speed and Engine are as in [Options]. Zero values take a running sandbox as it is.
	Speed  float64
	Engine string
	// Executable is the program that serves; default the running one. A copy of it runs.
	Executable string
	// Args make the program call [Serve]; the directory follows as "--dir", Dir.
	// Default "sandbox", "serve".
	Args []string
	// Build identifies the program; default a hash of the executable.
	Build string
	// Timeout limits the start; default one minute.
	Timeout time.Duration
}

// OtherError says that the sandbox which runs presents another account or Region. What it
// runs would end if it were replaced.
type OtherError struct {
	Runs            Info
	Account, Region string // asked for
}

var _ error = (*OtherError)(nil)

func (e *OtherError) Error() string {
	return fmt.Sprintf("a sandbox of account %s in %s is running here, and account %s in %s was asked for; it goes on running",
		e.Runs.Account, e.Runs.Region, e.Account, e.Region)
}

// Hint says how to get the other one.
func (*OtherError) Hint() string {
	return "`apron sandbox stop` first: each account and Region keeps its own state"
}

// Start returns the sandbox of a directory. If none runs, or one of another build, speed
// or engine, it starts one in the background; state is kept. One of another account or
// Region is left alone, with an [*OtherError]. It returns when the sandbox answers. Two starts at once return the same sandbox.
func Start(ctx context.Context, o StartOptions) (Info, error) {
	if err := o.defaults(); err != nil {
		return Info{}, err
	}
	if err := prepare(o.Dir); err != nil {
		return Info{}, err
	}
	ctx, cancel := context.WithTimeoutCause(ctx, o.Timeout, fmt.Errorf("the sandbox did not answer within %s", o.Timeout))
	defer cancel()
	unlock, err := lock(ctx, o.Dir, startLock)
	if err != nil {
		return Info{}, err
	}
	defer unlock()
	old, err := readInfo(o.Dir)
	if err != nil {
		old = Info{} // damaged: begin anew
	}
	build, from, err := identify(o, old)
	if err != nil {
		return Info{}, err
	}
	if _, running := ask(ctx, old); running {
		switch {
		case o.fits(old, build):
			return old, nil
		case old.Account != o.Account || old.Region != o.Region:
			return Info{}, &OtherError{Runs: old, Account: o.Account, Region: o.Region}
		}
	}
	if err := stop(ctx, o.Dir); err != nil && !errors.Is(err, ErrNotRunning) {
		return Info{}, err
	}
	info := o.plan(old, build, from)
	if err := writeInfo(o.Dir, info); err != nil {
		return Info{}, err
	}
	program, err := install(o.Executable, filepath.Join(o.Dir, "bin"), build)
	if err != nil {
		return Info{}, err
	}
	return launch(ctx, o, program)
}

func (o *StartOptions) defaults() error {
	var err error
	if o.Dir, err = filepath.Abs(o.Dir); err != nil {
		return fmt.Errorf("sandbox: %w", err)
	}
	if o.Executable == "" {
		if o.Executable, err = os.Executable(); err != nil {
			return fmt.Errorf("sandbox: %w", err)
		}
	}
	if o.Args == nil {
		o.Args = []string{"sandbox", "serve"}
	}
	o.Account = cmp.Or(o.Account, "000000000000")
	o.Region = cmp.Or(o.Region, "us-east-1")
	o.Timeout = cmp.Or(o.Timeout, time.Minute)
	return nil
}

// fits tells whether a running sandbox is the one asked for.
func (o *StartOptions) fits(info Info, build string) bool {
	return info.Build == build && info.Account == o.Account && info.Region == o.Region &&
		(o.Speed == 0 || o.Speed == info.Speed) && (o.Engine == "" || o.Engine == info.Engine)
}

// plan describes the sandbox to start, with the old one's port and credentials.
func (o *StartOptions) plan(old Info, build string, from source) Info {
	fresh := Options{AccessKey: old.AccessKey, SecretKey: old.SecretKey, Token: old.Token}
	fresh.defaults()
	return Info{
		Port:  cmp.Or(old.Port, preferredPort(o.Dir)),
		Build: build, Source: from, Account: o.Account, Region: o.Region,
		Speed: cmp.Or(o.Speed, old.Speed), Engine: cmp.Or(o.Engine, old.Engine),
		Token: fresh.Token, AccessKey: fresh.AccessKey, SecretKey: fresh.SecretKey,
	}
}

// prepare makes the directory, closed to others and to git.
func prepare(dir string) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("sandbox: %w", err)
	}
	if err := os.Chmod(dir, 0o700); err != nil {
		return fmt.Errorf("sandbox: %w", err)
	}
	ignore := filepath.Join(dir, ".gitignore")
	if _, err := os.Stat(ignore); err == nil {
		return nil
	}
	if err := os.WriteFile(ignore, []byte("*\n"), 0o600); err != nil {
		return fmt.Errorf("sandbox: %w", err)
	}
	return nil
}

// identify returns the build of the executable. It hashes the file only if it is not
// the one that the old build was computed from.
func identify(o StartOptions, old Info) (string, source, error) {
	info, err := os.Stat(o.Executable)
	if err != nil {
		return "", source{}, fmt.Errorf("sandbox: %w", err)
	}
	from := source{o.Executable, info.Size(), info.ModTime().UTC()}
	switch {
	case o.Build != "":
		return o.Build, from, nil
	case from.Path == old.Source.Path && from.Size == old.Source.Size && from.Modified.Equal(old.Source.Modified):
		return old.Build, from, nil
	}
	f, err := os.Open(o.Executable)
	if err != nil {
		return "", source{}, fmt.Errorf("sandbox: %w", err)
	}
	defer f.Close()
	h := sha256.New()
	if _, err := io.Copy(h, f); err != nil {
		return "", source{}, fmt.Errorf("sandbox: %w", err)
	}
	return hex.EncodeToString(h.Sum(nil))[:16], from, nil
}

// install copies the executable, so that the sandbox outlives it and does not keep it
// from being built again. Copies of other builds are removed.
func install(executable, dir, build string) (string, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return "", fmt.Errorf("sandbox: %w", err)
	}
	path := filepath.Join(dir, "apron-"+strings.Map(plain, build))
	if runtime.GOOS == "windows" {
		path += ".exe"
	}
	others, _ := filepath.Glob(filepath.Join(dir, "*"))
	for _, other := range others {
		if other != path {
			_ = os.Remove(other) // on Windows a running one stays; the next start tries again
		}
	}
	if _, err := os.Stat(path); err == nil {
		return path, nil
	}
	if err := copyFile(executable, path); err != nil {
		return "", fmt.Errorf("sandbox: copy %s: %w", executable, err)
	}
	return path, nil
}

// plain keeps what is safe in a file's name.
func plain(r rune) rune {
	if strings.ContainsRune("-_.", r) || '0' <= r && r <= '9' || 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' {
		return r
	}
	return '_'
}

func copyFile(from, to string) error {
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer in.Close()
	temp := to + ".new"
	out, err := os.OpenFile(temp, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o700)
	if err != nil {
		return err
	}
	_, err = io.Copy(out, in)
	if closed := out.Close(); err == nil {
		err = closed
	}
	if err == nil {
		err = os.Rename(temp, to)
	}
	return err
}

// maxLog is the size from which on a log begins anew.
const maxLog = 4 << 20

// launch runs the program in the background until it answers.
func launch(ctx context.Context, o StartOptions, program string) (Info, error) {
	path := filepath.Join(o.Dir, "sandbox.log")
	if info, err := os.Stat(path); err == nil && info.Size() > maxLog {
		_ = os.Rename(path, path+".old") // at worst it grows on
	}
	log, err := os.OpenFile(path, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return Info{}, fmt.Errorf("sandbox: %w", err)
	}
	defer log.Close()
	begin, err := log.Seek(0, io.SeekEnd)
	if err != nil {
		return Info{}, fmt.Errorf("sandbox: %w", err)
	}
	command, err := spawn(ctx, o, program, log)
	if err != nil {
		return Info{}, fmt.Errorf("sandbox: start %s: %w", program, err)
	}
	// The goroutine ends with the sandbox or with this process. Without it a sandbox
	// that ends would stay a zombie.
	ended := make(chan error, 1)
	go func() { ended <- command.Wait() }()
	for {
		info, err := readInfo(o.Dir)
		if err == nil && info.Pid == command.Process.Pid {
			if _, up := ask(ctx, info); up {
				return info, nil
			}
		}
		select {
		case err := <-ended:
			return Info{}, fmt.Errorf("the sandbox ended while it started (%w): %s", cmp.Or(err, errEnded), tail(path, begin))
		default:
		}
		if err := wait(ctx, 10*time.Millisecond); err != nil {
			_ = command.Process.Kill() // it is of no use now
			return Info{}, fmt.Errorf("%w: %s", err, tail(path, begin))
		}
	}
}

var errEnded = errors.New("exit status 0")

// spawn starts the program with its own session and only the environment it needs:
// nothing that names a real AWS account, and none of the caller's secrets.
func spawn(ctx context.Context, o StartOptions, program string, log *os.File) (*exec.Cmd, error) {
	for {
		command := exec.Command(program, append(append([]string(nil), o.Args...), "--dir", o.Dir)...)
		command.Dir = o.Dir
		command.Env = environment(os.Environ())
		command.Stdout, command.Stderr = log, log
		command.SysProcAttr = detached()
		err := command.Start()
		// Another fork may hold the copy open for writing until it execs.
		if !errors.Is(err, syscall.ETXTBSY) {
			return command, err
		}
		if err := wait(ctx, 10*time.Millisecond); err != nil {
			return nil, err
		}
	}
}

// environment keeps what programs and container engines need to work.
func environment(all []string) []string {
	keep := map[string]bool{}
	for name := range strings.FieldsSeq(`PATH HOME USER LOGNAME SHELL TMPDIR TMP TEMP LANG TZ GOCOVERDIR
		SYSTEMROOT SYSTEMDRIVE WINDIR COMSPEC PATHEXT USERPROFILE APPDATA LOCALAPPDATA PROGRAMDATA PROGRAMFILES
		SSL_CERT_FILE SSL_CERT_DIR DBUS_SESSION_BUS_ADDRESS`) {
		keep[name] = true
	}
	var out []string
	for _, variable := range all {
		name, _, _ := strings.Cut(strings.ToUpper(variable), "=")
		if keep[name] || strings.HasPrefix(name, "LC_") || strings.HasPrefix(name, "XDG_") ||
			strings.HasPrefix(name, "DOCKER_") || strings.HasPrefix(name, "CONTAINER") {
			out = append(out, variable)
		}
	}
	return out
}

// tail returns the last lines of the log that were written since begin.
func tail(path string, begin int64) string {
	f, err := os.Open(path)
	if err != nil {
		return err.Error()
	}
	defer f.Close()
	if _, err := f.Seek(begin, io.SeekStart); err != nil {
		return err.Error()
	}
	b, _ := io.ReadAll(io.LimitReader(f, 1<<20)) // what can be read is enough
	b = bytes.TrimSpace(b)
	if len(b) == 0 {
		return "it logged nothing to " + path
	}
	lines := bytes.Split(b, []byte("\n"))
	return string(bytes.Join(lines[max(0, len(lines)-20):], []byte("\n")))
}
