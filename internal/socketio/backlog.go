package socketio

import (
	"errors"
	"os"
	"time"
)

// drainSize is how much of a backlog one write takes, in bytes. Less would cost
// more calls, more would let one connection hold more memory of its own.
const drainSize = 32 << 10

// backlog is what a connection could not send at once: packets in order, of the
// first of which a part may have left already. Its packets are shared, so it
// costs a connection little more than a pointer for each. Conn.mu guards it.
type backlog struct {
	packets []*Packet
	sent    int  // bytes of packets[0] that have left
	bytes   int  // still to be sent
	refused bool // a Write was refused; Drained is owed
	// due is how many of bytes must leave by the present write deadline.
	due int
}

func (b *backlog) add(protocol uint8, ps []*Packet) {
	b.packets = append(b.packets, ps...)
	for _, p := range ps {
		b.bytes += len(p.wire(protocol))
	}
}

// peek returns the next bytes to be sent: one packet's own, or several packets
// gathered in buf.
func (b *backlog) peek(protocol uint8, buf []byte) []byte {
	first := b.packets[0].wire(protocol)[b.sent:]
	if len(first) >= len(buf) {
		return first[:len(buf)]
	}
	n := copy(buf, first)
	for _, p := range b.packets[1:] {
		k := copy(buf[n:], p.wire(protocol))
		if n += k; n == len(buf) {
			break
		}
	}
	return buf[:n]
}

// advance drops n bytes that have left.
func (b *backlog) advance(protocol uint8, n int) {
	b.bytes -= n
	b.due -= n
	n += b.sent
	done := 0
	for done < len(b.packets) && n >= len(b.packets[done].wire(protocol)) {
		n -= len(b.packets[done].wire(protocol))
		b.packets[done] = nil // so that the shared bytes can be freed
		done++
	}
	b.packets, b.sent = b.packets[done:], n
}

// drain empties the backlog of a WebSocket and tells the application when it
// was waiting for that. It is the only goroutine of its kind for a connection;
// while it runs, c.draining is set and nothing else writes to the socket.
func (c *Conn) drain() {
	buf := make([]byte, drainSize)
	for {
		chunk, next := c.nextChunk(buf)
		switch next {
		case drainEnd:
			return
		case drainGoodbye:
			closeWrite(c.net)
			return
		case drainTell:
			c.tellDrained()
			continue
		}
		n, err := c.net.Write(chunk)
		c.server.count.writes.Add(1)
		c.server.count.bytes.Add(int64(n))
		if err != nil {
			c.drainFailed(err)
			return
		}
		c.mu.Lock()
		if c.out != nil {
			c.out.advance(c.protocol, n)
		}
		c.mu.Unlock()
	}
}

// What drain does next.
type drainStep uint8

const (
	drainWrite   drainStep = iota
	drainTell              // call Drained, and look again
	drainGoodbye           // the last packet of a closing connection has left
	drainEnd
)

// nextChunk returns what drain does next, and what it writes.
func (c *Conn) nextChunk(buf []byte) ([]byte, drainStep) {
	c.mu.Lock()
	defer c.mu.Unlock()
	b := c.out
	if b == nil {
		c.draining = false
		return nil, drainEnd
	}
	if len(b.packets) > 0 {
		if b.due <= 0 {
			// All that is queued now must leave within DrainTimeout; then the next.
			// A fixed time for the whole queue would end a viewer that keeps up on a
			// slow line; a time for each write would keep one that reads a byte now
			// and then.
			b.due = b.bytes
			_ = c.net.SetWriteDeadline(time.Now().Add(c.server.cfg.DrainTimeout))
		}
		return b.peek(c.protocol, buf), drainWrite
	}
	c.out = nil // from here on Write tries the socket again
	if c.state != stateOpen {
		c.draining = false
		return nil, drainGoodbye
	}
	if b.refused {
		// draining stays set: if Write queues again, during Drained too, this
		// goroutine goes on with it, and no two call Drained at a time.
		return nil, drainTell
	}
	c.draining = false
	return nil, drainEnd
}

func (c *Conn) drainFailed(err error) {
	reason := ReasonTransportError
	if errors.Is(err, os.ErrDeadlineExceeded) {
		reason = ReasonTooSlow
	}
	c.kill(reason)
	c.mu.Lock()
	c.draining, c.out = false, nil
	c.mu.Unlock()
}

// tellDrained calls Drained for every socket of the connection.
func (c *Conn) tellDrained() {
	c.app.Lock()
	defer c.app.Unlock()
	if c.finished {
		return
	}
	for _, s := range c.sockets {
		if s.Connected() {
			s.namespace.handler.Drained(s)
		}
	}
}
