package socketio

import (
	"errors"
	"net"
	"net/http"
	"time"

	"github.com/gobwas/ws"
)

// errUpgrade ends a WebSocket that does not follow the order of an upgrade. The
// session goes on with polling.
var errUpgrade = errors.New("unexpected packet during the upgrade")

// serveUpgrade gives a polling session a WebSocket. Engine.IO protocol v4,
// "Upgrade":
//
//	client  2probe                on the WebSocket
//	server  3probe                on the WebSocket
//	server  6                     to the poll that waits; the client polls no more
//	client  5                     from here on all goes over the WebSocket
func (c *Conn) serveUpgrade(w http.ResponseWriter, r *http.Request) (refusal, bool) {
	conn, deflate, early, err := c.server.upgradeHTTP(w, r)
	if err != nil {
		c.server.cfg.Logger.Debug("socketio: WebSocket handshake failed", "peer", r.RemoteAddr, "error", err)
		return refusal{}, true // answered already
	}
	c.mu.Lock()
	if c.state != stateOpen || c.net != nil || c.polling.candidate != nil {
		c.mu.Unlock()
		// One upgrade at a time. Clients expect that a second WebSocket is accepted and
		// closed, not refused.
		_ = conn.SetWriteDeadline(time.Now().Add(closeGrace))
		_, _ = conn.Write(ending{ws.StatusPolicyViolation, "session has a WebSocket already, or is closed"}.frame())
		_ = conn.Close()
		return refusal{}, true
	}
	c.polling.candidate = conn
	_ = conn.SetDeadline(time.Now().Add(c.server.cfg.UpgradeTimeout))
	c.mu.Unlock()
	c.spawn(func() { c.serveCandidate(conn, deflate, early) })
	return refusal{}, true
}

// serveCandidate reads on a WebSocket that is to become the session's. Once it is, the
// session's reader takes over.
func (c *Conn) serveCandidate(conn net.Conn, deflate bool, b []byte) {
	r := c.server.frameReader(deflate)
	adopted := false
	handle := func(op ws.OpCode, payload []byte) error {
		switch {
		case adopted:
			return c.frame(op, payload)
		case op == ws.OpText && len(payload) == 1 && payload[0] == engineUpgrade && c.adopt(conn, deflate):
			adopted = true
			return nil
		}
		return c.probe(conn, op, payload)
	}
	err := r.feed(b, handle)
	buf := make([]byte, residentReadSize)
	for err == nil && !adopted {
		var n int
		if n, err = conn.Read(buf); err == nil {
			err = r.feed(buf[:n], handle)
		}
	}
	switch {
	case !adopted:
		c.mu.Lock()
		c.polling.candidate, c.polling.probed = nil, false
		c.mu.Unlock()
		_ = conn.Close() // after which the client may try again
	case err != nil:
		c.readEnded(err)
	default:
		if !r.idle() {
			c.unfinished = r
		}
		c.startReading(nil)
	}
}

// probe answers the first packet on a candidate and ends the poll that waits.
func (c *Conn) probe(conn net.Conn, op ws.OpCode, payload []byte) error {
	if op != ws.OpText || string(payload) != "2probe" {
		return errUpgrade
	}
	if _, err := conn.Write(probePacket.frame); err != nil {
		return err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.polling.probed = true
	if c.state == stateOpen && c.polling.wait != nil {
		return c.pushOne(noopPacket)
	}
	return nil
}

// adopt makes a candidate that works the session's connection. What is queued
// goes there.
func (c *Conn) adopt(conn net.Conn, deflate bool) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.state != stateOpen || !c.polling.probed {
		return false
	}
	_ = conn.SetDeadline(time.Time{}) // before shut can set one
	c.net, c.raw = conn, rawConn(conn)
	c.encoding.deflate = deflate
	c.polling.candidate = nil
	c.server.count.polling.Add(-1)
	c.server.joined(c) // it holds a connection now, as one that began on a WebSocket
	c.polling.wake()   // the poll is refused: the client must not poll any more
	if c.out != nil {
		queued := c.out
		if deflate {
			c.server.flate.prepare(queued.packets)
		}
		c.out = c.server.newBacklog()
		c.out.refused = queued.refused
		c.out.add(c.encoding, queued.packets) // which may have another size now
		queued.release()
		c.draining = true
		c.server.wg.Go(c.drain)
	}
	return true
}
