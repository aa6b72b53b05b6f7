package image

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/apron-deploy/apron/providers/image/statcache"
	"github.com/apron-deploy/apron/reconcile/pattern"
)

// remembered is how many identities' inputs are kept, about 3 MB each for a context of
// 100,000 files.
const remembered = 16

// tags are the names that [Identify] makes. Nothing else is looked for on disk.
var tags = pattern.Lazy(`^src-[0-9a-f]{20}$`)

// Recall returns the inputs of an identity that [Identify] found earlier with that cache
// directory. Their digests are shortened: [Explain] can compare them, and they are good
// for nothing else. It returns an [*UnknownError] for an identity that was never seen
// here, as when another machine deployed, or that was seen too long ago.
func Recall(cache, tag string) (Identity, error) {
	if cache == "" || !tags().MatchString(tag) {
		return Identity{}, &UnknownError{Tag: tag}
	}
	file := kept(cache, tag)
	data, err := os.ReadFile(file)
	if err != nil {
		return Identity{}, &UnknownError{Tag: tag, err: err}
	}
	id := Identity{Tag: tag}
	var ok bool
	if id.Inputs, ok = decodeInputs(data); !ok {
		_ = os.Remove(file) // so that the next time it is written anew
		return Identity{}, &UnknownError{Tag: tag}
	}
	touch(file) // what is asked for stays
	return id, nil
}

// UnknownError says that nobody here knows what an image was made of.
type UnknownError struct {
	Tag string
	err error
}

var _ error = (*UnknownError)(nil)

func (e *UnknownError) Error() string {
	return fmt.Sprintf("what %s was made of is known neither on this machine nor from a release", e.Tag)
}

// Hint says how it can be had.
func (e *UnknownError) Hint() string {
	return "check out the commit that was deployed, run apron plan there once, and come back"
}

func (e *UnknownError) Unwrap() error { return e.err }

func kept(cache, tag string) string { return filepath.Join(cache, "inputs", tag) }

// remember keeps the inputs of id, and forgets those that were asked for longest ago.
func remember(cache string, id Identity) error {
	file := kept(cache, id.Tag)
	if _, err := os.Stat(file); err == nil {
		touch(file)
		return nil
	}
	if err := statcache.Write(file, encodeInputs(id.Inputs)); err != nil {
		return err
	}
	return forget(filepath.Dir(file))
}

func touch(file string) {
	now := time.Now()
	_ = os.Chtimes(file, now, now)
}

func forget(dir string) error {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	var infos []os.FileInfo
	for _, e := range entries {
		if !tags().MatchString(e.Name()) {
			continue
		}
		if info, err := e.Info(); err == nil { // else another process was here first
			infos = append(infos, info)
		}
	}
	slices.SortFunc(infos, func(a, b os.FileInfo) int { return b.ModTime().Compare(a.ModTime()) })
	for _, old := range infos[min(remembered, len(infos)):] {
		_ = os.Remove(filepath.Join(dir, old.Name()))
	}
	return nil
}

// brief is what is kept of a digest: its kind and at least 64 bits.
const brief = 24

func shorten(digest string) string { return digest[:min(brief, len(digest))] }

// A file of inputs is the magic line, then each input by name, then a checksum of all
// that. Of a name only what differs from the one before is written.
//
//	uvarint   bytes that the name shares with the one before
//	string    the rest of the name: its length, a uvarint, and its text
//	string    the digest, shortened
const inputsMagic = "apron inputs 1\n"

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

func encodeInputs(inputs []Input) []byte {
	b := append(make([]byte, 0, 48*len(inputs)), inputsMagic...)
	text := func(s string) {
		b = binary.AppendUvarint(b, uint64(len(s)))
		b = append(b, s...)
	}
	last := ""
	for _, in := range inputs {
		n := 0
		for n < min(len(last), len(in.Name)) && last[n] == in.Name[n] {
			n++
		}
		b = binary.AppendUvarint(b, uint64(n))
		text(in.Name[n:])
		text(shorten(in.Digest))
		last = in.Name
	}
	return binary.LittleEndian.AppendUint32(b, crc32.Checksum(b, castagnoli))
}

func decodeInputs(data []byte) ([]Input, bool) {
	end := len(data) - 4
	if end < len(inputsMagic) || string(data[:len(inputsMagic)]) != inputsMagic ||
		crc32.Checksum(data[:end], castagnoli) != binary.LittleEndian.Uint32(data[end:]) {
		return nil, false
	}
	rest := data[len(inputsMagic):end]
	number := func(limit int) (int, bool) {
		n, size := binary.Uvarint(rest)
		if size <= 0 || n > uint64(limit) {
			return 0, false
		}
		rest = rest[size:]
		return int(n), true
	}
	text := func() (string, bool) {
		n, ok := number(len(rest))
		if !ok || n > len(rest) {
			return "", false
		}
		s := string(rest[:n])
		rest = rest[n:]
		return s, true
	}
	var inputs []Input
	last := ""
	for len(rest) > 0 {
		shared, ok := number(len(last))
		name, ok2 := text()
		digest, ok3 := text()
		if !ok || !ok2 || !ok3 {
			return nil, false
		}
		last = last[:shared] + name
		inputs = append(inputs, Input{Name: last, Digest: digest})
	}
	return inputs, true
}
