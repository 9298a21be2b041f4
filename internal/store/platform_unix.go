//go:build unix

package store

import (
	"errors"

	"golang.org/x/sys/unix"
)

// freeSpace returns the bytes that this user may still write on dir's file
// system.
func freeSpace(dir string) (int64, error) {
	var st unix.Statfs_t
	if err := unix.Statfs(dir, &st); err != nil {
		return 0, err
	}
	return int64(st.Bavail) * int64(st.Bsize), nil
}

// errNotDir is what a path below a regular file gives.
const errNotDir = unix.ENOTDIR

// readOnlyFS reports whether err means that the file system takes no writes.
func readOnlyFS(err error) bool { return errors.Is(err, unix.EROFS) }
