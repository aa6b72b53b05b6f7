package statcache

import (
	"bytes"
	"encoding/binary"
	"errors"
	"hash/crc32"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"sort"
	"strings"
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

// kept is a cache file. Entries are read where they stand: a run asks for each of them
// once, and most of what it would take to spell them out first is for their keys.
type kept struct {
	data []byte
	at   []uint32 // where each entry starts
}

// decode returns nothing unless all of it is right.
func decode(data []byte) kept {
	le := binary.LittleEndian
	end := len(data) - 4
	if end < len(magic) || end > math.MaxUint32 || string(data[:len(magic)]) != magic ||
		crc32.Checksum(data[:end], castagnoli) != le.Uint32(data[end:]) {
		return kept{}
	}
	k := kept{data: data}
	var last []byte
	for at := len(magic); at < end; {
		if end-at < fixed {
			return kept{}
		}
		n := int(le.Uint32(data[at+fixed-4:]))
		if n > end-at-fixed {
			return kept{}
		}
		key := data[at+fixed : at+fixed+n]
		if last != nil && bytes.Compare(key, last) <= 0 {
			return kept{}
		}
		if k.at == nil {
			k.at = make([]uint32, 0, end/(fixed+n)+1)
		}
		k.at, last = append(k.at, uint32(at)), key
		at += fixed + n
	}
	return k
}

func (k kept) len() int { return len(k.at) }

func (k kept) key(i int) []byte {
	r := k.data[k.at[i]:]
	return r[fixed : fixed+int(binary.LittleEndian.Uint32(r[fixed-4:]))]
}

func (k kept) stat(i int) Stat {
	le, r := binary.LittleEndian, k.data[k.at[i]:]
	return Stat{
		dev: le.Uint64(r), ino: le.Uint64(r[8:]), size: int64(le.Uint64(r[16:])),
		mtime: int64(le.Uint64(r[24:])), ctime: int64(le.Uint64(r[32:])), mode: le.Uint32(r[40:]),
	}
}

func (k kept) sum(i int) Sum { return Sum(k.data[k.at[i]+44:]) }

// find returns where key is, or would be.
func (k kept) find(key string) (int, bool) {
	return sort.Find(k.len(), func(i int) int { return strings.Compare(key, string(k.key(i))) })
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
