package git

import (
	"bytes"
	"compress/zlib"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
)

// ErrObject says that an object could not be read.
var ErrObject = errors.New("object cannot be read")

// longest is how many deltas may stand on another; git makes 50 at the most by default,
// and 250 when told to try hard.
const longest = 300

// most is how large an object may be: commits and tags are small.
const most = 16 << 20

// peel returns what a tag object is of, or the object itself if it is no tag.
func (r *Repository) peel(id string) (string, error) {
	for range 8 {
		kind, data, err := r.object(id)
		if err != nil {
			return "", err
		}
		if kind != "tag" {
			return id, nil
		}
		if id = header(data, "object"); id == "" {
			break
		}
	}
	return "", fmt.Errorf("%w: tags of tags of tags", ErrObject)
}

// header returns the object that a line at the start of a commit or tag names.
func header(data []byte, name string) string {
	for line := range bytes.Lines(data) {
		if len(bytes.TrimSpace(line)) == 0 {
			break
		}
		if id, ok := strings.CutPrefix(string(line), name+" "); ok {
			return object(strings.TrimSpace(id))
		}
	}
	return ""
}

// object reads a commit, tag or other small object.
func (r *Repository) object(id string) (kind string, data []byte, err error) {
	return r.objectAt(id, 0)
}

// objectAt is at that depth of a chain of deltas, which a broken pack could make a ring.
func (r *Repository) objectAt(id string, depth int) (kind string, data []byte, err error) {
	raw, err := hex.DecodeString(id)
	if err != nil || len(raw) < 20 {
		return "", nil, ErrObject
	}
	for _, dir := range r.stores() {
		if kind, data, err := loose(filepath.Join(dir, id[:2], id[2:])); err == nil {
			return kind, data, nil
		}
		packs, _ := filepath.Glob(filepath.Join(quoteGlob(dir), "pack", "*.idx"))
		for _, index := range packs {
			at, ok := lookUp(index, raw)
			if !ok {
				continue
			}
			f, err := os.Open(strings.TrimSuffix(index, "idx") + "pack")
			if err != nil {
				continue
			}
			kind, data, err := r.packedAt(f, at, len(raw), depth)
			f.Close()
			if err == nil {
				return kind, data, nil
			}
		}
	}
	return "", nil, fmt.Errorf("%s: %w", id, ErrObject)
}

// quoteGlob writes a path as a pattern of itself.
func quoteGlob(path string) string {
	if filepath.Separator == '\\' {
		return path
	}
	return strings.NewReplacer(`\`, `\\`, `*`, `\*`, `?`, `\?`, `[`, `\[`).Replace(path)
}

// stores are the directories of objects: the repository's own, and what it borrows from.
func (r *Repository) stores() []string {
	own := filepath.Join(r.common, "objects")
	dirs := []string{own}
	if text, err := os.ReadFile(filepath.Join(own, "info", "alternates")); err == nil {
		for line := range strings.Lines(string(text)) {
			if line = strings.TrimSpace(line); line != "" && line[0] != '#' {
				dirs = append(dirs, below(own, line))
			}
		}
	}
	return dirs
}

// loose reads an object that is a file: its kind and size, a zero byte, and its content.
func loose(path string) (kind string, data []byte, err error) {
	f, err := os.Open(path)
	if err != nil {
		return "", nil, err
	}
	defer f.Close()
	all, err := inflate(f)
	if err != nil {
		return "", nil, err
	}
	head, data, ok := bytes.Cut(all, []byte{0})
	kind, size, ok2 := strings.Cut(string(head), " ")
	if !ok || !ok2 || size != fmt.Sprint(len(data)) {
		return "", nil, ErrObject
	}
	return kind, data, nil
}

func inflate(from io.Reader) ([]byte, error) {
	z, err := zlib.NewReader(from)
	if err != nil {
		return nil, err
	}
	defer z.Close()
	data, err := io.ReadAll(io.LimitReader(z, most+1))
	if err == nil && len(data) > most {
		err = ErrObject
	}
	return data, err
}

// lookUp finds an object's place in the pack of an index file, version 2.
// https://git-scm.com/docs/pack-format
func lookUp(path string, id []byte) (at int64, ok bool) {
	f, err := os.Open(path)
	if err != nil {
		return 0, false
	}
	defer f.Close()
	size := int64(len(id))
	read := func(at int64, n int64) []byte {
		b := make([]byte, n)
		if _, err := f.ReadAt(b, at); err != nil {
			ok = false
		}
		return b
	}
	ok = true
	be := binary.BigEndian
	const fan = 8
	head := read(0, fan+256*4)
	if !ok || !bytes.Equal(head[:fan], []byte{0xff, 't', 'O', 'c', 0, 0, 0, 2}) {
		return 0, false
	}
	count := int64(be.Uint32(head[fan+255*4:]))
	low, high := int64(0), int64(be.Uint32(head[fan+int64(id[0])*4:]))
	if id[0] > 0 {
		low = int64(be.Uint32(head[fan+(int64(id[0])-1)*4:]))
	}
	names := int64(len(head))
	for low < high && ok {
		middle := (low + high) / 2
		switch c := bytes.Compare(read(names+middle*size, size), id); {
		case !ok:
			return 0, false
		case c == 0:
			offsets := names + count*(size+4)
			at := int64(be.Uint32(read(offsets+middle*4, 4)))
			if at&(1<<31) != 0 { // in a table of larger numbers
				at = int64(be.Uint64(read(offsets+count*4+(at&(1<<31-1))*8, 8)))
			}
			return at, ok && at > 0
		case c < 0:
			low = middle + 1
		default:
			high = middle
		}
	}
	return 0, false
}

// packedAt reads the object at a place of a pack. Object names have hash bytes.
func (r *Repository) packedAt(f *os.File, at int64, hash, depth int) (kind string, data []byte, err error) {
	head := make([]byte, 64)
	n, err := f.ReadAt(head, at)
	if err != nil && err != io.EOF || n < 2 || depth > longest {
		return "", nil, ErrObject
	}
	head = head[:n]
	form := head[0] >> 4 & 7
	i := 0
	for i < len(head)-1 && head[i]&0x80 != 0 { // the size, which inflating tells, too
		i++
	}
	i++
	kinds := map[byte]string{1: "commit", 2: "tree", 3: "blob", 4: "tag"}
	var base []byte
	switch form {
	case 6: // a delta to an object before it in the pack
		back, n := offset(head[i:])
		if n == 0 || int64(back) > at {
			return "", nil, ErrObject
		}
		i += n
		kind, base, err = r.packedAt(f, at-int64(back), hash, depth+1)
	case 7: // a delta to an object by name
		if i+hash > len(head) {
			return "", nil, ErrObject
		}
		kind, base, err = r.objectAt(hex.EncodeToString(head[i:i+hash]), depth+1)
		i += hash
	default:
		if kind = kinds[form]; kind == "" {
			return "", nil, ErrObject
		}
	}
	if err != nil {
		return "", nil, err
	}
	data, err = inflate(io.NewSectionReader(f, at+int64(i), 1<<40))
	if err != nil || form < 6 {
		return kind, data, err
	}
	data, err = patch(base, data)
	return kind, data, err
}

// patch applies a delta: two sizes, then instructions to copy from the base or to insert.
func patch(base, delta []byte) ([]byte, error) {
	from, n := binary.Uvarint(delta)
	if n <= 0 || from != uint64(len(base)) {
		return nil, ErrObject
	}
	delta = delta[n:]
	size, n := binary.Uvarint(delta)
	if n <= 0 || size > most {
		return nil, ErrObject
	}
	delta = delta[n:]
	out := make([]byte, 0, size)
	for len(delta) > 0 {
		op := delta[0]
		delta = delta[1:]
		if op&0x80 == 0 {
			if op == 0 || int(op) > len(delta) {
				return nil, ErrObject
			}
			out, delta = append(out, delta[:op]...), delta[op:]
			continue
		}
		var at, count int
		for bit := range 7 {
			if op>>bit&1 == 0 {
				continue
			}
			if len(delta) == 0 {
				return nil, ErrObject
			}
			if bit < 4 {
				at |= int(delta[0]) << (8 * bit)
			} else {
				count |= int(delta[0]) << (8 * (bit - 4))
			}
			delta = delta[1:]
		}
		if count == 0 {
			count = 0x10000
		}
		if at+count > len(base) || len(out)+count > most {
			return nil, ErrObject
		}
		out = append(out, base[at:at+count]...)
	}
	if uint64(len(out)) != size {
		return nil, ErrObject
	}
	return out, nil
}
