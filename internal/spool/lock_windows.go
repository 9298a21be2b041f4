package spool

import (
	"errors"

	"golang.org/x/sys/windows"
)

// lockBusy reports whether err of a lock attempt means that somebody has it.
func lockBusy(err error) bool { return errors.Is(err, windows.ERROR_SHARING_VIOLATION) }
