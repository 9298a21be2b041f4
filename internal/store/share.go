package store

import (
	"context"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// Share is a part of the history reads that the store allows at once. A read holds a
// querier open, and an open querier holds up compaction, so each has a time limit; and
// each kind of reader has a share of its own, so that none can starve another.
type Share struct {
	slots   chan struct{}
	timeout time.Duration
	waiting atomic.Int64 // reads whose turn has not come
}

const (
	pageReads       = 4
	pageReadTimeout = 5 * time.Second

	defaultQueryReads   = 4
	defaultQueryTimeout = 30 * time.Second
)

// NewShare returns a share of as many reads at once, each of which may take timeout,
// including the time that it waits for its turn.
func NewShare(reads int, timeout time.Duration) *Share {
	return &Share{slots: make(chan struct{}, reads), timeout: timeout}
}

// PageReads is the share of pages: the histories that they join with or ask for.
func (s *Store) PageReads() *Share { return s.pageReads }

// QueryReads is the share of queries over HTTP; see Options.QueryReads.
func (s *Store) QueryReads() *Share { return s.queryReads }

// Reads returns how many reads may be under way at once.
func (s *Share) Reads() int { return cap(s.slots) }

// Timeout returns how long a read may take.
func (s *Share) Timeout() time.Duration { return s.timeout }

// Read calls f when it is its turn. f's context ends with ctx, or when the time is over;
// then Read returns the context's error, if f or its turn did not come to an end before.
func (s *Share) Read(ctx context.Context, f func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	select {
	case s.slots <- struct{}{}:
	default:
		s.waiting.Add(1)
		defer s.waiting.Add(-1)
		select {
		case s.slots <- struct{}{}:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	defer func() { <-s.slots }()
	return f(ctx)
}

// metrics are the share's figures, for the reads of these readers.
func (s *Share) metrics(readers string) []prometheus.Collector {
	gauge := func(name, help string, value func() int) prometheus.Collector {
		return prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: name, Help: help, ConstLabels: prometheus.Labels{"readers": readers}},
			func() float64 { return float64(value()) })
	}
	return []prometheus.Collector{
		gauge("stripchart_store_reads", "Reads of history that are under way.", func() int { return len(s.slots) }),
		gauge("stripchart_store_reads_waiting", "Reads of history that wait for their turn.", func() int { return int(s.waiting.Load()) }),
		gauge("stripchart_store_reads_max", "Reads of history that may be under way at once; more wait.", s.Reads),
	}
}
