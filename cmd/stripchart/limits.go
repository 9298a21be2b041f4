package main

import (
	"fmt"
	"log/slog"
	"math"
	"os"
	"strconv"
	"strings"
	"time"

	"stripchart/internal/memory"
	"stripchart/internal/server"
	"stripchart/internal/socketio"
)

// limits are the flags of what strangers can make the server hold and do. The
// defaults are socketio's.
type limits struct {
	MaxConnections           connections `help:"Socket.IO connections in total, or none for as many as the system's limit of open files allows, which bounds them in any case. More are refused with 503, and try again." default:"50000"`
	MaxConnectionsPerAddress connections `help:"Socket.IO connections of one address, which a proxy's viewers share, or none for no limit. Default: none on loopback, else 2000." placeholder:"N"`
	ConnectTimeout           duration    `help:"Time that a new connection has to join a namespace, 100ms to 5m. Then it is cut." default:"45s"`
	MaxPacket                size        `help:"Bytes of a packet, or of a polling request, from a page, 1k to 16M. A larger one closes the connection." default:"64k"`
	MaxEvents                int         `help:"Events a second from a page, heartbeats included, 10 to 10000; twice as many at once. A page that sends more is slowed down, and closed after 10 s of it." default:"50"`
	MaxSeries                int         `help:"Series in memory, 1 to 100000000: those of the last hours. Samples of new ones beyond are refused at the HTTP endpoints, those of known ones are not." default:"100000"`
	MaxNewSeries             int         `help:"New series in a minute, 1 to 100000000. The HTTP endpoints answer 503 for more, and their writers send them again; known series go on." default:"50000"`
	MemoryLimit              memorySize  `help:"Bytes of memory that the server may use, 64M or more. While more than four fifths are in use, no page can join, and new series are refused. Default: GOMEMLIMIT, or the limit of its control group, or the machine's memory." placeholder:"BYTES"`
	MaxQueries               int         `help:"Queries over HTTP that are evaluated at once, 1 to 1000. More wait for their turn." default:"4"`
	QueryTimeout             duration    `help:"Time that a query over HTTP may take, 100ms to 10m, its wait included." default:"30s"`
	MaxQuerySamples          int         `help:"Samples that a query over HTTP may have in memory at once, 1000 to 1000000000, 16 bytes each." default:"10000000"`
	MaxOutput                size        `help:"Bytes queued for a page that does not read, 4k to 64M. When the queue is full the page misses updates; once it reads again, it is sent what it missed." default:"256k"`
}

// Bounds of the limits.
const (
	minConnectTimeout, maxConnectTimeout = 100 * time.Millisecond, 5 * time.Minute
	minPacket, maxPacket                 = 1 << 10, 16 << 20
	minEvents, maxEvents                 = 10, 10_000
	minSeries, maxSeries                 = 1, 100_000_000
	minOutput, maxOutput                 = 4 << 10, 64 << 20
	minQueries, maxQueries               = 1, 1000
	minQueryTimeout, maxQueryTimeout     = 100 * time.Millisecond, 10 * time.Minute
	minQuerySamples, maxQuerySamples     = 1000, 1_000_000_000
	minMemory                            = 64 << 20
)

// check refuses limits that are out of bounds: values with which no page would work, or which limit
// nothing.
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
	if l.MaxNewSeries < minSeries || l.MaxNewSeries > maxSeries {
		return fmt.Errorf("--max-new-series must be %d to %d, not %d", minSeries, maxSeries, l.MaxNewSeries)
	}
	if l.MemoryLimit != 0 && l.MemoryLimit < minMemory {
		return fmt.Errorf("--memory-limit must be 64M or more, not %d bytes", l.MemoryLimit)
	}
	if l.MaxQueries < minQueries || l.MaxQueries > maxQueries {
		return fmt.Errorf("--max-queries must be %d to %d, not %d", minQueries, maxQueries, l.MaxQueries)
	}
	if d := time.Duration(l.QueryTimeout); d < minQueryTimeout || d > maxQueryTimeout {
		return fmt.Errorf("--query-timeout must be 100ms to 10m, not %v", d)
	}
	if l.MaxQuerySamples < minQuerySamples || l.MaxQuerySamples > maxQuerySamples {
		return fmt.Errorf("--max-query-samples must be %d to %d, not %d", minQuerySamples, maxQuerySamples, l.MaxQuerySamples)
	}
	if l.MaxOutput < minOutput || l.MaxOutput > maxOutput {
		return fmt.Errorf("--max-output must be 4k to 64M, not %d bytes", l.MaxOutput)
	}
	return nil
}

const (
	// besides is the number of connections kept for other traffic than Socket.IO: pages that load,
	// writers, probes. Where descriptors are few it is a quarter of all connections.
	besides = 1024
	// A quarter of the descriptors, but at most descriptorsKept, is kept for other uses than
	// connections from outside: the files of the store, Redis, the measurements of the collector.
	descriptorsKept = 512
	// perAddressByDefault is the bound of Socket.IO connections of an address that
	// is not this machine's; half of all where there are fewer.
	perAddressByDefault = 2000
)

// manyDescriptors stands for a limit that is not known, or is none: more than any machine serves.
const manyDescriptors = 1 << 20

// capacity is how many connections the server accepts: open counts connections of every kind, sockets
// those of Socket.IO among them, and each has a bound for one address. noLimit: any number.
type capacity struct {
	open, openPerAddress, sockets, socketsPerAddress int
}

// capacity divides the descriptors that the system allows this process.
func (o *options) capacity(descriptors int) capacity {
	c := capacity{open: descriptors - min(descriptors/4, descriptorsKept), sockets: int(o.MaxConnections)}
	aside := min(besides, c.open/4)
	if c.sockets == int(noLimit) || c.sockets > c.open-aside {
		c.sockets = c.open - aside
	}
	c.open = min(c.open, c.sockets+besides)
	switch {
	case o.MaxConnectionsPerAddress > 0:
		c.socketsPerAddress = int(o.MaxConnectionsPerAddress)
	case o.MaxConnectionsPerAddress == noLimit || server.IsLoopback(o.listen()):
		// On loopback everybody has the same address, a proxy's viewers too.
		c.socketsPerAddress, c.openPerAddress = int(noLimit), int(noLimit)
		return c
	default:
		c.socketsPerAddress = min(perAddressByDefault, max(1, c.sockets/2))
	}
	// A page loads its files beside its socket.
	c.openPerAddress = c.socketsPerAddress + min(c.socketsPerAddress+64, max(1, c.open/4))
	return c
}

// sockets returns the Socket.IO server's configuration.
func (o *options) sockets(c capacity, log *slog.Logger) socketio.Config {
	return socketio.Config{
		MaxConns:        c.sockets,
		MaxConnsPerAddr: c.socketsPerAddress,
		Accept:          server.Accept,
		ConnectTimeout:  time.Duration(o.ConnectTimeout),
		MaxPayload:      int(o.MaxPacket),
		EventsPerSecond: o.MaxEvents,
		OutputBytes:     int(o.MaxOutput),
		CompressFrom:    int(o.CompressFrom),
		Logger:          log,
	}
}

// memoryLimit returns the bytes that the server may use.
func (o *options) memoryLimit() int64 {
	if o.MemoryLimit != 0 {
		return int64(o.MemoryLimit)
	}
	return memory.Bound(os.DirFS("/"))
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
	n, err := parseSize(b, math.MaxInt32)
	*s = size(n)
	return err
}

// memorySize is a size that may be large, with G as a unit, too.
type memorySize int64

// UnmarshalText implements encoding.TextUnmarshaler for kong.
func (s *memorySize) UnmarshalText(b []byte) error {
	digits, isG := strings.CutSuffix(string(b), "G")
	if !isG {
		n, err := parseSize(b, math.MaxInt64)
		*s = memorySize(n)
		return err
	}
	n, err := strconv.ParseUint(digits, 10, 63)
	if err != nil || n > math.MaxInt64>>30 {
		return fmt.Errorf("%q is not a number of bytes: want a number such as 512M or 2G", b)
	}
	*s = memorySize(n << 30)
	return nil
}

func parseSize(b []byte, most uint64) (uint64, error) {
	digits, unit := string(b), uint64(1)
	if d, ok := strings.CutSuffix(digits, "k"); ok {
		digits, unit = d, 1<<10
	} else if d, ok := strings.CutSuffix(digits, "M"); ok {
		digits, unit = d, 1<<20
	}
	n, err := strconv.ParseUint(digits, 10, 63)
	if err != nil || n > most/unit {
		return 0, fmt.Errorf("%q is not a number of bytes: want a number such as 65536, 64k or 1M", b)
	}
	return n * unit, nil
}
