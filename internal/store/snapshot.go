package store

import (
	"fmt"
	"sync"

	"github.com/prometheus/prometheus/model/labels"
)

// Snapshot reads what was committed when it was opened. It holds up compaction,
// so it should live for seconds at most. Its calls follow one another; Close
// waits for one that is under way. When the store is closed, or opened again
// after a failed commit, reads end with ErrSnapshotClosed.
type Snapshot struct {
	r        *reader
	from, to int64
	once     sync.Once
	closed   func()
	keep     func(labels.Labels) bool // nil: every series
	missing  []Loss
}

// Missing returns what the History before it left out because it is damaged.
func (q *Snapshot) Missing() []Loss { return q.missing }

// Only has History pass over the series that keep refuses, without reading
// them. keep is called once for each matching series, in the order of their
// labels, if it has a sample in the range, and must not wait for anything that waits for an Append.
func (q *Snapshot) Only(keep func(labels.Labels) bool) { q.keep = keep }

// Snapshot opens a snapshot of the samples in [from, to], Unix milliseconds,
// both included. It takes microseconds and must be closed.
func (s *Store) Snapshot(from, to int64) (*Snapshot, error) {
	r, err := s.read(from, to)
	if err != nil {
		return nil, fmt.Errorf("open snapshot: %w", err)
	}
	s.metrics.snapshots.Inc()
	return &Snapshot{r: r, from: from, to: to, closed: s.metrics.snapshots.Dec}, nil
}

// read opens a querier on the database that is open now.
func (s *Store) read(from, to int64) (*reader, error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	switch {
	case s.closed:
		return nil, ErrClosed
	case s.eng == nil:
		return nil, ErrUnavailable
	}
	return s.eng.read(from, to)
}

// Close lets compaction go on. Further calls return nil.
func (q *Snapshot) Close() error {
	q.once.Do(q.closed)
	return q.r.close()
}
