package statcache

import (
	"encoding/binary"
	"errors"
	"hash/crc32"
	"io/fs"
	"os"
	"path/filepath"
	"time"
)

// A cache file is the magic line, then each entry in the order of keys, then a checksum
// of all that. Numbers are little-endian.
//
//	dev ino size mtime ctime   8 bytes each
//	mode                       4
//	SHA-256                    32
//	length of the key          4
//	key
const (
	magic = "apron files 1\n"
	fixed = 5*8 + 4 + len(Sum{}) + 4
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

func encode(entries []entry) []byte {
	size := len(magic) + len(entries)*fixed + 4
	for _, e := range entries {
		size += len(e.key)
	}
	b := append(make([]byte, 0, size), magic...)
	le := binary.LittleEndian
	for _, e := range entries {
		for _, n := range []uint64{e.stat.dev, e.stat.ino, uint64(e.stat.size), uint64(e.stat.mtime), uint64(e.stat.ctime)} {
			b = le.AppendUint64(b, n)
		}
		b = le.AppendUint32(b, e.stat.mode)
		b = append(b, e.sum[:]...)
		b = le.AppendUint32(b, uint32(len(e.key)))
		b = append(b, e.key...)
	}
	return le.AppendUint32(b, crc32.Checksum(b, castagnoli))
}

// decode returns nothing unless all of it is right.
func decode(data []byte) []entry {
	le := binary.LittleEndian
	end := len(data) - 4
	if end < len(magic) || string(data[:len(magic)]) != magic || crc32.Checksum(data[:end], castagnoli) != le.Uint32(data[end:]) {
		return nil
	}
	text := string(data[:end]) // that keys are parts of
	var entries []entry
	for at := len(magic); at < end; {
		if end-at < fixed {
			return nil
		}
		r := data[at:]
		e := entry{stat: stat{
			dev: le.Uint64(r), ino: le.Uint64(r[8:]), size: int64(le.Uint64(r[16:])),
			mtime: int64(le.Uint64(r[24:])), ctime: int64(le.Uint64(r[32:])), mode: le.Uint32(r[40:]),
		}, sum: Sum(r[44:])}
		n := int(le.Uint32(r[fixed-4:]))
		if at += fixed; n > end-at {
			return nil
		}
		e.key = text[at : at+n]
		if at += n; len(entries) > 0 && e.key <= entries[len(entries)-1].key {
			return nil
		}
		if entries == nil {
			entries = make([]entry, 0, end/(fixed+n)+1)
		}
		entries = append(entries, e)
	}
	return entries
}

// temporary starts the names of files that are not whole yet.
const temporary = ".new-"

// Write replaces the file at path whole, so that a reader sees the old one or the new
// one. The directory is made if need be, for its owner alone and hidden from git, and is
// rid of what processes that were killed left behind.
func Write(path string, data []byte) error {
	dir := filepath.Dir(path)
	if err := makeDir(dir); err != nil {
		return err
	}
	sweep(dir)
	f, err := os.CreateTemp(dir, temporary+"*")
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	if err := errors.Join(err, f.Close()); err != nil {
		return errors.Join(err, os.Remove(f.Name()))
	}
	if err := os.Rename(f.Name(), path); err != nil {
		return errors.Join(err, os.Remove(f.Name()))
	}
	return nil
}

// makeDir makes a directory that git does not show.
func makeDir(dir string) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	f, err := os.OpenFile(filepath.Join(dir, ".gitignore"), os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if errors.Is(err, fs.ErrExist) {
		return nil
	}
	if err != nil {
		return err
	}
	_, err = f.WriteString("*\n")
	return errors.Join(err, f.Close())
}

// sweep removes temporary files that no process can be writing any more.
func sweep(dir string) {
	left, _ := filepath.Glob(filepath.Join(dir, temporary+"*"))
	for _, name := range left {
		if info, err := os.Lstat(name); err == nil && time.Since(info.ModTime()) > time.Hour {
			_ = os.Remove(name)
		}
	}
}
