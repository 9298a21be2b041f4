package store

import (
	"fmt"
	"sync"
	"time"
)

// spaceCheckEvery is the least time between two looks at the free space. New room is noticed
// that much later at most.
const spaceCheckEvery = time.Second

// space decides whether there is room to write. It stands in front of tsdb
// because a full disk breaks that: a failed write of a head chunk panics in
// one of its goroutines.
type space struct {
	dir     string
	reserve int64 // bytes; negative: never full
	free    func(dir string) (int64, error)

	mu      sync.Mutex // guards what follows
	checked time.Time
	last    error
	room    bool // for what has to be written still, when it was checked
}

// lastRoom is the share of the reserve that what is in memory may be written into
// when nothing else is committed any more.
const lastRoom = 8

// check returns an error that wraps ErrDiskFull while less than the reserve is
// free. When the free space cannot be found out it returns nil: the check only
// protects, and a store that refuses everything would be the greater harm.
func (s *space) check() error {
	if s.reserve < 0 {
		return nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if now := time.Now(); s.checked.IsZero() || now.Sub(s.checked) >= spaceCheckEvery {
		s.checked, s.last = now, nil
		free, err := s.free(s.dir)
		s.room = err == nil && free >= s.reserve/lastRoom
		if err == nil && free < s.reserve {
			s.last = fmt.Errorf("%w: %d MiB free at %s, %d MiB are kept in reserve; make room and it goes on by itself",
				ErrDiskFull, free>>20, s.dir, s.reserve>>20)
		}
	}
	return s.last
}

// look has the next check ask the operating system again.
func (s *space) look() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.checked = time.Time{}
}

// seen returns when the free space was looked at, and whether there was room for
// what has to be written still.
func (s *space) seen() (at time.Time, room bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.checked, s.room
}
