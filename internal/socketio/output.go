package socketio

import (
	"cmp"
	"slices"
	"sync/atomic"
	"time"
)

const (
	// smallWrite is how many new bytes a Write may queue while the server's output is
	// full, on a connection with an empty queue. So broadcasts continue, and large
	// responses to one connection wait.
	smallWrite = 16 << 10

	// outputWait is how often a connection whose Write was refused, because the server's
	// output was full, checks for room.
	outputWait = 100 * time.Millisecond

	// relieveEvery is the least time between two calls of relieve that act.
	// relieveAfter is how long a queue must have been non-empty before relieve may end its
	// connection.
	relieveEvery = time.Second
	relieveAfter = 5 * time.Second
)

// output counts the bytes that are queued on all connections. A packet that is in many
// queues counts once, because they share its bytes.
type output struct {
	bound    int64
	bytes    atomic.Int64
	relieved atomic.Int64 // Unix nanoseconds
}

func (o *output) full() bool { return o.bytes.Load() >= o.bound }

// hold counts packets that are put into a queue; o may be nil.
func (o *output) hold(ps []*Packet) {
	if o == nil {
		return
	}
	for _, p := range ps {
		if p.holders.Add(1) == 1 {
			o.bytes.Add(int64(p.Size()))
		}
	}
}

// drop counts packets that have left a queue; o may be nil.
func (o *output) drop(ps []*Packet) {
	if o == nil {
		return
	}
	for _, p := range ps {
		if p.holders.Add(-1) == 0 {
			o.bytes.Add(-int64(p.Size()))
		}
	}
}

// isLarge tells whether queueing packets could add more than smallWrite bytes.
func isLarge(ps []*Packet) bool {
	n := 0
	for _, p := range ps {
		if p.holders.Load() == 0 {
			n += p.Size()
		}
	}
	return n > smallWrite
}

// takes reports whether the bounds of the connection and of the server allow a Write of
// ps; nil stands for a Write of any size. Where they do not, Drained is called once they do.
// The caller holds c.mu; the state is stateOpen.
func (c *Conn) takes(ps []*Packet) bool {
	full := c.server.output.full()
	switch {
	case c.out != nil && (full || c.out.bytes >= c.server.cfg.OutputBytes):
		// The drainer looks at this flag and at the queue under c.mu at once, so
		// it cannot end between the refusal and the flag.
		c.out.refused = true
	case c.out == nil && full && (ps == nil || isLarge(ps)):
		if !c.waiting {
			c.waiting = true
			c.server.wg.Go(c.awaitOutput)
		}
	default:
		return true
	}
	c.server.count.refused.Add(1)
	return false
}

// Ready reports whether a Write of any size would be accepted now. If not, it counts as a
// refused Write: Drained follows. An application calls it before it makes something large
// for this connection.
func (c *Conn) Ready() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.state == stateOpen && c.takes(nil)
}

// awaitOutput calls Drained when there is room in the server's output.
func (c *Conn) awaitOutput() {
	for {
		c.server.relieve()
		time.Sleep(outputWait)
		c.mu.Lock()
		open, full := c.state == stateOpen, c.server.output.full()
		idle := c.out == nil
		c.waiting = open && full && idle
		if !idle {
			c.out.refused = true // Drained follows when the queue is empty
		}
		c.mu.Unlock()
		switch {
		case !open || !idle:
			return
		case !full:
			c.tellDrained()
			return
		}
	}
}

// relieve ends connections when the server's output is full, so that clients that read
// do not wait for clients that do not. It ends connections whose queues have not been
// empty for relieveAfter, the most expensive first, until a quarter of the bound is free.
func (s *Server) relieve() {
	now, last := time.Now(), s.output.relieved.Load()
	if now.UnixNano()-last < int64(relieveEvery) || !s.output.relieved.CompareAndSwap(last, now.UnixNano()) {
		return
	}
	type debtor struct {
		conn  *Conn
		bytes int64
	}
	var debtors []debtor
	for _, c := range s.all() {
		if n := c.owes(now); n > 0 {
			debtors = append(debtors, debtor{c, n})
		}
	}
	slices.SortFunc(debtors, func(a, b debtor) int { return cmp.Compare(b.bytes, a.bytes) })
	need := s.output.bytes.Load() - s.output.bound*3/4
	for _, d := range debtors {
		if need <= 0 {
			return
		}
		need -= d.bytes
		d.conn.kill(ReasonOutputFull)
	}
}

// owes returns the bytes of an old queue that no other connection shares.
func (c *Conn) owes(now time.Time) (n int64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.out == nil || now.Sub(c.out.since) < relieveAfter {
		return 0
	}
	for _, p := range c.out.packets {
		if p.holders.Load() == 1 {
			n += int64(p.Size())
		}
	}
	return n
}
