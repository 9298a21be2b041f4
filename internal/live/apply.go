package live

import (
	"context"
	"errors"
	"time"

	"stripchart/internal/bus"
	"stripchart/internal/store"
	"stripchart/internal/wire"
)

// application is one batch on its way in. Used by the apply goroutine.
//
// What needs no lock is done before it is taken: the look-ups in the store, and the
// commits of late samples. What must be seen at once by everybody (the commit of samples
// in order, the ring, what rooms have pending) is done under the lock, in pieces, so that
// no hold of it lasts for longer than a few milliseconds.
type application struct {
	delivery bus.Delivery
	batch    *bus.Batch
	logTime  int64 // Unix ms
	now      int64 // the server's clock, Unix ms
	source   *source
	again    bool // it was applied, and is recorded now that there is room
	copied   bool // nothing in it is new to this epoch of the log

	incoming []incoming
	newest   int64 // newest accepted time; unknownTime: nothing was accepted
	absences []absence
	gaps     []*gap // for the absences; declared with the batch's first entry

	full   bool   // some of it could not be recorded: the disk is full
	added  bool   // its first entry is in the ring,
	first  uint64 // at this index
	failed bool   // a failure was logged
}

// apply takes one batch in: it is accepted, committed, put into the ring, and
// its rooms are marked, in log order. Nothing else writes.
//
// Where the log keeps the batch whatever becomes of it here, nobody will publish it
// again: what fails is tried until it succeeds. Everything before that was judged once,
// and is not judged, counted or logged again.
func (h *Hub) apply(ctx context.Context, d bus.Delivery) error {
	h.applying <- struct{}{}
	defer func() { <-h.applying }()
	began := time.Now()
	a, err := h.begin(d)
	if err == nil && !a.copied {
		err = h.carryOut(ctx, a)
	}
	if err == nil && !a.again && h.isDamaged() {
		err = errApplyAgain
	}
	h.metrics.apply.Observe(time.Since(began).Seconds())
	switch {
	case errors.Is(err, errApplyAgain), errors.Is(err, errSkipped):
		d.Done(nil)
		return err
	case ctx.Err() != nil && err != nil && d.Kept:
		return ctx.Err()
	case err == nil && !d.Kept && a.source != nil:
		h.acknowledge(a.source, d.Done)
	default:
		d.Done(err)
	}
	return nil
}

// begin judges the place of a batch in the log, and whether it is a copy.
func (h *Hub) begin(d bus.Delivery) (*application, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	p := &h.progress
	if p.skips(d.Position) {
		return nil, errSkipped
	}
	a := &application{delivery: d, batch: d.Batch, logTime: d.Position.LogTime(), now: h.now()}
	if h.loss != nil {
		h.loss.lives(a.logTime, a.now, p.readAt)
	}
	p.read, p.readAt = d.Position, a.now
	if p.wasApplied(d.Position) {
		a.again = true
		if p.first && p.isUnstored && !p.unstored.IsZero() && d.Position.Compare(p.unstored.Offset) > 0 {
			h.notRecorded(a, wire.GapLogTrimmed, d.Position)
		}
		p.first = false
		return a, nil
	}
	h.misses(a)
	if a.source = h.sources.of(d.Batch); a.source == nil {
		return a, nil
	}
	a.source.recall(d.Batch, a.logTime)
	if !p.replays(d.Position) && a.source.isCopy(d.Batch) {
		a.copied = true
		h.metrics.copies.Inc()
		h.ring.add(entry{position: d.Position, at: a.now, size: d.Batch.Size()})
		p.advance(d.Position)
	}
	return a, nil
}

// carryOut accepts and records a batch that begin has let through.
func (h *Hub) carryOut(ctx context.Context, a *application) error {
	defer h.keepScratch(a)
	h.resolve(a)
	if !a.again {
		h.mu.Lock()
		h.goOn(a.delivery.Position.Offset)
		if !h.progress.replays(a.delivery.Position) {
			h.judgeSource(a)
		}
		h.judgeLoss(a)
		h.mu.Unlock()
	}
	err := h.try(ctx, a, func() error {
		return h.reopen(func() error {
			for i := range a.absences {
				if err := h.ask(ctx, &a.absences[i]); err != nil {
					return err
				}
			}
			return h.lookUp(ctx, a)
		})
	})
	if err != nil {
		return err
	}
	for i := range a.absences {
		a.gaps = append(a.gaps, h.gapsOf(&a.absences[i], a.logTime)...)
	}
	if err := h.recordLate(ctx, a); err != nil {
		h.doubt(h.partsOf(a.incoming))
		return err
	}
	parts := h.partsOf(a.incoming)
	for {
		piece := piece(parts)
		last := len(piece) == len(parts)
		var stored error
		err := h.try(ctx, a, func() (err error) {
			stored, err = h.record(a, piece, last)
			return err
		})
		if err != nil {
			h.doubt(parts)
			h.abandon(a)
			return err
		}
		if last {
			return stored
		}
		parts = parts[len(piece):]
	}
}

// maxScratch is how many series the memory is kept for that a batch needs on its way.
const maxScratch = 4 * pieceSeries

// keepScratch keeps a's memory for the next batch, without what it refers to.
func (h *Hub) keepScratch(a *application) {
	clear(a.incoming)
	clear(h.writing)
	if h.incoming = a.incoming[:0]; cap(h.incoming) > maxScratch {
		h.incoming = nil
	}
	if cap(h.writing) > maxScratch {
		h.writing = nil
	}
}

// try calls f, until it succeeds where the log keeps the batch. f may open the store again,
// which may find damage.
func (h *Hub) try(ctx context.Context, a *application, f func() error) error {
	err := f()
	h.tellLosses(a.again)
	for wait := retryFirst; a.delivery.Kept && isFailure(err); wait = min(2*wait, retryMost) {
		if !a.failed {
			a.failed = true
			h.log.Error("a batch could not be recorded; trying until it can", "position", a.delivery.Position.String(), "err", err)
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(wait):
		}
		err = f()
		h.tellLosses(a.again)
	}
	return err
}

// isFailure reports whether a commit may succeed another time.
func isFailure(err error) bool {
	return err != nil && !errors.Is(err, bus.ErrNotStored) && !errors.Is(err, store.ErrInvalidSeries)
}
