package runner

import (
	"fmt"
	"os"
	"strings"
	"sync"
	"syscall"

	"golang.org/x/sys/unix"
)

// idMappings are the users and groups of a new user namespace: all of ours under
// their own numbers, or without the right to that, the app's alone, which is us.
func idMappings(p *plan) (users, groups []syscall.SysProcIDMap) {
	if p.Single {
		return []syscall.SysProcIDMap{{ContainerID: p.UID, HostID: os.Geteuid(), Size: 1}},
			[]syscall.SysProcIDMap{{ContainerID: p.GID, HostID: os.Getegid(), Size: 1}}
	}
	return sameIDs("/proc/self/uid_map"), sameIDs("/proc/self/gid_map")
}

func sameIDs(file string) []syscall.SysProcIDMap {
	const most = 1<<31 - 1 // what an int holds everywhere
	b, _ := os.ReadFile(file)
	var all []syscall.SysProcIDMap
	for line := range strings.Lines(string(b)) {
		var inside, outside, size int64
		if _, err := fmt.Sscan(line, &inside, &outside, &size); err == nil && inside < most {
			all = append(all, syscall.SysProcIDMap{ContainerID: int(inside), HostID: int(inside), Size: int(min(size, most-inside))})
		}
	}
	return all
}

// manyUsers says whether we may be and give files to any user, as an image can ask.
var manyUsers = sync.OnceValue(func() bool {
	deny, _ := os.ReadFile("/proc/self/setgroups")
	users := 0
	for _, m := range sameIDs("/proc/self/uid_map") {
		users += m.Size
	}
	return os.Geteuid() == 0 && users >= 1<<16 && strings.TrimSpace(string(deny)) != "deny"
})

// allCapabilities are those that this kernel knows.
func allCapabilities() []uintptr {
	var all []uintptr
	for c := uintptr(0); c < 64; c++ {
		if _, err := unix.PrctlRetInt(unix.PR_CAPBSET_READ, c, 0, 0, 0); err != nil {
			break
		}
		all = append(all, c)
	}
	return all
}
