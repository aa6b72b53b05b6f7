package source

import (
	"bytes"
	"encoding/binary"
	"errors"
	"os"
	"path/filepath"
	"strings"
)

// index tells of each regular file that git tracks whether it is executable, by its
// path in the repository.
type index map[string]bool

var errIndex = errors.New("not a git index that can be read")

// readIndex reads git's index of the work tree at root. The formats are versions 2 to
// 4; what an index leaves to another file (a split index) is not in the result.
// https://git-scm.com/docs/index-format
func readIndex(root string) (index, error) {
	dir := filepath.Join(root, ".git")
	if text, err := os.ReadFile(dir); err == nil { // a linked work tree, or a submodule
		to, ok := strings.CutPrefix(strings.TrimSpace(string(text)), "gitdir: ")
		if !ok {
			return nil, errIndex
		}
		if dir = to; !filepath.IsAbs(dir) {
			dir = filepath.Join(root, dir)
		}
	}
	data, err := os.ReadFile(filepath.Join(dir, "index"))
	if err != nil {
		return nil, err
	}
	if files, err := parseIndex(data, 20); err == nil {
		return files, nil
	}
	return parseIndex(data, 32) // a repository of SHA-256 objects
}

// parseIndex reads entries whose object names have the given length. A wrong length is
// noticed: names are in order, and modes are few.
func parseIndex(data []byte, hash int) (index, error) {
	if len(data) < 12+hash || string(data[:4]) != "DIRC" {
		return nil, errIndex
	}
	version, count := binary.BigEndian.Uint32(data[4:]), binary.BigEndian.Uint32(data[8:])
	if version < 2 || version > 4 || int64(count)*int64(42+hash) > int64(len(data)) {
		return nil, errIndex
	}
	body := data[:len(data)-hash]
	files := make(index, count)
	name := ""
	at := 12
	for range count {
		start := at
		at += 40 + hash + 2
		if at+2 > len(body) {
			return nil, errIndex
		}
		mode := binary.BigEndian.Uint32(body[start+24:])
		if body[at-2]&0x40 != 0 { // extended flags
			at += 2
		}
		keep := 0
		if version == 4 {
			cut, n := offset(body[at:])
			if n == 0 || cut > len(name) {
				return nil, errIndex
			}
			keep, at = len(name)-cut, at+n
		}
		end := bytes.IndexByte(body[min(at, len(body)):], 0)
		if end < 0 {
			return nil, errIndex
		}
		next := name[:keep] + string(body[at:at+end])
		if next < name || next == "" {
			return nil, errIndex
		}
		name = next
		if at += end + 1; version < 4 {
			at = start + (at-start+7)/8*8
		}
		switch mode {
		case 0o100644, 0o100755:
			files[name] = mode == 0o100755
		case 0o120000, 0o160000, 0o040000:
		default:
			return nil, errIndex
		}
	}
	return files, nil
}

// offset reads git's variable-width number and returns how many bytes it took.
func offset(b []byte) (value, n int) {
	for n < len(b) && n < 5 {
		c := b[n]
		n++
		if value = value<<7 | int(c&0x7f); c&0x80 == 0 {
			return value, n
		}
		value++
	}
	return 0, 0
}
