package socketio

import (
	"errors"
	"io"
	"net"
	"os"
	"syscall"

	"github.com/gobwas/ws"
)

// webSocket is the reading side of a connection's WebSocket. Only the
// connection's reader uses it.
type webSocket struct {
	conn net.Conn
	in   *idleReader
	fr   frameReader
}

func newWebSocket(c *Conn, conn net.Conn, raw syscall.RawConn) *webSocket {
	return &webSocket{
		conn: conn,
		in:   newIdleReader(conn, raw, &c.server.buffers),
		fr:   frameReader{max: c.server.cfg.MaxPayload},
	}
}

// errPeerClosed means that the peer has sent its close frame, which was answered.
var errPeerClosed = errors.New("peer closed the WebSocket")

// read feeds handle with messages until an error: of the connection, of the
// protocol or handle's own. early is what was read before.
func (k *webSocket) read(early []byte, handle func(ws.OpCode, []byte) error) error {
	if err := k.fr.feed(early, handle); err != nil {
		return err
	}
	for {
		b, err := k.in.next()
		if err != nil {
			return readError{err}
		}
		err = k.fr.feed(b, handle)
		k.in.done()
		if err != nil {
			return err
		}
	}
}

// readError is an error of the connection, in distinction to the protocol's.
type readError struct{ error }

// discard reads until the peer ends the connection or its deadline passes.
func (k *webSocket) discard() {
	for {
		if _, err := k.in.next(); err != nil {
			return
		}
		k.in.done()
	}
}

// serveWebSocket reads until the connection ends, and ends it. It is the
// connection's reader.
func (c *Conn) serveWebSocket(k *webSocket, early []byte) {
	defer c.finish()
	err := k.read(early, c.frame)
	c.readEnded(k, err)
}

// readEnded says goodbye as befits the error that ended reading.
func (c *Conn) readEnded(k *webSocket, err error) {
	var broken readError
	switch {
	case errors.As(err, &broken):
		c.kill(reasonOf(broken.error))
		return
	case errors.Is(err, errPeerClosed):
		return
	case errors.Is(err, errGoodbye):
		c.shut(ReasonTransportClose, ws.StatusNormalClosure, closeGrace)
	case errors.Is(err, errRate):
		c.shut(ReasonTooManyMessages, closeStatus(err), closeGrace)
	default:
		c.server.cfg.Logger.Debug("socketio: client broke the protocol", "addr", c.addr, "error", err)
		c.shut(ReasonParseError, closeStatus(err), closeGrace)
	}
	// Closing while unread bytes wait would reset the connection, and the
	// client might lose the close frame.
	k.discard()
}

// reasonOf names the end of a connection as applications are told.
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
		if !c.allowFrame() {
			return errRate
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
		c.shut(ReasonTransportClose, code, closeGrace)
		return errPeerClosed
	}
}
