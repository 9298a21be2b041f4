package main

import (
	"fmt"
	"log/slog"
	"math"
	"strconv"
	"strings"
	"time"

	"stripchart/internal/server"
	"stripchart/internal/socketio"
)

// limits are the flags of what strangers can make the server hold and do. The
// defaults are socketio's.
type limits struct {
	MaxConnections           connections `help:"Connections in total, or none for no limit. More are refused with 503, and try again." default:"50000"`
	MaxConnectionsPerAddress connections `help:"Connections of one address, which a proxy's viewers share, or none for no limit. Default: none on loopback, else 2000." placeholder:"N"`
	ConnectTimeout           duration    `help:"Time that a new connection has to join a namespace, 100ms to 5m. Then it is cut." default:"45s"`
	MaxPacket                size        `help:"Bytes of a packet, or of a polling request, from a page, 1k to 16M. A larger one closes the connection." default:"64k"`
	MaxEvents                int         `help:"Events a second from a page, heartbeats included, 10 to 10000; twice as many at once. A page that sends more is slowed down, and closed after 10 s of it." default:"50"`
	MaxSeries                int         `help:"Series in memory, 1 to 100000000: those of the last hours. Samples of new ones beyond are refused at the HTTP endpoints, those of known ones are not." default:"100000"`
	MaxOutput                size        `help:"Bytes queued for a page that does not read, 4k to 64M. Then it misses packets, and continues where it was when it reads." default:"256k"`
}

// Bounds of the limits.
const (
	minConnectTimeout, maxConnectTimeout = 100 * time.Millisecond, 5 * time.Minute
	minPacket, maxPacket                 = 1 << 10, 16 << 20
	minEvents, maxEvents                 = 10, 10_000
	minSeries, maxSeries                 = 1, 100_000_000
	minOutput, maxOutput                 = 4 << 10, 64 << 20
)

// check refuses limits under which no page would work, or which are none.
func (l *limits) check() error {
	if d := time.Duration(l.ConnectTimeout); d < minConnectTimeout || d > maxConnectTimeout {
		return fmt.Errorf("--connect-timeout must be 100ms to 5m, not %v", d)
	}
	if l.MaxPacket < minPacket || l.MaxPacket > maxPacket {
		return fmt.Errorf("--max-packet must be 1k to 16M, not %d bytes", l.MaxPacket)
	}
	if l.MaxEvents < minEvents || l.MaxEvents > maxEvents {
		return fmt.Errorf("--max-events must be %d to %d, not %d", minEvents, maxEvents, l.MaxEvents)
	}
	if l.MaxSeries < minSeries || l.MaxSeries > maxSeries {
		return fmt.Errorf("--max-series must be %d to %d, not %d", minSeries, maxSeries, l.MaxSeries)
	}
	if l.MaxOutput < minOutput || l.MaxOutput > maxOutput {
		return fmt.Errorf("--max-output must be 4k to 64M, not %d bytes", l.MaxOutput)
	}
	return nil
}

// sockets returns the Socket.IO server's configuration.
func (o *options) sockets(log *slog.Logger) socketio.Config {
	perAddress := o.MaxConnectionsPerAddress
	if perAddress == 0 && server.IsLoopback(o.listen()) {
		perAddress = noLimit // everybody has the same address, a proxy's viewers too
	}
	return socketio.Config{
		MaxConns:        int(o.MaxConnections),
		MaxConnsPerAddr: int(perAddress),
		ConnectTimeout:  time.Duration(o.ConnectTimeout),
		MaxPayload:      int(o.MaxPacket),
		EventsPerSecond: o.MaxEvents,
		OutputBytes:     int(o.MaxOutput),
		CompressFrom:    int(o.CompressFrom),
		Logger:          log,
	}
}

// connections is a number of connections on the command line: 1 or more, or the
// word none. Zero means that it was not set.
type connections int

const noLimit connections = -1

// UnmarshalText implements encoding.TextUnmarshaler for kong.
func (c *connections) UnmarshalText(b []byte) error {
	if string(b) == "none" {
		*c = noLimit
		return nil
	}
	n, err := strconv.ParseInt(string(b), 10, 32)
	if err != nil || n < 1 {
		return fmt.Errorf("%q is not a number of connections: want 1 to %d, or none for no limit", b, math.MaxInt32)
	}
	*c = connections(n)
	return nil
}

// size is a number of bytes on the command line, k and M being 1,024 and
// 1,024 × 1,024 of them.
type size int

// UnmarshalText implements encoding.TextUnmarshaler for kong.
func (s *size) UnmarshalText(b []byte) error {
	digits, unit := string(b), 1
	if d, ok := strings.CutSuffix(digits, "k"); ok {
		digits, unit = d, 1<<10
	} else if d, ok := strings.CutSuffix(digits, "M"); ok {
		digits, unit = d, 1<<20
	}
	n, err := strconv.ParseUint(digits, 10, 31)
	if err != nil || n > math.MaxInt32/uint64(unit) {
		return fmt.Errorf("%q is not a number of bytes: want a number such as 65536, 64k or 1M", b)
	}
	*s = size(n) * size(unit)
	return nil
}
