package apply

import (
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"

	"stripchart/internal/wire"
)

// metrics are the log side's own, at /metrics.
type metrics struct {
	batches, samples, late, copies, missing, epochs, gapsMerged prometheus.Counter
	gapsKept, gapBytes, behind                                  prometheus.Gauge
	refused, gaps                                               *prometheus.CounterVec
	apply                                                       prometheus.Histogram
}

func newMetrics(reg prometheus.Registerer) *metrics {
	with := promauto.With(reg)
	counter := func(name, help string) prometheus.Counter {
		return with.NewCounter(prometheus.CounterOpts{Name: name, Help: help})
	}
	byReason := func(name, help string) *prometheus.CounterVec {
		return with.NewCounterVec(prometheus.CounterOpts{Name: name, Help: help}, []string{"reason"})
	}
	gauge := func(name, help string) prometheus.Gauge {
		return with.NewGauge(prometheus.GaugeOpts{Name: name, Help: help})
	}
	m := &metrics{
		batches:    counter("stripchart_batches_total", "Batches applied."),
		samples:    counter("stripchart_samples_total", "Samples accepted."),
		late:       counter("stripchart_samples_late_total", "Samples that were looked up in the store because they may have been there already."),
		copies:     counter("stripchart_batches_copied_total", "Batches that a source had published before, and that were skipped."),
		missing:    counter("stripchart_batches_missing_total", "Batches that sources have numbered and that never came: see the declared gaps."),
		epochs:     counter("stripchart_log_epochs_total", "Times that the log was found to have lost its end."),
		gaps:       byReason("stripchart_gaps_total", "Declared gaps, by reason."),
		gapsMerged: counter("stripchart_gaps_merged_total", "Declared gaps that were merged with another one because there were too many, or too many bytes of them."),
		gapsKept:   gauge("stripchart_gaps", "Declared gaps that are kept."),
		gapBytes:   gauge("stripchart_gaps_bytes", "Bytes of the declared gaps that are kept, when they are saved."),
		behind:     gauge("stripchart_log_behind_seconds", "How far the server is behind the log's end as seen at its start; 0 once it is ready."),
		refused:    byReason("stripchart_samples_refused_total", "Samples refused, by reason."),
		apply: with.NewHistogram(prometheus.HistogramOpts{
			Name: "stripchart_apply_seconds", Help: "Time to apply one batch.", Buckets: prometheus.ExponentialBuckets(0.00002, 4, 9),
		}),
	}
	for _, reason := range []string{wire.GapLogTrimmed, wire.GapLogLost, wire.GapSourceDropped, wire.GapDamaged} {
		m.gaps.WithLabelValues(reason)
	}
	for _, reason := range []string{refusedTooOld, refusedTooNew, refusedDuplicate, refusedOrder} {
		m.refused.WithLabelValues(reason)
	}
	return m
}
