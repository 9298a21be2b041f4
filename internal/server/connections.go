package server

import (
	"container/list"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"net"
	"net/http"
	"net/netip"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"stripchart/internal/access"
	"stripchart/internal/httperr"
	"stripchart/internal/socketio"
)

const (
	// mostIdle bounds the connections that wait for their next request. At the bound, the
	// longest idle one is closed. A proxy keeps some tens, a browser up to six.
	mostIdle = 1024
	// spareForProbes is how many connections are accepted beyond the bound. On these,
	// requests for health and metrics are answered, and others get 503.
	spareForProbes = 64
	// firstRequest is how long a new connection may send nothing before it can be
	// closed to make room for another one.
	firstRequest = time.Second
	// shortOfMemory bounds the connections, Socket.IO's aside, while memory is short: each
	// holds about 20 KB.
	shortOfMemory = 1024
)

// Why a connection was refused or closed by connections, in /metrics.
const (
	fullTotal     = "total"       // beyond the bound and spareForProbes
	fullAddress   = "address"     // beyond the bound of its address
	fullProbeOnly = "probes only" // accepted as one of spareForProbes
	fullIdle      = "idle"        // closed while it waited for a request, to make room
	fullFailed    = "failed"      // the system did not accept it
)

// connections counts and bounds the open connections of every kind: with a request under
// way, waiting for the first or next request, and WebSockets. http.Server and socketio
// bound what a connection may do, and for how long.
//
// When there is no room, an idle connection is closed for a new one; if there is none, a
// connection that was opened at least a second ago and has not sent a request.
type connections struct {
	max, perAddress int // math.MaxInt: no bound
	maxIdle         int
	safe            time.Duration // of a connection that has sent nothing: firstRequest
	tls             bool          // what is read of a connection is encrypted
	isShort         func() bool   // of memory
	proxies         Proxies
	log             *slog.Logger
	full            *prometheus.CounterVec // by reason

	mu        sync.Mutex // guards the fields below, and the fields of conn that name it
	open      int
	sockets   int // of open, those that were hijacked: Socket.IO's
	byAddress map[netip.Addr]int
	fresh     list.List // of *conn: no request yet, oldest first
	idle      list.List // of *conn: waits for the next request, longest first
}

func newConnections(o *Options) *connections {
	a := &connections{
		max: o.MaxOpen, perAddress: o.MaxOpenPerAddress, safe: firstRequest, isShort: o.Overloaded, tls: o.Certificate != nil, proxies: o.Reach.Proxies, log: o.Log, byAddress: map[netip.Addr]int{},
		full: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "stripchart_open_connections_refused_total",
			Help: `Connections that found no room, by what became of them: "total" and "address", closed at once; "probes only", answered 503 or as a probe; "idle", closed for a newer one; "failed", not accepted by the system.`,
		}, []string{"reason"}),
	}
	if a.max <= 0 {
		a.max = math.MaxInt
	}
	if a.perAddress <= 0 {
		a.perAddress = math.MaxInt
	}
	a.maxIdle = min(mostIdle, max(1, a.max/4))
	for _, reason := range []string{fullTotal, fullAddress, fullProbeOnly, fullIdle, fullFailed} {
		a.full.WithLabelValues(reason)
	}
	return a
}

// listener accepts connections while there is room, and returns them as *conn.
type listener struct {
	net.Listener
	all *connections
}

func (l listener) Accept() (net.Conn, error) {
	for {
		c, err := l.Listener.Accept()
		if err != nil {
			if !errors.Is(err, net.ErrClosed) {
				l.all.full.WithLabelValues(fullFailed).Inc()
				l.all.log.Error("a connection could not be accepted; trying again", "err", err)
			}
			return nil, err
		}
		limitUnsent(c)
		if c, ok := l.all.admit(c.(*net.TCPConn)); ok {
			return c, nil
		}
	}
}

// conn is a TCP connection that was admitted. Its end is counted, and without TLS the head of its first
// request is scanned for Host headers (hostScan).
type conn struct {
	*net.TCPConn
	all        *connections
	address    netip.Addr
	probesOnly bool // there was no room

	hosts hosts     // what the Host headers of the first request are like
	head  *hostScan // of the first request, while it is read; nil over TLS; the goroutine that reads owns it

	// Guarded by all.mu.
	place  *list.Element // in fresh or idle; else nil
	in     *list.List    // which of them
	since  time.Time     // when it was put there
	socket bool          // it was hijacked
	gone   bool          // not counted any more
}

// admit counts c and returns it as a *conn, or closes it.
func (a *connections) admit(c *net.TCPConn) (*conn, bool) {
	address, ofProxy := addressOf(c.RemoteAddr()), a.proxies.trustsPeer(c.RemoteAddr().String())
	a.mu.Lock()
	full := ""
	switch {
	case a.byAddress[address] >= a.perAddress && !ofProxy: // a proxy's connections are of many clients
		full = fullAddress
	case a.hasRoom(0), a.giveWay() && a.hasRoom(0): // what gave way may have had a spare place
	case a.hasRoom(spareForProbes):
		full = fullProbeOnly
	default:
		full = fullTotal
	}
	if full != "" {
		a.full.WithLabelValues(full).Inc()
	}
	if full == fullTotal || full == fullAddress {
		a.mu.Unlock()
		a.log.Warn("a connection was refused: too many are open; see stripchart_open_connections_refused_total", "peer", address.String(), "bound", full)
		if a.tls { // a response would have to wait for the handshake
			_ = c.Close()
		} else {
			turnAway(c)
		}
		return nil, false
	}
	a.open++
	a.byAddress[address]++
	a.mu.Unlock()
	admitted := &conn{TCPConn: c, all: a, address: address, probesOnly: full != ""}
	if !a.tls { // over TLS, http.Server refuses a second Host header by itself
		admitted.head = &hostScan{}
	}
	return admitted, true
}

// hasRoom reports whether there is room for one more, spare ones included. The
// caller holds a.mu.
func (a *connections) hasRoom(spare int) bool {
	return a.open-spare < a.max && (a.open-a.sockets < shortOfMemory+spare || !a.isShort())
}

// giveWay closes a connection that is not in use, and reports whether there was one.
// The caller holds a.mu.
func (a *connections) giveWay() bool {
	oldest := a.idle.Front()
	if oldest == nil {
		oldest = a.fresh.Front()
		if oldest == nil || time.Since(oldest.Value.(*conn).since) < a.safe {
			return false
		}
	}
	a.cut(oldest.Value.(*conn))
	return true
}

// cut closes a connection that serves no request, to make room. The caller holds a.mu.
func (a *connections) cut(c *conn) {
	a.full.WithLabelValues(fullIdle).Inc()
	_ = c.TCPConn.Close() // its http.Server finds it closed, and closes it once more
	a.forget(c)
}

// forget counts the end of c, once. The caller holds a.mu.
func (a *connections) forget(c *conn) {
	if c.gone {
		return
	}
	c.gone = true
	a.put(c, nil)
	a.open--
	if c.socket {
		a.sockets--
	}
	if a.byAddress[c.address]--; a.byAddress[c.address] == 0 {
		delete(a.byAddress, c.address)
	}
}

// put moves c to the end of a list; nil for none. The caller holds a.mu.
func (a *connections) put(c *conn, to *list.List) {
	if c.in != nil {
		c.in.Remove(c.place)
	}
	c.in, c.place = to, nil
	if to != nil {
		c.since = time.Now()
		c.place = to.PushBack(c)
	}
}

// changed is http.Server's ConnState. A connection of HTTP/2 is idle while none of its requests is under way.
func (a *connections) changed(nc net.Conn, state http.ConnState) {
	c := below(nc)
	if c == nil {
		return
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if c.gone {
		return
	}
	switch state {
	case http.StateNew:
		a.put(c, &a.fresh)
	case http.StateIdle:
		a.put(c, &a.idle)
		if a.idle.Len() > a.maxIdle {
			a.cut(a.idle.Front().Value.(*conn))
		}
	case http.StateHijacked:
		a.put(c, nil)
		c.socket = true
		a.sockets++
	default:
		a.put(c, nil)
	}
}

// below returns the connection that was admitted, of http.Server's, which over TLS is another one on top; nil if there is none.
func below(nc net.Conn) *conn {
	if secure, ok := nc.(*tls.Conn); ok {
		nc = secure.NetConn()
	}
	c, _ := nc.(*conn)
	return c
}

// Read implements net.Conn.
func (c *conn) Read(p []byte) (int, error) {
	if c.head == nil {
		return c.TCPConn.Read(p)
	}
	n, done, err := c.head.read(c.TCPConn, p)
	if done {
		c.hosts, c.head = c.head.found(), nil
	}
	return n, err
}

// Close implements net.Conn.
func (c *conn) Close() error {
	err := c.TCPConn.Close()
	c.all.mu.Lock()
	defer c.all.mu.Unlock()
	c.all.forget(c)
	return err
}

// reset closes c, and what the kernel has queued for its peer is not sent. Its http.Server finds it closed, and
// closes it once more.
func (c *conn) reset() {
	_ = c.SetLinger(0)
	_ = c.TCPConn.Close()
}

// errFull is the response while there is no room for another connection.
var errFull = httperr.Error{Code: codeFull, Message: "too many connections are open; try again in a moment"}

// turnAway closes a connection with errFull, without waiting for its request. A client
// that sends the request just then may see a reset connection instead.
func turnAway(c *net.TCPConn) {
	_ = c.SetWriteDeadline(time.Now().Add(100 * time.Millisecond)) // a new socket accepts it at once
	body := errFull.Body()
	_, _ = fmt.Fprintf(c, "HTTP/1.1 503 Service Unavailable\r\nConnection: close\r\nRetry-After: 5\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s",
		len(body), body)
	_ = c.Close()
}

// addressOf returns the address by which connections are counted: without the port, and for
// IPv6 the /64 network, since one customer has all addresses of such a network.
func addressOf(a net.Addr) netip.Addr {
	tcp, ok := a.(*net.TCPAddr)
	if !ok {
		return netip.Addr{}
	}
	return network(tcp.AddrPort().Addr())
}

func network(ip netip.Addr) netip.Addr {
	ip = ip.Unmap().WithZone("")
	if !ip.Is6() || ip.IsLoopback() {
		return ip
	}
	prefix, err := ip.Prefix(64)
	if err != nil {
		return ip
	}
	return prefix.Addr()
}

// Accept is the Accept of a socketio.Config. It refuses no request, because guard and gate have
// judged it before. The Session has the address that the listener counts by, so that both bounds
// of an address mean the same, and, of a server with tokens, the *access.Session.
func Accept(r *http.Request) (socketio.Session, error) {
	s := socketio.Session{Address: r.RemoteAddr}
	if peer := peerOf(r); peer.IsValid() {
		s.Address = peer.String()
	}
	if by := access.Of(r.Context()); by.Name != "" {
		s.Data, s.Owner = &by, by.Owner()
	}
	return s, nil
}

// Describe implements prometheus.Collector.
func (a *connections) Describe(out chan<- *prometheus.Desc) {
	out <- openDesc
	a.full.Describe(out)
}

var openDesc = prometheus.NewDesc("stripchart_open_connections", "TCP connections that are open, by what they do: hold a WebSocket, wait for their first or next request, or have one under way.", []string{"state"}, nil)

// Collect implements prometheus.Collector.
func (a *connections) Collect(out chan<- prometheus.Metric) {
	a.mu.Lock()
	n := map[string]int{"websocket": a.sockets, "new": a.fresh.Len(), "idle": a.idle.Len(), "request": a.open - a.sockets - a.fresh.Len() - a.idle.Len()}
	a.mu.Unlock()
	for state, n := range n {
		out <- prometheus.MustNewConstMetric(openDesc, prometheus.GaugeValue, float64(n), state)
	}
	a.full.Collect(out)
}
