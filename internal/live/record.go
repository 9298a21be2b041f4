package live

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"stripchart/internal/bus"
	"stripchart/internal/store"
)

// recordLate commits the late samples of a batch, without the lock: in tsdb late
// samples are seen as soon as they are there, whoever looks, so they gain nothing by it,
// and upserts absorb what a bootstrap has already. At most pieceSeries series are
// committed at once, because tsdb's time for one commit grows with the square of the
// series that have no late samples yet (docs/decisions/0012).
func (h *Hub) recordLate(ctx context.Context, a *application) error {
	var rows []store.Row
	samples := 0
	commit := func() error {
		err := h.try(ctx, a, func() error { return h.append(rows) })
		switch {
		case errors.Is(err, bus.ErrNotStored):
			a.full = true
		case errors.Is(err, store.ErrInvalidSeries) && a.delivery.Kept:
			h.leaveOut(a, err)
			for i := range rows {
				a.drop(rows[i].Ref)
			}
		case err != nil:
			return err
		}
		rows = rows[:0]
		return nil
	}
	for i := range a.incoming {
		in := &a.incoming[i]
		if in.late == 0 || len(in.fresh) == 0 {
			continue
		}
		for late := range slices.Chunk(in.fresh[:in.late], pieceSamples) {
			rows = append(rows, store.Row{Ref: &in.series.ref, Labels: in.series.labels, Samples: late})
			if samples += len(late); len(rows) == pieceSeries || samples >= pieceSamples {
				if err := commit(); err != nil {
					return err
				}
				samples = 0
			}
		}
	}
	if len(rows) == 0 {
		return nil
	}
	return commit()
}

// drop leaves out the series with the given reference.
func (a *application) drop(ref *store.Ref) {
	for i := range a.incoming {
		if in := &a.incoming[i]; &in.series.ref == ref {
			in.samples, in.fresh, in.late = nil, nil, 0
		}
	}
}

// leaveOut logs that some of a batch is left out: no try will ever record it.
func (h *Hub) leaveOut(a *application, err error) {
	h.log.Error("a batch in the log is not valid; it is left out", "position", a.delivery.Position.String(), "source", a.batch.Source, "err", err)
}

// append commits rows to the store. bus.ErrNotStored means that there is no room on
// the disk: the samples go to the pages, and the rooms say so.
func (h *Hub) append(rows []store.Row) error {
	err := h.store.Append(rows)
	switch {
	case errors.Is(err, store.ErrDiskFull):
		return bus.ErrNotStored
	case err != nil:
		return fmt.Errorf("commit: %w", err)
	}
	return nil
}

// record commits a piece of a batch, and adds it to the ring and to what the rooms have
// pending. last is the batch's last piece. stored is bus.ErrNotStored when some of the
// batch is only shown, or errApplyAgain.
func (h *Hub) record(a *application, parts []writing, last bool) (stored, err error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.rows = h.rows[:0]
	for _, p := range parts {
		if len(p.fresh) > p.late {
			h.rows = append(h.rows, store.Row{Ref: &p.series.ref, Labels: p.series.labels, Samples: p.fresh[p.late:]})
		}
	}
	err = h.append(h.rows)
	switch {
	case errors.Is(err, bus.ErrNotStored):
		a.full = true
	case errors.Is(err, store.ErrInvalidSeries) && a.delivery.Kept:
		h.leaveOut(a, err)
		parts = nil
	case err != nil:
		return nil, err
	}
	h.noteFull(a.full)
	h.settleDoubts(parts)
	h.declareAbsences(a)
	if a.again {
		return h.recordedAgain(a, last)
	}
	h.show(a, parts, last)
	if !last {
		return nil, nil
	}
	if a.source != nil {
		if !a.source.here && h.o.Replica {
			h.saveSoon() // a source that is not saved tells the next life nothing
		}
		a.source.took(a)
		// While the batch was on its way the saver may have forgotten a source that it had
		// not heard of yet.
		h.sources[a.source.id] = a.source
	}
	h.metrics.batches.Inc()
	h.metrics.ring(&h.ring)
	return h.progressed(a)
}

// noteFull notes whether the disk is full. The caller holds h.mu.
func (h *Hub) noteFull(full bool) {
	if full == h.notStored {
		return
	}
	h.notStored = full
	if full {
		h.log.Warn("the disk is full: samples are shown but not recorded; make room, and recording goes on by itself")
	} else {
		h.log.Info("recording again")
	}
}

// declareAbsences declares what a batch has revealed, with its first entry, once. The
// caller holds h.mu.
func (h *Hub) declareAbsences(a *application) {
	for i := range a.absences {
		m := &a.absences[i]
		if m.declared != nil {
			m.declared()
		}
	}
	a.absences = nil
	if len(a.gaps) == 0 || a.added {
		return
	}
	h.declare(a.gaps)
	if a.source != nil {
		a.source.gapsDeclared = h.gapsDeclared
	}
	if a.again {
		// Its own entry was there long ago. A viewer that stands before the ring's end is
		// sent it from there.
		h.ring.addGaps(a.gaps, a.now)
		a.added = true
		h.tellGaps(a.gaps)
	}
}

// show adds a piece of a batch to the ring, and tells its rooms. The caller holds h.mu.
func (h *Hub) show(a *application, parts []writing, last bool) {
	e := entry{position: a.delivery.Position, at: a.now, parts: make([]part, len(parts)), more: !last}
	for i := range parts {
		e.parts[i] = parts[i].part
	}
	if !a.added {
		e.gaps, e.size = a.gaps, a.batch.Size()
	}
	h.ring.add(e)
	if !a.added {
		a.added, a.first = true, h.ring.end()-1
	}
	p := &h.progress
	if a.full && a.delivery.Kept && !p.isUnstored {
		// Before anybody may join: the store lacks it.
		p.isUnstored, p.unstored, p.unstoredAt = true, p.applied, a.first
		if p.unstored.IsZero() {
			p.unstored = p.from
		}
	}
	for i := range parts {
		x := &parts[i]
		if x.series.birth == 0 || x.series.forgotten { // a long batch shows a new series in several pieces
			h.bear(x.series, h.ring.end()-1)
		}
		if a.full && a.delivery.Kept {
			h.shown.add(x.series.hash, x.fresh)
		}
		h.noteTimes(a, x)
		x.series.wroteBy(a.source)
		intervalChanged := x.series.seen(x.part, e.at)
		h.newestT = max(h.newestT, x.series.lastT)
		tell := x.fresh
		if h.o.Replica && !p.rereading {
			// A page that has come from another server may lack what is known here.
			tell = x.samples
		}
		for _, m := range x.series.members {
			h.put(m.room, m.member, tell, intervalChanged)
		}
		h.metrics.samples.Add(float64(len(x.fresh)))
	}
	h.tellGaps(e.gaps)
}

// noteTimes takes up how late the samples of a part are, and the newest of them. The
// caller holds h.mu.
func (h *Hub) noteTimes(a *application, p *writing) {
	switch {
	case a.source == nil:
		h.late.see(a.logTime-p.samples[0].T, a.logTime, h.o.Accept.Milliseconds())
	case len(p.fresh) > 0 && p.series.last != unknownTime && p.series.source == a.source:
		if back := p.series.last - p.fresh[0].T; back > 0 {
			a.source.back.see(back, a.logTime, reachOfSource)
		}
	}
	h.wrote(p.series, p.samples[len(p.samples)-1].T)
}

// abandon ends what is in the ring of a batch that could not be recorded to its end; its
// source publishes it again. Without that no position behind it would ever be reached.
func (h *Hub) abandon(a *application) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if a.added && !a.delivery.Kept {
		h.ring.add(entry{position: a.delivery.Position, at: a.now})
		h.progress.advance(a.delivery.Position)
	}
}

// progressed notes that a batch was applied. When the disk was full, and the log still
// has what could only be shown meanwhile, it has the log read again from there.
// The caller holds h.mu.
func (h *Hub) progressed(a *application) (stored, err error) {
	h.progress.advance(a.delivery.Position)
	switch {
	case a.full:
		return bus.ErrNotStored, nil
	case h.progress.isUnstored:
		return errApplyAgain, nil
	}
	return nil, nil
}

// recordedAgain notes that what of a batch was only shown before is recorded: this
// process has applied it while the disk was full. The caller holds h.mu.
func (h *Hub) recordedAgain(a *application, last bool) (stored, err error) {
	p := &h.progress
	if a.full {
		p.againFailed = true // the next batch that is recorded starts this anew
		return bus.ErrNotStored, nil
	}
	if last && a.delivery.Position == p.applied {
		if !p.againFailed {
			if p.damaged {
				h.log.Info("applied all that the log retains again")
			} else {
				h.log.Info("recorded everything that was only shown")
			}
			p.isUnstored, p.unstored, p.damaged = false, bus.Position{}, false
			h.rejoinPartial(h.shown.withheld)
			h.shown.clear()
		}
		p.againFailed = false
	}
	return nil, nil
}

// bear has every room and catalogue find a series that is new, or that a room has
// forgotten: entry is the index of the ring entry with what was accepted of it. The caller
// holds h.mu, and has added that entry.
func (h *Hub) bear(s *series, entry uint64) {
	switch h.index.get(s.labels) {
	case nil:
		h.index.add(s)
		h.metrics.series.Set(float64(len(h.index.byKey)))
	case s:
	default:
		return // the index has another one of these labels
	}
	s.forgotten = false
	h.index.bear(s, entry)
	h.wakeMatcher()
}
