package spool

import (
	"errors"

	"github.com/prometheus/client_golang/prometheus"
)

// metrics are the spool's own, for /metrics.
type metrics struct {
	appended        prometheus.Counter
	failures        prometheus.Counter
	sent            prometheus.Counter
	partly          prometheus.Counter
	publishes       prometheus.Counter
	publishFailures prometheus.Counter
	dropped         *prometheus.CounterVec // by reason
}

// newMetrics registers the spool's metrics with r, unless it is nil.
func newMetrics(r prometheus.Registerer, s *Spool) (*metrics, error) {
	counter := func(name, help string) prometheus.Counter {
		return prometheus.NewCounter(prometheus.CounterOpts{Name: "stripchart_spool_" + name, Help: help})
	}
	gauge := func(name, help string, value func() float64) prometheus.GaugeFunc {
		return prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "stripchart_spool_" + name, Help: help}, func() float64 {
			s.mu.Lock()
			defer s.mu.Unlock()
			return value()
		})
	}
	m := &metrics{
		appended:        counter("appended_batches_total", "Batches that were written to the spool."),
		failures:        counter("append_failures_total", "Batches that the disk did not take; they are held in memory, or their writer tries again."),
		sent:            counter("sent_batches_total", "Batches that the bus acknowledged, copies after an error included."),
		partly:          counter("partly_refused_batches_total", "Batches that the bus acknowledged without some of their samples, which it refused for good."),
		publishes:       counter("publishes_total", "Publishes that the bus acknowledged; each may have several batches."),
		publishFailures: counter("publish_failures_total", "Attempts to send that failed; the batches are sent again."),
		dropped: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "stripchart_spool_dropped_batches_total",
			Help: "Batches that will not be sent, by reason: bytes and age are the bounds of the spool.",
		}, []string{"reason"}),
	}
	for _, reason := range []string{"bytes", "age", "refused", "damaged"} {
		m.dropped.WithLabelValues(reason) // shown as 0
	}
	if r == nil {
		return m, nil
	}
	var errs []error
	for _, c := range []prometheus.Collector{
		m.appended, m.failures, m.sent, m.partly, m.publishes, m.publishFailures, m.dropped,
		gauge("bytes", "Size of the spool on disk.", func() float64 { return float64(s.bytes()) }),
		gauge("limit_bytes", "Bound of the size of the spool on disk.", func() float64 { return float64(s.o.MaxBytes) }),
		gauge("waiting_batches", "Sequence numbers that are not acknowledged.", func() float64 { return float64(s.newest - s.sent) }),
		gauge("held_batches", "Batches that neither the disk nor the bus has taken: they end with the process.", func() float64 { return float64(s.countHeld()) }),
		gauge("held_since_seconds", "Unix time since when the disk does not take batches, which are sent from memory; 0 while it does.", func() float64 {
			if s.heldFrom.IsZero() {
				return 0
			}
			return float64(s.heldFrom.UnixMilli()) / 1000
		}),
		gauge("tail_bytes", "About how many bytes the batches that are kept in memory occupy.", func() float64 { return float64(s.tail.bytes) }),
		gauge("tail_limit_bytes", "The most bytes that batches in memory may occupy.", func() float64 { return maxTailBytes }),
	} {
		errs = append(errs, r.Register(c))
	}
	return m, errors.Join(errs...)
}
