package datadir

import (
	"errors"

	"golang.org/x/sys/windows"
)

// isBusy reports whether err of a lock attempt means that somebody has the lock.
func isBusy(err error) bool { return errors.Is(err, windows.ERROR_SHARING_VIOLATION) }
