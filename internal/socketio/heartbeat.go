package socketio

import (
	"math/rand/v2"
	"sync"
	"time"
)

// heartbeat pings every connection and ends those that do not answer. It is a timing
// wheel: a ring of slots, one for each step of time; a connection is in the slot of its
// next event. One goroutine turns the wheel while there are connections. A timer for each
// connection would cost memory, and a new goroutine for each ping. A scan of all
// connections each second would touch all their memory.
//
// A connection is handled up to one step early and, apart from scheduling, never late. So a
// client that vanished is gone after PingInterval + PingTimeout.
type heartbeat struct {
	server *Server
	start  time.Time
	step   int64         // nanoseconds
	empty  chan struct{} // wakes run when the last connection has gone

	mu      sync.Mutex // guards the fields below and the lists through Conn.beat
	slots   []*Conn    // first of each slot's list
	now     int64      // number of the step that was handled last
	count   int        // connections that are not gone
	running bool
	due     []*Conn
}

func newHeartbeat(s *Server) *heartbeat {
	cfg := s.cfg
	h := &heartbeat{server: s, start: time.Now(), empty: make(chan struct{}, 1)}
	// A hundredth of the shorter time, between 2 ms and 100 ms.
	h.step = int64(min(max(min(cfg.PingInterval, cfg.PingTimeout)/100, 2*time.Millisecond), 100*time.Millisecond))
	longest := int64(max(cfg.PingInterval+cfg.PingTimeout, cfg.ConnectTimeout))
	h.slots = make([]*Conn, longest/h.step+2)
	return h
}

func (h *heartbeat) since() int64 { return int64(time.Since(h.start)) }

// add begins the heartbeat of a connection. The server's wg counts it.
func (h *heartbeat) add(c *Conn) {
	now := h.since()
	interval := int64(h.server.cfg.PingInterval)
	if c.protocol == protocol4 {
		c.beat.nextPing = now + interval/2 + rand.Int64N(interval*2/5)
	} else {
		h.pinged(c)
	}
	if h.server.cfg.Raw == nil {
		c.beat.connectBy.Store(now + int64(h.server.cfg.ConnectTimeout))
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if c.beat.gone {
		return // it has ended already
	}
	c.beat.known = true
	h.count++
	if !h.running {
		h.running = true
		h.now = now / h.step
		h.server.wg.Go(h.run)
	}
	h.list(c, c.nextBeat(now))
}

// remove ends the heartbeat of a connection; after it, h does not refer to it.
func (h *heartbeat) remove(c *Conn) {
	h.mu.Lock()
	defer h.mu.Unlock()
	c.beat.gone = true
	if !c.beat.known {
		return
	}
	h.unlist(c)
	if h.count--; h.count == 0 {
		select {
		case h.empty <- struct{}{}:
		default: // run is to look already
		}
	}
}

// pinged notes a ping of an Engine.IO 3 client, which is due within the interval.
func (h *heartbeat) pinged(c *Conn) {
	cfg := h.server.cfg
	c.beat.pongBy.Store(h.since() + int64(cfg.PingInterval+cfg.PingTimeout))
}

// extend gives a connection that is slowed down at least PingTimeout from now to send the
// pong or ping that is due.
func (h *heartbeat) extend(c *Conn) {
	by := c.beat.pongBy.Load()
	if later := h.since() + int64(h.server.cfg.PingTimeout); by != 0 && by < later {
		// Another value means that it has arrived, or that the next one is due.
		c.beat.pongBy.CompareAndSwap(by, later)
	}
}

// expired tells whether an answer is overdue.
func (h *heartbeat) expired(c *Conn) bool {
	by := c.beat.pongBy.Load()
	return by != 0 && h.since() >= by
}

func (h *heartbeat) run() {
	ticker := time.NewTicker(time.Duration(h.step))
	defer ticker.Stop()
	for {
		select {
		case <-ticker.C:
		case <-h.empty:
		}
		due, more := h.turn()
		if !more {
			return
		}
		for i, c := range due {
			due[i] = nil
			next := c.tick()
			h.mu.Lock()
			if !c.beat.gone {
				h.list(c, next)
			}
			h.mu.Unlock()
		}
	}
}

// turn moves the wheel to the present and takes the connections off the slots
// that it passes. more is false when there are no connections left.
func (h *heartbeat) turn() (due []*Conn, more bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.count == 0 {
		h.running = false
		return nil, false
	}
	due = h.due[:0]
	target := h.since() / h.step
	// After a long standstill (a laptop that slept) one turn passes all slots.
	h.now = max(h.now, target-int64(len(h.slots)))
	for h.now < target {
		h.now++
		slot := int(h.now % int64(len(h.slots)))
		for c := h.slots[slot]; c != nil; c = h.slots[slot] {
			h.unlist(c)
			due = append(due, c)
		}
	}
	h.due = due
	return due, true
}

// list puts c into the slot of time at. h.mu is held.
func (h *heartbeat) list(c *Conn, at int64) {
	n := min(max(at/h.step, h.now+1), h.now+int64(len(h.slots))-1)
	slot := int(n % int64(len(h.slots)))
	b := &c.beat
	b.slot, b.listed = int32(slot), true
	b.prev, b.next = nil, h.slots[slot]
	if b.next != nil {
		b.next.beat.prev = c
	}
	h.slots[slot] = c
}

// unlist takes c out of its slot. h.mu is held.
func (h *heartbeat) unlist(c *Conn) {
	b := &c.beat
	if !b.listed {
		return
	}
	if b.prev != nil {
		b.prev.beat.next = b.next
	} else {
		h.slots[b.slot] = b.next
	}
	if b.next != nil {
		b.next.beat.prev = b.prev
	}
	b.prev, b.next, b.listed = nil, nil, false
}

// tick does what is due on a connection and returns when to come again. Only
// the heartbeat's goroutine calls it.
func (c *Conn) tick() (next int64) {
	h := c.server.heartbeat
	now := h.since()
	soon := now + h.step // work that is due within this step is done in this step
	b := &c.beat
	if by := b.connectBy.Load(); by != 0 && by <= soon {
		c.kill(ReasonConnectTimeout)
		return now
	}
	if by := b.pongBy.Load(); by != 0 && by <= soon {
		// A ping behind a queue may not have left yet; DrainTimeout watches the queue.
		if !c.queued() {
			c.kill(ReasonPingTimeout)
			return now
		}
		b.pongBy.Store(now + int64(c.server.cfg.PingTimeout))
	}
	if c.protocol == protocol4 && b.nextPing <= soon {
		b.nextPing += int64(c.server.cfg.PingInterval)
		if b.pongBy.Load() == 0 {
			b.pongBy.Store(now + int64(c.server.cfg.PingTimeout))
			c.control(pingPacket)
		}
	}
	return c.nextBeat(now)
}

// nextBeat is when tick has something to do.
func (c *Conn) nextBeat(now int64) int64 {
	next := int64(1<<63 - 1)
	if c.protocol == protocol4 {
		next = c.beat.nextPing
	}
	for _, by := range [...]int64{c.beat.pongBy.Load(), c.beat.connectBy.Load()} {
		if by != 0 {
			next = min(next, by)
		}
	}
	return max(next, now)
}

// queued tells whether a WebSocket has packets that have not left.
func (c *Conn) queued() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.net != nil && c.out != nil
}
