package apply

import (
	"maps"

	"stripchart/internal/bus"
	"stripchart/internal/recent"
	"stripchart/internal/wire"
)

// hole is a recent span in which batches of a source are missing. Holes that touch are one hole.
type hole struct {
	reason string
	bound  int64 // as in missing; Unix ms
	delay  int64 // source.delay before it, ms
	shared bool  // other writers had written series of the source; the hole was judged for theirs too
	to     int64
	// told are the series for which it was declared, by their hashes, where this process
	// did not know the source's series before. A series that is known as the source's own
	// has been judged with the hole.
	told map[uint64]struct{}
}

// maxHoles bounds the holes of one source that are remembered.
const maxHoles = 8

// lacked notes a hole in the source's numbers. Holes that touch become one. Beyond maxHoles the two
// oldest holes become one, which includes the time between them.
func (s *source) lacked(newer *hole) {
	if n := len(s.holes); n > 0 && newer.bound <= s.holes[n-1].to {
		newer = s.holes[n-1].widen(newer)
		s.holes = s.holes[:n-1]
	}
	if s.holes = append(s.holes, newer); len(s.holes) > maxHoles {
		s.holes = append([]*hole{s.holes[0].widen(s.holes[1])}, s.holes[2:]...)
	}
}

// widen makes one hole of x and of a newer one.
func (x *hole) widen(newer *hole) *hole {
	newer.bound, newer.to, newer.delay = min(x.bound, newer.bound), max(x.to, newer.to), min(x.delay, newer.delay)
	newer.shared = x.shared && newer.shared
	if x.told != nil {
		maps.Copy(x.told, newer.told)
		newer.told = x.told
	}
	return newer
}

// holePatience, in ms of the source's times, is how long after a hole a series may turn up as missing
// in the hole. A series that turns up later counts as a new series.
const holePatience = 600_000

// judgeSource finds out what is missing before a batch whose number jumps. For each series of the
// source the missing span begins at the newest time accepted in the last batch that held the series,
// and ends when this batch was measured (source.measured); both ends are included. The newest time of
// all batches is not used, because the source's clock may have been ahead. Refused samples count
// neither as missing nor as an end of the span.
//
// A batch that holds nothing newer of a series than earlier batches gives no end of the span: its
// samples are late, or the source's clock was set back. The log's times bound the span then. The caller
// holds recent.Log.Mu.
func (j *judge) judgeSource(a *application) {
	s, b := a.source, a.batch
	if s == nil {
		return
	}
	j.alsoMissing(a)
	since := j.lacksFrom(a)
	if since == recent.UnknownTime {
		return
	}
	l := j.losses.newest
	m := absence{reason: wire.GapSourceDropped, source: b.Source}
	// Batches that the source says it has dropped were not lost by the log.
	if l != nil && s.heardAt <= l.newest && (!s.known() || b.Dropped < b.First()-s.seq-1) {
		m.reason = l.reason
	}
	oldest := a.logTime - j.window
	bound := max(since, oldest)
	delay := s.delay()
	passed := int64(0) // log time since its last batch
	if s.known() {
		passed = max(0, a.logTime-s.heardAt)
	}
	inLog := a.logTime + FutureBound + 1 // nothing in the log before b is newer
	measured, known := s.measured(a, delay)
	if measured != recent.UnknownTime {
		measured = min(measured, inLog-1)
	}
	add := func(x *series, samples []bus.Sample) {
		newest := a.newest
		y := missing{hash: x.Hash, labels: x.Labels, after: x.last, bound: bound, early: s.back.most(), to: inLog}
		if n := len(samples); n > 0 {
			newest, y.first = samples[n-1].T, samples[0].T
		}
		last := y.after
		if last == recent.UnknownTime {
			y.lag = s.behind(a, samples, measured, known, delay)
			last = y.bound - y.lag
		}
		switch {
		case newest == recent.UnknownTime:
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
		add(in.series, in.samples)
		inBatch[in.series] = true
	}
	// A source does not write all its series every time. Where sources write the same series, what
	// is missing may be of a series that another one was the last to write.
	writers := []*source{s}
	shared := s.shares(a.logTime)
	if shared {
		for _, y := range j.sources {
			if y != s && y.shares(a.logTime) {
				writers = append(writers, y)
			}
		}
	}
	for _, y := range writers {
		for x := range y.series {
			if !inBatch[x] {
				add(x, nil)
			}
		}
	}
	last, first := s.seq, b.First()
	m.declared = func() {
		x := &hole{reason: m.reason, bound: bound, delay: delay, shared: shared, to: inLog}
		if measured > bound {
			x.to = measured + 1
		}
		if !s.here {
			x.told = map[uint64]struct{}{}
			for i := range m.series {
				x.told[m.series[i].hash] = struct{}{}
			}
		}
		s.lacked(x)
		j.log.Warn("batches of a source are missing", "source", b.Source, "last", last, "next", first, "reason", m.reason)
		j.metrics.missing.Add(float64(first - last - 1))
	}
	a.absences = append(a.absences, m)
}

// measured returns when a batch behind a hole was measured, by its source's clock: what each of its series
// shows whose lag is known. Where it holds none of these, known is false, and the newest time and the
// greatest lag of the source tell it; or the log's time, if all its series are new to a source that was
// heard here before. delay is that of the source before the hole. It is recent.UnknownTime where nothing was
// accepted. The caller holds recent.Log.Mu.
func (s *source) measured(a *application, delay int64) (at int64, known bool) {
	if a.newest == recent.UnknownTime {
		return recent.UnknownTime, false
	}
	at, areNew := a.newest, s.here
	for i := range a.incoming {
		in := &a.incoming[i]
		if n := len(in.samples); n > 0 && in.series.lag >= 0 {
			at, known = max(at, in.samples[n-1].T+in.series.lag), true
		}
		areNew = areNew && in.series.last == recent.UnknownTime
	}
	switch {
	case known:
		return at, true
	case areNew:
		return max(at+s.lag.most(), a.logTime-delay), false
	}
	return at + s.lag.most(), false
}

// behind returns by how many ms, at most, a series of which nothing is known may have been behind the newest
// series of its source before a hole. samples are those of the series in a batch that s.measured has judged;
// none: the batch does not hold it. delay is that of the source before the hole: where the time of the batch
// is not known, the log's time is what it is compared with. The caller holds recent.Log.Mu.
func (s *source) behind(a *application, samples []bus.Sample, measured int64, known bool, delay int64) int64 {
	switch {
	case len(samples) == 0:
		return s.lag.most()
	case known:
		return measured - samples[0].T
	}
	return max(s.lag.most(), a.logTime-samples[0].T-delay)
}

// lacksFrom returns the latest possible beginning of the span that is missing before a batch of a
// source. It returns recent.UnknownTime when nothing is missing, or when the beginning is not known.
// The caller holds recent.Log.Mu.
func (j *judge) lacksFrom(a *application) int64 {
	s, b, l := a.source, a.batch, j.losses.newest
	switch {
	case !s.known() && l != nil && b.First() > 1 && a.logTime <= max(l.to, l.until.Ms)+holePatience:
		// It is new since the log has lost something, and this is not its first batch.
		return l.from - lossMargin
	case !s.jumps(b):
		return recent.UnknownTime
	case s.lastT != recent.UnknownTime:
		if b.Dropped > 0 && b.DroppedAfter != 0 {
			return min(s.lastT, b.DroppedAfter)
		}
		return s.lastT
	case s.here || b.Dropped == 0:
		// Nothing of it was ever accepted. What is missing came after its last batch.
		return s.heardAt - lossMargin
	}
	return recent.UnknownTime // it does not know since when
}

// alsoMissing finds the series of a batch that turn out only now to belong to its source. These series
// lack samples in the holes that the source had before. The caller holds recent.Log.Mu.
func (j *judge) alsoMissing(a *application) {
	s := a.source
	if a.newest == recent.UnknownTime {
		return
	}
	s.endHoles(a.newest - holePatience)
	for _, h := range s.holes {
		measured, known := s.measured(a, h.delay)
		m := absence{reason: h.reason, source: s.id}
		for i := range a.incoming {
			x := a.incoming[i].series
			samples := a.incoming[i].samples
			_, told := h.told[x.Hash]
			judged := x.source == s || x.source != nil && h.shared // with the hole
			if told || judged || len(samples) == 0 {
				continue
			}
			m.series = append(m.series, missing{
				hash: x.Hash, labels: x.Labels, after: x.last, bound: h.bound, first: samples[0].T, lag: s.behind(a, samples, measured, known, h.delay),
				early: s.back.most(), to: h.to,
			})
		}
		if len(m.series) == 0 {
			continue
		}
		m.declared = func() {
			if h.told == nil {
				h.told = map[uint64]struct{}{}
			}
			for i := range m.series {
				h.told[m.series[i].hash] = struct{}{}
			}
		}
		a.absences = append(a.absences, m)
	}
}
