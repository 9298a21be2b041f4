package scrape

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"stripchart/internal/bus"
	"stripchart/internal/schedule"
)

// Bounds, also in /metrics.
const (
	MaxTargets = 64
	MaxSeries  = 10_000        // of one answer
	MaxKnown   = 2 * MaxSeries // different ones of one target, in an hour
	MaxBody    = 16 << 20      // bytes of an answer, decompressed
	// maxKnownBytes bounds what the labels of those occupy.
	maxKnownBytes = 16 << 20
	// maxBadLines bounds the lines that cannot be read; an answer with more of them is not in the
	// format.
	maxBadLines = 1_000
)

// Options of New.
type Options struct {
	Targets []Target
	// Behind and Ahead say which times that a target names are accepted.
	Behind, Ahead time.Duration
	UserAgent     string
	Logger        *slog.Logger          // nil: none
	Registerer    prometheus.Registerer // nil: none
}

// Scraper reads its targets; see the package comment.
type Scraper struct {
	targets []*target
	client  *http.Client
}

// New returns a Scraper that does nothing until Run.
func New(o Options) (*Scraper, error) {
	if err := Check(o.Targets); err != nil {
		return nil, err
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	m, err := newMetrics(o.Registerer)
	if err != nil {
		return nil, err
	}
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.MaxIdleConnsPerHost = len(o.Targets)
	transport.MaxResponseHeaderBytes = 64 << 10
	s := &Scraper{client: &http.Client{Transport: transport}}
	for _, t := range o.Targets {
		s.targets = append(s.targets, newTarget(t, &o, s.client, m))
	}
	return s, nil
}

// Check returns an error when targets conflict with each other, or are too many.
func Check(targets []Target) error {
	if len(targets) > MaxTargets {
		return fmt.Errorf("%d targets; at most %d are read", len(targets), MaxTargets)
	}
	seen := map[[2]string]bool{}
	for _, t := range targets {
		key := [2]string{t.Job, t.Instance}
		if seen[key] {
			return fmt.Errorf("two targets have the labels job=%q and instance=%q; give one of them a name with ,name=", t.Job, t.Instance)
		}
		seen[key] = true
	}
	return nil
}

// Run reads the targets until ctx ends, and gives each answer to queue as a batch.
func (s *Scraper) Run(ctx context.Context, queue func(*bus.Batch)) {
	var all sync.WaitGroup
	for _, t := range s.targets {
		all.Go(func() { t.run(ctx, queue) })
	}
	all.Wait()
	s.client.CloseIdleConnections()
}

// run reads one target at its ticks.
func (t *target) run(ctx context.Context, queue func(*bus.Batch)) {
	now := time.Now().UnixNano()
	ticks := schedule.New(t.Interval, now)
	timer := time.NewTimer(ticks.Sleep(now))
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-timer.C:
		}
		tick, ok, skipped := ticks.Due(time.Now().UnixNano())
		t.metrics.skipped.Add(float64(skipped))
		if ok {
			if b := t.scrape(ctx, tick/int64(time.Millisecond)); b != nil {
				queue(b)
			}
		}
		timer.Reset(ticks.Sleep(time.Now().UnixNano()))
	}
}
