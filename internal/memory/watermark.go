package memory

import (
	"context"
	"log/slog"
	"math"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

const (
	// highAt and lowAt are the shares of the bound at which High begins and ends.
	highAt, lowAt = 0.80, 0.70
	// collectAt is the share of the bound that Go's collector keeps below. It is above
	// highAt, so that what is in use, which is known after a collection, can be seen to reach that.
	collectAt = 0.85

	measureEvery = 200 * time.Millisecond
	// collectEvery is how often the collector is run while High.
	collectEvery = 5 * time.Second
)

// Watermark tells when memory is short. Make it with New.
type Watermark struct {
	bound int64
	log   *slog.Logger
	high  atomic.Bool
	inUse atomic.Int64

	// Of Run, and of tests.
	measure   func() int64
	collect   func()
	collected time.Time
}

// New makes a watermark for a bound in bytes, and tells Go's collector of it. A bound
// of math.MaxInt64 is none.
func New(bound int64, log *slog.Logger) *Watermark {
	if bound < math.MaxInt64 {
		debug.SetMemoryLimit(share(bound, collectAt))
	}
	return &Watermark{bound: bound, log: log, measure: newMeter().inUse, collect: runtime.GC}
}

func share(bound int64, of float64) int64 { return int64(float64(bound) * of) }

// Bound returns the bound.
func (w *Watermark) Bound() int64 { return w.bound }

// High reports whether nothing should begin that holds more memory.
func (w *Watermark) High() bool { return w.high.Load() }

// Run measures until ctx ends.
func (w *Watermark) Run(ctx context.Context) {
	ticker := time.NewTicker(measureEvery)
	defer ticker.Stop()
	for {
		w.look()
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
	}
}

// look measures once.
func (w *Watermark) look() {
	n := w.measure()
	w.inUse.Store(n)
	if w.bound == math.MaxInt64 {
		return
	}
	switch high := w.high.Load(); {
	case !high && n >= share(w.bound, highAt):
		w.high.Store(true)
		w.log.Warn("memory is short: no page can join and no new series is taken, until it is not", "in_use", n, "bound", w.bound)
	case high && n < share(w.bound, lowAt):
		w.high.Store(false)
		w.log.Info("there is memory again", "in_use", n)
	case high && time.Since(w.collected) >= collectEvery:
		w.collected = time.Now()
		w.collect()
	}
}

// meter reads what of the process's memory is in use.
type meter struct{ samples []metrics.Sample }

func newMeter() *meter {
	m := &meter{}
	for _, name := range []string{
		"/memory/classes/total:bytes", "/memory/classes/heap/released:bytes", "/memory/classes/heap/free:bytes",
		"/memory/classes/heap/objects:bytes", "/gc/heap/live:bytes",
	} {
		m.samples = append(m.samples, metrics.Sample{Name: name})
	}
	return m
}

// inUse returns the bytes that Go has from the system, less those that are released or free.
// Of the heap's objects it counts those that the last collection found in use.
func (m *meter) inUse() int64 {
	metrics.Read(m.samples)
	v := func(i int) int64 { return int64(m.samples[i].Value.Uint64()) }
	total, released, free, objects, live := v(0), v(1), v(2), v(3), v(4)
	return total - released - free - objects + min(live, objects)
}

// Describe implements prometheus.Collector.
func (w *Watermark) Describe(out chan<- *prometheus.Desc) { out <- inUseDesc; out <- highDesc }

var (
	inUseDesc = prometheus.NewDesc("stripchart_memory_in_use_bytes", "Memory in use after the last collection. At four fifths of stripchart_limit{limit=\"memory_bytes\"} nobody can join.", nil, nil)
	highDesc  = prometheus.NewDesc("stripchart_memory_short", "1 while memory is short: no page can join, no new series is taken.", nil, nil)
)

// Collect implements prometheus.Collector.
func (w *Watermark) Collect(out chan<- prometheus.Metric) {
	high := 0.0
	if w.High() {
		high = 1
	}
	out <- prometheus.MustNewConstMetric(inUseDesc, prometheus.GaugeValue, float64(w.inUse.Load()))
	out <- prometheus.MustNewConstMetric(highDesc, prometheus.GaugeValue, high)
}
