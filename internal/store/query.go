package store

import (
	"context"
	"errors"
	"sync"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/storage"
	"github.com/prometheus/prometheus/util/annotations"
)

// Query calls f when it is the turn of one of share's reads, with a Queryable that is
// valid during the call. It sees everything that was committed before f opens a querier.
// One querier is open at a time: a second one would wait for a database that waits for
// the first to close. f is called again when the database was opened again meanwhile.
//
// damaged is what the queriers have left out because it is damaged; it may name the
// chunks of series that f has not selected further.
func (s *Store) Query(ctx context.Context, share *Share, f func(context.Context, storage.Queryable) error) (damaged []Loss, err error) {
	err = share.Read(ctx, func(ctx context.Context) error {
		for {
			q := &queryable{s: s}
			q.ctx, q.cancel = context.WithCancelCause(ctx)
			err := f(q.ctx, q)
			over := context.Cause(q.ctx)
			cerr := q.close()
			damaged = q.damaged
			switch {
			case err == nil:
				return cerr
			case errors.Is(over, ErrSnapshotClosed) && ctx.Err() == nil:
				// read waits for the reopening, or finds the store closed.
			default:
				return err
			}
		}
	})
	return damaged, err
}

// queryable opens queriers that keep the database from closing under them: it unmaps its
// files. When it is about to close, ctx ends with ErrSnapshotClosed.
type queryable struct {
	s      *Store
	ctx    context.Context
	cancel context.CancelCauseFunc

	mu      sync.Mutex // guards what follows
	open    *heldQuerier
	damaged []Loss
}

// Querier implements storage.Queryable.
func (q *queryable) Querier(from, to int64) (storage.Querier, error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.open != nil {
		return nil, errors.New("another querier of this query is open")
	}
	r, err := q.s.read(from, to)
	if err != nil {
		return nil, err
	}
	r.mu.Lock()
	if r.q == nil {
		r.mu.Unlock()
		q.cancel(ErrSnapshotClosed)
		return nil, ErrSnapshotClosed
	}
	q.open = &heldQuerier{q: q, r: r, stop: context.AfterFunc(r.e.ending, func() { q.cancel(ErrSnapshotClosed) })}
	return q.open, nil
}

// close closes the querier that is still open.
func (q *queryable) close() error {
	q.cancel(nil)
	q.mu.Lock()
	open := q.open
	q.mu.Unlock()
	if open == nil {
		return nil
	}
	return open.Close()
}

// heldQuerier holds its reader from Querier to Close.
type heldQuerier struct {
	q    *queryable
	r    *reader
	stop func() bool
	once sync.Once
	err  error
}

// Close implements storage.Querier. Further calls return the same.
func (h *heldQuerier) Close() error {
	h.once.Do(func() {
		h.stop()
		h.q.mu.Lock()
		defer h.q.mu.Unlock()
		h.q.open = nil
		h.q.damaged = append(append(h.q.damaged, h.r.damage.takeChunks()...), h.r.damage.indexes()...)
		h.r.mu.Unlock()
		h.err = h.r.close()
	})
	return h.err
}

// Select implements storage.Querier.
func (h *heldQuerier) Select(ctx context.Context, sorted bool, hints *storage.SelectHints, ms ...*labels.Matcher) storage.SeriesSet {
	set := h.r.q.Select(ctx, sorted, hints, ms...)
	return &matchingSet{SeriesSet: set, h: h, ms: ms}
}

// LabelValues implements storage.Querier.
func (h *heldQuerier) LabelValues(ctx context.Context, name string, hints *storage.LabelHints, ms ...*labels.Matcher) ([]string, annotations.Annotations, error) {
	return h.r.q.LabelValues(ctx, name, hints, ms...)
}

// LabelNames implements storage.Querier.
func (h *heldQuerier) LabelNames(ctx context.Context, hints *storage.LabelHints, ms ...*labels.Matcher) ([]string, annotations.Annotations, error) {
	return h.r.q.LabelNames(ctx, hints, ms...)
}

// matchingSet passes over series that do not match, which damaged lists of series that
// are to be subtracted may bring.
type matchingSet struct {
	storage.SeriesSet
	h  *heldQuerier
	ms []*labels.Matcher
}

// Next implements storage.SeriesSet.
func (m *matchingSet) Next() bool {
	for m.SeriesSet.Next() {
		if len(m.h.r.damage.indexes()) == 0 || matchAll(m.ms, m.SeriesSet.At().Labels()) {
			return true
		}
	}
	return false
}
