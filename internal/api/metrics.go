package api

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

type metrics struct {
	requests *prometheus.CounterVec
	seconds  *prometheus.HistogramVec
}

func newMetrics(r prometheus.Registerer, a *API) (*metrics, error) {
	m := &metrics{
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "stripchart_api_requests_total", Help: "Requests for the Prometheus HTTP API, by endpoint and by what was answered: success, or the type of the error.",
		}, []string{"endpoint", "answer"}),
		seconds: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "stripchart_api_request_seconds", Help: "Time of requests for the Prometheus HTTP API, their wait for their turn and the sending of the answer included.",
			Buckets: []float64{.001, .01, .1, 1, 10, 100},
		}, []string{"endpoint"}),
	}
	if r == nil {
		return m, nil
	}
	for _, c := range []prometheus.Collector{m.requests, m.seconds, prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "stripchart_api_answer_bytes", Help: "Bytes of answers of the Prometheus HTTP API that are being sent.",
	}, func() float64 { return float64(a.waiting.bytes.Load()) }), prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "stripchart_api_exports", Help: "Exports that are under way.",
	}, func() float64 { return float64(len(a.exporting)) })} {
		if err := r.Register(c); err != nil {
			return nil, err
		}
	}
	return m, nil
}

func (m *metrics) answered(endpoint, answer string, took time.Duration) {
	m.requests.WithLabelValues(endpoint, answer).Inc()
	m.seconds.WithLabelValues(endpoint).Observe(took.Seconds())
}
