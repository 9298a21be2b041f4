package apply

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"

	"stripchart/internal/recent"
	"stripchart/internal/store"
)

const (
	// pieceSeries and pieceSamples bound what is committed in one hold of the lock.
	pieceSeries  = 1000
	pieceSamples = 4000
)

// recordLate commits the late samples of a batch, without the lock: in tsdb late samples are seen
// by everybody as soon as they are there, so they gain nothing by it, and upserts absorb what a
// bootstrap has already.
func (x *applier) recordLate(ctx context.Context, a *application) error {
	return x.record.eachLate(a.incoming, func(rows []store.Row) error {
		err := x.try(ctx, a, func() error {
			full, err := x.record.append(rows)
			a.full = a.full || full
			return err
		})
		if errors.Is(err, store.ErrInvalidSeries) && a.delivery.Kept {
			x.leaveOut(a, err)
			for i := range rows {
				drop(a.incoming, rows[i].Ref)
			}
			return nil
		}
		return err
	})
}

// recordPiece commits a piece of a batch, and adds it to the ring and to what the rooms have
// pending. last is the batch's last piece.
func (x *applier) recordPiece(a *application, parts []writing, last bool) error {
	x.recent.Mu.Lock()
	defer x.recent.Mu.Unlock()
	full, err := x.record.append(x.record.inOrder(parts))
	switch {
	case errors.Is(err, store.ErrInvalidSeries) && a.delivery.Kept:
		x.leaveOut(a, err)
		parts = nil
	case err != nil:
		return err
	}
	a.full = a.full || full
	x.record.noteFull(a.full)
	x.doubts.settle(parts)
	x.declare(a)
	if a.stage.again() {
		x.tellAlone(a)
		x.recordedAgain(a, last)
		return nil
	}
	x.show(a, parts, last)
	if last {
		x.took(a)
	}
	return nil
}

// show passes a piece of a batch on, and notes who wrote it. The caller holds recent.Log.Mu.
func (x *applier) show(a *application, parts []writing, last bool) {
	e := recent.Entry{Position: a.delivery.Position, At: a.now, Parts: make([]recent.Part, len(parts)), More: !last}
	// A page that has come from another server may lack what is known here, but not while the
	// log of a new epoch is reread: no page resumes then.
	e.FreshOnly = !x.o.Replica || a.stage == rereading
	for i := range parts {
		e.Parts[i] = parts[i].Part
	}
	if !a.shown {
		e.Gaps, e.Size = a.gaps, a.batch.Size()
	}
	a.shown = true
	at := x.record.pass(e)
	onlyShown := a.full && a.delivery.Kept
	if onlyShown {
		x.progress.onlyShown(at)
	}
	for i := range parts {
		p := &parts[i]
		if onlyShown {
			x.shown.add(p.Series.Hash, p.Fresh)
		}
		known := p.of.last != recent.UnknownTime
		x.judge.noteTimes(a, p)
		a.source.wrote(p.of, a.logTime, known)
	}
}

// recordedAgain notes that what of a batch was only shown before is recorded: this
// process has applied it while the disk was full. The caller holds recent.Log.Mu.
func (x *applier) recordedAgain(a *application, last bool) {
	if a.full {
		x.progress.fullAgain() // the next batch that is recorded starts this anew
		return
	}
	if !last {
		return
	}
	paid, isPaid := x.progress.recordedAgain(a.delivery.Position)
	switch {
	case !isPaid:
		return
	case paid.isOfAll():
		x.log.Info("applied all that the log retains again")
	default:
		x.log.Info("recorded everything that was only shown")
	}
	x.pages.Recorded(x.shown.withheld)
	x.shown.clear()
}

// tellAlone passes on the gaps of a batch that has no entry of its own: its entry was there long
// ago, or it is none. A viewer that stands before the ring's end is sent them from there. The
// caller holds recent.Log.Mu.
func (x *applier) tellAlone(a *application) {
	if len(a.gaps) > 0 && !a.shown {
		a.shown = true
		x.record.pass(x.recent.Ring.GapsOnly(a.gaps, a.now))
	}
}

// doubt remembers samples that may be stored although their commit failed.
func (x *applier) doubt(parts []writing) {
	x.recent.Mu.Lock()
	defer x.recent.Mu.Unlock()
	x.doubts.add(parts)
}

// abandon closes the ring entries of a batch that was recorded only in part. The source publishes the
// batch again. Open entries would hold the position back for ever.
func (x *applier) abandon(a *application) {
	x.recent.Mu.Lock()
	defer x.recent.Mu.Unlock()
	if a.shown && !a.delivery.Kept {
		x.recent.Ring.Add(recent.Entry{Position: a.delivery.Position, At: a.now})
		x.progress.advance(a.delivery.Position)
	}
}

// leaveOut logs that some of a batch is left out: no try will ever record it.
func (x *applier) leaveOut(a *application, err error) {
	x.log.Error("a batch in the log is not valid; it is left out", "position", a.delivery.Position.String(), "source", a.batch.Source, "err", err)
}

// recorder commits what is accepted to the store, and passes it to the ring and to the pages. The
// goroutine that applies uses it alone; recent.Log.Mu guards what it changes of others.
type recorder struct {
	recent  *recent.Log
	store   Store
	log     *slog.Logger
	metrics *metrics
	pages   Pages

	full bool // the last commit found the disk full; guarded by recent.Log.Mu

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

// eachLate calls f with the late samples of a batch, of at most store.LateRows series in one
// call.
func (r *recorder) eachLate(list []incoming, f func(rows []store.Row) error) error {
	var rows []store.Row
	samples := 0
	for i := range list {
		in := &list[i]
		if in.late == 0 || len(in.fresh) == 0 {
			continue
		}
		for late := range slices.Chunk(in.fresh[:in.late], pieceSamples) {
			rows = append(rows, store.Row{Ref: &in.series.ref, Labels: in.series.Labels, Samples: late})
			if samples += len(late); len(rows) == store.LateRows || samples >= pieceSamples {
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
		if len(p.Fresh) > p.late {
			r.rows = append(r.rows, store.Row{Ref: &p.of.ref, Labels: p.Series.Labels, Samples: p.Fresh[p.late:]})
		}
	}
	return r.rows
}

// noteFull notes whether the disk is full. The caller holds recent.Log.Mu.
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
// log goes this way. It returns the entry's index in the ring. The caller holds recent.Log.Mu.
func (r *recorder) pass(e recent.Entry) (at uint64) {
	r.recent.Ring.Add(e)
	at = r.recent.Ring.End() - 1
	added := r.recent.Ring.Newest()
	for i := range e.Parts {
		p := &e.Parts[i]
		if !p.Series.IsBorn() { // a long batch shows a new series in several pieces
			r.recent.Index.Welcome(p.Series, at)
			added.Born = true
		}
		r.recent.Index.Wrote(p.Series, p.Samples, e.At, at)
		r.metrics.samples.Add(float64(len(p.Fresh)))
	}
	r.recent.PublishSeries()
	r.pages.Take(added, at)
	return at
}

// writing is a part that is on its way into the store.
type writing struct {
	recent.Part
	of   *series // the log side of Part.Series
	late int     // as many of Fresh are committed before the others: see recordLate
}

// partsOf returns what is accepted, in parts that fit into a piece each. It uses the memory of
// scratch.
func partsOf(incoming []incoming, scratch []writing) []writing {
	parts := slices.Grow(scratch[:0], len(incoming))
	for i := range incoming {
		in := &incoming[i]
		p := writing{recent.Part{Series: &in.series.Series, Samples: in.samples, Fresh: in.fresh}, in.series, in.late}
		for len(p.Samples) > pieceSamples {
			var head writing
			head, p = p.split(pieceSamples)
			parts = append(parts, head)
		}
		if len(p.Samples) > 0 {
			parts = append(parts, p)
		}
	}
	return parts
}

// split returns the first n samples of p, and the rest.
func (p writing) split(n int) (head, tail writing) {
	head, tail = p, p
	head.Samples, tail.Samples = p.Samples[:n:n], p.Samples[n:]
	k := 0
	for k < len(p.Fresh) && p.Fresh[k].T < tail.Samples[0].T {
		k++
	}
	head.Fresh, tail.Fresh = p.Fresh[:k:k], p.Fresh[k:]
	head.late, tail.late = min(p.late, k), max(0, p.late-k)
	return head, tail
}

// piece returns the first of parts, as many as are committed in one hold of the lock.
func piece(parts []writing) []writing {
	samples := 0
	for i := range parts {
		samples += len(parts[i].Samples)
		if i > 0 && (i >= pieceSeries || samples > pieceSamples) {
			return parts[:i]
		}
	}
	return parts
}
