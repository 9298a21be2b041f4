package live

import (
	"maps"
	"slices"
	"time"

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

// eachRoom calls f under the lock with every room there is, a few in one hold.
func (h *Hub) eachRoom(f func(*Room)) {
	h.mu.Lock()
	rooms := slices.Collect(maps.Values(h.rooms))
	h.mu.Unlock()
	for piece := range slices.Chunk(rooms, pieceOf/64) { // a room has a few hundred members
		h.mu.Lock()
		for _, r := range piece {
			if !r.closed {
				f(r)
				h.mu.did(1 + len(r.members))
			}
		}
		h.mu.Unlock()
	}
}

// tellStates sends `status` where a room's state has changed.
func (h *Hub) tellStates() {
	now := h.now()
	h.eachRoom(func(r *Room) {
		if r.root {
			return
		}
		state, since := r.stateAt(now, h.standing().full)
		if state == r.state {
			return
		}
		r.state, r.since = state, since
		r.tellState = true
		h.markDirty(r)
	})
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
	now := h.now()
	h.mu.Lock()
	h.ring.expire(now) // before the members that its entries are of are forgotten
	for len(h.idle) > 0 && now-h.idle[0].emptyAt > roomLinger.Milliseconds() {
		h.closeRoom(h.idle[0])
	}
	h.mu.did(maxIdleRooms)
	h.mu.Unlock()
	var crowded []*Room
	h.eachRoom(func(r *Room) {
		h.trimBootstraps(r)
		h.tidyMembers(r, now)
		if r.crowd.is && len(r.members) < r.limit {
			crowded = append(crowded, r)
		}
	})
	for _, r := range crowded {
		h.refill(r, now-h.keepsFor(r))
	}
	h.tidyIndex(now)
}

// tidyIndex drops the series from the index that were not written to for indexAge.
func (h *Hub) tidyIndex(now int64) {
	h.mu.Lock()
	all := h.index.all.after(0)
	h.mu.Unlock()
	for len(all) > 0 {
		h.mu.Lock()
		for len(all) > 0 && h.mu.work < workOfHold {
			x := all[0]
			all = all[1:]
			h.mu.did(1)
			if !x.isOver() && now-x.series.seenAt > indexAge.Milliseconds() {
				h.removeSeries(x.series)
			}
		}
		h.metrics.series.Set(float64(len(h.index.byKey)))
		h.mu.Unlock()
	}
	h.mu.Lock()
	untidy := h.index.untidy
	h.index.untidy = map[*births]string{}
	h.mu.Unlock()
	h.compact(&h.index.all)
	for b, name := range untidy {
		h.compact(b)
		h.mu.Lock()
		if len(b.list) == 0 && b.searches == 0 {
			delete(h.index.byName, name)
		}
		h.mu.Unlock()
	}
}

// removeSeries drops s from the index and from what rooms and catalogues have found. The
// caller holds h.mu.
func (h *Hub) removeSeries(s *series) {
	for x := range h.searches {
		if x.found.remove(s.slot) {
			x.owner.vanished(h, s)
		}
	}
	h.mu.did(len(h.searches))
	h.left(s)
	h.index.remove(s)
}

// tidyMembers forgets the members whose last sample is in no viewer's window any
// more, and not in the ring either: a page that resumes in this room is sent the
// ring's samples of members only. The caller holds h.mu.
func (h *Hub) tidyMembers(r *Room, now int64) {
	keep := h.keepsFor(r)
	for _, m := range r.members {
		seen := m.lastT
		if m.series != nil {
			seen = max(seen, m.series.seenAt) // by the server's clock, as the ring's age is
		}
		if now-seen > keep {
			h.forget(r, m)
		}
	}
}

// keepsFor returns how long r keeps a member without samples, ms.
func (h *Hub) keepsFor(r *Room) int64 { return max(r.horizon, h.ring.maxAge) + staleAfter }
