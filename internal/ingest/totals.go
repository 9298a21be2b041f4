package ingest

import (
	"maps"
	"sync"
	"time"
)

// totals turns increases (delta temporality) into counters that grow: pages and PromQL know those alone.
//
// A total begins at 0 when the server starts, or when the series was silent for long; PromQL takes that
// for the reset of a counter. An increase counts once it has been read, even if its request fails
// later: the sender sends the increase again, and its time shows that it is counted already.
type totals struct {
	mu    sync.Mutex // guards what follows
	of    map[string]*total
	bytes int // of its keys
	swept time.Time
}

// total is the running total of one series.
type total struct {
	sum  float64
	time int64 // of the newest increase, Unix ms
	used time.Time
}

const (
	// maxTotals bounds the series with a total, and maxTotalBytes their labels, which are the keys.
	maxTotals     = 100_000
	maxTotalBytes = 32 << 20
	// keepTotal is how long a series may be silent.
	keepTotal = time.Hour
)

func newTotals() *totals { return &totals{of: map[string]*total{}} }

// grow adds an increase at t, and returns the total and "", or why there is none.
func (s *totals) grow(series string, t int64, by float64, now time.Time) (sum float64, refused string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	x := s.of[series]
	if x == nil {
		full := func() bool { return len(s.of) >= maxTotals || s.bytes+len(series) > maxTotalBytes }
		if full() {
			s.forget(now)
		}
		if full() {
			return 0, "no more series of delta temporality can be added up; let the exporter send cumulative ones"
		}
		x = &total{}
		s.of[series] = x
		s.bytes += len(series)
	}
	x.used = now
	switch {
	case t < x.time:
		return 0, "an increase that came after it is in the total already"
	case t > x.time:
		x.sum, x.time = x.sum+by, t
	}
	return x.sum, ""
}

// forget makes room. It looks once a minute at most.
func (s *totals) forget(now time.Time) {
	if now.Sub(s.swept) < time.Minute {
		return
	}
	s.swept = now
	maps.DeleteFunc(s.of, func(series string, x *total) bool {
		silent := now.Sub(x.used) > keepTotal
		if silent {
			s.bytes -= len(series)
		}
		return silent
	})
}

// count returns how many series have a total.
func (s *totals) count() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.of)
}
