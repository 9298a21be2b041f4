package store

import (
	"slices"
	"strings"
	"sync"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
)

// metrics are the store's own counters.
type metrics struct {
	committed, duplicate, tooOld prometheus.Counter
	diskFull, failed, reopened   prometheus.Counter
	snapshots                    prometheus.Gauge
}

func newMetrics() *metrics {
	counter := func(name, help string) prometheus.Counter {
		return prometheus.NewCounter(prometheus.CounterOpts{Name: name, Help: help})
	}
	return &metrics{
		committed: counter("stripchart_store_samples_committed_total", "Samples handed to the database in commits that succeeded, identical repetitions included."),
		duplicate: counter("stripchart_store_samples_duplicate_total", "Samples left out because there is another value at their time."),
		tooOld:    counter("stripchart_store_samples_too_old_total", "Samples left out because they are older than the window for late samples."),
		diskFull:  counter("stripchart_store_disk_full_total", "Appends refused because free disk space was below the reserve."),
		failed:    counter("stripchart_store_commits_failed_total", "Commits that failed; the database is opened again after each."),
		reopened:  counter("stripchart_store_reopened_total", "Times the database was closed and opened again after a failed commit."),
		snapshots: prometheus.NewGauge(prometheus.GaugeOpts{Name: "stripchart_store_snapshots_open", Help: "Snapshots open now."}),
	}
}

func (m *metrics) all() []prometheus.Collector {
	return []prometheus.Collector{m.committed, m.duplicate, m.tooOld, m.diskFull, m.failed, m.reopened, m.snapshots}
}

// collectors holds the metrics of one opening of the database. tsdb registers
// them anew at each, and unregisters only some when it closes, which a real
// registry answers with a panic at the second opening.
type collectors struct {
	mu   sync.Mutex // guards list
	list []prometheus.Collector
}

var _ prometheus.Registerer = (*collectors)(nil)

func (c *collectors) Register(x prometheus.Collector) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.list = append(c.list, x)
	return nil
}

func (c *collectors) MustRegister(xs ...prometheus.Collector) {
	for _, x := range xs {
		_ = c.Register(x) // never fails
	}
}

// Unregister leaves x in the list, which goes with the database it is of.
func (*collectors) Unregister(prometheus.Collector) bool { return true }

func (c *collectors) collect(ch chan<- prometheus.Metric) {
	c.mu.Lock()
	list := slices.Clone(c.list)
	c.mu.Unlock()
	for _, x := range list {
		x.Collect(ch)
	}
}

// counter returns a function that reads the counter called name, or nil when
// there is none.
func (c *collectors) counter(name string) func() float64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, x := range c.list {
		descs := make(chan *prometheus.Desc, 16)
		go func() { x.Describe(descs); close(descs) }()
		found := false
		for d := range descs {
			found = found || strings.Contains(d.String(), `"`+name+`"`)
		}
		if found {
			return func() float64 { return readCounter(x) }
		}
	}
	return nil
}

func readCounter(x prometheus.Collector) float64 {
	ch := make(chan prometheus.Metric, 1)
	x.Collect(ch)
	var m dto.Metric
	if err := (<-ch).Write(&m); err != nil {
		return 0
	}
	return m.GetCounter().GetValue()
}

// databaseMetrics hands on the metrics of the database that is open now. It
// describes none beforehand ("unchecked"), because they change with it; such a
// collector cannot be unregistered and stays, empty, after Close.
type databaseMetrics struct{ s *Store }

func (databaseMetrics) Describe(chan<- *prometheus.Desc) {}

func (d databaseMetrics) Collect(ch chan<- prometheus.Metric) {
	d.s.mu.RLock()
	defer d.s.mu.RUnlock()
	if d.s.eng != nil {
		d.s.eng.metrics.collect(ch)
	}
}
