package scrape

import (
	"errors"
	"fmt"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// Reasons for which something of an answer is left out.
const (
	leftUnreadable = "unreadable"
	leftLabels     = "invalid_labels"
	leftDuplicate  = "duplicate"
	leftTooOld     = "too_old"
	leftTooNew     = "too_new"
	leftNew        = "new_series"
	leftExemplar   = "exemplar"
)

// quiet is the least time between two log lines of one target about what is left out.
const quiet = time.Minute

// metrics are those of all targets together; up tells about each.
type metrics struct {
	scrapes *prometheus.CounterVec // by result
	leftOut *prometheus.CounterVec // by reason
	skipped prometheus.Counter
	series  prometheus.Gauge
}

// Results of a scrape.
const (
	resultUp   = "up"
	resultDown = "down"
)

func newMetrics(r prometheus.Registerer) (*metrics, error) {
	m := &metrics{
		scrapes: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "stripchart_scrapes_total", Help: "Answers of targets (--scrape), by result: up, or down for a target that could not be read.",
		}, []string{"result"}),
		leftOut: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "stripchart_scrape_left_out_total", Help: "What answers of targets had and was not written, by reason.",
		}, []string{"reason"}),
		skipped: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "stripchart_scrape_skipped_ticks_total", Help: "Ticks at which a target was not asked, because its answer before had not come.",
		}),
		series: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "stripchart_scrape_series", Help: "Series in the newest answers of all targets.",
		}),
	}
	for _, result := range []string{resultUp, resultDown} {
		m.scrapes.WithLabelValues(result) // shown as 0
	}
	for _, reason := range []string{leftUnreadable, leftLabels, leftDuplicate, leftTooOld, leftTooNew, leftNew, leftExemplar} {
		m.leftOut.WithLabelValues(reason)
	}
	if r == nil {
		return m, nil
	}
	limit := func(name, help string, v float64) prometheus.Collector {
		return prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "stripchart_scrape_limit_" + name, Help: help}, func() float64 { return v })
	}
	var errs []error
	for _, c := range []prometheus.Collector{
		m.scrapes, m.leftOut, m.skipped, m.series,
		limit("series", "The most series that an answer may have; a target with more is down.", MaxSeries),
		limit("known_series", "The most series that a target may have in an hour; new ones beyond are left out.", MaxKnown),
		limit("body_bytes", "The most bytes of an answer, decompressed; a target with more is down.", MaxBody),
	} {
		errs = append(errs, r.Register(c))
	}
	return m, errors.Join(errs...)
}

// leaveOut counts what is left out of an answer; says is asked for the first.
func (t *target) leaveOut(reason string, n int, says func() error) {
	t.counts[reason] += n
	if t.left == nil {
		t.left = fmt.Errorf("%s: %w", reason, says())
	}
}

// report logs when the target goes and comes, and what is left out.
func (t *target) report(err error) {
	for reason, n := range t.counts {
		t.metrics.leftOut.WithLabelValues(reason).Add(float64(n))
	}
	switch {
	case err != nil:
		t.metrics.scrapes.WithLabelValues(resultDown).Inc()
		if !t.failing {
			t.log.Warn("a target cannot be read; it is asked again at each tick", "err", err)
		}
	default:
		t.metrics.scrapes.WithLabelValues(resultUp).Inc()
		if t.failing {
			t.log.Info("a target can be read again")
		}
		if now := time.Now(); t.left != nil && now.Sub(t.told) >= quiet {
			t.told = now
			t.log.Warn("something of a target's answer is left out", "first", t.left)
		}
	}
	t.failing = err != nil
}
