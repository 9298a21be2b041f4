package live

import (
	"errors"
	"fmt"
	"log/slog"
	"slices"

	"stripchart/internal/store"
)

// recorder commits what is accepted to the store, and passes it to the ring and to the pages. The
// goroutine that applies uses it alone; recent.mu guards what it changes of others.
type recorder struct {
	*recent
	store   Store
	log     *slog.Logger
	metrics *metrics
	pages   pages

	full bool // the last commit found the disk full; guarded by recent.mu

	// Scratch.
	rows    []store.Row
	writing []writing
}

// append commits rows to the store. full: there is no room on the disk, so the samples
// go to the pages, and the rooms say so.
func (r *recorder) append(rows []store.Row) (full bool, err error) {
	err = r.store.Append(rows)
	switch {
	case errors.Is(err, store.ErrDiskFull):
		return true, nil
	case err != nil:
		return false, fmt.Errorf("commit: %w", err)
	}
	return false, nil
}

// eachLate calls f with the late samples of a batch. At most pieceSeries series go into one call,
// because tsdb's time for one commit grows with the square of the series that have no late
// samples yet (docs/decisions/0012).
func (r *recorder) eachLate(list []incoming, f func(rows []store.Row) error) error {
	var rows []store.Row
	samples := 0
	for i := range list {
		in := &list[i]
		if in.late == 0 || len(in.fresh) == 0 {
			continue
		}
		for late := range slices.Chunk(in.fresh[:in.late], pieceSamples) {
			rows = append(rows, store.Row{Ref: &in.series.ref, Labels: in.series.labels, Samples: late})
			if samples += len(late); len(rows) == pieceSeries || samples >= pieceSamples {
				if err := f(rows); err != nil {
					return err
				}
				rows, samples = rows[:0], 0
			}
		}
	}
	if len(rows) == 0 {
		return nil
	}
	return f(rows)
}

// parts returns what is accepted of a batch, in parts that fit into a piece each.
func (r *recorder) parts(list []incoming) []writing {
	r.writing = partsOf(list, r.writing)
	return r.writing
}

// keep keeps the memory of a batch for the next one, without what it refers to.
func (r *recorder) keep() {
	clear(r.writing)
	if cap(r.writing) > maxScratch {
		r.writing = nil
	}
}

// inOrder returns the rows of parts that are not late.
func (r *recorder) inOrder(parts []writing) []store.Row {
	r.rows = r.rows[:0]
	for _, p := range parts {
		if len(p.fresh) > p.late {
			r.rows = append(r.rows, store.Row{Ref: &p.series.ref, Labels: p.series.labels, Samples: p.fresh[p.late:]})
		}
	}
	return r.rows
}

// noteFull notes whether the disk is full. The caller holds recent.mu.
func (r *recorder) noteFull(full bool) {
	if full == r.full {
		return
	}
	r.full = full
	if full {
		r.log.Warn("the disk is full: samples are shown but not recorded; make room, and recording goes on by itself")
	} else {
		r.log.Info("recording again")
	}
}

// pass adds an entry to the ring and has the pages take it: everything that pages are told of the
// log goes this way. It returns the entry's index in the ring. The caller holds recent.mu.
func (r *recorder) pass(e entry) (at uint64) {
	r.ring.add(e)
	at = r.ring.end() - 1
	added := r.ring.newest()
	for i := range e.parts {
		p := &e.parts[i]
		if !p.series.isBorn() { // a long batch shows a new series in several pieces
			r.index.welcome(p.series, at)
			added.born = true
		}
		r.index.wrote(p.series, p.samples, e.at, at)
		r.metrics.samples.Add(float64(len(p.fresh)))
	}
	r.metrics.series.Set(float64(len(r.index.byKey)))
	r.pages.take(added, at)
	return at
}
