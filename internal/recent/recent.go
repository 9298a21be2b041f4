// Package recent is what the log side (package apply) and the page side (package live) share: the
// newest entries of the log, the series in them, and the lock of both. What passes from the log side
// to the page side is an entry of the ring.
//
// Guarantees:
//
//  1. An entry does not change once it is in the ring, nor does a slice of entries or births that was
//     returned: both are read without the lock.
//  2. Entries are in the order of the log. A batch of several entries leaves the ring as a whole, and
//     no position lies within one.
//  3. A search that goes through the births of series in their order, from the number that it has
//     looked at last, misses no series, however many come and go meanwhile.
//  4. The ring is bounded in bytes and in age. The index holds the series that were written to in the
//     last hour (IndexAge); there is no bound on their number.
//
// A join is exact because both sides take the same lock: see package live.
package recent

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"
)

// Log is the newest part of the log. Each field has one owner: the methods of the ring and of the index
// change their own fields, and the caller holds the lock.
type Log struct {
	// Mu is held for a commit of samples in order, for opening a querier, and for taking what
	// a flush sends. It is never held while the store is asked which samples it has, while
	// late samples are committed, while history is read, while samples are encoded, or while
	// a connection is written to.
	//
	// Locks are taken in this order; a line names locks that are never held together.
	//
	//	apply: applier.turn, saver.notes; live: Client.turn; socketio: Conn.app
	//	live: catalogue.listing
	//	Mu
	//	store: Store.appendMu
	//	store: Store.mu
	//
	// The first two lines but for Conn.app are channels of capacity 1. applier.turn is held while a
	// batch is applied or an idle log judged, saver.notes while notes are written, Client.turn while
	// a bootstrap, a history or a catalogue is handed over, and catalogue.listing while a list of
	// series is made. socketio holds Conn.app while it calls live with what a page sends.
	// bootstrap.mu in package live guards the encoded forms of one bootstrap, and is never held
	// together with Mu.
	Mu    Lock
	Ring  Ring
	Index Index

	series, ringBatches, ringBytes prometheus.Gauge
}

// New returns an empty ring and index. The ring is bounded by bytes, and by an age in ms.
// newestT is the newest time in the store, Unix ms.
func New(maxBytes int, maxAge, newestT int64, reg prometheus.Registerer) *Log {
	with := promauto.With(reg)
	gauge := func(name, help string) prometheus.Gauge {
		return with.NewGauge(prometheus.GaugeOpts{Name: name, Help: help})
	}
	return &Log{
		Mu: Lock{held: with.NewHistogram(prometheus.HistogramOpts{
			Name: "stripchart_lock_held_seconds", Help: "Time for which the lock that all updates and writes wait for was held.",
			Buckets: prometheus.ExponentialBuckets(0.00001, 4, 9),
		})},
		Ring: Ring{maxBytes: maxBytes, maxAge: maxAge}, Index: newIndex(newestT),
		series:      gauge("stripchart_series", "Series written to in the last hour."),
		ringBatches: gauge("stripchart_ring_batches", "Batches in the ring."),
		ringBytes:   gauge("stripchart_ring_bytes", "Bytes in the ring."),
	}
}

// Now is the server's clock in Unix ms.
func (*Log) Now() int64 { return time.Now().UnixMilli() }

// PublishSeries publishes how many series there are. The caller holds Mu.
func (x *Log) PublishSeries() { x.series.Set(float64(x.Index.Len())) }

// PublishRing publishes the ring's size. The caller holds Mu.
func (x *Log) PublishRing() {
	x.ringBatches.Set(float64(len(x.Ring.entries)))
	x.ringBytes.Set(float64(x.Ring.bytes))
}
