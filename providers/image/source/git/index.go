package git

import (
	"bytes"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"path/filepath"
	"strings"

	"github.com/apron-deploy/apron/providers/image/mapped"
)

// Modes of entries.
const (
	File       = 0o100644
	Executable = 0o100755
	Symlink    = 0o120000
	Submodule  = 0o160000
	Directory  = 0o040000 // of a sparse index
)

// Entry is what the index holds of a path.
type Entry struct {
	Path  string // from the top of the work tree, slash-separated
	Mode  uint32
	ID    []byte // of the blob, or of a submodule's commit
	Stage int    // other than 0 while a merge waits for somebody
	Size  uint32 // on disk, its last 32 bits; 0 also if it has to be looked at anew
	// Mtime is of the file when git last looked, in seconds and nanoseconds.
	Seconds, Nanoseconds uint32
	// Unwatched entries are those of which somebody told git not to look at the disk.
	Unwatched bool
	// Intended is a path that is to be added, and of which there is no content yet.
	Intended bool
}

// ErrIndex says that an index is damaged or of a kind that is not read.
var ErrIndex = errors.New("not a git index that can be read")

// Index calls yield for each of the index's entries, of which there are count, in the
// order of paths; an ID is valid until yield returns. The formats are versions 2 to 4. It
// returns [ErrIndex], perhaps after some calls, and also for a split index, the rest of
// which is elsewhere.
// https://git-scm.com/docs/index-format
func (r *Repository) Index(yield func(e Entry, count int)) error {
	data, done, err := mapped.Read(filepath.Join(r.dir, "index"))
	if err != nil {
		return err
	}
	defer done()
	hash := sha1.Size
	if r.setting("extensions", "objectformat") == "sha256" {
		hash = sha256.Size
	}
	err = mapped.Guard(func() error { return parseIndex(data, hash, yield) })
	if errors.Is(err, mapped.ErrGone) {
		return fmt.Errorf("%w: %w", ErrIndex, err)
	}
	return err
}

// parseIndex reads entries whose object names have the given length.
func parseIndex(data []byte, hash int, yield func(e Entry, count int)) error {
	be := binary.BigEndian
	if len(data) < 12+hash || string(data[:4]) != "DIRC" {
		return ErrIndex
	}
	version, count := be.Uint32(data[4:]), be.Uint32(data[8:])
	if version < 2 || version > 4 || int64(count)*int64(42+hash) > int64(len(data)) {
		return ErrIndex
	}
	body := data[:len(data)-hash]
	var name, next []byte
	var paths strings.Builder // many share one
	at := 12
	for range count {
		start := at
		at += 40 + hash + 2
		if at+2 > len(body) {
			return ErrIndex
		}
		b := body[start:]
		e := Entry{Seconds: be.Uint32(b[8:]), Nanoseconds: be.Uint32(b[12:]), Mode: be.Uint32(b[24:]), Size: be.Uint32(b[36:]), ID: b[40 : 40+hash]}
		flags := be.Uint16(body[at-2:])
		e.Stage, e.Unwatched = int(flags>>12&3), flags&0x8000 != 0
		if flags&0x4000 != 0 { // there are more
			more := be.Uint16(body[at:])
			e.Unwatched, e.Intended = e.Unwatched || more&0x4000 != 0, more&0x2000 != 0
			at += 2
		}
		keep := 0
		if version == 4 {
			cut, n := offset(body[at:])
			if n == 0 || cut > len(name) {
				return ErrIndex
			}
			keep, at = len(name)-cut, at+n
		}
		end := bytes.IndexByte(body[min(at, len(body)):], 0)
		if end < 0 {
			return ErrIndex
		}
		next = append(append(next[:0], name[:keep]...), body[at:at+end]...)
		if bytes.Compare(next, name) < 0 || len(next) == 0 {
			return ErrIndex
		}
		name, next = next, name
		if at += end + 1; version < 4 {
			at = start + (at-start+7)/8*8
		}
		switch e.Mode {
		case File, Executable, Symlink, Submodule, Directory:
		default:
			return ErrIndex
		}
		if paths.Cap()-paths.Len() < len(name) {
			paths = strings.Builder{}
			paths.Grow(max(len(name), 64<<10))
		}
		from := paths.Len()
		paths.Write(name)
		e.Path = paths.String()[from:]
		yield(e, int(count))
	}
	for at+8 <= len(body) { // extensions
		if string(body[at:at+4]) == "link" {
			return ErrIndex
		}
		at += 8 + int(be.Uint32(body[at+4:]))
	}
	return nil
}

// offset reads git's variable-width number and returns how many bytes it took.
func offset(b []byte) (value, n int) {
	for n < len(b) && n < 9 {
		c := b[n]
		n++
		if value = value<<7 | int(c&0x7f); c&0x80 == 0 {
			return value, n
		}
		value++
	}
	return 0, 0
}
