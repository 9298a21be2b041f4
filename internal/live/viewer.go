package live

import (
	"stripchart/internal/bus"
	"stripchart/internal/wire"
)

// viewer is one client in one room: a cursor in the ring. A client has a dozen viewers, and nearly all
// of them are current nearly all the time. A current viewer is small: the fields of behind exist only
// while it is not current. recent.Log.Mu guards all fields.
type viewer struct {
	client *Client
	room   *Room
	*behind
	window int64 // ms
	points int
	slot   int32 // place in seats.current
	state  viewerState

	partial bool // its bootstrap lacks what was shown while the disk was full
	// generation of the room's choice of series that it was sent. The counter may wrap: no viewer is
	// behind by so many generations.
	generation uint16
}

// behind is what a viewer has while it is not current; nil while it is, when its
// cursor is the room's.
type behind struct {
	reason string // of what it is sent next: wire.Reason...
	since  string // position that it continues from, when resuming

	writing <-chan struct{} // closed when the write of its bootstrap is over; nil: none is under way

	anew   bool         // its last bootstrap was not sent: it needs another
	cursor uint64       // index of the first entry that it was not sent
	told   int          // how many matching series its page was told of; 0: not known
	ahead  bus.Position // position that the page has seen and this server has not reached; zero: none
	lastT  int64        // of namespace /: newest time that it was sent
}

// viewerState says which part of the program moves the cursor next. Transitions:
//
//	joining  -> newcomer  its bootstrap was written, or it resumes (welcome)
//	newcomer -> current   a flush has sent it the ring from its cursor (settle)
//	joining, newcomer, current -> lagging   its connection refused a write (lag)
//	lagging  -> newcomer  its connection has drained, and the ring covers its cursor (proceed)
//	newcomer, current, lagging -> joining   it is sent a bootstrap (bootstrap)
//	any      -> left      (leave)
type viewerState uint8

const (
	joining  viewerState = iota // a bootstrap is being read; see join.go
	newcomer                    // the next flush sends the ring from the cursor
	current                     // the next flush sends the broadcast
	lagging                     // its queue is full: nothing until it has drained
	left                        // not in the room any more
)

// newViewer puts a viewer into a room. The client and the room know it from now on.
func newViewer(c *Client, r *Room, window int64, points int) *viewer {
	v := &viewer{client: c, room: r, window: window, points: points, behind: &behind{reason: wire.ReasonJoin}}
	c.add(v)
	if r.seats.enter() {
		r.rooms.occupied(r)
	}
	r.lookBack(window)
	r.metrics.viewers.Inc()
	return v
}

// bootstrap has v bootstrapped, in a goroutine of its own.
func (v *viewer) bootstrap(ack Ack) {
	v.state = joining
	v.room.start(func() { v.join(ack) })
}

// bootstrapFor has v bootstrapped for a reason.
func (v *viewer) bootstrapFor(reason string) {
	v.reason, v.ahead = reason, bus.Position{}
	v.bootstrap(nil)
}

// joinAnew has a newcomer bootstrapped because it cannot be sent the ring from its
// cursor. The caller takes it out of the newcomers.
func (v *viewer) joinAnew() {
	reason := v.reason
	switch reason {
	case wire.ReasonResume:
		reason = wire.ReasonLost
	case wire.ReasonJoin:
		reason = wire.ReasonSlow
	}
	v.bootstrapFor(reason)
}

// sendAway has a current viewer bootstrapped.
func (v *viewer) sendAway() {
	v.unsettle()
	v.client.follow(v.room.flusher.inFlight)
	v.bootstrapFor(wire.ReasonLost)
}

// beginAnew has v bootstrapped, whatever its state, because it lacks what has been recorded since.
func (v *viewer) beginAnew() {
	v.partial = false
	switch v.state {
	case current:
		v.sendAway()
	case newcomer:
		v.room.seats.leave(v)
		v.bootstrapFor(wire.ReasonLost)
	case lagging:
		v.anew = true
	case joining, left: // see written
	}
}

// beginWriting notes that a bootstrap is being written, until written is closed. It returns the
// reason that the bootstrap tells. It is false where v is not joining any more.
func (v *viewer) beginWriting(written <-chan struct{}) (reason string, ok bool) {
	if v.state != joining {
		return "", false
	}
	v.writing = written
	return v.reason, true
}

// written takes up that a bootstrap was written, or refused. drains is clients.drains before it.
// It reports whether v is a newcomer now.
func (v *viewer) written(b *bootstrap, ok bool, drains uint64) bool {
	v.writing = nil
	if v.state != joining {
		return false
	}
	v.anew = !ok
	if !ok {
		v.lag(drains)
		return false
	}
	v.reason, v.since, v.cursor, v.lastT, v.generation = wire.ReasonJoin, "", b.cursor, b.lastT, b.generation
	if v.partial = b.partial; b.partial && !v.room.follower.Standing().Unrecorded {
		// What it lacks has been recorded while it was on its way.
		v.partial = false
		v.bootstrapFor(wire.ReasonLost)
		return false
	}
	v.welcome()
	return true
}

// resume lets v continue after a position that its page has seen, if the ring
// still covers it; otherwise the reason for its bootstrap becomes "lost".
func (v *viewer) resume(since bus.Position) bool {
	r := v.room
	i, ok := r.locate(since)
	if !ok || r.crowd.refuses() {
		v.reason = wire.ReasonLost
		return false
	}
	v.reason, v.since, v.cursor = wire.ReasonResume, since.String(), i
	v.generation = r.crowd.generation
	if since.Compare(r.recent.Ring.Position(r.recent.Ring.End()).Offset) > 0 {
		v.ahead = since // another server is ahead of this one; see newcomers.go
	}
	v.welcome()
	return true
}

// reached notes that this server has come to where v was ahead: its cursor is i.
func (v *viewer) reached(i uint64) { v.cursor, v.ahead = i, bus.Position{} }

// welcome puts v among the newcomers of its room.
func (v *viewer) welcome() {
	v.state = newcomer
	v.room.seats.await(v)
	v.room.markDirty()
}

// settle makes v current, with the given seat: its cursor is the room's.
func (v *viewer) settle(slot int32) {
	v.state, v.slot, v.behind = current, slot, nil
}

// moved notes that v has another seat.
func (v *viewer) moved(slot int32) { v.slot = slot }

// unsettle takes v out of its room's current viewers.
func (v *viewer) unsettle() {
	v.room.seats.unsettle(v)
	v.behind = &behind{}
}

// takeBack moves a current viewer whose connection refused a write back to where it stood before.
func (v *viewer) takeBack(cursor, drains uint64) {
	if v.state != current {
		return // it has left meanwhile
	}
	v.unsettle()
	v.cursor = cursor
	v.lag(drains)
}

// lag parks v until its connection has drained. drains is the value of clients.drains before the
// write that was refused. If the connection has drained since, nobody calls Drained again for
// that refusal, so v proceeds at once.
func (v *viewer) lag(drains uint64) {
	v.room.metrics.dropped.Inc()
	v.reason = wire.ReasonSlow
	v.state = lagging
	if v.client.drained > drains {
		v.proceed()
	}
}

// proceed continues a viewer that had to wait: the viewer is sent the ring from its cursor, or a new
// bootstrap when the ring no longer covers the cursor. Namespace / has no message for old samples, so
// its viewers always get a new bootstrap.
func (v *viewer) proceed() {
	r := v.room
	if v.anew || !r.encoding.tellsMore() || !r.recent.Ring.Covers(v.cursor) || v.generation != r.crowd.generation {
		v.bootstrap(nil)
		return
	}
	v.since = r.positionOf(r.recent.Ring.Position(v.cursor))
	v.welcome()
}

// leave takes v out of its room. The caller takes it out of the client's viewers.
func (v *viewer) leave() {
	r := v.room
	switch v.state {
	case current:
		r.seats.unsettle(v)
		v.client.follow(r.flusher.inFlight)
	case joining:
		v.client.follow(v.writing)
	case newcomer:
		r.seats.leave(v)
	case left:
		return
	}
	v.state = left
	if r.seats.exit(r.recent.Now()) {
		r.rooms.emptied(r)
	}
	r.metrics.viewers.Dec()
}

// subscribed is the answer to v's Subscribe.
func (v *viewer) subscribed() wire.Subscribed {
	r := v.room
	r.recent.Mu.Lock()
	defer r.recent.Mu.Unlock()
	n := r.matched()
	if v.behind != nil {
		v.told = n
	}
	return wire.Subscribed{OK: true, Room: r.id, Matched: n, Sent: len(r.members.byKey)}
}
