package live

import (
	"fmt"
	"maps"
	"slices"
	"time"

	"stripchart/internal/recent"
	"stripchart/internal/wire"
)

const (
	// maxRooms bounds the rooms in all, those without viewers included.
	maxRooms = 10_000
	// maxIdleRooms is how many rooms without viewers linger.
	maxIdleRooms = 256
	// maxSearchCost bounds the cost of the regular expressions of all rooms and catalogues
	// together: about 40 MB.
	maxSearchCost = 1_000_000
	// maxClientCost bounds the same of one connection.
	maxClientCost = 32_000
	// roomLinger is how long a room without viewers is kept, with what its search has found and
	// the ids of its series: a page that reloads needs them again.
	roomLinger = time.Minute
)

// rooms are the open rooms. recent.Log.Mu guards them.
type rooms struct {
	*audience
	byID map[string]*Room
	idle []*Room // without viewers, in the order in which they were left
}

// open returns the room with an id, which it opens when there is none. The caller holds
// recent.Log.Mu.
func (x *rooms) open(id string, m membership, e encoding) (*Room, error) {
	if r := x.byID[id]; r != nil {
		return r, nil
	}
	if err := x.makeRoom(m.selector.cost); err != nil && !m.operators {
		x.metrics.roomsRefused.Inc()
		return nil, err
	}
	r := newRoom(x.audience, id, m, e)
	x.byID[id] = r
	x.matcher.begin(r.search)
	x.metrics.rooms.Set(float64(len(x.byID)))
	return r, nil
}

// makeRoom closes rooms without viewers until there is room for one more whose regular
// expressions have a cost, or returns why there is none. The caller holds recent.Log.Mu.
func (x *rooms) makeRoom(cost int) error {
	for len(x.byID) >= maxRooms || cost > 0 && x.matcher.cost+cost > maxSearchCost {
		if len(x.idle) > 0 {
			x.close(x.idle[0])
			continue
		}
		if len(x.byID) >= maxRooms {
			return &wire.Error{Code: wire.CodeOverloaded, Message: fmt.Sprintf("the server has %d rooms open, and opens no more; watch what others watch, or try again later", maxRooms)}
		}
		return &wire.Error{Code: wire.CodeOverloaded, Message: "the regular expressions of all rooms together are too large; use a selector without one, or try again later"}
	}
	return nil
}

// emptied is called when r's last viewer has left. The caller holds recent.Log.Mu.
func (x *rooms) emptied(r *Room) {
	if !r.isReady() || r.search.state == ended {
		x.close(r) // it has nothing that a page could come back for
		return
	}
	x.idle = append(x.idle, r)
	if len(x.idle) > maxIdleRooms {
		x.close(x.idle[0])
	}
}

// occupied is called before r's first viewer enters. The caller holds recent.Log.Mu.
func (x *rooms) occupied(r *Room) {
	if i := slices.Index(x.idle, r); i >= 0 {
		x.idle = slices.Delete(x.idle, i, i+1)
	}
}

// close drops a room that nobody is in. The caller holds recent.Log.Mu.
func (x *rooms) close(r *Room) {
	x.occupied(r)
	x.matcher.end(r.search)
	r.close()
	delete(x.byID, r.id)
	x.metrics.rooms.Set(float64(len(x.byID)))
}

// each calls f under the lock with every room there is, a few in one hold.
func (x *rooms) each(f func(*Room)) {
	x.recent.Mu.Lock()
	all := slices.Collect(maps.Values(x.byID))
	x.recent.Mu.Unlock()
	for piece := range slices.Chunk(all, recent.PieceOf/64) { // a room has a few hundred members
		x.recent.Mu.Lock()
		for _, r := range piece {
			if !r.closed {
				f(r)
				x.recent.Mu.Did(1 + len(r.members.byKey))
			}
		}
		x.recent.Mu.Unlock()
	}
}

// tellStates sends `status` where a room's state has changed.
func (x *rooms) tellStates() {
	now := x.recent.Now()
	x.each(func(r *Room) { r.noteState(now, x.follower.Standing().Full) })
}

// tidy forgets what nobody needs any more.
func (x *rooms) tidy(now int64) {
	x.recent.Mu.Lock()
	x.recent.Ring.Expire(now) // before the members that its entries are of are forgotten
	for len(x.idle) > 0 && now-x.idle[0].seats.emptyAt > roomLinger.Milliseconds() {
		x.close(x.idle[0])
	}
	x.recent.Mu.Did(maxIdleRooms)
	x.recent.Mu.Unlock()
	var crowded []*Room
	x.each(func(r *Room) {
		r.shared.trim()
		r.forgetOld(now)
		if r.crowd.is && r.members.free() > 0 {
			crowded = append(crowded, r)
		}
	})
	for _, r := range crowded {
		x.refill(r, now-r.keepsFor())
	}
}
