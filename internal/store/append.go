package store

import (
	"context"
	"errors"
	"fmt"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/storage"
	"github.com/prometheus/prometheus/tsdb"

	"stripchart/internal/bus"
)

// Ref caches the database's reference of a series, so that Append need not look the series
// up by its labels. The zero Ref is empty; Append fills it in. The caller keeps one Ref for
// each series, also while the database is opened again: a Ref includes the generation of the
// database that gave it, because another generation may use the same number for another
// series.
type Ref uint64

// refBits is how many of Ref's bits are the database's reference, of which it
// uses no more itself; the others are the opening's number.
const refBits = 40

func (e *engine) ref(r storage.SeriesRef) Ref {
	return Ref(e.number<<refBits | uint64(r))
}

// seriesRef returns 0, unknown, for what another opening gave.
func (e *engine) seriesRef(r Ref) storage.SeriesRef {
	if r == 0 || uint64(r)>>refBits != e.number&(1<<(64-refBits)-1) {
		return 0
	}
	return storage.SeriesRef(r & (1<<refBits - 1))
}

// Row is the new samples of one series.
type Row struct {
	Ref     *Ref          // may be nil
	Labels  labels.Labels // sorted, at least one, no name twice
	Samples []bus.Sample  // ascending times
}

// LateRows is how many rows of late samples one Append should have at most. The memory that
// tsdb takes for a commit, and its time with it, grows with the square of the series that get
// their first late sample in the commit (BenchmarkAppendLate). With Options.Sync each Append
// costs an fsync, so a much smaller number would be slow too.
const LateRows = 128

// Append commits all rows in one transaction. It leaves out, and counts in its metrics, a
// second value at the time of a series' newest sample, and a sample that is older than
// Options.OutOfOrder allows. Append does not keep the rows.
//
// Errors: ErrDiskFull (nothing was written), ErrInvalidSeries (nothing was
// written), ErrClosed. After any other error the rows may be in the store or
// not; append them again.
func (s *Store) Append(rows []Row) error {
	s.appendMu.Lock()
	defer s.appendMu.Unlock()
	err := s.space.check()
	s.mapChunks()
	if err != nil {
		s.metrics.diskFull.Inc()
		return err
	}
	eng, err := s.writable()
	if err != nil {
		return err
	}
	n, err := eng.commit(rows)
	if err != nil {
		if errors.Is(err, ErrInvalidSeries) {
			return err
		}
		s.metrics.failed.Inc()
		s.recovery.failed(err)
		s.space.look() // the disk may be full now: the database is not opened again before there is room
		return fmt.Errorf("append: %w", err)
	}
	s.recovery = recovery{}
	s.metrics.committed.Add(float64(n.committed))
	s.metrics.duplicate.Add(float64(n.duplicate))
	s.metrics.tooOld.Add(float64(n.tooOld))
	return nil
}

// mapChunks writes full head chunks to disk while there is room, once for each look at the
// free space. tsdb itself does so once a minute in its own goroutine, and that goroutine
// panics if the disk is full by then. Once the reserve is touched and commits stop, one more
// call leaves tsdb nothing to write. s.appendMu is held.
func (s *Store) mapChunks() {
	at, room := s.space.seen()
	if !room || at.Equal(s.mapped) {
		return
	}
	s.mapped = at
	s.mu.RLock()
	eng := s.eng
	s.mu.RUnlock()
	if eng != nil && !s.recovery.isNeeded() {
		eng.db.ForceHeadMMap()
	}
}

// Writable returns nil, or an error that wraps ErrDiskFull while appends are
// refused for want of disk space, so that an endpoint can refuse a write before it
// is in the log.
func (s *Store) Writable() error { return s.space.check() }

// appended counts what became of the samples of one commit.
type appended struct{ committed, duplicate, tooOld int }

// errLateNotLogged is a commit that tsdb calls a success although the late
// samples in it would not outlive the process.
var errLateNotLogged = errors.New("late samples could not be written to the log")

// commit writes rows as one transaction. Only one at a time.
func (e *engine) commit(rows []Row) (n appended, err error) {
	app := e.db.Appender(context.Background())
	for i := range rows {
		if err := e.stage(app, &rows[i], &n); err != nil {
			// Rolling back writes too: the series that are new stay in memory.
			if rerr := app.Rollback(); rerr != nil {
				return n, fmt.Errorf("roll back: %w", rerr)
			}
			return n, err
		}
	}
	if err := app.Commit(); err != nil {
		return n, err
	}
	if e.lateFailures != nil {
		if failures := e.lateFailures(); failures != e.lateFailed {
			e.lateFailed = failures
			return n, errLateNotLogged
		}
	}
	for _, s := range e.sync {
		if err := s.sync(); err != nil {
			return n, err
		}
	}
	return n, nil
}

func (e *engine) stage(app storage.Appender, row *Row, n *appended) error {
	var ref storage.SeriesRef
	if row.Ref != nil {
		ref = e.seriesRef(*row.Ref)
	}
	for _, sample := range row.Samples {
		got, err := app.Append(ref, row.Labels, sample.T, sample.V)
		switch {
		case err == nil:
			ref = got
			n.committed++
		case errors.Is(err, storage.ErrDuplicateSampleForTimestamp):
			n.duplicate++
		case errors.Is(err, storage.ErrTooOldSample), errors.Is(err, storage.ErrOutOfOrderSample), errors.Is(err, storage.ErrOutOfBounds):
			n.tooOld++
		case errors.Is(err, tsdb.ErrInvalidSample):
			return fmt.Errorf("%w: %s: %w", ErrInvalidSeries, row.Labels, err)
		default:
			return err
		}
	}
	if row.Ref != nil && ref != 0 {
		*row.Ref = e.ref(ref)
	}
	return nil
}
