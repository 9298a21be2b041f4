package ingest

import (
	"errors"
	"strconv"

	"github.com/prometheus/client_golang/prometheus"
)

// metrics are the Endpoint's own, at /metrics.
type metrics struct {
	requests *prometheus.CounterVec // by format and status code
	samples  *prometheus.CounterVec // by format
	refused  *prometheus.CounterVec // by reason
}

// newMetrics registers the Endpoint's metrics with r, unless it is nil.
func newMetrics(r prometheus.Registerer, l *load, a *admission, t *totals) (metrics, error) {
	m := metrics{
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "stripchart_write_requests_total", Help: "Write requests answered, by format and status code.",
		}, []string{"format", "code"}),
		samples: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "stripchart_write_samples_total", Help: "Samples of write requests that the bus acknowledged, by format.",
		}, []string{"format"}),
		refused: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "stripchart_write_refused_total", Help: "What write requests held and was not written, by reason; their writers were told.",
		}, []string{"reason"}),
	}
	if r == nil {
		return m, nil
	}
	gauge := func(name, help string, value func() float64) prometheus.Collector {
		return prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "stripchart_write_" + name, Help: help}, value)
	}
	var errs []error
	if a.series != nil {
		m.refused.WithLabelValues(refusedMaxSeries) // shown as 0
		m.refused.WithLabelValues(refusedMemory)
		m.refused.WithLabelValues(refusedPace)
		errs = append(errs, r.Register(gauge("series", "Series in memory, as write_series_limit counts them.", func() float64 { return float64(a.series.Count()) })),
			r.Register(gauge("series_limit", "The most series that may be in memory (--max-series); samples of new ones are refused.", func() float64 { return float64(a.max) })),
			r.Register(gauge("new_series", "Series that are new in the present minute.", func() float64 { return float64(a.grown()) })),
			r.Register(gauge("new_series_limit", "The most series that may be new in a minute (--max-new-series); others are told to come again.", func() float64 { return float64(a.pace.max) })))
	}
	for _, c := range []prometheus.Collector{
		m.requests, m.samples, m.refused,
		gauge("totals", "Series of OTLP whose increases are added up.", func() float64 { return float64(t.count()) }),
		gauge("totals_limit", "The most series whose increases may be added up; points of others are refused.", func() float64 { return maxTotals }),
		gauge("in_flight", "Write requests under way whose body has arrived.", func() float64 { n, _ := l.held(); return float64(n) }),
		gauge("in_flight_bytes", "Bytes that all write requests occupy: what has arrived of their bodies, decompressed, and as batches.", func() float64 { _, n := l.held(); return float64(n) }),
		gauge("in_flight_limit", "The most write requests that may be under way; others are answered 429.", func() float64 { return float64(l.maxWrites) }),
		gauge("in_flight_limit_bytes", "The most bytes that they may occupy; others are answered 429.", func() float64 { return float64(l.maxBytes) }),
	} {
		errs = append(errs, r.Register(c))
	}
	return m, errors.Join(errs...)
}

func (m *metrics) answered(f format, status int) {
	m.requests.WithLabelValues(f.name(), strconv.Itoa(status)).Inc()
}

func (m *metrics) wrote(f format, samples int, r Report) {
	m.samples.WithLabelValues(f.name()).Add(float64(samples))
	for _, x := range r.Refused {
		m.refused.WithLabelValues(x.Reason).Add(float64(x.Samples))
	}
	if r.Histograms > 0 {
		m.refused.WithLabelValues("histogram").Add(float64(r.Histograms))
	}
	if r.Exemplars > 0 {
		m.refused.WithLabelValues("exemplar").Add(float64(r.Exemplars))
	}
}
