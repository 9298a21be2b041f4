//go:build linux

package load

import (
	"net/netip"
	"time"
)

// Plan says what a Fleet does. Zero values mean the defaults.
type Plan struct {
	// Server is where to connect to: an IPv4 address of the loopback network.
	Server  netip.AddrPort
	Viewers int

	// Bare connects without Socket.IO: to the floor.
	Bare bool
	// Polling uses HTTP long-polling, without upgrade, instead of a WebSocket.
	Polling bool
	// Queries are the rooms that each viewer joins, 1 to 32. When Bare they are
	// counted only: that many frames make a delivery.
	Queries []string
	// Windows are in seconds; viewer i asks for the one at i modulo their number.
	// Default: 100.
	Windows []float64
	// Points of a bootstrap; default 1200.
	Points int

	// Pausable is how many viewers, the first ones, may be paused. They ask for a
	// receive buffer of 32 KB, so that it is full soon, and are not counted in the
	// figures.
	Pausable int
	// Dialing is how many viewers may be between connecting and their last
	// bootstrap at once; default 200, below zero: no limit.
	Dialing int
	// PerAddress is how many viewers come from one address; default 1,500.
	PerAddress int

	// Retry, when set, brings viewers back that lose their connection or are
	// refused: after the time it returns for the attempt, 1 for the first. Without
	// it a loss is an error.
	Retry func(attempt int) time.Duration
	// Record, when set, is given every update, bootstrap and granted subscription
	// of each viewer with its number, 0 to Viewers-1: the message's text, valid
	// during the call only. Requests are numbered as Queries.
	Record func(viewer int, text []byte)
}

func (p *Plan) setDefaults() {
	if len(p.Windows) == 0 {
		p.Windows = []float64{100}
	}
	if p.Points == 0 {
		p.Points = 1200
	}
	if p.Dialing == 0 {
		p.Dialing = 200
	}
	if p.Dialing < 0 {
		p.Dialing = p.Viewers
	}
	if p.PerAddress == 0 {
		p.PerAddress = 1500
	}
}

// LikeTheClient waits as socket.io-client does: 1 s doubled with each attempt, 5 s
// at most, half of it up or down at random. random returns a number in [0, 1).
func LikeTheClient(random func() float64) func(attempt int) time.Duration {
	return func(attempt int) time.Duration {
		wait := min(time.Second<<min(attempt-1, 10), 5*time.Second)
		return time.Duration(float64(wait) * (0.5 + random()))
	}
}
