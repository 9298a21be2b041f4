package store

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"
)

// recovery is what the store knows about failed commits. After one the database
// is opened again before the next: it goes on after a failed write of its log
// as if nothing had happened, and a later repair then deletes what it
// acknowledged. The first time at once; when that did not help, after a pause
// that doubles, because opening reads the whole log.
type recovery struct {
	failures int   // in a row; 0: nothing to recover from
	err      error // of the newest
	next     time.Time
}

const (
	firstPause = time.Second
	maxPause   = time.Minute
)

func (r *recovery) failed(err error) {
	r.err = err
	if r.failures > 0 {
		r.next = time.Now().Add(min(firstPause<<min(r.failures-1, 10), maxPause))
	}
	r.failures++
}

// writable returns the database to commit to, opened again where the newest
// commit failed. s.appendMu is held.
func (s *Store) writable() (*engine, error) {
	s.mu.RLock()
	eng, closed := s.eng, s.closed
	s.mu.RUnlock()
	if closed {
		return nil, ErrClosed
	}
	if s.recovery.failures == 0 {
		return eng, nil
	}
	if wait := time.Until(s.recovery.next); wait > 0 {
		return nil, fmt.Errorf("store is out of order, next attempt in %s: %w", wait.Round(time.Second), s.recovery.err)
	}
	err := probe(s.dir)
	if err == nil {
		err = s.reopen()
	}
	if err != nil {
		s.recovery.failed(err)
		return nil, fmt.Errorf("open store again: %w", err)
	}
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.eng, nil
}

// probeSize is more than the database writes while it opens.
const probeSize = 1 << 20

// probe tries whether dir's disk takes writes. Only then is the database opened
// again: until then it can still be read, and tsdb loses a goroutine and a file
// each time it closes without being able to write.
func probe(dir string) error {
	name := filepath.Join(dir, "probe.tmp")
	f, err := os.Create(name)
	if err != nil {
		return err
	}
	_, err = f.Write(make([]byte, probeSize))
	if err == nil {
		err = f.Sync()
	}
	return errors.Join(err, f.Close(), os.Remove(name))
}

// reopen ends all reads and snapshots, closes the database and opens it again.
// Callers of other methods wait.
func (s *Store) reopen() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.metrics.reopened.Inc()
	s.log.Warn("a write failed; the store is opened again", "dir", s.dir, "err", s.recovery.err)
	if s.eng != nil {
		// Its error is a consequence of the one above: what could not be
		// written cannot be flushed either. Opening judges what is there.
		if err := s.eng.close(); err != nil {
			s.log.Debug("close after failed write", "err", err)
		}
		s.eng = nil
	}
	return s.openEngine(killed)
}
