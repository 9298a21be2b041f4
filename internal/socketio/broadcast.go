package socketio

import (
	"runtime"
	"sync"
	"sync/atomic"
)

// broadcastGrain is how many connections a sender takes at a time: few enough
// that senders end together, enough that they rarely meet.
const broadcastGrain = 32

// Outgoing is one connection of a Broadcast, with its packets.
type Outgoing struct {
	Conn    *Conn
	Packets []*Packet
	// OK is set by Broadcast: what Conn.Write returned.
	OK bool
}

// Broadcast is Conn.Write for many connections: it makes one system call for each, on as
// many goroutines as there are processors. It returns when all have been tried, and does
// not keep out. Each connection appears at most once in out. Neighbours in out that are sent
// the same packets cost least. The packets of two concurrent calls may reach two connections in
// different orders.
func (s *Server) Broadcast(out []Outgoing) {
	b := &broadcast{server: s, out: out}
	senders := min(runtime.GOMAXPROCS(0), (len(out)+broadcastGrain-1)/broadcastGrain)
	for range senders - 1 {
		b.wg.Go(b.send)
	}
	b.send()
	b.wg.Wait()
}

type broadcast struct {
	server *Server
	out    []Outgoing
	next   atomic.Int64 // the first entry that no sender has taken
	wg     sync.WaitGroup
}

func (b *broadcast) send() {
	sd := b.server.sender()
	defer b.server.putSender(sd)
	for {
		end := int(b.next.Add(broadcastGrain))
		if end-broadcastGrain >= len(b.out) {
			return
		}
		part := b.out[end-broadcastGrain : min(end, len(b.out))]
		for i := range part {
			part[i].OK = part[i].Conn.write(sd, part[i].Packets)
		}
	}
}
