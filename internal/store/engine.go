package store

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"sync"

	"github.com/prometheus/prometheus/storage"
	"github.com/prometheus/prometheus/tsdb"
)

// engine is one opening of the database. A failed commit ends it, and the next
// one takes its place; what belongs to one opening only hangs here: references
// of series, metrics, open queriers.
type engine struct {
	db      *tsdb.DB
	number  uint64 // counts the openings: 1, 2, ...
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
}

// opening is how to open the database.
type opening struct {
	dir    string
	number uint64
	// clean tells that the opening before was closed without an error.
	clean bool
	tsdb  *tsdb.Options
	log   *slog.Logger
	// repaired is called with what had to be done to the logs, if anything,
	// before the database opens: a failure of that is easier to understand then.
	repaired func(*Repair)
}

// engine opens the database, after a repair of its logs where that is needed.
func (o opening) engine() (*engine, error) {
	repair, err := repairLogs(o.dir)
	if err != nil {
		return nil, err
	}
	log := newDatabaseLog(o.log)
	if repair != nil {
		o.repaired(repair)
		log.told.Store(true)
	}
	if !o.clean {
		// Behind real damage the chunks may hold samples that the logs lost.
		keep := repair != nil && !repair.Torn
		if err := distrustHeadChunks(o.dir, keep); err != nil {
			return nil, err
		}
	}
	e := &engine{number: o.number, metrics: &collectors{}, readers: map[*reader]struct{}{}}
	opts := *o.tsdb // tsdb fills in what it finds missing
	if e.db, err = tsdb.Open(o.dir, slog.New(log), e.metrics, &opts, nil); err != nil {
		return nil, err
	}
	log.told.Store(false)
	if opts.OutOfOrderTimeWindow > 0 {
		e.lateFailures = e.metrics.counter("prometheus_tsdb_out_of_order_wbl_writes_failed_total")
	}
	e.ending, e.end = context.WithCancel(context.Background())
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
	e  *engine
	mu sync.Mutex // guards q; taken before e.mu
	q  storage.Querier
}

// read opens a querier on [from, to]; it takes microseconds.
func (e *engine) read(from, to int64) (*reader, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.closed {
		return nil, ErrClosed
	}
	q, err := e.db.Querier(from, to)
	if err != nil {
		return nil, fmt.Errorf("open querier: %w", err)
	}
	r := &reader{e: e, q: q}
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
