package live

import (
	"context"
	"fmt"
	"time"

	"github.com/prometheus/prometheus/model/labels"

	"stripchart/internal/wire"
)

const (
	watchInterval = 250 * time.Millisecond

	// indexAge is how long a series stays in the index without samples, and how far
	// back the index is filled from the store at the start.
	indexAge = time.Hour
	// roomLinger is how long a room without viewers is kept: a page that reloads
	// finds its bootstrap.
	roomLinger = time.Minute

	// A room is stale when its newest sample is older than the larger of staleAfter
	// and staleIntervals of its shortest interval.
	staleAfter     = 3000 // ms
	staleIntervals = 3
)

// watch looks after what changes with time alone: states, forgotten series,
// rooms without viewers.
func (h *Hub) watch() {
	ticker := time.NewTicker(watchInterval)
	defer ticker.Stop()
	for n := 0; ; n++ {
		select {
		case <-h.ctx.Done():
			return
		case <-ticker.C:
		}
		h.tellStates()
		if n%4 == 0 {
			h.tellCatalogue()
		}
		if n%40 == 0 {
			h.tidy()
		}
	}
}

// tellStates sends `status` where a room's state has changed.
func (h *Hub) tellStates() {
	h.mu.Lock()
	defer h.mu.Unlock()
	now := h.now()
	for _, r := range h.rooms {
		if r.root {
			continue
		}
		state, since := r.stateAt(now, h.notStored)
		if state == r.state {
			continue
		}
		r.state, r.since = state, since
		r.tellState = true
		h.markDirty(r)
	}
}

// stateAt returns the room's state, and since when. The interval that counts is
// that of the series that was written to last. The caller holds Hub.mu.
func (r *Room) stateAt(now int64, notStored bool) (string, int64) {
	interval := int64(0)
	for _, m := range r.members {
		if m.lastT == r.lastT && m.interval > 0 && (interval == 0 || m.interval < interval) {
			interval = m.interval
		}
	}
	switch limit := max(staleAfter, staleIntervals*interval); {
	case r.lastT > 0 && now-r.lastT > limit:
		return wire.StateStale, r.lastT
	case notStored:
		return wire.StateNotStored, now
	default:
		return wire.StateLive, now
	}
}

// tidy forgets what nobody needs any more.
func (h *Hub) tidy() {
	h.mu.Lock()
	defer h.mu.Unlock()
	now := h.now()
	h.ring.expire(now) // before the members that its entries are of are forgotten
	for _, r := range h.rooms {
		if r.viewers == 0 && now-r.emptyAt > roomLinger.Milliseconds() {
			h.closeRoom(r)
			continue
		}
		h.trimBootstraps(r)
		h.tidyMembers(r, now)
	}
	for key, s := range h.index.byKey {
		if now-s.seenAt <= indexAge.Milliseconds() {
			continue
		}
		for _, m := range s.members {
			m.member.series = nil // the member stays while its samples are in a window
		}
		s.members = nil
		s.wroteBy(nil)
		delete(h.index.byKey, key)
		for _, r := range h.rooms {
			delete(r.excess, key)
		}
		h.catalogueGone(s.labels)
	}
	h.metrics.series.Set(float64(len(h.index.byKey)))
}

// tidyMembers forgets the members whose last sample is in no viewer's window any
// more, and not in the ring either: a page that resumes in this room is sent the
// ring's samples of members only. The caller holds h.mu.
func (h *Hub) tidyMembers(r *Room, now int64) {
	keep := max(r.horizon, h.ring.maxAge) + staleAfter
	for _, m := range r.members {
		seen := m.lastT
		if m.series != nil {
			seen = max(seen, m.series.seenAt) // by the server's clock, as the ring's age is
		}
		if now-seen > keep {
			h.forget(r, m)
		}
	}
	h.fill(r, now-keep)
}

// loadIndex fills the index with the series that were written to lately, so that
// a catalogue asked for right after a restart is whole.
func (h *Hub) loadIndex(ctx context.Context) error {
	now := h.now()
	every := []*labels.Matcher{labels.MustNewMatcher(labels.MatchRegexp, "__name__", ".+")}
	found, err := h.store.Series(ctx, every, now-indexAge.Milliseconds(), max(now, h.newestT))
	if err != nil {
		return fmt.Errorf("list the series in the store: %w", err)
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, ls := range found {
		if h.index.get(ls) == nil {
			h.index.add(newSeries(ls, h.newestT, now))
		}
	}
	h.metrics.series.Set(float64(len(h.index.byKey)))
	return nil
}
