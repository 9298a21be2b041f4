package apply

import (
	"errors"
	"sync/atomic"
	"time"

	"stripchart/internal/store"
)

// stalledFor is how long a failed commit counts as the current state. It is longer than the pause
// between two attempts, and longer than the longest silence of a collector.
const stalledFor = 15 * time.Second

// storeWatch notes whether commits fail. The zero value is ready.
type storeWatch struct{ last atomic.Pointer[failedCommit] }

type failedCommit struct {
	at  time.Time
	err error
}

// Stalled returns why nothing can be applied, or nil. A full disk is no reason: what
// comes is shown. It does not wait for the lock.
func (f *Follower) Stalled() error {
	if f := f.watch.last.Load(); f != nil && time.Since(f.at) < stalledFor {
		return f.err
	}
	return nil
}

// of returns s with its commits watched.
func (w *storeWatch) of(s Store) Store { return watchedStore{s, w} }

type watchedStore struct {
	Store
	watch *storeWatch
}

func (s watchedStore) Append(rows []store.Row) error {
	err := s.Store.Append(rows)
	switch {
	case err == nil, errors.Is(err, store.ErrDiskFull):
		s.watch.last.Store(nil)
	case errors.Is(err, store.ErrInvalidSeries): // no store would take that
	default:
		s.watch.last.Store(&failedCommit{time.Now(), err})
	}
	return err
}
