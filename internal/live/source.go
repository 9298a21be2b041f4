package live

import (
	"cmp"
	"maps"
	"math"
	"slices"

	"github.com/prometheus/prometheus/model/labels"

	"stripchart/internal/bus"
	"stripchart/internal/wire"
)

// source is a publisher whose batches are numbered. Guarded by Hub.mu.
type source struct {
	seq      uint64 // highest sequence number that was applied, in any epoch
	epochSeq uint64 // highest one in this epoch of the log
	lastT    int64  // newest time in batch seq, Unix ms
	heardAt  int64  // log time of its last batch, Unix ms
	here     bool   // heard by this process
	// hole is the gap that was found when this process first heard of the source. Which
	// other series are its is only seen when it writes them.
	hole *gap
}

// holePatience is how long after a hole a series that its source writes may have
// been missing in it, in ms by the source's times: one that was not written for longer
// is taken for a new one.
const holePatience = 600_000

// sources are the publishers by their ids.
type sources map[string]*source

// maxSources bounds the sources that are remembered: their names come from outside.
// Those that were not heard of for the longest time go first; they are then judged
// like new ones.
const maxSources = 1 << 16

// forget drops who was not heard of since oldest, and whom there is no room for.
func (x sources) forget(oldest int64) {
	maps.DeleteFunc(x, func(_ string, s *source) bool { return s.heardAt < oldest })
	if len(x) <= maxSources {
		return
	}
	ids := slices.SortedFunc(maps.Keys(x), func(a, b string) int { return cmp.Compare(x[a].heardAt, x[b].heardAt) })
	for _, id := range ids[:len(ids)-maxSources] {
		delete(x, id)
	}
}

// newEpoch forgets what the log held: the same batches may come again.
func (x sources) newEpoch() {
	for _, s := range x {
		s.epochSeq = 0
	}
}

// of returns the source of b, nil for a writer without a sequence.
func (x sources) of(b *bus.Batch) *source {
	if b.Source == "" || b.Seq == 0 {
		return nil
	}
	s := x[b.Source]
	if s == nil {
		s = &source{lastT: math.MinInt64}
		x[b.Source] = s
	}
	return s
}

// isCopy reports whether everything in b was in this epoch's log before. What
// the log of an epoch before held is no copy in this sense: a page that comes from
// another server, which did not see that log's end, needs it from the ring.
//
// The number alone does not tell. A source whose spool was restored from a backup
// uses numbers twice, and what it has measured since would be skipped without a
// word: it is newer than all that was heard of it. (A copy of a spool on another
// machine is another source: see package spool.)
func (s *source) isCopy(b *bus.Batch) bool { return b.Seq <= s.epochSeq && newestOf(b) <= s.lastT }

// newestOf returns the newest time in b, Unix ms; math.MinInt64 without samples. It
// is when the batch was measured: others in it may be late. Of a merged batch, when
// the last was.
func newestOf(b *bus.Batch) int64 {
	newest := int64(math.MinInt64)
	for i := range b.Series {
		if n := len(b.Series[i].Samples); n > 0 {
			newest = max(newest, b.Series[i].Samples[n-1].T)
		}
	}
	return newest
}

// known reports whether it is known up to where the source was heard.
func (s *source) known() bool { return s.heardAt > 0 }

// recall takes up what b says of a source that is not known here: a log in memory
// has begun anew, and its source dropped batches before it could send again. Without
// that a source may have begun anywhere.
func (s *source) recall(b *bus.Batch, logTime int64) {
	if !s.known() && b.Dropped > 0 {
		s.seq, s.heardAt = b.First()-b.Dropped-1, logTime
		if b.DroppedAfter != 0 { // known
			s.lastT = b.DroppedAfter
		}
	}
}

// jumps reports whether batches before b are missing for good: those of one source
// arrive in order.
func (s *source) jumps(b *bus.Batch) bool { return s.known() && b.First() > s.seq+1 }

// took notes that b was applied.
func (s *source) took(b *bus.Batch, logTime int64) {
	if b.Samples() == 0 && s.jumps(b) {
		return // it does not say until when samples are missing; the next one does
	}
	s.epochSeq = max(s.epochSeq, b.Seq)
	s.heardAt, s.here = logTime, true
	if b.Seq < s.seq {
		return
	}
	s.seq = b.Seq
	if t := newestOf(b); t != math.MinInt64 {
		s.lastT = t
	}
}

// alsoMissing returns the gap of those parts' series that are seen only now to be the
// source's, and so lack what it lacked when this process first heard of it. The
// caller holds h.mu.
func (h *Hub) alsoMissing(s *source, b *bus.Batch, parts []part) *gap {
	if s == nil || s.hole == nil {
		return nil
	}
	if newestOf(b) > s.hole.to+holePatience {
		s.hole = nil
		return nil
	}
	g := &gap{from: s.hole.from, to: s.hole.to, reason: s.hole.reason, series: map[string]labels.Labels{}}
	for _, p := range parts {
		key := string(h.index.key(p.series.labels))
		if _, told := s.hole.series[key]; !told && p.series.source == nil {
			g.series[key] = p.series.labels
		}
	}
	if len(g.series) == 0 {
		return nil
	}
	return g
}

// missingBefore declares what is missing before b, whose number jumps: what lies
// between the newest times of the batch before and of b, and at these two, since a
// source may publish what it measured at one time in several batches. Not the newest
// time ever heard of the source, because its clock may have been ahead; nor the oldest
// in b, which may be late. What is outside of any window, or would not be accepted, is
// not missing: the times come from outside. The caller holds h.mu.
func (h *Hub) missingBefore(s *source, b *bus.Batch, logTime int64) *gap {
	next := newestOf(b)
	if next == math.MinInt64 || s.lastT == math.MinInt64 {
		return nil // nothing to stand between
	}
	oldest, newest := logTime-h.o.Limits.Window*1000, logTime+FutureBound
	from, to := max(min(s.lastT, next)-1, oldest), min(max(s.lastT, next)+1, newest)
	if from >= to {
		return nil
	}
	g := &gap{from: from, to: to, reason: wire.GapSourceDropped, series: map[string]labels.Labels{}}
	// Where its source says so, it is not the log that lost them.
	if missing := b.First() - s.seq - 1; h.loss != nil && s.heardAt <= h.loss.newest && b.Dropped < missing {
		g.reason = h.loss.reason
	}
	for i := range b.Series {
		ls := b.Series[i].Labels
		g.series[string(h.index.key(ls))] = ls
	}
	// A source does not write all its series every time.
	for key, x := range h.index.byKey {
		if x.source == s {
			g.series[key] = x.labels
		}
	}
	if !s.here {
		s.hole = g
	}
	h.log.Warn("batches of a source are missing", "source", b.Source, "last", s.seq, "next", b.First(), "reason", g.reason)
	h.metrics.missing.Add(float64(b.First() - s.seq - 1))
	return g
}
