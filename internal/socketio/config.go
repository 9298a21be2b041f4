package socketio

import (
	"log/slog"
	"math"
	"net"
	"net/http"
	"time"
)

// Config sets the times and bounds of a Server. The zero value of each field
// means its default, and so does a negative duration. A negative count means no
// limit.
type Config struct {
	// PingInterval is the time between two pings of a connection; default 25 s.
	// The first comes after half to nine tenths of it, at random, so that
	// connections that came together are not pinged together.
	PingInterval time.Duration
	// PingTimeout is how long a pong may take; default 20 s.
	PingTimeout time.Duration
	// ConnectTimeout is how long a new connection may take until it is connected
	// to a namespace; default 45 s.
	ConnectTimeout time.Duration
	// UpgradeTimeout is how long a polling session may take from opening its
	// WebSocket to completing the upgrade; default 10 s.
	UpgradeTimeout time.Duration
	// DrainTimeout is how long it may take to send the queued bytes of a connection;
	// default 30 s. A slower connection is closed.
	DrainTimeout time.Duration

	// MaxPayload is the largest message, and the largest polling request, that a
	// client may send, in bytes; default 64 KiB. A connection can make the server hold
	// that much until its end.
	MaxPayload int
	// MaxConns bounds the connections in total; default 50,000. A tenth of them may be
	// joining: polling sessions that are not connected to a namespace yet. At that bound
	// the oldest joining session is ended for the next one. The same holds for
	// MaxConnsPerAddr.
	MaxConns int
	// MaxConnsPerAddr bounds the connections of one Session.Address; default
	// 2,000: many viewers share the address of their network or proxy.
	MaxConnsPerAddr int
	// EventsPerSecond is how many messages (Socket.IO packets, heartbeats and
	// WebSocket control frames together) a connection may send per second in
	// the long run; default 50, with bursts of twice as many. A connection that sends
	// more is slowed down: the server reads it no faster than that, and answers its POST
	// when all messages in it have been handled. A connection that exceeds the rate for
	// 10 s (half of PingTimeout, if that is less) is closed.
	EventsPerSecond int
	// OutputBytes is the bound of a connection's output queue, in bytes; default
	// 256 KiB. See Conn.Write for how it is kept.
	OutputBytes int
	// TotalOutputBytes is the bound of all output queues together, in bytes;
	// default 64 MiB, or four times OutputBytes if that is more. A packet in many queues
	// counts once. At the bound, a connection with an empty queue may queue 16 KiB, and
	// others nothing; and connections whose queues have not been empty for 5 s are ended,
	// the largest first.
	TotalOutputBytes int

	// CompressFrom is the least size, in bytes, of messages that are compressed
	// (permessage-deflate) for WebSocket clients that ask for it. A message is compressed
	// once for all of them. Default: no compression.
	CompressFrom int

	// Accept judges every request before anything else is done with it, also the polls
	// and the upgrade of a session that was accepted before. An error refuses the request
	// with 403 and the error's text. The Session of the handshake stays with the
	// connection (Conn.Session). Default: every request is accepted, with the host part of
	// Request.RemoteAddr as its address.
	Accept func(*http.Request) (Session, error)
	// Logger receives one line per connection that is refused or breaks the
	// protocol, at debug level. Default: none.
	Logger *slog.Logger

	// Raw, when set, makes this an Engine.IO server without Socket.IO: every
	// message goes to it, under the rules of Namespace's methods.
	Raw func(c *Conn, data []byte, binary bool)
}

// Session is what Config.Accept knows about the peer of a connection.
type Session struct {
	// Address is the key by which MaxConnsPerAddr counts.
	Address string
	// Owner says whose the connection is; "": nobody's in particular. Each further request of a polling session and
	// its upgrade must have the same Owner, or it is refused with 403: the session's id is part of URLs, which
	// proxies log, and alone it opens nothing.
	Owner string
	// Data is the application's own, for example who signed in and what they may see.
	// Each connection holds it until its end.
	Data any
}

const defaultMaxConns = 50_000

func (c Config) withDefaults() Config {
	orDuration := func(d *time.Duration, def time.Duration) {
		if *d <= 0 {
			*d = def
		}
	}
	orCount := func(n *int, def int) {
		if *n == 0 {
			*n = def
		} else if *n < 0 {
			*n = math.MaxInt
		}
	}
	orDuration(&c.PingInterval, 25*time.Second)
	orDuration(&c.PingTimeout, 20*time.Second)
	orDuration(&c.ConnectTimeout, 45*time.Second)
	orDuration(&c.UpgradeTimeout, 10*time.Second)
	orDuration(&c.DrainTimeout, 30*time.Second)
	orCount(&c.MaxPayload, 64<<10)
	orCount(&c.MaxConns, defaultMaxConns)
	orCount(&c.MaxConnsPerAddr, 2_000)
	orCount(&c.EventsPerSecond, 50)
	orCount(&c.OutputBytes, 256<<10)
	orCount(&c.TotalOutputBytes, max(64<<20, 4*min(c.OutputBytes, math.MaxInt/4)))
	if c.Accept == nil {
		c.Accept = acceptAll
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	return c
}

func acceptAll(r *http.Request) (Session, error) {
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		host = r.RemoteAddr
	}
	return Session{Address: host}, nil
}
