package live

import (
	"context"

	"github.com/prometheus/prometheus/model/labels"

	"stripchart/internal/apply"
	"stripchart/internal/store"
)

// Store is what live needs of the time-series database; see package store for
// the contracts.
type Store interface {
	apply.Store
	MaxTime() int64
	Snapshot(from, to int64) (Snapshot, error)
	PageReads() *store.Share
}

// Snapshot is an open querier: it sees what was committed before it was opened.
type Snapshot interface {
	// Only limits History to the series that keep accepts; it is called in the order
	// of their labels and must not wait for a lock of this package: an Append, which
	// is made under it, may have to wait for the read.
	Only(keep func(labels.Labels) bool)
	History(ctx context.Context, ms []*labels.Matcher, from, to int64, points int) ([]store.History, error)
	// Missing is what the History before it has left out because it is damaged.
	Missing() []store.Loss
	Close() error
}

// NewStore adapts s to Store.
func NewStore(s *store.Store) Store { return tsdbStore{s} }

type tsdbStore struct{ *store.Store }

func (s tsdbStore) Snapshot(from, to int64) (Snapshot, error) {
	return s.Store.Snapshot(from, to)
}

// Packet is an encoded event. Transport.Encode makes it, and all connections that are sent the event
// share it.
type Packet any

// Conn is a connection to a page. Write never blocks: it takes all packets, or
// returns false because the output queue is at its bound (or the connection is
// closed). After a refusal Client.Drained is called once, when the queue has
// emptied. Ready reports whether a Write of any size would be taken now; a false
// counts as a refusal. Ready is asked before something large is read for the
// connection, so that nothing is made for a page that does not read.
type Conn interface {
	Write(ps ...Packet) bool
	Ready() bool
}

// Outgoing is what a flush sends to one connection.
type Outgoing struct {
	Conn    Conn
	Packets []Packet // valid during the call of Broadcast; many connections may share one slice
	OK      bool     // set by Broadcast: what Write would have returned
}

// Transport encodes and sends.
type Transport interface {
	// Encode makes the packet of one event with one argument.
	Encode(namespace, event string, arg []byte) Packet
	// Broadcast is called by one goroutine. It writes each entry's packets to its connection, in one system
	// call each, and returns when all were tried.
	Broadcast(out []Outgoing)
}

// Namespaces of the wire.
const (
	NamespaceRoot = "/"
	NamespaceLive = "/live"
)
