package store

import (
	"errors"

	"stripchart/internal/datadir"
)

// takeDir creates dir where it is missing, locks it, and makes sure of its
// version. Returns a *LockedError when another process, or another Store of
// this one, has it.
func takeDir(dir string) (_ *datadir.Lock, err error) {
	l, err := datadir.Take(dir)
	if busy, is := errors.AsType[*datadir.BusyError](err); is {
		return nil, &LockedError{Dir: dir, Owner: busy.Owner}
	}
	if err != nil {
		return nil, notWritable(dir, err)
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, l.Release(false))
		}
	}()
	// Now that nobody else can write it.
	fresh, err := checkVersion(dir)
	if err != nil {
		return nil, err
	}
	if fresh {
		if err := writeVersion(dir); err != nil {
			return nil, notWritable(dir, err)
		}
	}
	if err := l.Announce(""); err != nil {
		return nil, notWritable(dir, err)
	}
	return l, nil
}
