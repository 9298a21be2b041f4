package store

import (
	"errors"
	"fmt"

	"stripchart/internal/datadir"
)

var (
	// ErrClosed means that the store was closed.
	ErrClosed = errors.New("store is closed")
	// ErrUnavailable means that the database could not be opened again after a
	// failed commit; a later Append tries anew.
	ErrUnavailable = errors.New("store is out of order")
	// ErrSnapshotClosed means that the snapshot was closed, by its owner or
	// because the database under it was closed or opened again; take a new one.
	ErrSnapshotClosed = errors.New("snapshot is closed")
	// ErrDiskFull means that free disk space is below the reserve and that
	// nothing was written. It passes when there is room again.
	ErrDiskFull = errors.New("disk is full")
	// ErrInvalidSeries means that a row's label set is empty or has a name
	// twice; nothing of the call was written.
	ErrInvalidSeries = errors.New("invalid series")
	// ErrTooLarge means that a history would hold more than maxHistoryValues;
	// ask for fewer series or points.
	ErrTooLarge = errors.New("history is too large")
	// ErrLocked means that another process has the data directory open. Open
	// returns it inside a *LockedError.
	ErrLocked = errors.New("data directory is in use")
	// ErrNewerVersion means that a newer version wrote the data directory.
	ErrNewerVersion = errors.New("data directory was written by a newer version")
	// ErrNotWritable means that the data directory cannot be created or written.
	ErrNotWritable = errors.New("data directory is not writable")
)

func notWritable(dir string, cause error) error {
	if datadir.IsFull(cause) {
		return fmt.Errorf("%w: %s (%w); make room, or choose another with --data-dir", ErrDiskFull, dir, cause)
	}
	return fmt.Errorf("%w: %s (%w); make it writable for this user or choose another with --data-dir", ErrNotWritable, dir, cause)
}

// LockedError says who has the data directory open. errors.Is finds ErrLocked.
type LockedError struct {
	Dir   string
	Owner datadir.Owner // Address is what SetAddress was given, and empty until then
}

func (e *LockedError) Error() string {
	return fmt.Sprintf("data directory %s is in use by %s; use --data-dir for a second one", e.Dir, e.Owner)
}

func (*LockedError) Unwrap() error { return ErrLocked }
