// Package statcache hashes files, and remembers the SHA-256 of each together with what
// the file system tells of it, so that a file that was left alone is not read again.
//
// The rule is git's for what it calls racily clean entries, made stricter: a sum is kept
// only if the file was last touched well before the first byte was read, by the clock of
// the file system that it is on. Whatever is written later then has a later time, and
// the entry no longer fits:
//
//	touched   hashed                      kept
//	12:00:00  12:00:10                    yes: an edit from now on shows
//	12:00:09  12:00:10                    no: an edit within the clock's step might not
//	12:00:00  12:00:10, on another mount  no: whose clock that is nobody knows
//
// "Touched" is the later of mtime and ctime. Programs can set the first, and tools that
// unpack or copy do; the second only the kernel sets. Not seen is, as with git, a program
// that goes on writing through a memory map it had before. Where there is no ctime and no
// inode, as on Windows, nothing is remembered.
//
// A cache belongs to a directory that the caller names. A cache file that is missing,
// damaged or of another version is an empty one, and one that cannot be written is none.
// Processes may share the directory: files are replaced whole, and the last one wins.
//
// https://git-scm.com/docs/racy-git
package statcache
