package spool

import (
	"errors"
	"fmt"

	"stripchart/internal/datadir"
)

// lockDir creates dir where it is missing and locks it against other processes
// and other Spools.
func lockDir(dir string) (*datadir.Lock, error) {
	l, err := datadir.Take(dir)
	if busy, is := errors.AsType[*datadir.BusyError](err); is {
		return nil, fmt.Errorf("the spool in %s is in use by %s: stop that one, or choose another directory for this one", dir, busy.Owner)
	}
	if err != nil {
		return nil, fmt.Errorf("lock spool: %w; it needs a directory that this user may write", err)
	}
	// It only makes an error message more helpful: a full disk must not keep a
	// collector from starting.
	_ = l.Announce("")
	return l, nil
}
