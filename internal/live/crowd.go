package live

import (
	"slices"

	"github.com/prometheus/prometheus/model/labels"

	"stripchart/internal/bus"
	"stripchart/internal/recent"
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
//     sample would come without its past. At most once a minute: a writer that lets series come
//     and go must not have all pages begin anew all the time.
//
// docs/decisions/0014 has the counter-examples. recent.Log.Mu guards it.
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

func (c *crowding) set(is bool) { c.is = is }

// sawUnseen takes up how many series only the store knows, and reports whether that has changed.
func (c *crowding) sawUnseen(n int) bool {
	changed := c.unseen != n
	c.unseen = n
	return changed
}

// refuses reports whether nobody may resume.
func (c *crowding) refuses() bool { return c.is || c.rejoining }

// isDue reports whether free places may be given away.
func (c *crowding) isDue(now int64) bool { return c.is && now-c.filledAt >= refillPause }

// filled notes that places were given away.
func (c *crowding) filled(now int64) { c.filledAt = now }

// choose begins a new generation. It reports whether viewers of older ones are to be sent away.
func (c *crowding) choose() bool {
	c.generation++
	was := c.rejoining
	c.rejoining = true
	return !was
}

// settled notes that all viewers of older generations were sent away.
func (c *crowding) settled() { c.rejoining = false }

// positionOf returns the form in which viewers of r are told a position. Nobody resumes
// from it while the viewers may lack what another server, or a later gap, does not tell:
//
//   - in a crowded room, see above;
//   - while a loss of the log is being judged: its gap is declared later, and only here;
//   - while the ring lacks some of what the disk had no room for: viewers are bootstrapped
//     anew when that has been recorded (intake.Recorded), if they are still here.
//
// The caller holds recent.Log.Mu.
func (r *Room) positionOf(p bus.Position) string {
	if s := r.follower.Standing(); r.crowd.refuses() || s.Judging || s.Partial {
		p.Epoch = noEpoch
	}
	return p.String()
}

// rejoin has all viewers of r bootstrapped anew. sendAway handles the current viewers in pieces;
// joining and lagging viewers follow at their next step. The caller holds recent.Log.Mu.
func (r *Room) rejoin() {
	if r.crowd.choose() {
		r.start(func() { r.rooms.sendAway(r) })
	}
}

// sendAway has the current viewers of another generation join anew.
func (x *rooms) sendAway(r *Room) {
	for more := true; more; {
		r.recent.Mu.Lock()
		n := 0
		for i := len(r.seats.current) - 1; i >= 0 && n < recent.PieceOf/4; i-- {
			if v := r.seats.current[i].viewer; v.generation != r.crowd.generation {
				n++
				v.sendAway() // moves a seat that was looked at already to i
			}
		}
		r.recent.Mu.Did(n)
		if more = n > 0 && !r.tasks.closed; !more {
			r.crowd.settled()
		}
		r.recent.Mu.Unlock()
	}
}

// refill gives the free places of a crowded room to the first series in the order of
// labels that have none and were written to since a time, the server's clock, Unix ms. What only
// the store knows gets what is left, with the next read.
func (x *rooms) refill(r *Room, since int64) {
	r.recent.Mu.Lock()
	due := !r.closed && r.search.state == open && r.members.free() > 0 && r.crowd.isDue(r.recent.Now())
	r.recent.Mu.Unlock()
	if !due {
		return
	}
	var waiting []*recent.Series
	for slot, more := uint32(0), true; more; slot += recent.PieceOf {
		r.recent.Mu.Lock()
		more = r.recent.Index.EachSlot(slot, func(s *recent.Series) {
			if r.search.found.has(s.Slot) && s.SeenAt >= since {
				waiting = append(waiting, s)
			}
		})
		r.recent.Mu.Did(recent.PieceOf)
		r.recent.Mu.Unlock()
	}
	slices.SortFunc(waiting, func(a, b *recent.Series) int { return labels.Compare(a.Labels, b.Labels) })

	r.recent.Mu.Lock()
	defer r.recent.Mu.Unlock()
	if r.closed {
		return
	}
	before := len(r.members.byKey)
	r.crowd.set(false)
	for _, s := range waiting {
		if r.members.free() <= 0 {
			break
		}
		if !s.Gone && r.search.found.has(s.Slot) {
			r.enter(s)
		}
	}
	n, unseen := len(r.members.byKey), r.crowd.unseen
	// Where a place is free, a matching series that was not written to lately gets it at the refill
	// after its next sample. Until then the room stays crowded.
	crowded := r.matched()-unseen > n || r.members.free() <= 0 && unseen > 0
	if r.crowd.set(crowded); n > before || !crowded && unseen > 0 {
		r.crowd.filled(r.recent.Now())
		r.rejoin()
		return
	}
	r.crowd.set(r.matched() > n)
}

// maxHeld is how many chunks a room has pending at most while its search is behind.
const maxHeld = 1 << 14

// bound keeps what r has pending while its search is behind from growing for ever: its
// viewers are bootstrapped anew. The caller holds recent.Log.Mu.
func (f *flusher) bound(r *Room) {
	switch {
	case len(r.seats.current) == 0:
		r.news.drop() // viewers that join are sent the ring by their cursors
	case len(r.news.pending) > maxHeld && !r.crowd.rejoining:
		r.rejoin()
	}
}
