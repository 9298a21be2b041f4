package live

import (
	"context"
	"errors"
	"fmt"
	"time"

	"stripchart/internal/bus"
	"stripchart/internal/store"
	"stripchart/internal/wire"
)

// errGapsNotKept refuses a batch that was applied, and may have revealed a gap.
var errGapsNotKept = errors.New("the declared gaps could not be saved")

// apply takes one batch in: it is accepted, committed, put into the ring, and
// its rooms are marked, all under the lock and in log order. Nothing else writes.
//
// Where the log keeps the batch whatever becomes of it here, nobody will publish it
// again: a commit that fails is tried until it succeeds.
func (h *Hub) apply(ctx context.Context, d bus.Delivery) error {
	began := time.Now()
	err := h.commit(d)
	for wait := retryFirst; d.Kept && isFailure(err); wait = min(2*wait, retryMost) {
		if wait == retryFirst {
			h.log.Error("a batch could not be recorded; trying until it can", "position", d.Position.String(), "err", err)
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(wait):
		}
		err = h.commit(d)
	}
	h.metrics.apply.Observe(time.Since(began).Seconds())
	if errors.Is(err, errApplyAgain) || errors.Is(err, errSkipped) {
		d.Done(nil)
		return err
	}
	// A source says once what it has dropped: in the batch that is acknowledged now. If
	// it is not, it comes again.
	if !d.Kept && !h.saveGaps() && err == nil {
		err = errGapsNotKept
	}
	d.Done(err)
	return nil
}

// isFailure reports whether a commit may succeed another time.
func isFailure(err error) bool {
	return err != nil && !errors.Is(err, bus.ErrNotStored) && !errors.Is(err, errApplyAgain) && !errors.Is(err, errSkipped)
}

func (h *Hub) commit(d bus.Delivery) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.progress.skips(d.Position) {
		return errSkipped
	}
	h.progress.read = d.Position
	if h.progress.wasApplied(d.Position) {
		return h.recordAgain(d)
	}
	h.misses(d.Position)
	now := h.now()
	src := h.sources.of(d.Batch)
	e := entry{position: d.Position, at: now, size: d.Batch.Size()}
	if src != nil {
		h.newSource = h.newSource || !src.known()
		src.recall(d.Batch, d.Position.LogTime())
	}
	if replayed := h.progress.replays(d.Position); src != nil && !replayed {
		if src.isCopy(d.Batch) {
			h.metrics.copies.Inc()
			h.ring.add(e)
			h.progress.advance(d.Position)
			return nil
		}
		if src.jumps(d.Batch) {
			h.declare(&e, h.missingBefore(src, d.Batch, d.Position.LogTime()))
		}
	}
	stored, err := h.acceptAndRecord(&e, d)
	if err != nil {
		h.undeclare(e)
		return err
	}
	if src != nil {
		src.took(d.Batch, d.Position.LogTime())
	}
	h.declare(&e, h.alsoMissing(src, d.Batch, e.parts), h.watchLoss(d.Position.LogTime()))

	h.ring.add(e)
	for _, p := range e.parts {
		p.series.source = src
		intervalChanged := p.series.seen(p, e.at)
		h.newestT = max(h.newestT, p.series.lastT)
		tell := p.fresh
		if h.o.Replica && !h.progress.rereading {
			// A page that has come from another server may lack what is known here.
			tell = p.samples
		}
		for _, m := range p.series.members {
			h.put(m.room, m.member, tell, intervalChanged)
		}
		h.metrics.samples.Add(float64(len(p.fresh)))
	}
	h.tellGaps(e)
	h.metrics.batches.Inc()
	h.metrics.ring(&h.ring)
	return h.progressed(d, stored)
}

// acceptAndRecord makes e's parts, and commits them. stored is bus.ErrNotStored
// when they can be shown but not recorded. The caller holds h.mu.
func (h *Hub) acceptAndRecord(e *entry, d bus.Delivery) (stored, err error) {
	e.parts, err = h.acceptBatch(d, e.at)
	if errors.Is(err, store.ErrUnavailable) && h.store.Append(nil) == nil {
		// Only an Append opens the store again after a failure; looking for late
		// samples does not, and would stand in the way of the first Append for ever.
		e.parts, err = h.acceptBatch(d, e.at)
	}
	if err != nil {
		return nil, err
	}
	stored = h.record(*e)
	switch {
	case errors.Is(stored, store.ErrInvalidSeries) && d.Kept:
		// No try will ever record it, and nothing of it can be told apart.
		h.log.Error("a batch in the log is not valid; it is left out", "position", d.Position.String(), "source", d.Batch.Source, "err", stored)
		e.parts = nil
		return nil, nil
	case stored != nil && !errors.Is(stored, bus.ErrNotStored):
		h.doubt(*e)
		return nil, stored
	}
	h.settleDoubts(*e)
	return stored, nil
}

// progressed notes that d was applied. When the disk was full, and the log still
// has what could only be shown meanwhile, it has the log read again from there.
// The caller holds h.mu.
func (h *Hub) progressed(d bus.Delivery, stored error) error {
	p := &h.progress
	full := errors.Is(stored, bus.ErrNotStored)
	if full && d.Kept && !p.isUnstored {
		p.isUnstored, p.unstored, p.unstoredAt = true, p.applied, h.ring.end()-1
		if p.unstored.IsZero() {
			p.unstored = p.from
		}
	}
	p.advance(d.Position)
	if p.isUnstored && !full {
		return errApplyAgain
	}
	return stored
}

// recordAgain records what of a batch was only shown before: this process has
// applied it while the disk was full. The caller holds h.mu.
func (h *Hub) recordAgain(d bus.Delivery) error {
	e := entry{position: d.Position, at: h.now()}
	stored, err := h.acceptAndRecord(&e, d)
	if err != nil {
		return err
	}
	p := &h.progress
	if p.first && p.isUnstored && !p.unstored.IsZero() && d.Position.Compare(p.unstored.Offset) > 0 {
		h.declareNotRecorded(wire.GapLogTrimmed, d.Position)
	}
	p.first = false
	if errors.Is(stored, bus.ErrNotStored) {
		p.againFailed = true // the next batch that is recorded starts this anew
		return stored
	}
	if d.Position == p.applied {
		if !p.againFailed {
			p.isUnstored, p.unstored = false, bus.Position{}
			h.log.Info("recorded everything that was only shown")
			h.rejoinPartial()
		}
		p.againFailed = false
	}
	return nil
}

// acceptBatch returns what is accepted of d. The caller holds h.mu.
func (h *Hub) acceptBatch(d bus.Delivery, now int64) ([]part, error) {
	parts := make([]part, 0, len(d.Batch.Series))
	rule := acceptanceAt(d.Position.LogTime(), h.o.Accept.Milliseconds())
	for i := range d.Batch.Series {
		b := &d.Batch.Series[i]
		s := h.index.get(b.Labels)
		isNew := s == nil
		if isNew {
			// Not in the index before something of it is accepted: what is refused must
			// not occupy memory.
			s = newSeries(b.Labels, h.newestT, now)
		}
		samples, fresh, err := h.accept(s, b.Samples, rule)
		if err != nil {
			return nil, fmt.Errorf("look for samples that are stored already: %w", err)
		}
		if len(samples) == 0 {
			continue
		}
		if isNew || s.forgotten {
			h.enterRooms(s, isNew)
		}
		parts = append(parts, part{s, samples, fresh})
	}
	return parts, nil
}

// enterRooms matches a series that is new, or that a room has forgotten, with
// every room. The caller holds h.mu.
func (h *Hub) enterRooms(s *series, isNew bool) {
	if isNew {
		h.index.add(s)
		h.catalogueAdd(s.labels)
		h.metrics.series.Set(float64(len(h.index.byKey)))
	}
	s.forgotten = false
	for _, r := range h.rooms {
		if matches(r.selector.matchers, s.labels) {
			h.enter(r, s)
		}
	}
}

// record commits e to the store. bus.ErrNotStored means that there is no room on
// the disk: the samples go to the pages, and the rooms say so.
// The caller holds h.mu.
func (h *Hub) record(e entry) error {
	h.rows = h.rows[:0]
	for _, p := range e.parts {
		if len(p.fresh) > 0 {
			h.rows = append(h.rows, store.Row{Ref: &p.series.ref, Labels: p.series.labels, Samples: p.fresh})
		}
	}
	err := h.store.Append(h.rows)
	full := errors.Is(err, store.ErrDiskFull)
	if full != h.notStored {
		h.notStored = full
		if full {
			h.log.Warn("the disk is full: samples are shown but not recorded; make room, and recording goes on by itself", "err", err)
		} else {
			h.log.Info("recording again")
		}
	}
	switch {
	case full:
		return bus.ErrNotStored
	case err != nil:
		return fmt.Errorf("commit: %w", err)
	}
	return nil
}
