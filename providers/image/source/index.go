package source

import "github.com/apron-deploy/apron/providers/image/source/git"

// index tells of each regular file that git tracks whether it is executable, by its
// path in the repository.
type index map[string]bool

// readIndex reads git's index of the work tree at root.
func readIndex(root string) (index, error) {
	r, err := git.Open(root)
	if err != nil {
		return nil, err
	}
	var files index
	err = r.Index(func(e git.Entry, count int) {
		if files == nil {
			files = make(index, count)
		}
		if e.Mode == git.File || e.Mode == git.Executable {
			files[e.Path] = e.Mode == git.Executable
		}
	})
	if err != nil {
		return nil, err
	}
	return files, nil
}
