package socketio

import (
	"errors"
	"io"
	"net"
	"net/http"
	"time"
)

// goodbyeWait is how long the session of a client that has closed it waits for
// the poll that ends the client's own loop.
const goodbyeWait = 250 * time.Millisecond

// probeWait is how long a poll waits during an upgrade before it gets an empty response. The
// client upgrades when its last poll has returned.
const probeWait = 100 * time.Millisecond

// polling is the part of a session that began with HTTP long-polling. Conn.mu
// guards it.
type polling struct {
	wait      chan struct{} // of the poll that waits, closed to wake it; else nil
	posting   bool          // a POST is being read
	ended     chan struct{} // closed when the goodbye has been taken
	goodbye   bool          // the last packet is queued
	base64    bool          // Engine.IO 3: the client takes text only
	candidate net.Conn      // WebSocket of an upgrade that is not complete
	probed    bool          // the candidate works
}

// wake makes the waiting poll send the queued packets.
func (p *polling) wake() {
	if p.wait != nil {
		close(p.wait)
		p.wait = nil
	}
}

// farewell ends the wait for a poll that takes the goodbye, if there is one.
func (p *polling) farewell() {
	if p.goodbye {
		p.goodbye = false
		close(p.ended)
	}
}

// openPolling begins a session with polling.
func (s *Server) openPolling(c *Conn, w http.ResponseWriter, r *http.Request) (refusal, bool) {
	c.polling = &polling{ended: make(chan struct{}), base64: r.URL.Query().Has("b64")}
	s.count.polling.Add(1)
	if err := s.register(c); err != nil {
		s.count.polling.Add(-1)
		s.dismiss(c.addr)
		return refuseBusy(err), false
	}
	c.open()
	c.mu.Lock()
	a := c.take()
	c.mu.Unlock()
	c.answer(w, a)
	return refusal{}, true
}

// servePolling serves the GET and POST of a session.
func (c *Conn) servePolling(w http.ResponseWriter, r *http.Request) (refusal, bool) {
	if c.server.heartbeat.expired(c) {
		c.kill(ReasonPingTimeout)
		return refuseSession, false
	}
	if c.protocol == protocol3 {
		// The handshake has connected it to namespace "/". This request proves that the
		// client exists.
		c.server.joined(c)
	}
	switch r.Method {
	case http.MethodGet:
		return c.poll(w, r)
	case http.MethodPost:
		return c.post(w, r)
	}
	return refuseRequest, false
}

// poll waits until there is something to send, and sends it.
func (c *Conn) poll(w http.ResponseWriter, r *http.Request) (refusal, bool) {
	c.mu.Lock()
	switch {
	case c.net != nil || (c.state != stateOpen && c.out == nil):
		c.mu.Unlock()
		return refuseRequest, false
	case c.polling.wait != nil:
		c.mu.Unlock()
		c.shutFor(errTwoPolls, 0)
		return refuseRequest, false
	}
	if c.out == nil {
		wait := make(chan struct{})
		c.polling.wait = wait
		var probing <-chan time.Time
		if c.polling.probed {
			timer := time.NewTimer(probeWait)
			defer timer.Stop()
			probing = timer.C
		}
		c.mu.Unlock()
		if r.ContentLength == 0 {
			// The server's own deadline would end the wait.
			_ = http.NewResponseController(w).SetReadDeadline(time.Time{})
		}
		select {
		case <-wait:
		case <-probing:
		case <-r.Context().Done():
			c.kill(ReasonTransportClose)
			return refusal{}, true // the client is gone
		}
		c.mu.Lock()
		if c.polling.wait == wait {
			c.polling.wait = nil
		}
	}
	if c.net != nil {
		c.mu.Unlock()
		return refuseRequest, false // the upgrade was completed meanwhile
	}
	a := c.take()
	c.mu.Unlock()
	c.answer(w, a)
	return refusal{}, true
}

// A response to a poll holds at most answerPackets Engine.IO packets, because
// python-engineio fails on more, and at most answerBytes bytes unless one packet is longer,
// because the bytes are copied.
const (
	answerPackets = 16
	answerBytes   = 256 << 10
)

// answer is the packets of one response to a poll.
type answer struct {
	packets []*Packet
	counted *output // by which the packets are counted until they have been sent
	drained bool    // the queue is empty, and the application waits for that
}

// take takes the next answer from the queue. c.mu is held.
func (c *Conn) take() answer {
	b := c.out
	if b == nil {
		b = c.server.newBacklog()
		b.add(c.encoding, []*Packet{noopPacket})
	}
	a := answer{packets: b.take(c.encoding), counted: b.output}
	if len(b.packets) == 0 {
		a.drained = b.refused
		c.out = nil
		c.polling.farewell()
	}
	return a
}

// answer sends a to a poll, and tells the application if it waited for that.
func (c *Conn) answer(w http.ResponseWriter, a answer) {
	body, contentType := encodePayload(a.packets, c.protocol, c.polling.base64)
	n, err := c.respond(w, contentType, body)
	a.counted.drop(a.packets)
	c.server.count.bytes.Add(int64(n))
	c.server.count.writes.Add(1)
	if err != nil && !errors.Is(err, http.ErrNotSupported) {
		c.kill(ReasonTransportError)
		return
	}
	if a.drained {
		c.tellDrained()
	}
}

// respond writes a whole response. It has DrainTimeout from now, however long the
// request has waited.
func (c *Conn) respond(w http.ResponseWriter, contentType string, body []byte) (n int, err error) {
	w.Header().Set("Content-Type", contentType)
	w.Header().Set("Cache-Control", "no-store")
	contentLength(w, len(body))
	rc := http.NewResponseController(w)
	// Not every ResponseWriter can set deadlines or flush; then the server's own
	// timeouts hold.
	_ = rc.SetWriteDeadline(time.Now().Add(c.server.cfg.DrainTimeout))
	if n, err = w.Write(body); err == nil {
		err = rc.Flush()
	}
	_ = rc.SetWriteDeadline(time.Time{})
	return n, err
}

// post takes a request with packets from the client.
func (c *Conn) post(w http.ResponseWriter, r *http.Request) (refusal, bool) {
	c.mu.Lock()
	switch {
	case c.net != nil || c.state != stateOpen:
		c.mu.Unlock()
		return refuseRequest, false
	case c.polling.posting:
		c.mu.Unlock()
		c.shutFor(errTwoPosts, 0)
		return refuseRequest, false
	}
	c.polling.posting = true
	c.mu.Unlock()
	err := c.readPost(w, r)
	// Before the response: with the response the client may send its next request.
	c.mu.Lock()
	c.polling.posting = false
	c.mu.Unlock()

	switch {
	case err == nil:
	case errors.Is(err, errGoodbye):
		c.shut(ReasonTransportClose, normalEnd, goodbyeWait)
	default:
		reason, e := c.shutFor(err, 0)
		switch reason {
		case ReasonTooLarge:
			return refusePayload, false
		case ReasonTooManyMessages:
			return refuseRate.because(e.text), false
		}
		return refuseRequest, false
	}
	// The type is that of the other implementations; some clients look at it. A client
	// that has gone is found by the heartbeat.
	_, _ = c.respond(w, "text/html", []byte("ok"))
	return refusal{}, true
}

// readPost reads the request's packets and handles them in order.
func (c *Conn) readPost(w http.ResponseWriter, r *http.Request) error {
	// ServeHTTP has set a deadline, which stays where something is left to be read.
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, int64(c.server.cfg.MaxPayload)))
	if err != nil {
		var tooLarge *http.MaxBytesError
		if errors.As(err, &tooLarge) {
			return errTooBig
		}
		return err
	}
	_ = http.NewResponseController(w).SetReadDeadline(time.Time{})
	return decodePayload(body, r.Header.Get("Content-Type"), c.protocol, c.receive)
}

// leavePolling says goodbye to a client that polls, and ends the session when it
// has taken that, or after grace. c.mu is held; the state is stateClosing.
func (c *Conn) leavePolling(reason string, grace time.Duration) {
	waiting := c.polling.wait != nil
	switch reason {
	case ReasonShutdown:
		// No close packet: the Python client takes it as an order never to reconnect. The
		// next poll is refused, after which every client reconnects.
		c.polling.wake()
	case ReasonTransportClose:
		_ = c.pushOne(noopPacket) // the client said it first; nothing is written here, so nothing fails
	default:
		_ = c.pushOne(closePacket)
	}
	if grace == 0 && !waiting {
		c.out.release()
		c.out = nil // no poll will send it
	}
	if c.out == nil {
		grace = 0
	}
	c.endPolling(grace)
}

// endPolling ends a polling session whose goodbye is queued: when a poll has
// taken it, or after grace. c.mu is held; the state is stateClosing.
func (c *Conn) endPolling(grace time.Duration) {
	if c.out != nil {
		c.polling.goodbye = true
	}
	ended := c.polling.ended
	c.server.wg.Go(func() {
		if grace > 0 {
			timer := time.NewTimer(grace)
			defer timer.Stop()
			select {
			case <-ended:
			case <-timer.C:
			}
		}
		c.finish()
	})
}
