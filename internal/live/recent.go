package live

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"
)

// recent is what the log side and the page side share: the newest entries of the log, and the
// series in them. What passes from the one to the other is the entry.
//
// A join is exact because both sides take the same lock: see package live.
type recent struct {
	// mu is held for a commit of samples in order, for opening a querier, and for taking what
	// a flush sends. It is never held while the store is asked which samples it has, while
	// late samples are committed, while history is read, while samples are encoded, or while
	// a connection is written to.
	//
	// Other locks exist. bootstrap.mu guards the encoded forms of one bootstrap, and is never
	// held together with mu. Three channels are locks, and are taken before mu: applier.turn
	// while a batch is applied or an idle log judged, Client.turn while a bootstrap or a history
	// is handed over, and saver.notes while notes are written.
	mu    lock
	ring  ring
	index index

	series, ringBatches, ringBytes prometheus.Gauge
}

// newRecent returns an empty ring and index. The ring is bounded by bytes, and by an age in ms.
// newestT is the newest time in the store, Unix ms.
func newRecent(maxBytes int, maxAge, newestT int64, reg prometheus.Registerer) *recent {
	with := promauto.With(reg)
	gauge := func(name, help string) prometheus.Gauge {
		return with.NewGauge(prometheus.GaugeOpts{Name: name, Help: help})
	}
	return &recent{
		mu: lock{held: with.NewHistogram(prometheus.HistogramOpts{
			Name: "stripchart_lock_held_seconds", Help: "Time for which the lock that all updates and writes wait for was held.",
			Buckets: prometheus.ExponentialBuckets(0.00001, 4, 9),
		})},
		ring: ring{maxBytes: maxBytes, maxAge: maxAge}, index: newIndex(newestT),
		series:      gauge("stripchart_series", "Series written to in the last hour."),
		ringBatches: gauge("stripchart_ring_batches", "Batches in the ring."),
		ringBytes:   gauge("stripchart_ring_bytes", "Bytes in the ring."),
	}
}

// now is the server's clock in Unix ms.
func (*recent) now() int64 { return time.Now().UnixMilli() }

// publishSeries publishes how many series there are. The caller holds mu.
func (x *recent) publishSeries() { x.series.Set(float64(x.index.len())) }

// publishRing publishes the ring's size. The caller holds mu.
func (x *recent) publishRing() {
	x.ringBatches.Set(float64(len(x.ring.entries)))
	x.ringBytes.Set(float64(x.ring.bytes))
}
