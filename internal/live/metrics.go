package live

import (
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"
)

// metrics are the page side's own, at /metrics.
type metrics struct {
	dropped, bootstraps, roomsRefused, searchesFailed prometheus.Counter
	rooms, viewers, catalogues, searching, searchCost prometheus.Gauge
	join                                              prometheus.Histogram
}

func newMetrics(reg prometheus.Registerer) *metrics {
	with := promauto.With(reg)
	counter := func(name, help string) prometheus.Counter {
		return with.NewCounter(prometheus.CounterOpts{Name: name, Help: help})
	}
	gauge := func(name, help string) prometheus.Gauge {
		return with.NewGauge(prometheus.GaugeOpts{Name: name, Help: help})
	}
	return &metrics{
		dropped:    counter("stripchart_viewer_stalls_total", "Times that a viewer was parked because its connection's output queue was full."),
		bootstraps: counter("stripchart_history_reads_total", "Histories read for bootstraps."),
		rooms:      gauge("stripchart_rooms", "Open rooms."),
		viewers:    gauge("stripchart_viewers", "Viewers, one for each room of each connection."),
		join: with.NewHistogram(prometheus.HistogramOpts{
			Name: "stripchart_join_seconds", Help: "Time from a viewer's request to its bootstrap being written.",
			Buckets: prometheus.ExponentialBuckets(0.0005, 4, 9),
		}),
		catalogues:     gauge("stripchart_catalogues", "Catalogues with different selectors that are watched."),
		searching:      gauge("stripchart_queries_searching", "Queries of rooms and catalogues that were last seen to be compared with series."),
		searchCost:     gauge("stripchart_queries_regex_cost", "Instructions of the regular expressions of all rooms and catalogues, about; 1,000,000 at most."),
		roomsRefused:   counter("stripchart_rooms_refused_total", "Rooms that were not opened because there are too many, or their regular expressions are too large together."),
		searchesFailed: counter("stripchart_queries_too_slow_total", "Queries that could not be compared with all series in 30 s, and were refused."),
	}
}
