package ingest

import "sync"

// stamps gives times to samples that come without one, so that two samples of a series never
// have the same: the second would be taken for a duplicate of the first. It remembers the
// last time of each series in a table of fixed size. Series that share a place in it are a
// millisecond apart at times, and that is all.
type stamps struct {
	mu   sync.Mutex // guards last
	last [4096]int64
}

// maxStampAhead is how many ms the given times may be ahead of the clock.
const maxStampAhead = 1000

// take returns the span of times for n samples of a series, a millisecond apart. They end now
// where that is possible, and begin behind what the series was given before. The span is
// shorter than n where it would lead too far ahead of the clock.
func (s *stamps) take(series uint64, now int64, n int) (from, to int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	last := &s.last[series%uint64(len(s.last))]
	if *last > now+maxStampAhead {
		*last = 0 // the clock was set back
	}
	from = max(now-int64(n)+1, *last+1)
	to = min(from+int64(n)-1, now+maxStampAhead)
	*last = max(*last, to)
	return from, to
}
