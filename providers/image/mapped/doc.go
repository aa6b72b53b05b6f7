// Package mapped reads files in place: large ones, of which a copy in memory would take
// longer than what is done with them.
//
// It is for files that are replaced whole, as a rule, by renaming a new one over the old one,
// as git does with its index, which it maps, too. But go-git writes the index in place, and a
// file server can forget a file that was replaced: whoever reads what is not there any more
// is killed, unless it reads within [Guard].
package mapped
