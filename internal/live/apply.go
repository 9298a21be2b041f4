package live

import (
	"errors"
	"fmt"
	"time"

	"stripchart/internal/bus"
	"stripchart/internal/store"
)

// apply takes one batch in: it is accepted, committed, put into the ring, and
// its rooms are marked, all under the lock and in log order. Nothing else writes.
func (h *Hub) apply(d bus.Delivery) error {
	began := time.Now()
	err := h.commit(d)
	h.metrics.apply.Observe(time.Since(began).Seconds())
	d.Done(err)
	return nil
}

func (h *Hub) commit(d bus.Delivery) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	e, err := h.acceptBatch(d)
	if errors.Is(err, store.ErrUnavailable) && h.store.Append(nil) == nil {
		// Only an Append opens the store again after a failure; looking for late
		// samples does not, and would stand in the way of the first Append for ever.
		e, err = h.acceptBatch(d)
	}
	if err != nil {
		return err
	}
	stored := h.record(e)
	if stored != nil && !errors.Is(stored, bus.ErrNotStored) {
		h.doubt(e)
		return stored
	}
	h.settleDoubts(e)

	h.ring.add(e)
	for _, p := range e.parts {
		intervalChanged := p.series.seen(p, e.at)
		h.newestT = max(h.newestT, p.series.lastT)
		for _, m := range p.series.members {
			h.put(m.room, m.member, p, intervalChanged)
		}
		h.metrics.samples.Add(float64(len(p.samples)))
	}
	h.metrics.batches.Inc()
	h.metrics.ring(&h.ring)
	return stored
}

// acceptBatch makes the ring's entry of d: what is accepted of it.
// The caller holds h.mu.
func (h *Hub) acceptBatch(d bus.Delivery) (entry, error) {
	e := entry{position: d.Position, at: h.now(), parts: make([]part, 0, len(d.Batch.Series)), size: d.Batch.Size()}
	rule := acceptanceAt(d.Position.LogTime(), h.o.Accept.Milliseconds())
	for i := range d.Batch.Series {
		b := &d.Batch.Series[i]
		samples, err := h.acceptable(b, rule)
		if err != nil {
			return e, fmt.Errorf("look for samples that are stored already: %w", err)
		}
		if len(samples) == 0 {
			continue
		}
		e.parts = append(e.parts, part{h.seriesOf(b, e.at), samples})
	}
	return e, nil
}

// acceptable returns the accepted samples of b. The caller holds h.mu.
func (h *Hub) acceptable(b *bus.Series, rule acceptance) ([]bus.Sample, error) {
	s := h.index.get(b.Labels)
	if s == nil {
		// Not in the index before something of it is accepted: what is refused must
		// not occupy memory.
		s = newSeries(b.Labels, h.newestT, 0)
	}
	return h.accept(s, b.Samples, rule)
}

// seriesOf returns the series of b; a new one, or one that a room has forgotten,
// is matched with every room. The caller holds h.mu.
func (h *Hub) seriesOf(b *bus.Series, now int64) *series {
	s := h.index.get(b.Labels)
	if s != nil && !s.forgotten {
		return s
	}
	if s == nil {
		s = h.index.add(newSeries(b.Labels, h.newestT, now))
		h.catalogueAdd(s.labels)
		h.metrics.series.Set(float64(len(h.index.byKey)))
	}
	s.forgotten = false
	for _, r := range h.rooms {
		if matches(r.selector.matchers, s.labels) {
			h.enter(r, s)
		}
	}
	return s
}

// record commits e to the store. bus.ErrNotStored means that there is no room on
// the disk: the samples go to the pages, and the rooms say so.
// The caller holds h.mu.
func (h *Hub) record(e entry) error {
	h.rows = h.rows[:0]
	for _, p := range e.parts {
		h.rows = append(h.rows, store.Row{Ref: &p.series.ref, Labels: p.series.labels, Samples: p.samples})
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
