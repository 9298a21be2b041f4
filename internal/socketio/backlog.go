package socketio

import (
	"errors"
	"os"
	"time"
)

// drainSize is how many bytes of a backlog one write takes if they must be copied into
// one buffer first (TLS). It is the size of a TLS record.
const drainSize = 16 << 10

// drainVector is the most packets of a backlog that one write takes.
const drainVector = 64

// backlog is the output queue of a connection: packets in order. A part of the first one
// may have been sent. Connections share packets, so a packet costs a backlog little more
// than a pointer. Conn.mu guards it.
type backlog struct {
	output  *output   // which counts the packets; nil: they are not counted any more
	since   time.Time // the backlog has not been empty
	packets []*Packet
	sent    int  // bytes of packets[0] that were sent
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

// release stops counting the packets: no more of them are sent, except by a poll that was
// woken before. b may be nil.
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

// take removes the packets of the next response to a poll. They stay counted.
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

// advance removes n bytes that were sent.
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

// drain sends the backlog of a WebSocket, and calls Drained when it is empty if a Write was
// refused. A connection has at most one goroutine in drain. While it runs, c.draining is
// set, and other goroutines write to the socket only while the backlog is empty.
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

// drainDirect waits until the socket accepts bytes, and writes a part of the backlog. It
// holds no buffer while it waits: with many clients that do not read, the buffers would be
// most of the memory.
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

// drainGathered is drainDirect for a connection whose writes need one buffer and block.
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
			// This many bytes must be sent within DrainTimeout, then the next ones. A
			// fixed time for the whole queue would end a viewer that receives a long history
			// over a slow line. A time for each write would keep a viewer that reads one
			// byte now and then.
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
