package source

import (
	"cmp"
	"slices"
	"strings"

	"github.com/apron-deploy/apron/providers/image/source/git"
)

// index tells of each regular file that git tracks whether it is executable, in the order
// of paths in the repository.
type index []tracked

type tracked struct {
	path string
	exec bool
}

// below returns the entries whose path starts with prefix.
func (x index) below(prefix string) index {
	x = x[x.from(prefix):]
	end, _ := slices.BinarySearchFunc(x, prefix, func(t tracked, prefix string) int {
		if strings.HasPrefix(t.path, prefix) {
			return -1
		}
		return 1
	})
	return x[:end]
}

// from is where path is, or would be.
func (x index) from(path string) int {
	at, _ := slices.BinarySearchFunc(x, path, func(t tracked, path string) int { return cmp.Compare(t.path, path) })
	return at
}

// readIndex reads git's index of the work tree at root, if its executable bits are the ones
// that count: on a disk that has none.
func readIndex(root string) (index, error) {
	r, err := git.Open(root)
	if err != nil || r.Modes() {
		return nil, err
	}
	var files index
	err = r.Index(func(e git.Entry, count int) {
		if files == nil {
			files = make(index, 0, count)
		}
		if e.Mode != git.File && e.Mode != git.Executable {
			return
		}
		if n := len(files); n > 0 && files[n-1].path == e.Path { // the other side of a merge
			files = files[:n-1]
		}
		files = append(files, tracked{e.Path, e.Mode == git.Executable})
	})
	if err != nil {
		return nil, err
	}
	return files, nil
}
