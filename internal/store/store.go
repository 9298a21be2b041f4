package store

import (
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"math"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/prometheus/tsdb"
	"github.com/prometheus/prometheus/tsdb/fileutil"

	"stripchart/internal/datadir"
)

// Store is an open data directory. Its methods may be called from any
// goroutine at any time; after Close they return ErrClosed.
type Store struct {
	dir        string
	log        *slog.Logger
	lock       *datadir.Lock
	space      *space
	contents   *contents
	tsdb       *tsdb.Options
	sync       bool
	metrics    *metrics
	registered []prometheus.Collector
	registerer prometheus.Registerer
	pageReads  *Share
	queryReads *Share

	// appendMu makes appends follow one another. Taken before mu.
	appendMu sync.Mutex
	recovery recovery  // guarded by appendMu
	mapped   time.Time // guarded by appendMu: when the disk was looked at before mapChunks last wrote

	// mu guards what follows. Held for writing while the database is opened
	// again, so that everybody else waits for it instead of failing.
	mu       sync.RWMutex
	closed   bool
	eng      *engine // nil when it could not be opened again
	openings uint64  // of the database
	repair   *Repair // of the newest opening that found damage
}

// Open opens the data directory, which it creates where it is missing. It reads
// the write logs of the last hours: about two seconds for ten million samples.
//
// The error says what to do. Some are also for the program: a *LockedError,
// ErrNewerVersion (in both cases nothing was changed) and ErrNotWritable. A
// damaged log is no error: it is repaired, with one warning, see Repaired.
func Open(o Options) (*Store, error) {
	if err := o.setDefaults(); err != nil {
		return nil, fmt.Errorf("open store: %w", err)
	}
	s := &Store{
		dir:        o.Dir,
		log:        o.Logger,
		space:      &space{dir: o.Dir, reserve: o.ReserveBytes, free: o.FreeSpace},
		tsdb:       tsdbOptions(o),
		sync:       o.Sync,
		metrics:    newMetrics(),
		registerer: o.Registerer,
		pageReads:  NewShare(pageReads, pageReadTimeout),
		queryReads: NewShare(o.QueryReads, o.QueryTimeout),
	}
	if err := s.open(); err != nil {
		return nil, explainOpen(o.Dir, err)
	}
	return s, nil
}

// open takes the directory, and lets go of it when anything fails.
func (s *Store) open() (err error) {
	// Before anything is created: a newer version's directory stays as it is.
	if _, err := checkVersion(s.dir); err != nil {
		return err
	}
	if s.lock, err = takeDir(s.dir); err != nil {
		return err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, s.lock.Release(false))
		}
	}()
	if s.contents, err = readContents(s.dir, s.log); err != nil {
		return err
	}
	end := killed
	switch {
	case s.lock.Clean():
		end = closed
	case s.lock.Rebooted():
		end = powerLoss
	}
	if err := s.openEngine(end); err != nil {
		return err
	}
	if err := s.register(); err != nil {
		return errors.Join(err, s.eng.close())
	}
	return nil
}

// openEngine opens the database, whose opening before ended like that. s.mu is held for
// writing, or nobody knows s yet.
func (s *Store) openEngine(end ending) (err error) {
	s.openings++
	if err := takeSpare(s.dir); err != nil {
		return err
	}
	s.eng, err = opening{
		dir:      filepath.Join(s.dir, databaseDir),
		number:   s.openings,
		end:      end,
		tsdb:     s.tsdb,
		sync:     s.sync,
		log:      s.log,
		contents: s.contents,
		repaired: func(r *Repair) {
			if r.Torn {
				s.log.Warn("the store's log ended in a write that was cut off; that has been dropped", "dir", s.dir)
			}
			s.repair = r
		},
	}.engine()
	if err != nil {
		return err
	}
	if err := layInSpare(s.dir); err != nil {
		s.log.Warn("no room could be laid in for a start on a full disk", "err", err)
	}
	return nil
}

func (s *Store) register() error {
	if s.registerer == nil {
		return nil
	}
	for _, c := range slices.Concat(s.metrics.all(), s.pageReads.metrics("pages"), s.queryReads.metrics("queries"), []prometheus.Collector{databaseMetrics{s}}) {
		if err := s.registerer.Register(c); err != nil {
			s.unregister()
			return fmt.Errorf("register metrics: %w", err)
		}
		s.registered = append(s.registered, c)
	}
	return nil
}

func (s *Store) unregister() {
	for _, c := range s.registered {
		s.registerer.Unregister(c)
	}
	s.registered = nil
}

// explainOpen says what to do about an error of Open.
func explainOpen(dir string, err error) error {
	switch {
	case errors.Is(err, ErrLocked), errors.Is(err, ErrNewerVersion), errors.Is(err, ErrNotWritable), errors.Is(err, ErrDiskFull), errors.Is(err, errNoVersion):
		return err
	case errors.Is(err, fs.ErrPermission), readOnlyFS(err), datadir.IsFull(err):
		return notWritable(dir, err)
	}
	return fmt.Errorf("open store in %s: %w; if that stays, move the directory away and start with an empty one", dir, err)
}

// Close waits for an append that is under way, ends reads and snapshots, waits
// for a compaction to stop, and closes the database and the directory. It
// returns all errors; further calls return nil.
func (s *Store) Close() error {
	s.appendMu.Lock()
	defer s.appendMu.Unlock()
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil
	}
	s.closed = true
	s.unregister()
	var errs []error
	clean := false
	if s.eng != nil {
		err := s.eng.close()
		clean = err == nil
		errs = append(errs, err)
		s.eng = nil
		s.contents.seeLogs()
	}
	if err := s.lock.Release(clean); err != nil {
		errs = append(errs, fmt.Errorf("unlock %s: %w", s.dir, err))
	}
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("close store: %w", err)
	}
	return nil
}

// SetAddress records where this process serves, for the *LockedError of whoever
// tries to open the directory next. address is a URL.
func (s *Store) SetAddress(address string) error {
	s.mu.RLock()
	defer s.mu.RUnlock()
	if s.closed {
		return ErrClosed
	}
	return s.lock.Announce(address)
}

// MaxTime returns the time of the newest sample, or math.MinInt64 when there is
// none: a sample newer than it is not in the store. Where the newest samples
// are in compacted blocks only, it may be up to the end of the last block. While
// the store is out of order (ErrUnavailable) it is math.MinInt64, too.
func (s *Store) MaxTime() int64 {
	s.mu.RLock()
	defer s.mu.RUnlock()
	if s.eng == nil {
		return math.MinInt64
	}
	return s.eng.maxTime()
}

// Repaired returns the newest repair, nil when there was none since Open began.
// Losses says what it cost.
func (s *Store) Repaired() *Repair {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.repair
}

// Size returns how many bytes the data directory holds on disk.
func (s *Store) Size() int64 { return dirSize(s.dir) }

// dirSize counts what it can read; files may come and go meanwhile.
func dirSize(dir string) int64 {
	n, err := fileutil.DirSize(dir)
	if err != nil {
		return 0
	}
	return n
}
