package store

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"stripchart/internal/backoff"
)

// recovery is the state of the store after a failed commit. The database is opened again
// before the next commit: after a failed write of its log, tsdb goes on as if nothing had
// happened, and a later repair deletes samples that it acknowledged. The first attempt is
// made at once. Each further attempt waits for a pause, because opening reads the whole log.
// The zero value is a store that needs no recovery.
type recovery struct {
	err   error // of the newest attempt; nil: no recovery is needed
	pause backoff.Backoff
	next  time.Time // no attempt before
}

func (r *recovery) isNeeded() bool { return r.err != nil }

func (r *recovery) failed(err error) {
	if r.isNeeded() {
		r.next = time.Now().Add(r.pause.Next())
	} else {
		r.pause = backoff.Backoff{First: time.Second, Max: time.Minute}
	}
	r.err = err
}

// writable returns the database to commit to. If the newest commit failed, the database is
// opened again first. s.appendMu is held.
func (s *Store) writable() (*engine, error) {
	s.mu.RLock()
	eng, closed := s.eng, s.closed
	s.mu.RUnlock()
	if closed {
		return nil, ErrClosed
	}
	if !s.recovery.isNeeded() {
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
