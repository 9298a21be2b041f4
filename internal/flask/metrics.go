package flask

import (
	"errors"

	"github.com/prometheus/client_golang/prometheus"
)

// metrics are the Listener's own, for /metrics.
type metrics struct {
	samples       prometheus.Counter
	refused       *prometheus.CounterVec // by reason
	subscriptions prometheus.Counter
	connected     prometheus.Gauge
}

func newMetrics(r prometheus.Registerer) (*metrics, error) {
	counter := func(name, help string) prometheus.Counter {
		return prometheus.NewCounter(prometheus.CounterOpts{Name: "stripchart_flask_" + name, Help: help})
	}
	m := &metrics{
		samples: counter("samples_total", "Samples of updates that Flask-SocketIO published (--from-flask)."),
		refused: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "stripchart_flask_refused_total", Help: "Messages that Flask-SocketIO published, or points of them, that were not taken, by reason.",
		}, []string{"reason"}),
		subscriptions: counter("subscriptions_total", "Times that Redis confirmed that it is listened to. What is published between two of them is lost."),
		connected: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "stripchart_flask_connected", Help: "1 while the channel of Flask-SocketIO is listened to.",
		}),
	}
	for _, reason := range []string{notUnderstood, notForAll, otherEvent, otherShape, badTime, badValue, tooOld, tooNew, tooLarge} {
		m.refused.WithLabelValues(reason) // shown as 0
	}
	if r == nil {
		return m, nil
	}
	var errs []error
	for _, c := range []prometheus.Collector{m.samples, m.refused, m.subscriptions, m.connected} {
		errs = append(errs, r.Register(c))
	}
	return m, errors.Join(errs...)
}
