package redisbus

import (
	"errors"

	"github.com/prometheus/client_golang/prometheus"
)

// metrics are the metrics of the bus, for /metrics.
type metrics struct {
	published  prometheus.Counter
	failures   prometheus.Counter
	resent     prometheus.Counter
	forgotten  prometheus.Counter
	malformed  prometheus.Counter
	lost       prometheus.Counter
	trimmed    prometheus.Counter
	publishing prometheus.Histogram
	logBytes   prometheus.Gauge
	logEntries prometheus.Gauge
}

// newMetrics registers the bus's metrics with r, unless it is nil.
func newMetrics(r prometheus.Registerer, b *Bus) (*metrics, error) {
	counter := func(name, help string) prometheus.Counter {
		return prometheus.NewCounter(prometheus.CounterOpts{Name: "stripchart_bus_" + name, Help: help})
	}
	gauge := func(name, help string) prometheus.Gauge {
		return prometheus.NewGauge(prometheus.GaugeOpts{Name: "stripchart_bus_" + name, Help: help})
	}
	reading := func(name, help string, value func() float64) prometheus.Collector {
		return prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "stripchart_bus_" + name, Help: help}, value)
	}
	m := &metrics{
		published: counter("published_total", "Batches that Redis acknowledged."),
		failures:  counter("publish_failures_total", "Batches that Redis did not acknowledge; their sources publish them again."),
		resent:    counter("resent_total", "Acknowledged batches that were sent again after a reconnect, in case Redis had lost them."),
		forgotten: counter("resend_dropped_total", "Acknowledged batches that left the resend window early, because it was full; they would not be sent again."),
		malformed: counter("malformed_entries_total", "Entries of the log with a foreign format in them, or in some of their series."),
		lost:      counter("positions_lost_total", "Readers that found that entries after their position are gone."),
		trimmed:   counter("trimmed_total", "Entries that this server removed from the log, by age or size."),
		publishing: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name:    "stripchart_bus_publish_seconds",
			Help:    "Time until Redis acknowledged a batch.",
			Buckets: []float64{.0001, .00025, .0005, .001, .0025, .005, .01, .025, .05, .1, .25, 1, 5},
		}),
		logBytes:   gauge("log_bytes", "Memory of the log in Redis, as the server that trims last saw it."),
		logEntries: gauge("log_entries", "Entries of the log, as the server that trims last saw it."),
	}
	if r == nil {
		return m, nil
	}
	var errs []error
	for _, c := range []prometheus.Collector{
		m.published, m.failures, m.resent, m.forgotten, m.malformed, m.lost, m.trimmed, m.publishing, m.logBytes, m.logEntries,
		reading("up", "1 while Redis can be used.", func() float64 {
			if b.redis.Status().Connected {
				return 1
			}
			return 0
		}),
		prometheus.NewCounterFunc(prometheus.CounterOpts{Name: "stripchart_bus_reconnects_total", Help: "Connections that were lost and made again."},
			func() float64 { return float64(b.redis.Reconnects()) }),
		reading("queue_bytes", "About how many bytes of batches wait for an acknowledgement.", func() float64 { return float64(b.writer.waiting()) }),
		reading("queue_limit_bytes", "The bound of queue_bytes; at the bound, publishing waits.", func() float64 { return float64(b.writer.limit) }),
	} {
		errs = append(errs, r.Register(c))
	}
	return m, errors.Join(errs...)
}
