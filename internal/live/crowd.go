package live

import (
	"slices"

	"github.com/prometheus/prometheus/model/labels"

	"stripchart/internal/bus"
	"stripchart/internal/wire"
)

// crowding is what a room knows of series that match and have no place in it. Such a room
// is crowded. Its choice of series is its own: another server that has read the same log may
// have chosen others, since it was started at another time. So:
//
//   - A crowded room's positions are of no epoch (noEpoch): no server resumes a page
//     from there, not this one either. Otherwise a page that comes from another server
//     would go on with lines that this one does not send, and with others that begin in
//     the middle of its window, without a gap.
//   - No page resumes in a crowded room: its position may be that of a room with all series.
//   - A place that becomes free is given away by refill alone, to the first in the order of
//     labels, and all viewers are bootstrapped anew: a series that took the place at its next
//     sample would come without its past. At most once a minute: whoever lets series come
//     and go must not have all pages begin anew all the time.
//
// docs/decisions/0014 has the counter-examples.
type crowding struct {
	is         bool
	unseen     int    // series without a place that only the store knows, as of the last read
	filledAt   int64  // when places were given away, the server's clock, Unix ms
	generation uint16 // of the choice: viewers and bootstraps of another one are void
	rejoining  bool   // viewers of another generation are still being sent away
}

// noEpoch is the epoch of positions from which no server resumes a page. The log has none
// of that name.
const noEpoch = "none"

// refillPause is the least time between two times that a room gives places away, ms.
const refillPause = 60_000

// positionIn returns the form in which viewers of r are told a position. Nobody resumes
// from it while the viewers may lack what another server, or a later gap, does not tell:
//
//   - in a crowded room, see above;
//   - while a loss of the log is being judged: its gap is declared later, and only here;
//   - while the ring lacks some of what the disk had no room for: viewers are bootstrapped
//     anew when that has been recorded (rejoinPartial), if they are still here.
//
// The caller holds h.mu.
func (h *Hub) positionIn(r *Room, p bus.Position) string {
	if s := h.standing(); r.isCrowded() || s.judging || s.partial {
		p.Epoch = noEpoch
	}
	return p.String()
}

// isCrowded reports whether nobody may resume in r. The caller holds Hub.mu.
func (r *Room) isCrowded() bool { return r.crowd.is || r.crowd.rejoining }

// rejoinRoom has all viewers of r bootstrapped anew. Those that are current are sent away in
// pieces, by sendAway; the others when their turn comes. The caller holds h.mu.
func (h *Hub) rejoinRoom(r *Room) {
	r.crowd.generation++
	if !r.crowd.rejoining {
		r.crowd.rejoining = true
		h.start(func() { h.sendAway(r) })
	}
}

// sendAway has the current viewers of another generation join anew.
func (h *Hub) sendAway(r *Room) {
	for more := true; more; {
		h.mu.Lock()
		n := 0
		for i := len(r.current) - 1; i >= 0 && n < pieceOf/4; i-- {
			v := r.current[i].viewer
			if v.generation == r.crowd.generation {
				continue
			}
			n++
			h.unsettle(v) // moves a seat that was looked at already to i
			v.client.follow(h.inFlight)
			v.behind = &behind{reason: wire.ReasonLost}
			v.state = joining
			h.goJoin(v, nil)
		}
		h.mu.did(n)
		if more = n > 0 && !h.closed; !more {
			r.crowd.rejoining = false
		}
		h.mu.Unlock()
	}
}

// refill gives the free places of a crowded room to the first series in the order of
// labels that have none and were written to since a time, the server's clock, Unix ms. What only
// the store knows gets what is left, with the next read.
func (h *Hub) refill(r *Room, since int64) {
	h.mu.Lock()
	free := r.limit - len(r.members)
	due := !r.closed && r.search.state == open && r.crowd.is && free > 0 && h.now()-r.crowd.filledAt >= refillPause
	h.mu.Unlock()
	if !due {
		return
	}
	var waiting []*series
	for slot, more := uint32(0), true; more; slot += pieceOf {
		h.mu.Lock()
		more = h.index.eachSlot(slot, func(s *series) {
			if r.search.found.has(s.slot) && s.seenAt >= since {
				waiting = append(waiting, s)
			}
		})
		h.mu.did(pieceOf)
		h.mu.Unlock()
	}
	slices.SortFunc(waiting, func(a, b *series) int { return labels.Compare(a.labels, b.labels) })

	h.mu.Lock()
	defer h.mu.Unlock()
	if r.closed {
		return
	}
	entered := 0
	r.crowd.is = false
	for _, s := range waiting {
		if len(r.members) >= r.limit {
			break
		}
		if n := len(r.members); !s.gone && r.search.found.has(s.slot) {
			if h.enter(r, s); len(r.members) > n {
				entered++
			}
		}
	}
	// A series that has a place free but was not written to lately comes in with the next
	// refill after its next sample: until then the room stays crowded.
	r.crowd.is = r.matched()-r.crowd.unseen > len(r.members) || len(r.members) >= r.limit && r.crowd.unseen > 0
	if entered > 0 || !r.crowd.is && r.crowd.unseen > 0 {
		r.crowd.filledAt = h.now()
		h.rejoinRoom(r)
		return
	}
	r.crowd.is = r.matched() > len(r.members)
}

// eachSlot calls f with the series in the slots of a piece from `from` on, and reports
// whether there are more behind it.
func (x *index) eachSlot(from uint32, f func(*series)) bool {
	to := min(int(from)+pieceOf, len(x.slots))
	for _, s := range x.slots[min(int(from), to):to] {
		if s != nil {
			f(s)
		}
	}
	return to < len(x.slots)
}

// maxHeld is how many chunks a room has pending at most while its search is behind.
const maxHeld = 1 << 14

// bound keeps what r has pending while its search is behind from growing for ever: its
// viewers are bootstrapped anew. The caller holds h.mu.
func (h *Hub) bound(r *Room) {
	switch {
	case len(r.current) == 0:
		r.pending, r.gaps = nil, nil // viewers that join are sent the ring by their cursors
	case len(r.pending) > maxHeld && !r.crowd.rejoining:
		h.rejoinRoom(r)
	}
}
