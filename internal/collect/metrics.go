package collect

import (
	"errors"

	"github.com/prometheus/client_golang/prometheus"
)

// metrics are the metrics of the collector itself, for /metrics.
type metrics struct {
	published prometheus.Counter
	failures  prometheus.Counter
	dropped   prometheus.Counter
	skipped   prometheus.Counter
	lacking   *prometheus.CounterVec // by probe
	measuring prometheus.Histogram
}

// newMetrics registers the collector's metrics with r, unless it is nil.
func newMetrics(r prometheus.Registerer, q *queue) (*metrics, error) {
	counter := func(name, help string) prometheus.Counter {
		return prometheus.NewCounter(prometheus.CounterOpts{Name: "stripchart_collector_" + name, Help: help})
	}
	gauge := func(name, help string, value func() float64) prometheus.GaugeFunc {
		return prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "stripchart_collector_" + name, Help: help}, value)
	}
	m := &metrics{
		published: counter("published_batches_total", "Batches that the bus acknowledged."),
		failures:  counter("publish_failures_total", "Attempts to publish that failed; the batch is tried again."),
		dropped:   counter("dropped_batches_total", "Batches that were measured and never published, because the queue was full."),
		skipped:   counter("skipped_ticks_total", "Ticks without a measurement, because the process was late by an interval or more."),
		lacking: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "stripchart_collector_probe_failures_total",
			Help: "Readings that failed, by probe.",
		}, []string{"probe"}),
		measuring: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name:    "stripchart_collector_measure_seconds",
			Help:    "Time that one measurement of all series took.",
			Buckets: []float64{.0001, .00025, .0005, .001, .0025, .005, .01, .05, .25, 1},
		}),
	}
	if r == nil {
		return m, nil
	}
	var errs []error
	for _, c := range []prometheus.Collector{
		m.published, m.failures, m.dropped, m.skipped, m.lacking, m.measuring,
		gauge("queue_batches", "Batches that wait to be published.", func() float64 { n, _ := q.held(); return float64(n) }),
		gauge("queue_bytes", "About how many bytes the waiting batches occupy.", func() float64 { _, n := q.held(); return float64(n) }),
		gauge("queue_limit_batches", "The most batches that may wait.", func() float64 { return maxQueuedBatches }),
		gauge("queue_limit_bytes", "The most bytes that waiting batches may occupy.", func() float64 { return maxQueuedBytes }),
	} {
		errs = append(errs, r.Register(c))
	}
	return m, errors.Join(errs...)
}
