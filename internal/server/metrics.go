package server

import (
	"math"

	"github.com/prometheus/client_golang/prometheus"

	"stripchart/internal/socketio"
)

// socketMetrics exports the statistics of the Socket.IO server, and all bounds. It
// implements prometheus.Collector.
type socketMetrics struct {
	sockets *socketio.Server
	bounds  map[string]float64 // without those of Socket.IO
	figures []figure
	closed  *prometheus.Desc
	refused *prometheus.Desc
	limit   *prometheus.Desc
}

type figure struct {
	desc  *prometheus.Desc
	kind  prometheus.ValueType
	value func(*socketio.Stats) float64
}

func newSocketMetrics(s *socketio.Server, bounds map[string]float64) *socketMetrics {
	m := &socketMetrics{
		sockets: s, bounds: bounds,
		closed:  prometheus.NewDesc("stripchart_connections_closed_total", "Connections that ended, by reason.", []string{"reason"}, nil),
		refused: prometheus.NewDesc("stripchart_connections_refused_total", "Requests for a connection that were refused, by the answer.", []string{"answer"}, nil),
		limit:   prometheus.NewDesc("stripchart_limit", "Bounds that are kept, +Inf for none: see the flags of --help.", []string{"limit"}, nil),
	}
	add := func(kind prometheus.ValueType, name, help string, value func(*socketio.Stats) float64) {
		m.figures = append(m.figures, figure{prometheus.NewDesc(name, help, nil, nil), kind, value})
	}
	const gauge, counter = prometheus.GaugeValue, prometheus.CounterValue
	add(gauge, "stripchart_connections", "Open Socket.IO connections.", func(s *socketio.Stats) float64 { return float64(s.Connections) })
	add(gauge, "stripchart_connections_polling", "Of them, those that use HTTP long-polling.", func(s *socketio.Stats) float64 { return float64(s.Polling) })
	add(gauge, "stripchart_connections_joining", "Of those that poll, the ones that have not joined a namespace yet; the oldest makes room when they are too many.", func(s *socketio.Stats) float64 { return float64(s.Joining) })
	add(counter, "stripchart_connections_opened_total", "Connections that were opened.", func(s *socketio.Stats) float64 { return float64(s.Opened) })
	add(counter, "stripchart_sent_packets_total", "Packets sent to connections.", func(s *socketio.Stats) float64 { return float64(s.PacketsOut) })
	add(counter, "stripchart_sent_bytes_total", "Bytes sent to connections.", func(s *socketio.Stats) float64 { return float64(s.BytesOut) })
	add(counter, "stripchart_sent_writes_total", "System calls, and answers to polls, in which they were sent.", func(s *socketio.Stats) float64 { return float64(s.Writes) })
	add(counter, "stripchart_packets_queued_total", "Packets that a socket did not take at once.", func(s *socketio.Stats) float64 { return float64(s.Queued) })
	add(counter, "stripchart_packets_dropped_total", "Writes refused because a connection's queue was full; its viewers continue from their cursors.", func(s *socketio.Stats) float64 { return float64(s.Refused) })
	add(counter, "stripchart_connections_slowed_total", "Times that a connection sent more messages than its budget and was read slowly.", func(s *socketio.Stats) float64 { return float64(s.Slowed) })
	add(gauge, "stripchart_output_bytes", "Bytes queued on all connections; what several are sent counts once.", func(s *socketio.Stats) float64 { return float64(s.QueuedBytes) })
	add(counter, "stripchart_events_received_total", "Events received from pages.", func(s *socketio.Stats) float64 { return float64(s.EventsIn) })
	return m
}

// Describe implements prometheus.Collector.
func (m *socketMetrics) Describe(out chan<- *prometheus.Desc) {
	for _, f := range m.figures {
		out <- f.desc
	}
	out <- m.closed
	out <- m.refused
	out <- m.limit
}

// Collect implements prometheus.Collector.
func (m *socketMetrics) Collect(out chan<- prometheus.Metric) {
	s := m.sockets.Stats()
	for _, f := range m.figures {
		out <- prometheus.MustNewConstMetric(f.desc, f.kind, f.value(&s))
	}
	for reason, n := range s.Closed {
		out <- prometheus.MustNewConstMetric(m.closed, prometheus.CounterValue, float64(n), reason)
	}
	for answer, n := range s.Rejected {
		out <- prometheus.MustNewConstMetric(m.refused, prometheus.CounterValue, float64(n), answer)
	}
	for limit, n := range m.bounds {
		out <- prometheus.MustNewConstMetric(m.limit, prometheus.GaugeValue, n, limit)
	}
	c := m.sockets.Config()
	for limit, n := range map[string]float64{
		"connections":             count(c.MaxConns),
		"connections_per_address": count(c.MaxConnsPerAddr),
		"connect_seconds":         c.ConnectTimeout.Seconds(),
		"packet_bytes":            count(c.MaxPayload),
		"events_per_second":       count(c.EventsPerSecond),
		"output_bytes":            count(c.OutputBytes),
		"output_total_bytes":      count(c.TotalOutputBytes),
	} {
		out <- prometheus.MustNewConstMetric(m.limit, prometheus.GaugeValue, n, limit)
	}
}

// count is a bound as a metric.
func count(n int) float64 {
	if n == math.MaxInt {
		return math.Inf(1)
	}
	return float64(n)
}
