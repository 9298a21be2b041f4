package live

import (
	"github.com/prometheus/client_golang/prometheus"

	"stripchart/internal/wire"
)

// metrics are the hub's own, at /metrics.
type metrics struct {
	batches, samples, late, dropped, bootstraps prometheus.Counter
	copies, missing, epochs                     prometheus.Counter
	gapsMerged                                  prometheus.Counter
	gapsKept, gapBytes                          prometheus.Gauge
	refused, gaps                               *prometheus.CounterVec
	behind                                      prometheus.Gauge
	series, rooms, viewers                      prometheus.Gauge
	ringBatches, ringBytes                      prometheus.Gauge
	join, apply, lockHeld                       prometheus.Histogram
	feeds, searching, searchCost                prometheus.Gauge
	roomsRefused, searchesFailed                prometheus.Counter
}

func newMetrics(reg prometheus.Registerer) metrics {
	counter := func(name, help string) prometheus.Counter {
		c := prometheus.NewCounter(prometheus.CounterOpts{Name: name, Help: help})
		reg.MustRegister(c)
		return c
	}
	gauge := func(name, help string) prometheus.Gauge {
		g := prometheus.NewGauge(prometheus.GaugeOpts{Name: name, Help: help})
		reg.MustRegister(g)
		return g
	}
	histogram := func(name, help string, start float64) prometheus.Histogram {
		h := prometheus.NewHistogram(prometheus.HistogramOpts{Name: name, Help: help, Buckets: prometheus.ExponentialBuckets(start, 4, 9)})
		reg.MustRegister(h)
		return h
	}
	m := metrics{
		batches:    counter("stripchart_batches_total", "Batches applied."),
		samples:    counter("stripchart_samples_total", "Samples accepted."),
		late:       counter("stripchart_samples_late_total", "Samples that were looked up in the store because they may have been there already."),
		dropped:    counter("stripchart_viewer_stalls_total", "Times that a viewer was parked because its connection's output queue was full."),
		bootstraps: counter("stripchart_history_reads_total", "Histories read for bootstraps."),
		copies:     counter("stripchart_batches_copied_total", "Batches that a source had published before, and that were skipped."),
		missing:    counter("stripchart_batches_missing_total", "Batches that sources have numbered and that never came: see the declared gaps."),
		epochs:     counter("stripchart_log_epochs_total", "Times that the log was found to have lost its end."),
		gaps: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "stripchart_gaps_total", Help: "Declared gaps, by reason.",
		}, []string{"reason"}),
		gapsMerged: counter("stripchart_gaps_merged_total", "Declared gaps that were merged with another one because there were too many, or too many bytes of them."),
		gapsKept:   gauge("stripchart_gaps", "Declared gaps that are kept."),
		gapBytes:   gauge("stripchart_gaps_bytes", "Bytes of the declared gaps that are kept, when they are saved."),
		behind:     gauge("stripchart_log_behind_seconds", "How far the server is behind the log's end as seen at its start; 0 once it is ready."),
		refused: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "stripchart_samples_refused_total", Help: "Samples refused, by reason.",
		}, []string{"reason"}),
		series:         gauge("stripchart_series", "Series written to in the last hour."),
		rooms:          gauge("stripchart_rooms", "Open rooms."),
		viewers:        gauge("stripchart_viewers", "Viewers, one for each room of each connection."),
		ringBatches:    gauge("stripchart_ring_batches", "Batches in the ring."),
		ringBytes:      gauge("stripchart_ring_bytes", "Bytes in the ring."),
		join:           histogram("stripchart_join_seconds", "Time from a viewer's request to its bootstrap being written.", 0.0005),
		feeds:          gauge("stripchart_catalogues", "Catalogues with different selectors that are watched."),
		searching:      gauge("stripchart_queries_searching", "Queries of rooms and catalogues that were last seen to be compared with series."),
		searchCost:     gauge("stripchart_queries_regex_cost", "Instructions of the regular expressions of all rooms and catalogues, about; 1,000,000 at most."),
		roomsRefused:   counter("stripchart_rooms_refused_total", "Rooms that were not opened because there are too many, or their regular expressions are too large together."),
		searchesFailed: counter("stripchart_queries_too_slow_total", "Queries that could not be compared with all series in 30 s, and were refused."),
		lockHeld:       histogram("stripchart_lock_held_seconds", "Time for which the lock that all updates and writes wait for was held.", 0.00001),
		apply:          histogram("stripchart_apply_seconds", "Time to apply one batch.", 0.00002),
	}
	reg.MustRegister(m.refused, m.gaps)
	for _, reason := range []string{wire.GapLogTrimmed, wire.GapLogLost, wire.GapSourceDropped, wire.GapDamaged} {
		m.gaps.WithLabelValues(reason)
	}
	for _, reason := range []string{refusedTooOld, refusedTooNew, refusedDuplicate, refusedOrder} {
		m.refused.WithLabelValues(reason)
	}
	return m
}

// ring publishes the ring's size.
func (m *metrics) ring(r *ring) {
	m.ringBatches.Set(float64(len(r.entries)))
	m.ringBytes.Set(float64(r.bytes))
}
