package live

import (
	"fmt"
	"slices"

	"github.com/prometheus/prometheus/model/labels"

	"stripchart/internal/wire"
)

// clients are the connections of pages. recent.Log.Mu guards them.
type clients struct {
	*audience
	all    map[*Client]struct{}
	drains uint64 // how often a Client's Drained was called
}

// Client is a connection's share in one namespace: its viewers, one a room.
type Client struct {
	*audience
	conn Conn

	// Scratch of the flusher, beside conn because it goes over all clients.
	sent    int32 // its parcel; 0: none
	refused bool

	bound []*labels.Matcher // added to every query of the client; it does not change

	// Guarded by recent.Log.Mu.
	viewers []*viewer
	gone    bool
	greeted bool // is in namespace /live
	// late holds a channel for each write (a flush, or the bootstrap of a join) that is still on its
	// way to viewers that have left; the channel is closed after the write. Nothing is written to a new
	// viewer before that. An old update after the new bootstrap would move the page's position past
	// samples that are still on their way, and a resume from that position would miss them; an old
	// bootstrap would set the page back.
	late    []<-chan struct{}
	drained uint64 // clients.drains when Drained was called last

	watching *watcher      // nil until the catalogue is asked for
	asking   int           // histories that were asked for and not answered yet
	turn     chan struct{} // buffered, capacity 1; see begin. Nil until it is needed
	news     chan struct{} // closed by Drained and Close; nil while nobody waits for them
}

// newClient registers a connection.
func (x *clients) newClient(conn Conn, bound []*labels.Matcher) *Client {
	x.recent.Mu.Lock()
	defer x.recent.Mu.Unlock()
	c := &Client{audience: x.audience, conn: conn, bound: bound, gone: x.tasks.closed}
	c.follow(x.flusher.inFlight) // the connection may have had a client before
	if !c.gone {
		x.all[c] = struct{}{}
	}
	return c
}

// drain counts a Drained. The caller holds recent.Log.Mu.
func (x *clients) drain() uint64 {
	x.drains++
	return x.drains
}

// greeted returns the connections in namespace /live. The caller holds recent.Log.Mu.
func (x *clients) greeted() (conns []Conn) {
	for c := range x.all {
		if c.greeted {
			conns = append(conns, c.conn)
		}
	}
	return conns
}

// readQuery is parseSelector, within what the client may see: a room, a catalogue or a history
// is of the query and the client's bounds together. So clients of equal bounds share their rooms,
// and what is counted for a room, or chosen for it, is counted and chosen among what they may see.
func (c *Client) readQuery(query string) (selector, error) {
	sel, err := parseSelector(query)
	if err != nil {
		return sel, err
	}
	return sel.within(c.bound), nil
}

// Hello greets a page in namespace /live.
func (c *Client) Hello() {
	c.recent.Mu.Lock()
	c.greeted = true
	c.recent.Mu.Unlock()
	c.conn.Write(c.encode(wire.EventHello, wire.Hello{
		Protocol: wire.Protocol, Build: c.o.Build, Now: c.recent.Now(), Window: c.o.Window.Seconds(), Limits: c.o.Limits,
	}))
}

// Close leaves every room. Calls after the first do nothing.
func (c *Client) Close() {
	c.recent.Mu.Lock()
	defer c.recent.Mu.Unlock()
	if c.gone {
		return
	}
	c.gone = true
	delete(c.clients.all, c)
	for _, v := range c.viewers {
		v.leave()
	}
	c.viewers = nil
	c.unwatch()
	c.tellNews()
}

// Drained tells that the connection's queue has emptied after it had refused a
// Write: its viewers continue from their cursors.
func (c *Client) Drained() {
	c.recent.Mu.Lock()
	defer c.recent.Mu.Unlock()
	if c.gone {
		return
	}
	c.tellNews()
	c.drained = c.clients.drain()
	for _, v := range c.viewers {
		if v.state == lagging {
			v.proceed()
		}
	}
}

// tellNews wakes those that wait in awaitRoom. The caller holds recent.Log.Mu.
func (c *Client) tellNews() {
	if c.news != nil {
		close(c.news)
		c.news = nil
	}
}

// begin waits for the client's turn and for its connection to take something large.
// Bootstraps and histories are read and handed over one at a time, so that a page
// that does not read costs one of them, and one page does not take all reads.
// It returns false when the client has closed; otherwise end ends the turn.
func (c *Client) begin() (end func(), ok bool) {
	c.recent.Mu.Lock()
	if c.turn == nil {
		c.turn = make(chan struct{}, 1)
	}
	turn := c.turn
	c.recent.Mu.Unlock()
	select {
	case turn <- struct{}{}:
	case <-c.ctx.Done():
		return nil, false
	}
	end = func() { <-turn }
	if !c.awaitRoom() {
		end()
		return nil, false
	}
	return end, true
}

// awaitRoom waits until the connection takes a Write of any size. It returns false when
// the client has closed.
func (c *Client) awaitRoom() bool {
	for {
		c.recent.Mu.Lock()
		if c.gone {
			c.recent.Mu.Unlock()
			return false
		}
		if c.news == nil {
			c.news = make(chan struct{})
		}
		news := c.news // before Ready: its Drained may come at once
		c.recent.Mu.Unlock()
		if c.conn.Ready() {
			return true
		}
		select {
		case <-news:
		case <-c.ctx.Done():
			return false
		}
	}
}

// ask counts a history that was asked for. It reports false when there are too many.
func (c *Client) ask() bool {
	if c.asking >= maxAsking {
		return false
	}
	c.asking++
	return true
}

// answered counts a history that was answered.
func (c *Client) answered() {
	c.recent.Mu.Lock()
	defer c.recent.Mu.Unlock()
	c.asking--
}

// watch notes the client's watcher; nil: none.
func (c *Client) watch(w *watcher) { c.watching = w }

// unwatch ends the client's watching. The caller holds recent.Log.Mu.
func (c *Client) unwatch() {
	if c.watching != nil {
		c.catalogue.end(c.watching)
		c.watching = nil
	}
}

// follow has new viewers wait for done; nil is nothing to wait for. The caller
// holds recent.Log.Mu.
func (c *Client) follow(done <-chan struct{}) {
	c.late = slices.DeleteFunc(c.late, isClosed)
	if done != nil {
		c.late = append(c.late, done)
	}
}

// await waits until nothing is on its way any more to viewers that have left.
func (c *Client) await() {
	c.recent.Mu.Lock()
	late := slices.Clone(c.late)
	c.recent.Mu.Unlock()
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

// affords returns an error when regular expressions of the given cost would exceed the bound, together
// with those of the connection's rooms and catalogue. The caller holds recent.Log.Mu.
func (c *Client) affords(cost int) error {
	sum := cost
	for _, v := range c.viewers {
		sum += v.room.search.cost
	}
	if c.watching != nil {
		sum += c.watching.feed.search.cost
	}
	if cost > 0 && sum > maxClientCost {
		return &wire.Error{Code: wire.CodeTooManyRooms, Message: fmt.Sprintf("the regular expressions of this connection's rooms have about %d instructions together, and %d are allowed; leave a room first, or use simpler ones", sum, maxClientCost)}
	}
	return nil
}

// find returns the client's viewer of a room, or nil. The caller holds recent.Log.Mu.
func (c *Client) find(room string) *viewer {
	for _, v := range c.viewers {
		if v.room.id == room {
			return v
		}
	}
	return nil
}

// add adds v to the client's viewers. The caller holds recent.Log.Mu.
func (c *Client) add(v *viewer) { c.viewers = append(c.viewers, v) }

// drop has v leave its room, and takes it out of the client's viewers. The caller holds recent.Log.Mu.
func (c *Client) drop(v *viewer) {
	v.leave()
	if i := slices.Index(c.viewers, v); i >= 0 {
		c.viewers = slices.Delete(c.viewers, i, i+1)
	}
}
