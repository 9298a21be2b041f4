package live

import (
	"slices"

	"stripchart/internal/bus"
	"stripchart/internal/wire"
)

// Client is a connection's share in one namespace: its viewers, one a room.
type Client struct {
	hub  *Hub
	conn Conn

	// Scratch of the flusher, beside conn because it goes over all clients.
	sent    int32 // its parcel; 0: none
	refused bool

	// Guarded by Hub.mu.
	viewers []*viewer
	closed  bool
	greeted bool // is in namespace /live
	// late are closed when what is still on its way to viewers that have left has
	// been written: a flush, or the bootstrap of a join. Nothing is written to a new
	// viewer before: an old update behind its bootstrap would carry the page's
	// position beyond samples that are only on their way, and a resume from there
	// would miss them; an old bootstrap would throw the page back.
	late    []<-chan struct{}
	drained uint64 // Hub.drains when Drained was called last

	catalogue *watcher      // nil until asked for
	asking    int           // histories that were asked for and not answered yet
	turn      chan struct{} // buffered, capacity 1; see begin. Nil until it is needed
	news      chan struct{} // closed by Drained and Close; nil while nobody waits for them
}

// viewer is one client in one room: a cursor in the ring. A client has a dozen,
// and nearly all of them are current nearly all the time: they have little, and
// what is in behind only while they are not.
type viewer struct {
	client *Client
	room   *Room
	*behind
	window int64 // ms
	points int
	slot   int32 // place in room.current
	state  viewerState

	partial bool // its bootstrap lacks what was shown while the disk was full
	// generation of the room's choice of series that it was sent. Nobody is behind by so
	// many that it comes round.
	generation uint16
}

// seat is the place of a current viewer in its room. A flush goes over all seats
// of a dozen rooms and needs their clients only: with those at hand it does not
// read from memory, one by one, viewers that it then has no use for.
type seat struct {
	viewer *viewer
	client *Client
}

// behind is what a viewer has while it is not current; nil while it is, when its
// cursor is the room's.
type behind struct {
	reason string // of what it is sent next: wire.Reason...
	since  string // position that it continues from, when resuming

	writing <-chan struct{} // closed when the write of its bootstrap is over; nil: none is under way

	anew   bool         // its last bootstrap was not sent: it needs another
	cursor uint64       // index of the first entry that it was not sent
	ahead  bus.Position // it has seen, and this server has not reached; zero: none
	lastT  int64        // of namespace /: newest time that it was sent
}

// viewerState says who moves the cursor next.
type viewerState uint8

const (
	joining  viewerState = iota // a bootstrap is being read; see join.go
	newcomer                    // the next flush sends the ring from the cursor
	current                     // the next flush sends the broadcast
	lagging                     // its queue is full: nothing until it has drained
	left                        // not in the room any more
)

// NewClient registers a connection. Close must be called when it ends.
func (h *Hub) NewClient(c Conn) *Client {
	h.mu.Lock()
	defer h.mu.Unlock()
	client := &Client{hub: h, conn: c, closed: h.closed}
	client.follow(h.inFlight) // the connection may have had a client before
	if !h.closed {
		h.clients[client] = struct{}{}
	}
	return client
}

// Close leaves every room. Calls after the first do nothing.
func (c *Client) Close() {
	h := c.hub
	h.mu.Lock()
	defer h.mu.Unlock()
	if c.closed {
		return
	}
	c.closed = true
	delete(h.clients, c)
	for _, v := range c.viewers {
		h.remove(v)
	}
	c.viewers = nil
	c.unwatch()
	c.tellNews()
}

// Drained tells that the connection's queue has emptied after it had refused a
// Write: its viewers continue from their cursors.
func (c *Client) Drained() {
	h := c.hub
	h.mu.Lock()
	defer h.mu.Unlock()
	if c.closed {
		return
	}
	c.tellNews()
	h.drains++
	c.drained = h.drains
	for _, v := range c.viewers {
		if v.state == lagging {
			h.proceed(v)
		}
	}
}

// tellNews wakes those who wait in ready. The caller holds h.mu.
func (c *Client) tellNews() {
	if c.news != nil {
		close(c.news)
		c.news = nil
	}
}

// begin waits for the client's turn and for its connection to take something large.
// Bootstraps and histories are read and handed over one at a time, so that a page
// that does not read costs one of them, and one page does not take all of maxReads.
// It returns false when the client has closed; otherwise end ends the turn.
func (c *Client) begin() (end func(), ok bool) {
	c.hub.mu.Lock()
	if c.turn == nil {
		c.turn = make(chan struct{}, 1)
	}
	turn := c.turn
	c.hub.mu.Unlock()
	select {
	case turn <- struct{}{}:
	case <-c.hub.ctx.Done():
		return nil, false
	}
	end = func() { <-turn }
	if !c.ready() {
		end()
		return nil, false
	}
	return end, true
}

// ready waits until the connection takes a Write of any size. It returns false when
// the client has closed.
func (c *Client) ready() bool {
	for {
		c.hub.mu.Lock()
		if c.closed {
			c.hub.mu.Unlock()
			return false
		}
		if c.news == nil {
			c.news = make(chan struct{})
		}
		news := c.news // before Ready: its Drained may come at once
		c.hub.mu.Unlock()
		if c.conn.Ready() {
			return true
		}
		select {
		case <-news:
		case <-c.hub.ctx.Done():
			return false
		}
	}
}

// proceed takes up a viewer that had to wait: it is sent the ring from its
// cursor, or everything anew when the ring has gone on. Namespace / has no
// message to add old samples with, so it always begins anew.
// The caller holds h.mu.
func (h *Hub) proceed(v *viewer) {
	if v.anew || v.room.root || !h.ring.covers(v.cursor) || v.generation != v.room.crowd.generation {
		v.state = joining
		h.goJoin(v, nil)
		return
	}
	v.since = h.positionIn(v.room, h.ring.position(v.cursor))
	h.welcome(v)
}

// welcome puts v among the newcomers of its room. The caller holds h.mu.
func (h *Hub) welcome(v *viewer) {
	v.state = newcomer
	v.room.newcomers = append(v.room.newcomers, v)
	h.markDirty(v.room)
}

// recorded has the viewers bootstrapped anew whose bootstraps lacked what
// has been recorded since; all of them, when something was withheld from all. The
// caller holds h.mu.
func (h *Hub) recorded(all bool) {
	for _, r := range h.rooms {
		r.expire(h.ring.end())
		for _, b := range r.bootstraps {
			b.partial = b.partial || all // for those whose bootstrap is on its way
		}
	}
	for c := range h.clients {
		for _, v := range c.viewers {
			if !v.partial && !all {
				continue
			}
			v.partial = false
			switch v.state {
			case current:
				h.unsettle(v)
				c.follow(h.inFlight)
				v.behind = &behind{}
			case newcomer:
				v.room.newcomers = slices.DeleteFunc(v.room.newcomers, func(x *viewer) bool { return x == v })
			case joining:
				continue // see join
			default:
				v.anew = true
				continue
			}
			v.state, v.reason, v.ahead = joining, wire.ReasonLost, bus.Position{}
			h.goJoin(v, nil)
		}
	}
}

// outdated keeps bootstraps that were read up to now from being shared. The caller holds h.mu.
func (h *Hub) outdated() {
	for _, r := range h.rooms {
		r.expire(h.ring.end())
	}
}

// stall parks v until its connection has drained. The caller holds h.mu; drains
// is what h.drains was before the Write that was refused: if the client's
// Drained was called since, nobody will call it again for that refusal.
func (h *Hub) stall(v *viewer, drains uint64) {
	h.metrics.dropped.Inc()
	v.reason = wire.ReasonSlow
	v.state = lagging
	if v.client.drained > drains {
		h.proceed(v)
	}
}

// settle makes v current: its cursor is the room's. The caller holds h.mu.
func (h *Hub) settle(v *viewer) {
	v.state = current
	v.slot = int32(len(v.room.current))
	v.behind = nil
	v.room.current = append(v.room.current, seat{v, v.client})
}

// unsettle takes v out of its room's current viewers. The caller holds h.mu.
func (h *Hub) unsettle(v *viewer) {
	r := v.room
	if r.lent { // the flush takes nobody twice, and leaves nobody out
		r.current, r.lent = slices.Clone(r.current), false
	}
	last := len(r.current) - 1
	r.current[v.slot] = r.current[last]
	r.current[v.slot].viewer.slot = v.slot
	r.current[last] = seat{}
	r.current = r.current[:last]
}

// remove takes v out of its room. The caller holds h.mu and takes it out of
// client.viewers.
func (h *Hub) remove(v *viewer) {
	r := v.room
	switch v.state {
	case current:
		h.unsettle(v)
		v.client.follow(h.inFlight)
	case joining:
		v.client.follow(v.writing)
	case newcomer:
		if i := slices.Index(r.newcomers, v); i >= 0 {
			r.newcomers = slices.Delete(r.newcomers, i, i+1)
		}
	case left:
		return
	}
	v.state = left
	if r.viewers--; r.viewers == 0 {
		h.emptied(r)
	}
	h.metrics.viewers.Dec()
}

// follow has new viewers wait for done; nil is nothing to wait for. The caller
// holds h.mu.
func (c *Client) follow(done <-chan struct{}) {
	c.late = slices.DeleteFunc(c.late, isClosed)
	if done != nil {
		c.late = append(c.late, done)
	}
}

// await waits until nothing is on its way any more to viewers that have left.
func (c *Client) await() {
	c.hub.mu.Lock()
	late := slices.Clone(c.late)
	c.hub.mu.Unlock()
	for _, done := range late {
		<-done
	}
}

func isClosed(c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}

// find returns the client's viewer of a room, or nil. The caller holds h.mu.
func (c *Client) find(room string) *viewer {
	for _, v := range c.viewers {
		if v.room.id == room {
			return v
		}
	}
	return nil
}

// drop removes v from the client's list. The caller holds h.mu.
func (c *Client) drop(v *viewer) {
	if i := slices.Index(c.viewers, v); i >= 0 {
		c.viewers = slices.Delete(c.viewers, i, i+1)
	}
}
