package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"unicode/utf8"

	"golang.org/x/term"
)

// awaitAnswer reads what somebody types, or what a pipe holds, until the run is interrupted: such
// a read ends by nothing else. It is left to the end of the process, then.
func awaitAnswer[T any](ctx context.Context, read func() (T, error)) (T, error) {
	type result struct {
		value T
		err   error
	}
	got := make(chan result, 1)
	go func() {
		v, err := read()
		got <- result{v, err}
	}()
	select {
	case r := <-got:
		return r.value, r.err
	case <-ctx.Done():
		var none T
		return none, context.Cause(ctx)
	}
}

// question shows what is asked, which must not be held back.
func (a *app) question(format string, args ...any) {
	fmt.Fprintf(a.err, format, args...)
	_ = a.err.Close()
}

// confirm asks whether to go on. Without a terminal nobody can say yes.
func (a *app) confirm(ctx context.Context, yes bool) error {
	if yes {
		return nil
	}
	if !a.ttyIn {
		return &unapprovedError{why: "nobody said yes: there is no terminal to ask on; nothing was changed", fix: "run again with --yes"}
	}
	a.question("Do this? Only yes is taken for a yes: ")
	said, err := awaitAnswer(ctx, func() (string, error) { return bufio.NewReader(a.in).ReadString('\n') })
	if strings.TrimSpace(said) == "yes" {
		return nil
	}
	if err != nil {
		a.say("")
	}
	if ctx.Err() != nil {
		return fmt.Errorf("%w; nothing was changed", context.Cause(ctx))
	}
	return &unapprovedError{why: "nobody said yes; nothing was changed"}
}

// readSecret reads one value: a whole file or pipe, or a line of a terminal, unseen.
func (a *app) readSecret(ctx context.Context, key string) (string, error) {
	f, ok := a.in.(interface{ Fd() uintptr })
	read := func() ([]byte, error) { return io.ReadAll(io.LimitReader(a.in, maxRead+1)) }
	if ok && a.ttyIn {
		fd := int(f.Fd())
		if before, err := term.GetState(fd); err == nil { // an interrupted read leaves the terminal without its echo
			defer func() { _ = term.Restore(fd, before) }()
		}
		a.question("%s: ", key)
		read = func() ([]byte, error) { return term.ReadPassword(fd) }
		defer a.say("")
	}
	text, err := awaitAnswer(ctx, read)
	if err != nil {
		return "", fmt.Errorf("read the value of %s: %w", key, err)
	}
	value, err := secretText(text)
	if err != nil {
		return "", &usageError{err: fmt.Errorf("%s: %w", key, err), command: "apron secrets set"}
	}
	a.out.Hide(value)
	a.err.Hide(value)
	return value, nil
}

// secretText is a value without what editors and shells add to it: a byte order mark, carriage
// returns and the newline at the end.
func secretText(text []byte) (string, error) {
	value := strings.TrimRight(strings.ReplaceAll(strings.TrimPrefix(string(text), "\uFEFF"), "\r\n", "\n"), "\r\n")
	switch {
	case value == "":
		return "", errors.New("the value is empty")
	case len(text) > maxRead, len(value) > maxSecret:
		return "", fmt.Errorf("the value has more than %d bytes, which a standard parameter does not hold: use Secrets Manager", maxSecret)
	case strings.HasPrefix(value, "\xff\xfe"), strings.HasPrefix(value, "\xfe\xff"):
		return "", errors.New("the value is UTF-16, as Windows PowerShell's > writes it: a parameter holds UTF-8")
	case !utf8.ValidString(value) || strings.ContainsRune(value, 0):
		return "", errors.New("the value is no text in UTF-8, which is what a parameter holds: encode it, with base64 for one")
	}
	return value, nil
}

const (
	// maxSecret is what a standard parameter holds, in bytes.
	// https://docs.aws.amazon.com/systems-manager/latest/userguide/parameter-store-advanced-parameters.html
	maxSecret = 4096
	// maxRead leaves room for what is taken off before a value is kept.
	maxRead = 4 * maxSecret
)
