package ingest

import (
	"maps"
	"sync"
	"time"
)

// stamps gives times to samples that come without one, so that two samples of a series never
// have the same: the second would be taken for a duplicate of the first. It remembers the
// last time of each series, by its hash.
type stamps struct {
	mu   sync.Mutex // guards last
	last map[uint64]int64
}

const (
	// maxStampAhead is how many ms the given times may be ahead of the clock.
	maxStampAhead = 1000
	// maxStamped bounds the series that are remembered.
	maxStamped = 200_000
)

func newStamps() *stamps { return &stamps{last: map[uint64]int64{}} }

// take returns the span of times for n samples of a series, a millisecond apart. They end now
// where that is possible, and begin behind what the series was given before. The span is
// shorter than n where it would lead too far ahead of the clock.
func (s *stamps) take(series uint64, now int64, n int) (from, to int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	last, known := s.last[series]
	if !known && len(s.last) >= maxStamped {
		s.forget(now)
	}
	if last > now+maxStampAhead {
		last = 0 // the clock was set back
	}
	from = max(now-int64(n)+1, last+1)
	to = min(from+int64(n)-1, now+maxStampAhead)
	s.last[series] = max(last, to)
	return from, to
}

// forget makes room: it forgets the series that were given nothing for a minute, and all if
// those are few, because looking for them at every series would take long.
func (s *stamps) forget(now int64) {
	maps.DeleteFunc(s.last, func(_ uint64, last int64) bool {
		return last < now-time.Minute.Milliseconds() || last > now+maxStampAhead
	})
	if len(s.last) > maxStamped/2 {
		clear(s.last)
	}
}
