package runner

import (
	"bufio"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strconv"
	"strings"
)

// user is who an image's program runs as.
type user struct {
	uid, gid int
	groups   []int // further ones
	home     string
}

// userOf finds the user that an image's configuration names: "", user or user:group,
// each a name or a number. Names are looked up in the image.
// https://github.com/opencontainers/image-spec/blob/main/config.md#properties
func userOf(root *os.Root, spec string) (user, error) {
	name, group, grouped := strings.Cut(spec, ":")
	if name == "" {
		name = "0"
	}
	passwd, err := table(root, "/etc/passwd", 7)
	if err != nil {
		return user{}, err
	}
	groups, err := table(root, "/etc/group", 4)
	if err != nil {
		return user{}, err
	}
	u := user{home: "/"}
	uid, numeric := number(name)
	i := slices.IndexFunc(passwd, func(f []string) bool { return f[0] == name || numeric && f[2] == name })
	if i >= 0 {
		e := passwd[i]
		name, u.home = e[0], e[5]
		var okUID, okGID bool
		uid, okUID = number(e[2])
		u.gid, okGID = number(e[3])
		if numeric = okUID && okGID; u.home == "" {
			u.home = "/"
		}
	}
	if !numeric {
		return user{}, fmt.Errorf("user %q of the image: not in its /etc/passwd", name)
	}
	u.uid = uid
	if grouped && group != "" {
		gid, ok := number(group)
		if j := slices.IndexFunc(groups, func(f []string) bool { return f[0] == group }); j >= 0 {
			gid, ok = number(groups[j][2])
		}
		if !ok {
			return user{}, fmt.Errorf("group %q of the image: not in its /etc/group", group)
		}
		u.gid = gid
		return u, nil
	}
	for _, g := range groups {
		gid, ok := number(g[2])
		if ok && i >= 0 && slices.Contains(strings.Split(g[3], ","), name) && gid != u.gid {
			u.groups = append(u.groups, gid)
		}
	}
	return u, nil
}

func number(s string) (int, bool) {
	n, err := strconv.ParseInt(s, 10, 32)
	return int(n), err == nil && n >= 0
}

// table reads the well-formed lines of a file of columns; without the file there are none.
func table(root *os.Root, name string, columns int) ([][]string, error) {
	at, err := within(root, name, false)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("%s of the image: %w", name, err)
	}
	f, err := root.Open(at)
	if err != nil {
		return nil, fmt.Errorf("%s of the image: %w", name, err)
	}
	defer f.Close()
	var rows [][]string
	in := bufio.NewScanner(f)
	for in.Scan() {
		if row := strings.Split(in.Text(), ":"); len(row) == columns {
			rows = append(rows, row)
		}
	}
	return rows, in.Err()
}
