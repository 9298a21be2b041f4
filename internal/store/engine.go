package store

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"github.com/oklog/ulid/v2"
	"github.com/prometheus/prometheus/storage"
	"github.com/prometheus/prometheus/tsdb"
	"github.com/prometheus/prometheus/tsdb/wlog"
)

// engine is one opening of the database. A failed commit ends it, and the next
// one takes its place; what belongs to one opening only hangs here: references
// of series, metrics, open queriers.
type engine struct {
	db      *tsdb.DB
	sync    []*logSync // of the WAL and the WBL; nil: the kernel decides when to write
	number  uint64     // counts the openings: 1, 2, ...
	metrics *collectors
	// lateFailures counts failed writes of late samples, which Commit does not
	// report. nil when there are no late samples.
	lateFailures func() float64
	lateFailed   float64 // what it said last; used by commit only

	ending context.Context // ends when close begins, and reads with it
	end    context.CancelFunc

	mu      sync.Mutex // guards what follows
	closed  bool
	readers map[*reader]struct{}
	damage  *damage // of the querier that is being opened
}

// ending is how the opening before ended.
type ending int

const (
	closed ending = iota // without an error
	// killed: the process was killed, or a write failed. What was acknowledged is in the
	// logs; behind it there may be half a write.
	killed
	// powerLoss: the machine was restarted. Each file may lack what the kernel had not
	// written, so a file may refer to what another one lacks.
	powerLoss
)

// opening is how to open the database.
type opening struct {
	dir      string
	number   uint64
	end      ending
	tsdb     *tsdb.Options
	sync     bool // fsync before a commit returns
	log      *slog.Logger
	contents *contents
	// repaired is called with what had to be done, if anything, before the database
	// opens: a failure of that is easier to understand then.
	repaired func(*Repair)
}

// engine opens the database, after a repair of its blocks and logs where that is needed.
func (o opening) engine() (*engine, error) {
	largest := time.Duration(o.tsdb.MaxBlockDuration) * time.Millisecond
	metas, lost, err := checkBlocks(o.dir, o.contents.Blocks, largest, o.log)
	if err != nil {
		return nil, fmt.Errorf("check blocks: %w", err)
	}
	l, err := readLogs(o.dir, o.contents.Logs, o.end)
	if err != nil {
		return nil, fmt.Errorf("read write logs: %w", err)
	}
	if o.end == powerLoss && !o.contents.Synced {
		l.mayLackEnds()
	}
	var w *weighing
	if l.damaged() || o.end != closed {
		if w, err = weigh(l, newestInOrder(metas), o.tsdb.OutOfOrderTimeWindow); err != nil {
			return nil, fmt.Errorf("read write logs: %w", err)
		}
		lost = append(lost, w.losses()...)
	}
	log := newDatabaseLog(o.log)
	if len(lost) > 0 || l.damaged() || l.torn() {
		o.contents.lost(lost) // first of all: after the repair nothing would tell of it
		o.repaired(&Repair{Torn: len(lost) == 0 && !l.damaged()})
		log.told.Store(true)
	}
	headChunks := dirSize(l.path(headChunksDir))
	if err := l.mend(); err != nil {
		return nil, err
	}
	if err := roomToOpen(o.dir, headChunks); err != nil {
		return nil, err
	}
	e := &engine{number: o.number, metrics: &collectors{}, readers: map[*reader]struct{}{}}
	opts := *o.tsdb // tsdb fills in what it finds missing
	var opened atomic.Pointer[tsdb.DB]
	opts.BlocksToDelete = func(bs []*tsdb.Block) (deletable map[ulid.ULID]struct{}) {
		if db := opened.Load(); db != nil {
			deletable = tsdb.DefaultBlocksToDelete(db)(bs)
		}
		o.contents.see(bs, deletable, o.sync)
		return deletable
	}
	opts.BlockQuerierFunc = func(b tsdb.BlockReader, from, to int64) (storage.Querier, error) {
		return e.damage.querier(b, from, to)
	}
	e.damage = &damage{} // nobody asks what the check below meets
	if e.db, err = tsdb.Open(o.dir, slog.New(log), e.metrics, &opts, nil); err != nil {
		return nil, err
	}
	opened.Store(e.db)
	log.told.Store(false)
	if opts.OutOfOrderTimeWindow > 0 {
		e.lateFailures = e.metrics.counter("prometheus_tsdb_out_of_order_wbl_writes_failed_total")
	}
	e.ending, e.end = context.WithCancel(context.Background())
	if o.sync {
		e.sync = []*logSync{{dir: filepath.Join(o.dir, walDir)}, {dir: filepath.Join(o.dir, wlog.WblDirName)}}
	}
	if w != nil {
		late, err := w.lateLosses(e.ending, e.db)
		if err != nil {
			return nil, errors.Join(fmt.Errorf("look for late samples: %w", err), e.close())
		}
		o.contents.lost(late)
	}
	return e, nil
}

// close ends reads that are under way, closes every querier, and then the
// database. tsdb unmaps its files at once, so a querier that were still read
// would fault.
func (e *engine) close() (err error) {
	e.mu.Lock()
	e.closed = true
	readers := e.readers
	e.readers = nil
	e.mu.Unlock()
	e.end()
	var errs []error
	for r := range readers {
		errs = append(errs, r.close())
	}
	for _, s := range e.sync {
		errs = append(errs, s.close())
	}
	defer func() {
		// On a disk that takes no writes tsdb panics when it cannot write the
		// last head chunks. Their samples are in the log.
		if p := recover(); p != nil {
			err = errors.Join(append(errs, fmt.Errorf("close database: %v", p))...)
		}
	}()
	if err := e.db.Close(); err != nil {
		errs = append(errs, fmt.Errorf("close database: %w", err))
	}
	return errors.Join(errs...)
}

// maxTime is at least the time of the newest sample, and math.MinInt64 when
// there is none.
func (e *engine) maxTime() int64 {
	newest := int64(math.MinInt64)
	for _, b := range e.db.BlockMetas() {
		newest = max(newest, b.MaxTime-1) // a block's end is exclusive
	}
	head := e.db.Head()
	return max(newest, head.MaxTime(), head.MaxOOOTime())
}

// reader is an open querier. Its calls exclude each other, and closing.
type reader struct {
	e      *engine
	damage *damage    // what it met so far
	mu     sync.Mutex // guards q; taken before e.mu
	q      storage.Querier
}

// read opens a querier on [from, to]; it takes microseconds.
func (e *engine) read(from, to int64) (*reader, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.closed {
		return nil, ErrClosed
	}
	e.damage = &damage{}
	q, err := e.db.Querier(from, to)
	if err != nil {
		return nil, fmt.Errorf("open querier: %w", err)
	}
	r := &reader{e: e, q: q, damage: e.damage}
	e.readers[r] = struct{}{}
	return r, nil
}

// use calls f with the querier and a context that also ends when the database
// is about to close; the error then is ErrSnapshotClosed.
func (r *reader) use(ctx context.Context, f func(context.Context, storage.Querier) error) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.q == nil {
		return ErrSnapshotClosed
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	stop := context.AfterFunc(r.e.ending, func() { cancel(ErrSnapshotClosed) })
	defer stop()
	if err := f(ctx, r.q); err != nil {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		return err
	}
	return nil
}

// close waits for a use that is under way. Further calls return nil.
func (r *reader) close() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.q == nil {
		return nil
	}
	q := r.q
	r.q = nil
	r.e.mu.Lock()
	delete(r.e.readers, r)
	r.e.mu.Unlock()
	if err := q.Close(); err != nil {
		return fmt.Errorf("close querier: %w", err)
	}
	return nil
}
