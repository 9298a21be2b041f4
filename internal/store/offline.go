package store

import (
	"errors"
	"fmt"
	"path/filepath"

	"stripchart/internal/datadir"
)

// Offline is a data directory whose blocks may be added to, while no Store has it open.
type Offline struct {
	// Database is the database's directory, in Prometheus's own format. It may not be there yet.
	Database string
	lock     *datadir.Lock
}

// errNotClosed is a directory whose write logs may have to be mended first.
var errNotClosed = errors.New("the last server here was killed; start stripchart once with this data directory and stop it with SIGTERM, then try again")

// TakeOffline takes a data directory, which it creates where it is missing. Returns a
// *LockedError while a Store has it open.
func TakeOffline(dir string) (*Offline, error) {
	if _, err := checkVersion(dir); err != nil {
		return nil, err
	}
	l, err := datadir.Take(dir)
	if busy, is := errors.AsType[*datadir.BusyError](err); is {
		return nil, &LockedError{Dir: dir, Owner: busy.Owner}
	}
	if err != nil {
		return nil, notWritable(dir, err)
	}
	if !l.Clean() {
		return nil, errors.Join(fmt.Errorf("%s: %w", dir, errNotClosed), l.Release(false))
	}
	fresh, err := checkVersion(dir)
	if err == nil && fresh {
		err = writeVersion(dir)
	}
	if err != nil {
		return nil, errors.Join(err, l.Release(false))
	}
	return &Offline{Database: filepath.Join(dir, databaseDir), lock: l}, nil
}

// Release gives the directory back.
func (o *Offline) Release() error { return o.lock.Release(false) }
