package memory

import (
	"io/fs"
	"math"
	"path"
	"runtime/debug"
	"strconv"
	"strings"
)

// Bound returns how many bytes this process may use, as somebody has set it: by
// GOMEMLIMIT, or by the control group that it runs in (systemd's MemoryMax, a container's
// limit); otherwise the machine's memory. math.MaxInt64 where nothing is known of that.
// root is the root of the file system. Call it before New.
func Bound(root fs.FS) int64 {
	if n := debug.SetMemoryLimit(-1); n < math.MaxInt64 {
		return n
	}
	return min(ofGroups(root), ofMachine(root))
}

// ofMachine returns the machine's memory, of /proc/meminfo.
func ofMachine(root fs.FS) int64 {
	b, err := fs.ReadFile(root, "proc/meminfo")
	if err != nil {
		return math.MaxInt64
	}
	for line := range strings.Lines(string(b)) {
		if f := strings.Fields(line); len(f) == 3 && f[0] == "MemTotal:" && f[2] == "kB" {
			if n, err := strconv.ParseInt(f[1], 10, 64); err == nil && n < math.MaxInt64>>10 {
				return n << 10
			}
		}
	}
	return math.MaxInt64
}

// ofGroups returns the least bound of the control group of this process and of those
// around it: cgroups(7), version 2, or the memory controller of version 1.
func ofGroups(root fs.FS) int64 {
	least := int64(math.MaxInt64)
	b, err := fs.ReadFile(root, "proc/self/cgroup")
	if err != nil {
		return least
	}
	for line := range strings.Lines(string(b)) {
		hierarchy, rest, _ := strings.Cut(strings.TrimSpace(line), ":")
		controllers, group, ok := strings.Cut(rest, ":")
		dir, files := "sys/fs/cgroup", []string{"memory.max", "memory.high"}
		switch {
		case !ok:
			continue
		case hierarchy == "0" && controllers == "":
		case controllers == "memory":
			dir, files = "sys/fs/cgroup/memory", []string{"memory.limit_in_bytes"}
		default:
			continue
		}
		// In a container the group's path may be one of the host, which is not there; its
		// root is the container's own group.
		for group = path.Clean("/" + group); ; group = path.Dir(group) {
			for _, file := range files {
				if b, err := fs.ReadFile(root, path.Join(dir, group, file)); err == nil {
					// "max" is none; version 1 says a number near 2^63.
					if n, err := strconv.ParseInt(strings.TrimSpace(string(b)), 10, 64); err == nil && n > 0 {
						least = min(least, n)
					}
				}
			}
			if group == "/" {
				break
			}
		}
	}
	return least
}
