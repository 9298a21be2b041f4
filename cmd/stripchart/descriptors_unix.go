//go:build unix

package main

import (
	"math"

	"golang.org/x/sys/unix"
)

// descriptors returns how many files and connections this process may have open: what
// `ulimit -n`, or systemd's LimitNOFILE, says. Go has raised the soft limit to the hard one.
func descriptors() int {
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &limit); err != nil || limit.Cur > math.MaxInt32 {
		return manyDescriptors
	}
	return int(limit.Cur)
}
