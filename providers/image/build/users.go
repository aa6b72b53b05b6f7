package build

import (
	"bufio"
	"fmt"
	"io"
	"strconv"
	"strings"
)

// owner reads --chown and USER: "uid", "uid:gid", or names that the image's own
// /etc/passwd and /etc/group know. An empty text keeps the source's owner. A uid alone
// is also the group, and a name alone has its group in /etc/passwd, as in BuildKit.
func (s *stage) owner(text string) (owner, error) {
	if text == "" {
		return owner{keep: true}, nil
	}
	user, group, both := strings.Cut(text, ":")
	var o owner
	if id, err := strconv.ParseUint(user, 10, 31); err == nil {
		o.uid, o.gid = int(id), int(id)
	} else {
		row, err := s.lookup("/etc/passwd", user)
		if err != nil {
			return o, err
		}
		if len(row) < 4 {
			return o, fmt.Errorf("user %q: /etc/passwd of the image is malformed", user)
		}
		uid, err1 := strconv.Atoi(row[2])
		gid, err2 := strconv.Atoi(row[3])
		if err1 != nil || err2 != nil {
			return o, fmt.Errorf("user %q: /etc/passwd of the image is malformed", user)
		}
		o.uid, o.gid = uid, gid
	}
	if !both {
		return o, nil
	}
	if id, err := strconv.ParseUint(group, 10, 31); err == nil {
		o.gid = int(id)
		return o, nil
	}
	row, err := s.lookup("/etc/group", group)
	if err != nil {
		return o, err
	}
	if len(row) < 3 {
		return o, fmt.Errorf("group %q: /etc/group of the image is malformed", group)
	}
	if o.gid, err = strconv.Atoi(row[2]); err != nil {
		return o, fmt.Errorf("group %q: /etc/group of the image is malformed", group)
	}
	return o, nil
}

// lookup finds the row that starts with name in a file of the image.
func (s *stage) lookup(file, name string) ([]string, error) {
	_, n, err := s.root.resolve(file)
	if err != nil {
		return nil, err
	}
	if n == nil || n.open == nil {
		return nil, fmt.Errorf("%q: the image has no %s; use numbers instead", name, file)
	}
	r, err := n.open()
	if err != nil {
		return nil, err
	}
	defer r.Close()
	lines := bufio.NewScanner(io.LimitReader(r, 1<<20))
	for lines.Scan() {
		if row := strings.Split(lines.Text(), ":"); row[0] == name {
			return row, nil
		}
	}
	if err := lines.Err(); err != nil {
		return nil, err
	}
	return nil, fmt.Errorf("%q is not in the image's %s", name, file)
}
