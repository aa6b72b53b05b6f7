package git

import (
	"bytes"
	"context"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sync/errgroup"
)

// Dirty reports whether what is tracked differs from the commit that is checked out, as
// git describe --dirty does: something is staged, changed, gone, or in the middle of a
// merge. It returns an error if that cannot be known.
//
// Files are hashed only if git's index does not vouch for them by size and time. Not seen
// are files that are not tracked, what is within a submodule beyond its commit, and an
// edit that set back the time at the same size. A file that git passes through a filter
// on its way, such as of LFS, counts as changed if its time is another, until git status
// has had a look.
func (r *Repository) Dirty(ctx context.Context) (bool, error) {
	var entries []Entry
	dirty := false
	looked, err := os.Stat(filepath.Join(r.dir, "index"))
	if err == nil {
		err = r.Index(func(e Entry, count int) {
			if entries == nil {
				entries = make([]Entry, 0, count)
			}
			dirty = dirty || e.Stage != 0 || e.Intended
			e.ID = bytes.Clone(e.ID)
			entries = append(entries, e)
		})
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return false, err
	}
	_, commit := r.Head()
	if dirty || commit == "" && len(entries) > 0 {
		return true, nil // nothing is committed yet
	}
	if commit == "" {
		return false, errors.New("no commit is checked out")
	}
	_, data, err := r.object(commit)
	if err != nil {
		return false, err
	}
	sum := sha1.New
	if len(commit) == 64 {
		sum = sha256.New
	}
	tree, err := treeOf(entries, sum)
	if err != nil {
		return false, err
	}
	if tree != header(data, "tree") {
		return true, nil
	}
	if len(entries) == 0 {
		return false, nil
	}
	return r.edited(ctx, entries, looked.ModTime(), sum)
}

// Modes reports whether the executable bits on disk mean anything, which git finds out when it
// makes a repository.
// https://git-scm.com/docs/git-config#Documentation/git-config.txt-corefileMode
func (r *Repository) Modes() bool {
	return runtime.GOOS != "windows" && r.setting("core", "filemode") != "false"
}

// treeOf is the name of the tree that a commit of the entries would have. They must be
// in order, and as blobs of trees are ordered alike, one pass is enough.
func treeOf(entries []Entry, sum func() hash.Hash) (string, error) {
	type level struct {
		prefix string // with a slash at its end
		text   []byte
	}
	open := []level{{}}
	name := func(kind string, text []byte) []byte {
		h := sum()
		fmt.Fprintf(h, "%s %d\x00", kind, len(text))
		h.Write(text)
		return h.Sum(nil)
	}
	shut := func() {
		last := open[len(open)-1]
		open = open[:len(open)-1]
		up := &open[len(open)-1]
		dir := strings.TrimSuffix(last.prefix[len(up.prefix):], "/")
		up.text = append(append(append(up.text, "40000 "...), dir+"\x00"...), name("tree", last.text)...)
	}
	for _, e := range entries {
		if e.Mode == Directory {
			return "", fmt.Errorf("sparse: %w", ErrIndex)
		}
		for !strings.HasPrefix(e.Path, open[len(open)-1].prefix) {
			shut()
		}
		at := len(open[len(open)-1].prefix)
		for i := strings.IndexByte(e.Path[at:], '/'); i >= 0; i = strings.IndexByte(e.Path[at:], '/') {
			at += i + 1
			open = append(open, level{prefix: e.Path[:at]})
		}
		top := &open[len(open)-1]
		top.text = fmt.Appendf(top.text, "%o %s\x00", e.Mode, e.Path[at:])
		top.text = append(top.text, e.ID...)
	}
	for len(open) > 1 {
		shut()
	}
	return hex.EncodeToString(name("tree", open[0].text)), nil
}

// edited reports whether a file on disk is not as the index, last written at looked, has
// it.
func (r *Repository) edited(ctx context.Context, entries []Entry, looked time.Time, sum func() hash.Hash) (bool, error) {
	modes := r.Modes()
	var next atomic.Int64
	var found atomic.Bool
	workers, ctx := errgroup.WithContext(ctx)
	for range max(2, runtime.GOMAXPROCS(0)) {
		workers.Go(func() error {
			for {
				i := int(next.Add(1)) - 1
				if i >= len(entries) || found.Load() {
					return nil
				}
				if ctx.Err() != nil {
					return context.Cause(ctx)
				}
				same, err := r.same(entries[i], looked, modes, sum)
				if err != nil {
					return err
				}
				if !same {
					found.Store(true)
				}
			}
		})
	}
	err := workers.Wait()
	return found.Load(), err
}

// same reports whether a file is as the entry says. One that was written in the moment
// of the index or later is read: it may have been edited since without another time.
// https://git-scm.com/docs/racy-git
func (r *Repository) same(e Entry, looked time.Time, modes bool, sum func() hash.Hash) (bool, error) {
	if e.Unwatched {
		return true, nil
	}
	path := filepath.Join(r.Root, filepath.FromSlash(e.Path))
	info, err := os.Lstat(path)
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ENOTDIR) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	if e.Mode == Submodule {
		return sameCommit(path, e), nil
	}
	switch kind := info.Mode(); {
	case e.Mode == Symlink && kind&fs.ModeSymlink == 0 && runtime.GOOS != "windows",
		e.Mode != Symlink && !kind.IsRegular(),
		e.Mode != Symlink && modes && (e.Mode == Executable) != (kind&0o100 != 0):
		return false, nil
	}
	if e.Size != 0 && e.Size != uint32(info.Size()) {
		return false, nil
	}
	at := info.ModTime()
	settled := at.Before(looked.Truncate(time.Second)) || e.Nanoseconds != 0 && at.Before(looked)
	if e.Size == uint32(info.Size()) && settled && int64(e.Seconds) == at.Unix() && (e.Nanoseconds == 0 || int(e.Nanoseconds) == at.Nanosecond()) {
		return true, nil
	}
	h := sum()
	if info.Mode()&fs.ModeSymlink != 0 {
		to, err := os.Readlink(path)
		if err != nil {
			return false, err
		}
		fmt.Fprintf(h, "blob %d\x00%s", len(to), to)
		return bytes.Equal(h.Sum(nil), e.ID), nil
	}
	f, err := os.Open(path)
	if err != nil {
		return false, err
	}
	defer f.Close()
	fmt.Fprintf(h, "blob %d\x00", info.Size())
	if _, err := io.Copy(h, f); err != nil {
		return false, err
	}
	return bytes.Equal(h.Sum(nil), e.ID), nil
}

// sameCommit reports whether a submodule, if it is there at all, is at the entry's commit.
func sameCommit(path string, e Entry) bool {
	sub, err := Open(path)
	if err != nil {
		return true
	}
	_, commit := sub.Head()
	return commit == "" || commit == hex.EncodeToString(e.ID)
}
