package socketio

import (
	"errors"
	"io"
	"net"
	"os"
	"sync"
	"syscall"

	"github.com/gobwas/ws"
)

// errPeerClosed means that the peer has sent its close frame, which was answered.
var errPeerClosed = errors.New("peer closed the WebSocket")

// readError is an error of the connection, as opposed to the protocol.
type readError struct{ error }

// readSize holds any message that a page usually sends, in bytes.
const readSize = 4 << 10

// residentReadSize is the read buffer of a connection that cannot wait without
// one (TLS). It keeps it while idle.
const residentReadSize = 512

// startReading starts the connection's reader: one goroutine at a time, which
// ends the connection when reading ends. early is what was read before.
//
// Nearly all connections are silent nearly all the time, so the memory of a waiting
// connection counts. Where idle waits for it, it is nothing. Elsewhere a goroutine waits,
// without a buffer, until the socket is readable, and this goroutine has never done
// anything else. A goroutine that has handled a message has a stack of 4 or 8 KB, which the
// runtime does not shrink to the 2 KB that waiting takes. So the waiting goroutine starts
// another one to read and handle, and that one starts the next to wait.
func (c *Conn) startReading(early []byte) {
	switch {
	case c.raw == nil:
		go c.readResident(early)
	case early != nil:
		go c.handleRead(early, nil)
	default:
		c.wait()
	}
}

// wait makes the next bytes call handleRead.
func (c *Conn) wait() {
	if !c.server.idle.enter(c) {
		go c.await()
	}
}

// await is the waiting half of the reader.
func (c *Conn) await() {
	err := c.raw.Read(readable)
	go c.handleRead(nil, err)
}

// handleRead is the working half: it reads once and handles what came.
func (c *Conn) handleRead(early []byte, err error) {
	switch {
	case err != nil:
		err = readError{err}
	case early != nil:
		err = c.feed(early)
	default:
		b := c.server.buffers.get()
		var n int
		if n, err = c.net.Read(b[:]); err != nil {
			err = readError{err}
		} else {
			err = c.feed(b[:n])
		}
		c.server.buffers.put(b)
	}
	if err != nil {
		c.readEnded(err)
		return
	}
	c.wait()
}

// readResident is the reader of a connection that can only be waited for with a
// buffer.
func (c *Conn) readResident(early []byte) {
	err := c.feed(early)
	b := make([]byte, residentReadSize)
	for err == nil {
		n, readErr := c.net.Read(b)
		if err = c.feed(b[:n]); err == nil && readErr != nil {
			err = readError{readErr}
		}
	}
	c.readEnded(err)
}

// feed handles what was read. Between two messages the connection keeps nothing.
func (c *Conn) feed(b []byte) error {
	r := c.unfinished
	if r == nil {
		r = c.server.frameReader(c.encoding.deflate)
	}
	err := r.feed(b, c.frame)
	c.unfinished = nil
	if !r.idle() {
		c.unfinished = r
	}
	return err
}

// frameReader makes a reader for the messages of a client.
func (s *Server) frameReader(deflate bool) *frameReader {
	r := &frameReader{max: s.cfg.MaxPayload}
	if deflate {
		r.flate = &s.flate
	}
	return r
}

// readEnded sends the close frame that fits the error of the last read, and ends the
// connection. It is the reader's last action.
func (c *Conn) readEnded(err error) {
	defer c.finish()
	var broken readError
	switch {
	case errors.As(err, &broken):
		c.kill(reasonOf(broken.error))
		return
	case errors.Is(err, errPeerClosed):
		return
	case errors.Is(err, errGoodbye):
		c.shut(ReasonTransportClose, normalEnd, closeGrace)
	default:
		c.shutFor(err, closeGrace)
	}
	// Closing while unread bytes wait would reset the connection, and the
	// client might lose the close frame. So read until the client ends it, or
	// until the deadline that shut has set.
	_, _ = io.Copy(io.Discard, c.net)
}

// reasonOf returns the Reason of a connection whose reading ended with err.
func reasonOf(err error) string {
	if errors.Is(err, io.EOF) || errors.Is(err, net.ErrClosed) || errors.Is(err, syscall.ECONNRESET) ||
		errors.Is(err, os.ErrDeadlineExceeded) {
		return ReasonTransportClose
	}
	return ReasonTransportError
}

// frame handles one message or control frame. It is the handle of frameReader.
func (c *Conn) frame(op ws.OpCode, payload []byte) error {
	switch op {
	case ws.OpText:
		return c.receive(payload, false)
	case ws.OpBinary:
		return c.receiveBinary(payload)
	case ws.OpPing, ws.OpPong:
		if err := c.takeTurn(); err != nil {
			return err
		}
		if op == ws.OpPing {
			c.control(&Packet{frame: ws.MustCompileFrame(ws.NewPongFrame(payload))})
		}
		return nil
	default: // ws.OpClose: others do not pass ws.CheckHeader
		code, err := closeReply(payload)
		if err != nil {
			return err
		}
		c.shut(ReasonTransportClose, ending{code: code}, closeGrace)
		return errPeerClosed
	}
}

// bufferPool lends read buffers to the connections that have something to read.
type bufferPool struct{ pool sync.Pool }

func (p *bufferPool) get() *[readSize]byte {
	if b, ok := p.pool.Get().(*[readSize]byte); ok {
		return b
	}
	return new([readSize]byte)
}

func (p *bufferPool) put(b *[readSize]byte) { p.pool.Put(b) }
