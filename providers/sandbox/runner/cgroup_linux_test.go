package runner

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestPlaced_findsOurGroups(t *testing.T) {
	for name, tc := range map[string]struct {
		mounts, own string
		want        map[string]place
	}{
		"version 2": {
			mounts: "30 24 0:26 / /sys/fs/cgroup rw,nosuid shared:9 - cgroup2 cgroup2 rw,nsdelegate\n31 24 0:27 / /proc rw - proc proc rw\n",
			own:    "0::/user.slice/user-1000.slice/session-1.scope\n",
			want:   map[string]place{"": {"/sys/fs/cgroup", "/sys/fs/cgroup/user.slice/user-1000.slice/session-1.scope"}},
		},
		"version 1, two controllers in one": {
			mounts: "30 24 0:26 / /cg/cpu,cpuacct rw - cgroup cgroup rw,cpu,cpuacct\n31 24 0:27 / /cg/memory rw - cgroup cgroup rw,memory\n",
			own:    "3:memory:/a\n2:cpu,cpuacct:/b\n1:name=systemd:/c:d\n",
			want: map[string]place{
				"cpu": {"/cg/cpu,cpuacct", "/cg/cpu,cpuacct/b"}, "cpuacct": {"/cg/cpu,cpuacct", "/cg/cpu,cpuacct/b"},
				"memory": {"/cg/memory", "/cg/memory/a"},
			},
		},
		"a container that sees its own group only": {
			mounts: "30 24 0:26 /docker/x /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n",
			own:    "0::/docker/x\n",
			want:   map[string]place{"": {"/sys/fs/cgroup", "/sys/fs/cgroup"}},
		},
		"a group that is out of sight": {
			mounts: "30 24 0:26 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n",
			own:    "0::/../outside\n",
			want:   map[string]place{},
		},
		"nothing": {mounts: "garbage\n", own: "garbage\n", want: map[string]place{}},
	} {
		t.Run(name, func(t *testing.T) { require.Equal(t, tc.want, placed(tc.mounts, tc.own)) })
	}
}

func TestGroup_writesLimitsAsTheVersionTakesThem(t *testing.T) {
	for name, tc := range map[string]struct {
		controllers []string
		swap        string
		want        map[string]string
	}{
		"version 2": {
			controllers: []string{""}, swap: "memory.swap.max",
			want: map[string]string{"cpu.max": "25000 100000", "memory.max": "536870912", "memory.swap.max": "0"},
		},
		"version 1": {
			controllers: []string{"memory", "cpu", "cpuacct"}, swap: "memory.memsw.limit_in_bytes",
			want: map[string]string{
				"cpu.cfs_period_us": "100000", "cpu.cfs_quota_us": "25000",
				"memory.limit_in_bytes": "536870912", "memory.memsw.limit_in_bytes": "536870912",
			},
		},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			g := &group{dirs: map[string]string{}}
			for _, k := range tc.controllers {
				g.dirs[k] = dir
			}
			require.NoError(t, os.WriteFile(filepath.Join(dir, tc.swap), nil, 0o600))
			require.NoError(t, g.limit(256, 512))
			got := map[string]string{}
			entries, err := os.ReadDir(dir)
			require.NoError(t, err)
			for _, e := range entries {
				b, err := os.ReadFile(filepath.Join(dir, e.Name()))
				require.NoError(t, err)
				got[e.Name()] = string(b)
			}
			require.Equal(t, tc.want, got)
		})
	}
}

func TestGroup_readsVersion2(t *testing.T) {
	dir := t.TempDir()
	g := &group{dirs: map[string]string{"": dir}}
	_, err := g.stats()
	require.ErrorIs(t, err, os.ErrNotExist)
	require.False(t, g.killedForMemory())
	for name, text := range map[string]string{
		"cpu.stat":       "usage_usec 1500000\nuser_usec 1\n",
		"memory.current": "3000\n",
		"memory.stat":    "anon 1\nactive_file 5\ninactive_file 1000\n",
		"memory.events":  "low 0\noom 2\noom_kill 1\n",
	} {
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600))
	}
	s, err := g.stats()
	require.NoError(t, err)
	require.Equal(t, Stats{CPUSeconds: 1.5, MemoryBytes: 2000}, s)
	require.True(t, g.killedForMemory())
}

func TestProcessStats_countsDescendants(t *testing.T) {
	s, err := processStats(os.Getpid())
	require.NoError(t, err)
	require.Greater(t, s.MemoryBytes, int64(1<<20))
	_, err = processStats(-1)
	require.Error(t, err)
}
