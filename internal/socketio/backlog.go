package socketio

import (
	"errors"
	"os"
	"time"
)

// drainSize is how much of a backlog one write takes, in bytes, where it must be
// gathered first (TLS). It is the size of a TLS record.
const drainSize = 16 << 10

// drainVector is how many packets of a backlog one write takes at most.
const drainVector = 64

// backlog is what a connection could not send at once: packets in order, of the
// first of which a part may have left already. Its packets are shared, so it
// costs a connection little more than a pointer for each. Conn.mu guards it.
type backlog struct {
	output  *output   // which counts the packets; nil: nobody does any more
	since   time.Time // it has not been empty
	packets []*Packet
	sent    int  // bytes of packets[0] that have left
	bytes   int  // still to be sent
	control int  // bytes of control packets added since it was last empty
	refused bool // a Write was refused; Drained is owed
	// due is how many of bytes must leave by the present write deadline.
	due int
}

func (s *Server) newBacklog() *backlog { return &backlog{output: &s.output, since: time.Now()} }

func (b *backlog) add(e encoding, ps []*Packet) {
	b.output.hold(ps)
	b.packets = append(b.packets, ps...)
	for _, p := range ps {
		b.bytes += len(p.wire(e))
	}
}

// release ends the count of the packets, which are not sent any more, but for a poll
// that has been woken. b may be nil.
func (b *backlog) release() {
	if b != nil {
		b.output.drop(b.packets)
		b.output = nil
	}
}

// vector appends the next bytes to be sent to vec, packet by packet.
func (b *backlog) vector(e encoding, vec [][]byte) [][]byte {
	for i, p := range b.packets[:min(len(b.packets), drainVector)] {
		frame := p.wire(e)
		if i == 0 {
			frame = frame[b.sent:]
		}
		vec = append(vec, frame)
	}
	return vec
}

// gather copies the next bytes to be sent to buf and returns the part used.
func (b *backlog) gather(e encoding, buf []byte) []byte {
	n := 0
	for _, frame := range b.vector(e, nil) {
		n += copy(buf[n:], frame)
	}
	return buf[:n]
}

// take takes the packets of the next answer to a poll, which stay counted.
func (b *backlog) take(e encoding) []*Packet {
	n, packets, bytes := 0, 0, 0
	for _, p := range b.packets {
		packets += p.messages()
		bytes += len(p.wire(e))
		if n > 0 && (packets > answerPackets || bytes > answerBytes || p == closePacket) {
			// The last packet of a session goes alone: the 4.x client acts on it before
			// it hands out the messages of the same answer.
			break
		}
		n++
	}
	taken := b.packets[:n:n]
	for _, p := range taken {
		b.bytes -= len(p.wire(e))
	}
	b.packets = b.packets[n:]
	if n == 1 && taken[0].messages() > answerPackets {
		head, rest := taken[0].split(answerPackets)
		b.output.hold([]*Packet{head, rest})
		b.output.drop(taken)
		b.packets = append([]*Packet{rest}, b.packets...)
		b.bytes += len(rest.wire(e))
		return []*Packet{head}
	}
	return taken
}

// advance drops n bytes that have left.
func (b *backlog) advance(e encoding, n int) {
	b.bytes -= n
	b.due -= n
	n += b.sent
	done := 0
	for done < len(b.packets) && n >= len(b.packets[done].wire(e)) {
		n -= len(b.packets[done].wire(e))
		b.output.drop(b.packets[done : done+1])
		b.packets[done] = nil // so that the shared bytes can be freed
		done++
	}
	b.packets, b.sent = b.packets[done:], n
}

// drain empties the backlog of a WebSocket and tells the application when it
// was waiting for that. It is the only goroutine of its kind for a connection;
// while it runs, c.draining is set, and nothing else writes to the socket unless
// the backlog is empty.
func (c *Conn) drain() {
	write := c.drainGathered
	if c.raw != nil {
		write = c.drainDirect
	}
	for {
		switch c.drainStep() {
		case drainEnd:
			return
		case drainGoodbye:
			closeWrite(c.net)
			return
		case drainTell:
			c.tellDrained()
		case drainWrite:
			if err := write(); err != nil {
				c.drainFailed(err)
				return
			}
		}
	}
}

// drainDirect writes some of the backlog when the socket takes some. While it
// waits for that, it holds no buffer: with many clients that do not read, those
// would be most of the memory.
func (c *Conn) drainDirect() error {
	var failed error
	err := c.raw.Write(func(fd uintptr) bool {
		sd := c.server.sender()
		defer c.server.putSender(sd)
		c.mu.Lock()
		defer c.mu.Unlock()
		if c.out == nil {
			return true // the connection has ended
		}
		sd.vec = c.out.vector(c.encoding, sd.vec)
		n, err := sd.run(fd)
		c.out.advance(c.encoding, n)
		failed = err
		return n > 0 || err != nil
	})
	if err != nil {
		return err
	}
	return failed
}

// drainGathered is drainDirect for a connection that only takes a buffer, and
// blocks.
func (c *Conn) drainGathered() error {
	c.mu.Lock()
	var chunk []byte
	if c.out != nil {
		chunk = c.out.gather(c.encoding, make([]byte, drainSize))
	}
	c.mu.Unlock()
	n, err := c.net.Write(chunk)
	c.server.count.writes.Add(1)
	c.server.count.bytes.Add(int64(n))
	c.mu.Lock()
	if c.out != nil {
		c.out.advance(c.encoding, n)
	}
	c.mu.Unlock()
	return err
}

// What drain does next.
type drainStep uint8

const (
	drainWrite   drainStep = iota
	drainTell              // call Drained, and look again
	drainGoodbye           // the last packet of a closing connection has left
	drainEnd
)

// drainStep decides what drain does next.
func (c *Conn) drainStep() drainStep {
	c.mu.Lock()
	defer c.mu.Unlock()
	b := c.out
	if b == nil {
		c.draining = false
		return drainEnd
	}
	if len(b.packets) > 0 {
		if b.due <= 0 {
			// So much must leave within DrainTimeout; then the next. A fixed time for
			// the whole queue would end a viewer that is sent a long history on a slow
			// line; a time for each write would keep one that reads a byte now and then.
			b.due = min(b.bytes, c.server.cfg.OutputBytes)
			_ = c.net.SetWriteDeadline(time.Now().Add(c.server.cfg.DrainTimeout))
		}
		return drainWrite
	}
	c.out = nil // from here on Write tries the socket again
	if c.state != stateOpen {
		c.draining = false
		return drainGoodbye
	}
	if b.refused {
		// draining stays set: if Write queues again, during Drained too, this
		// goroutine goes on with it, and no two call Drained at a time.
		return drainTell
	}
	c.draining = false
	return drainEnd
}

func (c *Conn) drainFailed(err error) {
	reason := ReasonTransportError
	if errors.Is(err, os.ErrDeadlineExceeded) {
		reason = ReasonTooSlow
	}
	c.kill(reason)
	c.mu.Lock()
	c.out.release()
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
