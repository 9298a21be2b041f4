package apply

import (
	"cmp"
	"maps"
	"slices"

	"stripchart/internal/bus"
	"stripchart/internal/recent"
)

// source is a publisher whose batches are numbered. recent.Log.Mu guards it.
type source struct {
	id       string
	seq      uint64 // highest sequence number that was applied, in any epoch
	epochSeq uint64 // highest one in this epoch of the log
	sentT    int64  // newest time in batch seq, accepted or not, Unix ms
	lastT    int64  // newest accepted time in the last batch that had one, Unix ms; recent.UnknownTime
	front    int64  // when that batch was measured, by the source's clock, Unix ms; lastT or later
	heardAt  int64  // log time of its last batch, Unix ms
	here     bool   // heard by this process
	// heardSince is the newest loss of the log after which it was heard; nil: none.
	heardSince *loss
	// back is by how much its samples were older than what it had written before of
	// their series: nothing, for one whose clock goes forward and that sends in order.
	back reach
	// lag is the greatest distance, in ms, by which a series was behind the newest one of the source. A
	// batch that holds only lagging series was measured later than its times show, by up to the lag.
	lag    reach
	series map[*series]struct{} // that it was the last to write
	// sharedAt is the log time of the newest batch with a series that the source and another writer
	// write; 0: none. Its numbers alone then do not tell what is missing of its series.
	sharedAt int64
	// holes are what was missing lately, the newest last. Series that the source had not written
	// before, or not since this process began, become known as its own only when it writes them.
	holes []*hole
	// gapsDeclared is what declaredGaps.declared was when its newest gap was declared.
	gapsDeclared uint64
}

// reachOfSource is for how long it counts, in ms, that the samples of a source went back or
// lagged: a clock that was set once must not make its gaps long for days.
const reachOfSource = 600_000

// sources are the publishers by their ids.
type sources map[string]*source

// sourceMemory is how long a source's sequence is remembered after its last
// batch, in ms: longer than a spool can hold a batch back.
const sourceMemory = 48 * 3600 * 1000

// maxSources bounds the sources that are remembered: their names come from outside.
// The sources that were not heard for the longest time go first; they are then judged
// like new ones.
const maxSources = 1 << 16

// forget drops the sources that were not heard since oldest, and those for which there is no room.
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

// savedSource is a source in savedProgress. Times are Unix ms.
type savedSource struct {
	Seq      uint64 `json:"seq"`
	EpochSeq uint64 `json:"epoch_seq,omitempty"`
	SentT    *int64 `json:"sent_t,omitempty"` // absent: as LastT
	LastT    int64  `json:"last_t"`
	Back     reach  `json:"back"`
	Lag      reach  `json:"lag"`
	HeardAt  int64  `json:"heard_at"`

	SharedAt int64       `json:"shared_at,omitempty"`
	Holes    []savedHole `json:"holes,omitempty"`
}

// savedHole is a hole in savedSource, without the series for which it was declared: the
// next life finds them anew, and tells their gaps again.
type savedHole struct {
	Reason string `json:"reason"`
	Bound  int64  `json:"bound"` // Unix ms
	Delay  int64  `json:"delay"`
	Shared bool   `json:"shared,omitempty"`
	To     int64  `json:"to"`
}

// restore takes up what save has returned.
func (x sources) restore(saved map[string]savedSource) {
	for id, y := range saved {
		s := &source{
			id: id, seq: y.Seq, epochSeq: y.EpochSeq, sentT: y.LastT, lastT: y.LastT, front: y.LastT, heardAt: y.HeardAt, back: y.Back, lag: y.Lag,
			sharedAt: y.SharedAt, series: map[*series]struct{}{},
		}
		if y.SentT != nil {
			s.sentT = *y.SentT
		}
		for _, h := range y.Holes {
			s.holes = append(s.holes, &hole{reason: h.Reason, bound: h.Bound, delay: h.Delay, shared: h.Shared, to: h.To, told: map[uint64]struct{}{}})
		}
		x[id] = s
	}
}

// save returns the sources in their saved form.
func (x sources) save() map[string]savedSource {
	saved := make(map[string]savedSource, len(x))
	for id, s := range x {
		y := savedSource{Seq: s.seq, EpochSeq: s.epochSeq, SentT: &s.sentT, LastT: s.lastT, HeardAt: s.heardAt, Back: s.back, Lag: s.lag, SharedAt: s.sharedAt}
		for _, h := range s.holes {
			y.Holes = append(y.Holes, savedHole{Reason: h.reason, Bound: h.bound, Delay: h.delay, Shared: h.shared, To: h.to})
		}
		saved[id] = y
	}
	return saved
}

// keep puts s back, which may have been forgotten while its first batch was on its way.
func (x sources) keep(s *source) { x[s.id] = s }

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
		s = &source{id: b.Source, sentT: recent.UnknownTime, lastT: recent.UnknownTime, front: recent.UnknownTime, series: map[*series]struct{}{}}
		x[b.Source] = s
	}
	if s.known() && b.Seq > s.seq && b.Seq-s.seq > maxJump {
		return nil
	}
	return s
}

// wrote notes that s was the last to write x, at a log time. s is nil for a writer without a
// sequence. known says that this process knows who wrote x before.
func (s *source) wrote(x *series, at int64, known bool) {
	if x.source == s {
		return
	}
	if known {
		s.shared(at)
		x.source.shared(at)
	}
	s.has(x)
}

// has notes that x is a series of s, and of no other source; s is nil for a series that leaves the
// index.
func (s *source) has(x *series) {
	if x.source != nil {
		delete(x.source.series, x)
	}
	if x.by(s); s != nil {
		s.series[x] = struct{}{}
	}
}

// isDuplicate reports whether everything in b was in this epoch's log before. A batch that an earlier
// epoch's log held is no duplicate in this sense: a page that comes from another server, which did not
// see that log's end, needs it from the ring.
//
// The number alone is not enough. A source whose spool was restored from a backup uses numbers twice,
// and the samples that it has measured since would be skipped silently. Such a batch is recognized by
// its time, which is newer than all batches of the source before. (A spool that was copied to another
// machine is another source: see package spool.)
func (s *source) isDuplicate(b *bus.Batch) bool { return b.Seq <= s.epochSeq && newestOf(b) <= s.sentT }

// newestOf returns the newest time in b, Unix ms; recent.UnknownTime without samples. The newest time
// is the time at which the batch was measured, since its other samples may be late. For a merged batch
// it is the time of the last part.
func newestOf(b *bus.Batch) int64 {
	newest := int64(recent.UnknownTime)
	for i := range b.Series {
		if n := len(b.Series[i].Samples); n > 0 {
			newest = max(newest, b.Series[i].Samples[n-1].T)
		}
	}
	return newest
}

// known reports whether s.seq is known: the newest number of the source in the log, as of heardAt.
func (s *source) known() bool { return s.heardAt > 0 }

// delay returns how long after it was measured the newest accepted sample of the last batch with one came
// into the log, in ms; 0 where that is not known. It is negative where the source's clock is ahead.
func (s *source) delay() int64 {
	if !s.known() || s.lastT == recent.UnknownTime {
		return 0
	}
	return s.heardAt - s.lastT
}

// recall restores the sequence of an unknown source from what b says of it: a log in memory has begun
// anew, and the source has dropped batches meanwhile. Without Dropped the first number of a source says
// nothing about missing batches.
func (s *source) recall(b *bus.Batch, logTime int64) {
	if s.known() || b.Dropped == 0 || b.Dropped >= b.First() {
		return
	}
	s.seq, s.heardAt = b.First()-b.Dropped-1, logTime
	if b.DroppedAfter != 0 { // known
		s.lastT, s.front = b.DroppedAfter, b.DroppedAfter
	}
}

// jumps reports whether batches before b are missing for good: those of one source
// arrive in order.
func (s *source) jumps(b *bus.Batch) bool { return s.known() && b.First() > s.seq+1 }

// isHeardSince notes that the source was heard after a loss.
func (s *source) isHeardSince(l *loss) { s.heardSince = l }

// heardBy notes that the source was heard at a log time at the latest: the clock of the log before
// was ahead.
func (s *source) heardBy(logTime int64) { s.heardAt = min(s.heardAt, logTime) }

// endHoles ends the time in which a series may turn out to have been missing in a hole that was
// over before oldest.
func (s *source) endHoles(oldest int64) {
	s.holes = slices.DeleteFunc(s.holes, func(h *hole) bool { return h.to < oldest })
}

// shared notes that another writer writes a series of the source too. s may be nil.
func (s *source) shared(at int64) {
	if s != nil {
		s.sharedAt = max(s.sharedAt, at)
	}
}

// shares reports whether other writers have written series of the source lately, at a log time.
func (s *source) shares(at int64) bool { return s.sharedAt > at-holePatience }

// owes notes the count of declared gaps as of the newest gap of the source.
func (s *source) owes(declared uint64) { s.gapsDeclared = declared }

// wentBack notes that the source wrote samples that are older, by so many ms, than what it had
// written before of their series. It may be negative; it reports whether it is not.
func (s *source) wentBack(by, logTime int64) bool {
	if by <= 0 {
		return false
	}
	s.back.see(by, logTime, reachOfSource)
	return true
}

// took notes that a batch was applied. The caller holds recent.Log.Mu.
func (s *source) took(a *application) {
	s.epochSeq = max(s.epochSeq, a.batch.Seq)
	front := s.measuredBy(a)
	s.heardAt, s.here = a.logTime, true
	if a.batch.Seq < s.seq {
		return
	}
	s.seq = a.batch.Seq
	if t := newestOf(a.batch); t != recent.UnknownTime {
		s.sentT = t
	}
	if a.newest == recent.UnknownTime {
		return
	}
	if a.stage != replaying { // the batches that are read again do not tell what was between them
		s.noteLags(a, front)
	}
	s.lastT, s.front = a.newest, front
}

// measuredBy returns when a batch was measured, as far as its times and those of the batches before tell. A
// batch whose times are older than those holds series that lag, unless one of them went back itself: then
// the clock was set, or the samples are late.
func (s *source) measuredBy(a *application) int64 {
	if s.known() && a.newest <= s.front && !a.wentBack {
		return s.front + max(0, a.logTime-s.heardAt)
	}
	return a.newest
}

// noteLags notes by how much the series of a batch lag that was measured at front. A batch with one series
// that is the newest tells nothing of its lag.
func (s *source) noteLags(a *application, front int64) {
	most, n := int64(0), 0
	for i := range a.incoming {
		if x := a.incoming[i].samples; len(x) > 0 {
			most, n = max(most, front-x[len(x)-1].T), n+1
		}
	}
	for i := range a.incoming {
		in := &a.incoming[i]
		if x := in.samples; len(x) > 0 && (n > 1 || most > 0 || in.series.lag >= 0) {
			in.series.lags(front - x[len(x)-1].T)
		}
	}
	s.lag.see(most, a.logTime, reachOfSource)
}

// reach is the greatest distance of two times that was seen lately, in ms: in the last
// span w, and at most two of them back.
type reach struct {
	Now    int64 `json:"now"`
	Before int64 `json:"before,omitempty"` // in the w before Since
	Since  int64 `json:"since"`            // log time, Unix ms
}

// see takes up a distance that was seen at a log time.
func (r *reach) see(distance, logTime, w int64) {
	if age := logTime - r.Since; age >= 2*w {
		*r = reach{Since: logTime}
	} else if age >= w {
		*r = reach{Before: r.Now, Since: logTime}
	}
	r.Now = max(r.Now, distance)
}

// most returns the greatest distance.
func (r *reach) most() int64 { return max(r.Now, r.Before) }

// noteTimes takes up how late the samples of a part are, and the newest of them. The
// caller holds recent.Log.Mu.
func (j *judge) noteTimes(a *application, p *writing) {
	switch s := p.of; {
	case a.source == nil:
		j.late.see(a.logTime-p.Samples[0].T, a.logTime, j.accept)
	case len(p.Fresh) > 0 && s.last != recent.UnknownTime && s.source == a.source:
		a.wentBack = a.source.wentBack(s.last-p.Fresh[0].T, a.logTime) || a.wentBack
	}
	p.of.wrote(p.Samples[len(p.Samples)-1].T, j.losses.count)
}

// took notes that a batch was applied. The caller holds recent.Log.Mu.
func (x *applier) took(a *application) {
	if s := a.source; s != nil {
		if !s.here && x.o.Replica {
			x.ledger.saveSoon() // a source that is not saved tells the next life nothing
		}
		s.took(a)
		x.sources.keep(s)
	}
	x.metrics.batches.Inc()
	x.recent.PublishRing()
	x.progress.advance(a.delivery.Position)
}
