package socketio

import (
	"net"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

// The reasons of Namespace.Disconnected. The texts are those of the other implementations
// of the protocol.
const (
	ReasonTransportClose  = "transport close" // the client closed, or vanished
	ReasonTransportError  = "transport error"
	ReasonPingTimeout     = "ping timeout"
	ReasonParseError      = "parse error" // the client broke the protocol
	ReasonClientLeft      = "client namespace disconnect"
	ReasonServerLeft      = "server namespace disconnect" // Socket.Disconnect
	ReasonForcedClose     = "forced server close"         // Conn.Close
	ReasonShutdown        = "server shutting down"
	ReasonTooManyMessages = "too many messages"
	ReasonTooLarge        = "packet too large" // beyond MaxPayload
	ReasonTooSlow         = "too slow"         // the queue did not drain in time
	ReasonOutputFull      = "output full"      // it read slowly while all queues together were full
	ReasonTooManyAcks     = "too many acks"    // unread ones, beyond the bound
	ReasonConnectTimeout  = "connect timeout"  // no namespace within ConnectTimeout
	ReasonDisplaced       = "displaced"        // it polled without a namespace when another connection needed its place
)

// closeGrace is how long the peer of a closing connection may take to read the queued
// packets and answer the close frame.
const closeGrace = 5 * time.Second

// controlExtra bounds the queued packets that a client has asked for (acknowledgements,
// pongs), in bytes, beside the application's packets. A client that asks and does not read
// is closed at this bound.
const controlExtra = 1 << 20

type connState uint8

const (
	stateOpen    connState = iota
	stateClosing           // the close frame is sent or queued; waits for the peer's, or for closeGrace
	stateClosed
)

// Engine.IO protocol versions.
const (
	protocol3 = 3
	protocol4 = 4
)

// Conn is one client: an Engine.IO session, over WebSocket or polling. Its
// methods may be called from any goroutine.
type Conn struct {
	server   *Server
	id       string // of the session; a secret of the client
	addr     *address
	data     any    // Session.Data
	owner    string // Session.Owner
	protocol uint8  // protocol3 or protocol4

	// app makes the calls into the application one at a time; it guards the
	// fields up to mu. It is locked before mu.
	app      sync.Mutex
	finished bool // Disconnected was called for every socket
	sockets  []*Socket
	sentAway bool      // Socket.Disconnect was called for one of them
	partial  *assembly // a binary packet whose attachments are still to come
	rate     bucket

	// unfinished is a frame or message of which a part has been read; nil between
	// two. Only the reader uses it.
	unfinished *frameReader

	// mu guards the fields below. It is held during a write to the socket, which
	// never blocks, and never while the application is called. What a write needs
	// stands together: with thousands of connections none of it is in the
	// processor's cache, and each line costs a wait.
	mu       sync.Mutex
	state    connState
	draining bool            // a goroutine empties out, or calls Drained
	waiting  bool            // a goroutine waits for room in the server's output, for a Drained
	encoding encoding        // of what is sent on net
	raw      syscall.RawConn // of net; nil if it cannot be tried without blocking
	out      *backlog        // nil while nothing is queued
	net      net.Conn
	polling  *polling // nil if the session began on a WebSocket
	reason   string   // why state is not stateOpen

	beat beat
	idle idleNumber // guarded by idle.mu
}

// ID is the Engine.IO session id. Anybody who knows the id of a polling session can take
// the session over, so it must not be shown to others.
func (c *Conn) ID() string { return c.id }

// Session is what Config.Accept returned for the handshake.
func (c *Conn) Session() Session { return Session{Address: c.addr.name, Data: c.data} }

// Write sends packets without ever blocking, all or none. Bytes that the socket does not
// accept at once are queued. A call is accepted as a whole if the queue is below
// Config.OutputBytes when the call begins, so one call may exceed the bound (packets sent
// to many are shared memory). While all queues together are at Config.TotalOutputBytes, a
// call is refused too if this queue is not empty or the packets are large.
//
// A refused Write returns false, and Namespace.Drained follows for every socket of the
// connection when the queue is empty and there is room. On a closed connection Write
// returns false, and no Drained follows.
func (c *Conn) Write(ps ...*Packet) bool {
	sd := c.server.sender()
	defer c.server.putSender(sd)
	return c.write(sd, ps)
}

func (c *Conn) write(sd *sender, ps []*Packet) bool {
	if len(ps) == 0 {
		return true
	}
	c.mu.Lock()
	if c.state != stateOpen {
		c.mu.Unlock()
		return false
	}
	if !c.takes(ps) {
		c.mu.Unlock()
		return false
	}
	err := c.push(sd, ps)
	c.mu.Unlock()
	if err != nil {
		c.kill(ReasonTransportError)
		return false
	}
	return true
}

// control sends a packet that the protocol requires, or that the client asked for. It does
// not count against Config.OutputBytes: one bootstrap may exceed that by far, and a
// heartbeat behind it must not close a page on a slow line.
func (c *Conn) control(p *Packet) {
	c.mu.Lock()
	if c.state != stateOpen {
		c.mu.Unlock()
		return
	}
	if c.out != nil && c.out.control >= controlExtra {
		c.mu.Unlock()
		c.kill(ReasonTooManyAcks)
		return
	}
	err := c.pushOne(p)
	if c.out != nil {
		c.out.control += p.Size()
	}
	c.mu.Unlock()
	if err != nil {
		c.kill(ReasonTransportError)
	}
}

// pushOne is push for a packet of this connection only. c.mu is held.
func (c *Conn) pushOne(p *Packet) error {
	sd := c.server.sender()
	defer c.server.putSender(sd)
	return c.push(sd, []*Packet{p})
}

// push writes packets to the socket, or behind what is queued already. An error
// means that the connection is broken. c.mu is held.
func (c *Conn) push(sd *sender, ps []*Packet) error {
	sd.packets += int64(len(ps))
	if c.encoding.deflate {
		c.server.flate.prepare(ps)
	}
	if c.out == nil && c.raw != nil {
		n, all, err := sd.write(c.raw, c.encoding, ps)
		if err != nil || all {
			return err
		}
		for n >= len(ps[0].wire(c.encoding)) { // ends before ps does, for something is left
			n -= len(ps[0].wire(c.encoding))
			ps = ps[1:]
		}
		c.out = c.server.newBacklog()
		c.out.sent, c.out.bytes = n, -n
	}
	if c.out == nil {
		c.out = c.server.newBacklog()
	}
	c.out.add(c.encoding, ps)
	c.server.count.queued.Add(int64(len(ps)))
	if c.net == nil {
		c.polling.wake()
	} else if !c.draining {
		c.draining = true
		c.server.wg.Go(c.drain)
	}
	return nil
}

// Close disconnects the client. Queued packets are sent first, within a few seconds. The
// official clients reconnect by themselves.
func (c *Conn) Close() { c.shut(ReasonForcedClose, normalEnd, closeGrace) }

// Cut disconnects the client at once. Queued packets are not sent. The official clients
// reconnect by themselves.
func (c *Conn) Cut() { c.kill(ReasonForcedClose) }

// shut starts the close of an open connection, behind the queued packets. The connection
// ends when the peer has answered, or after grace.
func (c *Conn) shut(reason string, e ending, grace time.Duration) {
	c.mu.Lock()
	if c.state != stateOpen {
		c.mu.Unlock()
		return
	}
	c.state, c.reason = stateClosing, reason
	if c.net == nil {
		c.leavePolling(reason, grace)
		c.mu.Unlock()
		return
	}
	conn := c.net
	err := c.pushOne(&Packet{frame: e.frame()})
	if err == nil && c.out == nil {
		closeWrite(conn)
	}
	c.mu.Unlock()
	if err != nil {
		cut(conn)
	} else {
		// It fails only on a connection that is closed already.
		_ = conn.SetReadDeadline(time.Now().Add(grace))
	}
	c.server.idle.leave(c) // the reader reports the end
}

// closing reports whether the connection is closing or closed.
func (c *Conn) closing() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.state != stateOpen
}

// kill ends the connection at once, without a close frame.
func (c *Conn) kill(reason string) {
	c.mu.Lock()
	switch {
	case c.state == stateOpen:
		c.state, c.reason = stateClosing, reason
		if c.net == nil {
			c.leavePolling(reason, 0)
		}
	case c.net == nil:
		c.polling.farewell() // waits no longer
	}
	conn := c.net
	c.mu.Unlock()
	if conn != nil {
		cut(conn)
		c.server.idle.leave(c) // wakes the reader, which finishes
	}
}

// cut closes a connection without TLS's close_notify, for which Close would wait if the peer
// does not read.
func cut(conn net.Conn) {
	if outer, ok := conn.(interface{ NetConn() net.Conn }); ok {
		conn = outer.NetConn()
	}
	_ = conn.Close() // second closes are harmless
}

// spawn runs f in a goroutine, for which Shutdown waits. It does not run f once the connection
// has ended: finish does then what any f would have done.
func (c *Conn) spawn(f func()) {
	c.mu.Lock()
	defer c.mu.Unlock()
	// As long as it has not ended, the connection itself is counted in wg, so
	// this cannot race with the end of Shutdown's wait.
	if c.state != stateClosed {
		c.server.wg.Go(f)
	}
}

// finish is the end of a connection: the last call into the application. It
// runs once: on the reader's goroutine, or for polling on one of its own.
func (c *Conn) finish() {
	c.mu.Lock()
	c.state = stateClosed
	conn := c.net
	c.out.release()
	if conn != nil {
		c.out = nil // a drainer that is still writing fails with the connection
	} else {
		c.server.count.polling.Add(-1)
		conn = c.polling.candidate
	}
	c.mu.Unlock()
	if conn != nil {
		cut(conn)
	}

	c.app.Lock()
	c.finished = true
	c.partial = nil
	for _, s := range c.sockets {
		s.leave(c.reason)
	}
	c.sockets = nil
	c.app.Unlock()
	c.server.unregister(c)
}

// closeWrite tells the peer that nothing more comes, so that it ends the
// connection even if it waits for the server to do so. It may block on TLS.
func closeWrite(conn net.Conn) {
	if half, ok := conn.(interface{ CloseWrite() error }); ok {
		_ = half.CloseWrite() // on failure the grace ends the connection
	}
}

// beat is a connection's place and times in the heartbeat. Times are
// nanoseconds since the server's start; 0 means none.
type beat struct {
	nextPing  int64        // Engine.IO 4; used by the heartbeat's goroutine only
	pongBy    atomic.Int64 // Engine.IO 4: an answer is awaited until then. 3: the client's ping
	connectBy atomic.Int64 // until then a namespace must be connected

	// Guarded by heartbeat.mu.
	prev, next *Conn
	slot       int32
	listed     bool // in a slot
	known      bool // counted
	gone       bool // never to be listed again
}
