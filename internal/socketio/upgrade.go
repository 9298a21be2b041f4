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
	conn, early, err := upgradeHTTP(w, r)
	if err != nil {
		c.server.cfg.Logger.Debug("socketio: WebSocket handshake failed", "peer", r.RemoteAddr, "error", err)
		return refusal{}, true // answered already
	}
	c.mu.Lock()
	if c.state != stateOpen || c.net != nil || c.polling.candidate != nil {
		c.mu.Unlock()
		// An upgrade can be tried once at a time. Clients expect to be let in and
		// closed, not to be refused.
		_ = conn.SetWriteDeadline(time.Now().Add(closeGrace))
		_, _ = conn.Write(closeFrame(ws.StatusPolicyViolation))
		_ = conn.Close()
		return refusal{}, true
	}
	c.polling.candidate = conn
	_ = conn.SetDeadline(time.Now().Add(c.server.cfg.UpgradeTimeout))
	c.mu.Unlock()
	c.spawn(func() { c.serveCandidate(conn, early) })
	return refusal{}, true
}

// serveCandidate is the reader of a WebSocket that is to become the session's,
// and of the session once it has.
func (c *Conn) serveCandidate(conn net.Conn, early []byte) {
	k := newWebSocket(c, conn, rawConn(conn))
	adopted := false
	err := k.read(early, func(op ws.OpCode, payload []byte) error {
		if adopted {
			return c.frame(op, payload)
		}
		if op == ws.OpText && string(payload) == "5" {
			adopted = c.adopt(conn)
			if !adopted {
				return errUpgrade
			}
			return nil
		}
		return c.probe(conn, op, payload)
	})
	if !adopted {
		_ = conn.Close()
		c.mu.Lock()
		c.polling.candidate, c.polling.probed = nil, false
		c.mu.Unlock()
		return
	}
	c.readEnded(k, err)
	c.finish()
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
func (c *Conn) adopt(conn net.Conn) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.state != stateOpen || !c.polling.probed {
		return false
	}
	_ = conn.SetDeadline(time.Time{}) // before shut can set one
	c.net, c.raw = conn, rawConn(conn)
	c.polling.candidate = nil
	c.server.count.polling.Add(-1)
	c.polling.wake() // it is refused: its client is not to poll any more
	if c.out != nil && !c.draining {
		c.draining = true
		c.server.wg.Go(c.drain)
	}
	return true
}
