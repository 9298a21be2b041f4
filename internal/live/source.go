package live

import (
	"cmp"
	"maps"
	"slices"

	"stripchart/internal/bus"
	"stripchart/internal/wire"
)

// source is a publisher whose batches are numbered. Guarded by Hub.mu.
type source struct {
	id       string
	seq      uint64 // highest sequence number that was applied, in any epoch
	epochSeq uint64 // highest one in this epoch of the log
	sentT    int64  // newest time in batch seq, accepted or not, Unix ms
	lastT    int64  // newest accepted time in the last batch that had one, Unix ms; unknownTime
	heardAt  int64  // log time of its last batch, Unix ms
	here     bool   // heard by this process
	// heardSince is the newest loss of the log after which it was heard; nil: none.
	heardSince *loss
	// back is by how much its samples were older than what it had written before of
	// their series: nothing, for one whose clock goes forward and that sends in order.
	back reach
	// lag is by how much a series was older than the newest one beside it in a batch: a
	// batch that holds only the former was measured that much later than it tells.
	lag    reach
	series map[*series]struct{} // that it was the last to write
	// hole is what was missing lately. Series that the source had not written before, or
	// not since this process began, become known as its own only when it writes them.
	hole *hole
	// gapsDeclared is what Hub.gapsDeclared was when its newest gap was declared.
	gapsDeclared uint64
}

// hole is what a source lacked lately: of one hole, or of several in a row.
type hole struct {
	reason string
	bound  int64 // as in missing; Unix ms
	to     int64
	// told are the series for which it was declared, by their hashes, where this process
	// did not know the source's series before. A series that is known as the source's own
	// has been judged with the hole.
	told map[uint64]struct{}
}

// widen makes one hole of x, which may be nil, and of a newer one.
func (x *hole) widen(newer *hole) *hole {
	if x == nil || newer.bound > x.to+holePatience {
		return newer
	}
	newer.bound, newer.to = min(x.bound, newer.bound), max(x.to, newer.to)
	if x.told != nil {
		maps.Copy(x.told, newer.told)
		newer.told = x.told
	}
	return newer
}

// holePatience is how long after a hole a series that its source writes may have
// been missing in it, in ms by the source's times: one that was not written for longer
// is taken for a new one.
const holePatience = 600_000

// reachOfSource is for how long it counts, in ms, that the samples of a source went back or
// lagged: a clock that was set once must not make its gaps long for days.
const reachOfSource = 600_000

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

// maxJump is by how much a source's number may exceed the one before. A batch whose
// number is further ahead is taken for one without a number: it would silence its source,
// whose next numbers would all be taken for old ones.
const maxJump = 1 << 40

// of returns the source of b, nil for a writer without a sequence.
func (x sources) of(b *bus.Batch) *source {
	if b.Source == "" || b.Seq == 0 {
		return nil
	}
	s := x[b.Source]
	if s == nil {
		s = &source{id: b.Source, sentT: unknownTime, lastT: unknownTime, series: map[*series]struct{}{}}
		x[b.Source] = s
	}
	if s.known() && b.Seq > s.seq && b.Seq-s.seq > maxJump {
		return nil
	}
	return s
}

// wroteBy notes who was the last to write s; nil: nobody with a sequence, or nobody any
// more. The caller holds Hub.mu.
func (s *series) wroteBy(x *source) {
	if s.source == x {
		return
	}
	if s.source != nil {
		delete(s.source.series, s)
	}
	if s.source = x; x != nil {
		x.series[s] = struct{}{}
	}
}

// isCopy reports whether everything in b was in this epoch's log before. What
// the log of an epoch before held is no copy in this sense: a page that comes from
// another server, which did not see that log's end, needs it from the ring.
//
// The number alone does not tell. A source whose spool was restored from a backup
// uses numbers twice, and what it has measured since would be skipped without a
// word: it is newer than all that was heard of it. (A copy of a spool on another
// machine is another source: see package spool.)
func (s *source) isCopy(b *bus.Batch) bool { return b.Seq <= s.epochSeq && newestOf(b) <= s.sentT }

// newestOf returns the newest time in b, Unix ms; unknownTime without samples. It
// is when the batch was measured: others in it may be late. Of a merged batch, when
// the last was.
func newestOf(b *bus.Batch) int64 {
	newest := int64(unknownTime)
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
	if s.known() || b.Dropped == 0 || b.Dropped >= b.First() {
		return
	}
	s.seq, s.heardAt = b.First()-b.Dropped-1, logTime
	if b.DroppedAfter != 0 { // known
		s.lastT = b.DroppedAfter
	}
}

// jumps reports whether batches before b are missing for good: those of one source
// arrive in order.
func (s *source) jumps(b *bus.Batch) bool { return s.known() && b.First() > s.seq+1 }

// took notes that a batch was applied. The caller holds Hub.mu.
func (s *source) took(a *application) {
	s.epochSeq = max(s.epochSeq, a.batch.Seq)
	s.heardAt, s.here = a.logTime, true
	if a.batch.Seq < s.seq {
		return
	}
	s.seq = a.batch.Seq
	if t := newestOf(a.batch); t != unknownTime {
		s.sentT = t
	}
	if a.newest == unknownTime {
		return
	}
	s.lastT = a.newest
	lag := int64(0)
	for i := range a.incoming {
		if x := a.incoming[i].samples; len(x) > 0 {
			lag = max(lag, a.newest-x[len(x)-1].T)
		}
	}
	s.lag.see(lag, a.logTime, reachOfSource)
}

// judgeSource finds out what is missing before a batch of a source, whose number jumps.
// Of each series it is what lies between the newest times that were accepted of it in
// the batches before and in this one, and at these two. The newest accepted time in the
// last batch that held the series counts, not the newest ever: the source's clock may
// have been ahead. What was refused is not missing and bounds nothing.
//
// Where the batch has nothing newer of a series than what came before, it does not say
// until when something is missing: it holds late samples only, or the clock was set
// back. Then the log's times do. The caller holds h.mu.
func (h *Hub) judgeSource(a *application) {
	s, b := a.source, a.batch
	if s == nil {
		return
	}
	h.alsoMissing(a)
	since := h.lacksFrom(a)
	if since == unknownTime {
		return
	}
	l := h.loss
	m := absence{reason: wire.GapSourceDropped, source: b.Source}
	// Where its source says so, it is not the log that lost them.
	if l != nil && s.heardAt <= l.newest && (!s.known() || b.Dropped < b.First()-s.seq-1) {
		m.reason = l.reason
	}
	oldest := a.logTime - h.o.Limits.Window*1000
	bound := max(since, oldest)
	passed := int64(0) // log time since its last batch
	if s.known() {
		passed = max(0, a.logTime-s.heardAt)
	}
	inLog := a.logTime + FutureBound + 1 // nothing in the log before b is newer
	measured := a.newest                 // when b was, at the latest
	if measured != unknownTime {
		measured = min(measured+s.lag.most(), inLog-1)
	}
	add := func(x *series, newest int64) {
		y := missing{hash: x.hash, labels: x.labels, after: x.last, bound: bound, early: s.back.most(), to: inLog}
		last := y.after
		if last == unknownTime {
			y.bound -= s.lagAt(a, newest)
			last = y.bound
		}
		switch {
		case newest == unknownTime:
		case newest >= last:
			y.to = measured + 1
		default:
			y.bound = min(bound, newest-passed)
		}
		m.series = append(m.series, y)
	}
	m.series = make([]missing, 0, len(a.incoming)+len(s.series))
	inBatch := make(map[*series]bool, len(a.incoming))
	for i := range a.incoming {
		in := &a.incoming[i]
		newest := a.newest
		if n := len(in.samples); n > 0 {
			newest = in.samples[n-1].T
		}
		add(in.series, newest)
		inBatch[in.series] = true
	}
	// A source does not write all its series every time.
	for x := range s.series {
		if !inBatch[x] {
			add(x, a.newest)
		}
	}
	last, first := s.seq, b.First()
	m.declared = func() {
		x := &hole{reason: m.reason, bound: bound, to: inLog}
		if measured > bound {
			x.to = measured + 1
		}
		if !s.here {
			x.told = map[uint64]struct{}{}
			for i := range m.series {
				x.told[m.series[i].hash] = struct{}{}
			}
		}
		s.hole = s.hole.widen(x)
		h.log.Warn("batches of a source are missing", "source", b.Source, "last", last, "next", first, "reason", m.reason)
		h.metrics.missing.Add(float64(first - last - 1))
	}
	a.absences = append(a.absences, m)
}

// lagAt returns by how much a series is behind the newest of its source when its newest
// time in a batch is t: what began in a hole began earlier by that. The caller holds h.mu.
func (s *source) lagAt(a *application, t int64) int64 {
	if t == unknownTime {
		return 0
	}
	return max(0, max(a.newest, s.lastT)-t)
}

// lacksFrom returns when what is missing before a batch of a source begins at the latest,
// unknownTime when nothing is, or nobody knows. The caller holds h.mu.
func (h *Hub) lacksFrom(a *application) int64 {
	s, b, l := a.source, a.batch, h.loss
	switch {
	case !s.known() && l != nil && b.First() > 1 && a.logTime <= max(l.to, l.until.Ms)+holePatience:
		// It is new since the log has lost something, and this is not its first batch.
		return l.from - lossMargin
	case !s.jumps(b):
		return unknownTime
	case s.lastT != unknownTime:
		if b.Dropped > 0 && b.DroppedAfter != 0 {
			return min(s.lastT, b.DroppedAfter)
		}
		return s.lastT
	case s.here || b.Dropped == 0:
		// Nothing of it was ever accepted. What is missing came after its last batch.
		return s.heardAt - lossMargin
	}
	return unknownTime // it does not know since when
}

// alsoMissing finds those series of a batch that are seen only now to be its source's,
// and so lack what it lacked when this process first heard of it. The caller holds h.mu.
func (h *Hub) alsoMissing(a *application) {
	s := a.source
	if s.hole == nil {
		return
	}
	if a.newest > s.hole.to+holePatience {
		s.hole = nil
		return
	}
	m := absence{reason: s.hole.reason, source: s.id}
	for i := range a.incoming {
		x := a.incoming[i].series
		samples := a.incoming[i].samples
		if _, told := s.hole.told[x.hash]; told || x.source != nil || len(samples) == 0 {
			continue
		}
		m.series = append(m.series, missing{
			hash: x.hash, labels: x.labels, after: x.last, bound: s.hole.bound - s.lagAt(a, samples[len(samples)-1].T),
			early: s.back.most(), to: s.hole.to,
		})
	}
	if len(m.series) == 0 {
		return
	}
	if told := s.hole.told; told != nil {
		m.declared = func() {
			for i := range m.series {
				told[m.series[i].hash] = struct{}{}
			}
		}
	}
	a.absences = append(a.absences, m)
}
