package store

import (
	"errors"

	"golang.org/x/sys/windows"
)

// freeSpace returns the bytes that this user may still write on dir's volume.
func freeSpace(dir string) (int64, error) {
	p, err := windows.UTF16PtrFromString(dir)
	if err != nil {
		return 0, err
	}
	var free uint64
	if err := windows.GetDiskFreeSpaceEx(p, &free, nil, nil); err != nil {
		return 0, err
	}
	return int64(free), nil
}

// errNotDir is what a path below a regular file gives.
const errNotDir = windows.ERROR_DIRECTORY

// readOnlyFS reports whether err means that the volume takes no writes.
func readOnlyFS(err error) bool { return errors.Is(err, windows.ERROR_WRITE_PROTECT) }
