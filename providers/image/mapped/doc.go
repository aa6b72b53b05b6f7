// Package mapped reads files in place: large ones, of which a copy in memory would take
// longer than what is done with them.
//
// It is for files that are only ever replaced whole, by renaming a new one over the old
// one, as git does with its index, which it maps, too. Of one that somebody cuts short
// meanwhile the process would die.
package mapped
