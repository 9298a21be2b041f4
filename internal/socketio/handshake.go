package socketio

import (
	"encoding/json"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/gobwas/ws"
)

// refusal is the response to a request that is refused. The codes are those of the other
// implementations of the protocol; clients show the message.
type refusal struct {
	status  int
	reason  string // for Stats.Rejected: one of a few
	Code    int    `json:"code"`
	Message string `json:"message"`
}

// Codes of refusal.
const (
	codeTransport = iota
	codeSession
	codeMethod
	codeRequest
	codeForbidden
	codeProtocol
)

func refuse(status, code int, message string) refusal {
	return refusal{status: status, reason: message, Code: code, Message: message}
}

var (
	refuseTransport = refuse(http.StatusBadRequest, codeTransport, "Transport unknown")
	refuseSession   = refuse(http.StatusBadRequest, codeSession, "Session ID unknown")
	refuseOwner     = refuse(http.StatusForbidden, codeForbidden, "Session of another token")
	refuseMethod    = refuse(http.StatusBadRequest, codeMethod, "Bad handshake method")
	refuseRequest   = refuse(http.StatusBadRequest, codeRequest, "Bad request")
	refuseProtocol  = refuse(http.StatusBadRequest, codeProtocol, "Unsupported protocol version")
	refuseRate      = refuse(http.StatusTooManyRequests, codeRequest, "Too many messages")
	refusePayload   = refuse(http.StatusRequestEntityTooLarge, codeRequest, "Payload too large")
)

// refuseBusy refuses because the server is full or stopping.
func refuseBusy(err error) refusal {
	return refuse(http.StatusServiceUnavailable, codeForbidden, err.Error())
}

// forbidden refuses for an error of Config.Accept. Its text may have parts that the
// client chose, so the refusal is counted under a fixed reason.
func forbidden(err error) refusal {
	return refusal{status: http.StatusForbidden, reason: "Forbidden", Code: codeForbidden, Message: err.Error()}
}

// because returns e with another message for the client. Stats counts it under the reason of e.
func (e refusal) because(message string) refusal {
	e.Message = message
	return e
}

func (e refusal) write(w http.ResponseWriter) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	if e.status == http.StatusServiceUnavailable {
		w.Header().Set("Retry-After", "5")
	}
	w.WriteHeader(e.status)
	_ = json.NewEncoder(w).Encode(e) // the client may have gone
}

// bodyTimeout is how long the body of a request may take to arrive.
const bodyTimeout = 10 * time.Second

// ServeHTTP serves every request of the protocol: handshakes, polls and
// upgrades. Engine.IO protocol v4, "Handshake".
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.ContentLength != 0 {
		// This is for refused requests too: net/http reads the rest of a request before the
		// next one, without a bound on the time.
		_ = http.NewResponseController(w).SetReadDeadline(time.Now().Add(min(bodyTimeout, s.cfg.DrainTimeout)))
	}
	q := r.URL.Query()
	if refused, ok := s.serve(w, r, q); !ok {
		s.reject(refused.reason)
		s.cfg.Logger.Debug("socketio: request refused", "peer", r.RemoteAddr,
			"status", refused.status, "reason", refused.Message)
		refused.write(w)
	}
}

// serve returns false with the refusal if the request is refused.
func (s *Server) serve(w http.ResponseWriter, r *http.Request, q url.Values) (refusal, bool) {
	session, err := s.cfg.Accept(r)
	if err != nil {
		return forbidden(err), false
	}
	if err := s.enter(q.Get("sid")); err != nil {
		return refuseBusy(err), false
	}
	var protocol uint8
	switch q.Get("EIO") {
	case "3":
		protocol = protocol3
	case "4":
		protocol = protocol4
	default:
		return refuseProtocol, false
	}
	transport := q.Get("transport")
	if (transport != "polling" && transport != "websocket") || q.Has("j") { // j asks for JSONP
		return refuseTransport, false
	}
	if (transport == "websocket") != wantsWebSocket(r) {
		return refuseRequest, false
	}
	if id := q.Get("sid"); id != "" {
		c := s.session(id)
		switch {
		case c == nil:
			return refuseSession, false
		case c.owner != "" && c.owner != session.Owner:
			return refuseOwner, false
		case c.protocol != protocol:
			return refuseRequest, false
		case transport == "websocket":
			return c.serveUpgrade(w, r)
		default:
			return c.servePolling(w, r)
		}
	}
	if r.Method != http.MethodGet {
		return refuseMethod, false
	}
	addr, err := s.admit(session.Address)
	if err != nil {
		return refuseBusy(err), false
	}
	c := &Conn{server: s, id: newID(), addr: addr, data: session.Data, owner: session.Owner, protocol: protocol}
	c.encoding.legacy = protocol == protocol3
	if transport == "websocket" {
		return s.openWebSocket(c, w, r)
	}
	return s.openPolling(c, w, r)
}

// wantsWebSocket reports whether r asks for a WebSocket; ws.HTTPUpgrader checks the
// details.
func wantsWebSocket(r *http.Request) bool {
	return r.ProtoMajor == 1 && strings.EqualFold(r.Header.Get("Upgrade"), "websocket")
}

// handshake is the body of Engine.IO's open packet. Times in milliseconds.
type handshake struct {
	SID          string   `json:"sid"`
	Upgrades     []string `json:"upgrades"`
	PingInterval int64    `json:"pingInterval"`
	PingTimeout  int64    `json:"pingTimeout"`
	MaxPayload   int      `json:"maxPayload"`
}

// open sends a registered connection its first packets.
func (c *Conn) open() {
	cfg := c.server.cfg
	h := handshake{
		SID:          c.id,
		Upgrades:     []string{},
		PingInterval: cfg.PingInterval.Milliseconds(),
		PingTimeout:  cfg.PingTimeout.Milliseconds(),
		MaxPayload:   cfg.MaxPayload,
	}
	if c.polling != nil {
		h.Upgrades = []string{"websocket"}
	}
	body, err := json.Marshal(h)
	if err != nil {
		panic("socketio: encode handshake: " + err.Error()) // strings and numbers always encode
	}
	c.control(newPacket(append([]byte{engineOpen}, body...)))
	if c.protocol == protocol3 && cfg.Raw == nil {
		// Engine.IO 3 clients do not ask for namespace "/": they are in it from the start.
		c.app.Lock()
		defer c.app.Unlock()
		if !c.finished {
			_ = c.connect(packet{kind: socketConnect, namespace: "/"}, nil) // fails only for a second one
		}
	}
}

// openWebSocket begins a session on a WebSocket.
func (s *Server) openWebSocket(c *Conn, w http.ResponseWriter, r *http.Request) (refusal, bool) {
	conn, deflate, early, err := s.upgradeHTTP(w, r)
	if err != nil {
		s.dismiss(c.addr)
		s.cfg.Logger.Debug("socketio: WebSocket handshake failed", "peer", r.RemoteAddr, "error", err)
		return refusal{}, true // answered already
	}
	c.net, c.raw = conn, rawConn(conn)
	c.encoding.deflate = deflate
	if err := s.register(c); err != nil {
		s.dismiss(c.addr)
		_ = conn.Close()
		return refusal{}, true // the client cannot be told why any more
	}
	c.open()
	c.startReading(early)
	return refusal{}, true
}

// upgradeHTTP answers r and takes its connection over. deflate says whether compression was
// agreed on; early is the bytes that the client sent right behind the request.
func (s *Server) upgradeHTTP(w http.ResponseWriter, r *http.Request) (conn net.Conn, deflate bool, early []byte, err error) {
	upgrader := ws.HTTPUpgrader{Timeout: closeGrace}
	compression := negotiation()
	if s.cfg.CompressFrom > 0 {
		upgrader.Negotiate = compression.Negotiate
	}
	conn, rw, _, err := upgrader.Upgrade(r, w)
	if err != nil {
		if conn != nil {
			_ = conn.Close()
		}
		return nil, false, nil, err
	}
	// Copied, so that net/http's buffers are not kept for as long as the
	// connection lives.
	if n := rw.Reader.Buffered(); n > 0 {
		b, _ := rw.Reader.Peek(n) // what is buffered can be peeked
		early = append(early, b...)
	}
	limitUnsent(conn)
	_, deflate = compression.Accepted()
	return conn, deflate, early, nil
}

func contentLength(w http.ResponseWriter, n int) {
	w.Header().Set("Content-Length", strconv.Itoa(n))
}
