package socketio

import (
	"maps"
	"sync/atomic"
)

// Stats are the statistics of a server. Counts are since NewServer.
type Stats struct {
	Connections int // open now
	Polling     int // of them, those that poll
	Joining     int // of them, those that are not connected to a namespace yet
	Addresses   int // different Session.Address of the connections

	Opened   int64
	Closed   map[string]int64 // by Reason constant
	Rejected map[string]int64 // requests refused, by one of some ten reasons

	PacketsOut  int64 // packets passed to connections
	BytesOut    int64
	Writes      int64 // system calls (WebSocket) and answers (polling) for them
	Queued      int64 // packets that a socket did not accept at once
	QueuedBytes int64 // now, on all connections; what several are sent counts once
	Refused     int64 // calls of Write refused because the queue was full
	EventsIn    int64
	Slowed      int64 // messages that waited for the budget of their connection
	// BinaryRefused is the number of events in EventsIn that were not delivered,
	// because their namespace takes no attachments.
	BinaryRefused int64
}

// counters are the totals of Stats that change often.
type counters struct {
	writes, packets, bytes  atomic.Int64
	queued, refused, slowed atomic.Int64
	polling                 atomic.Int64
	eventsIn, binaryRefused atomic.Int64
}

// tally are the totals of Stats that change with connections. Server.mu guards it.
type tally struct {
	opened           int64
	closed, rejected map[string]int64
}

// Stats returns the server's statistics. They are read one after the other, not at one
// moment.
func (s *Server) Stats() Stats {
	s.mu.Lock()
	defer s.mu.Unlock()
	return Stats{
		Connections:   len(s.conns),
		Polling:       int(s.count.polling.Load()),
		Joining:       s.admitted.joining.Len(),
		Addresses:     len(s.admitted.byAddr),
		Opened:        s.tally.opened,
		Closed:        maps.Clone(s.tally.closed),
		Rejected:      maps.Clone(s.tally.rejected),
		PacketsOut:    s.count.packets.Load(),
		BytesOut:      s.count.bytes.Load(),
		Writes:        s.count.writes.Load(),
		Queued:        s.count.queued.Load(),
		QueuedBytes:   s.output.bytes.Load(),
		Refused:       s.count.refused.Load(),
		EventsIn:      s.count.eventsIn.Load(),
		Slowed:        s.count.slowed.Load(),
		BinaryRefused: s.count.binaryRefused.Load(),
	}
}

// reject counts a request that was refused.
func (s *Server) reject(reason string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.tally.rejected[reason]++
}

// account adds what a sender has counted.
func (s *Server) account(sd *sender) {
	s.count.writes.Add(sd.writes)
	s.count.packets.Add(sd.packets)
	s.count.bytes.Add(sd.bytes)
	sd.writes, sd.packets, sd.bytes = 0, 0, 0
}
