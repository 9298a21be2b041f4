package apply

import (
	"stripchart/internal/bus"
	"stripchart/internal/recent"
	"stripchart/internal/wire"
)

const (
	// After a loss of the log the server waits for the sources: lossPatience, or awayIntervals where
	// that is longer, and at most maxLossPatience. A source that comes back shows by its numbers which
	// batches are missing; a source that stays away shows nothing. The wait is in ms of log time, so
	// that a server with much to catch up with does not judge the loss before it has read what the
	// sources sent.
	lossPatience    = 15_000
	maxLossPatience = 4 * 3600 * 1000
	// awayIntervals is how many intervals sources are waited for; as many as those after which a
	// room is stale (staleIntervals in package live).
	awayIntervals = 3
	// lossMargin, in ms, is the assumed delay between the measurement of a sample and its entry into
	// the log, where nothing else is known. A source publishes within moments, and resends what its
	// spool has held for longer.
	lossMargin = 10_000
	// lossPace is how often the series that have not come back are looked for, in ms.
	lossPace = 5_000
)

// losses are what happened to the log. recent.Log.Mu guards them.
type losses struct {
	newest *loss // nil: none so far
	count  int   // of those that are judged apart
}

// loss is what happened to the log, until it is known which series it concerns.
type loss struct {
	reason string
	from   int64 // log time of the last entry before, Unix ms
	newest int64 // the same of the newest loss, where several are judged together
	// until is the later of two offsets of the new epoch: the place behind which the log goes on, and
	// the log's end when the loss was noticed. A server that was away cannot tell retained entries from
	// new ones up to there. A source that is heard after until is still alive.
	until bus.Offset
	to    int64 // log time of the first entry after until; 0: not seen yet
	lived int64 // for how long sources were waited for while the log's time was ahead of the clock, in ms by the clock; see lives
	next  int64 // after how long, as waited counts, to look again which series have come back
	over  bool  // declared for all that did not come back
	// away says that this process has not applied what came before: only the store knows
	// which series there were.
	away bool
}

// savedLoss is a loss in savedProgress; times as there.
type savedLoss struct {
	Reason   string `json:"reason"`
	From     int64  `json:"from"`
	Newest   int64  `json:"newest"`
	Until    int64  `json:"until"`
	UntilSeq uint64 `json:"until_seq,omitempty"`
	To       int64  `json:"to,omitempty"`
	Over     bool   `json:"over,omitempty"`
}

// reach returns the first time at which nothing is missing: what was lost came into the
// log before its next entry, and may have been measured a little ahead of the log.
func (l *loss) reach() int64 { return l.to + FutureBound + 1 }

// isOpen reports whether a loss is still being judged.
func (x *losses) isOpen() bool { return x.newest != nil && !x.newest.over }

// add adds a loss. One before it that is still being judged becomes part of it.
func (x *losses) add(l *loss) {
	if old := x.newest; x.isOpen() {
		l.from, l.newest = min(l.from, old.from), max(l.newest, old.newest)
		l.away = l.away || old.away
	} else {
		x.count++
	}
	x.newest = l
}

// save returns the newest loss at a log time, while it is judged, and for a while after that: a new
// series may have begun in it. It returns nil when there is none.
func (x *losses) save(logTime int64) *savedLoss {
	if l := x.newest; l != nil && (!l.over || l.waited(logTime) <= holePatience) {
		return &savedLoss{Reason: l.reason, From: l.from, Newest: l.newest, Until: l.until.Ms, UntilSeq: l.until.Seq, To: l.to, Over: l.over}
	}
	return nil
}

// restore takes up what save has returned, and which sources were heard since.
func (x *losses) restore(l *savedLoss, sources sources) {
	if l == nil {
		return
	}
	x.add(&loss{
		reason: l.Reason, from: l.From, newest: l.Newest, until: bus.Offset{Ms: l.Until, Seq: l.UntilSeq}, to: l.To,
		over: l.Over, away: !l.Over,
	})
	for _, s := range sources {
		if s.heardAt > l.Until {
			s.isHeardSince(x.newest)
		}
	}
}

// While the log's time is ahead of the clock, lives adds the clock's time since the previous entry to
// the wait of the newest loss. It adds one second at most, because a process that was stopped has not
// yet read what came meanwhile.
func (x *losses) lives(logTime, now, before int64) {
	if l := x.newest; l != nil && l.to != 0 && logTime > now {
		l.lived += max(0, min(now-before, 1000))
	}
}

// waited returns for how long sources were waited for at a log time, in ms. The time of a
// log whose clock was ahead stands still until the clock has come up with it.
func (l *loss) waited(logTime int64) int64 { return max(logTime-l.to, l.lived) }

// isDue reports whether the series that have not come back are to be looked for after so long.
func (l *loss) isDue(waited int64) bool {
	return l.to != 0 && !l.over && waited >= max(lossPatience, l.next)
}

// judged notes that the series were looked for after so long.
func (l *loss) judged(waited int64) { l.next = waited + lossPace }

// goesOn notes the first entry after until, and reports whether the given entry is that one. A new
// epoch may have another clock: where the old clock was ahead, the times of the loss are cut to the
// time of this entry.
func (l *loss) goesOn(at bus.Offset) bool {
	if l.to != 0 || at.Compare(l.until) <= 0 {
		return false
	}
	l.to = at.Ms
	l.from, l.newest = min(l.from, l.to), min(l.newest, l.to)
	return true
}

// declared notes that the gaps of the loss were declared. over: for all series.
func (l *loss) declared(over bool) { l.over, l.away = over, false }

// goOn notes an entry: it may be the first that came into the log after a loss. The caller holds
// recent.Log.Mu.
func (j *judge) goOn(at bus.Offset) {
	if l := j.losses.newest; l != nil && l.goesOn(at) {
		for _, s := range j.sources {
			s.heardBy(l.until.Ms)
		}
	}
}

// lose notes that the log has lost what came after what was known, and goes on behind a place.
// The caller holds recent.Log.Mu.
func (j *judge) lose(reason string, known, behind bus.Position) {
	p := j.progress
	l := &loss{reason: reason, from: known.LogTime(), newest: known.LogTime(), until: behind.Offset, away: p.applied.IsZero()}
	if p.end.Epoch == behind.Epoch && p.end.Compare(l.until) > 0 {
		l.until = p.end.Offset
	}
	if known == p.saved {
		l.from -= p.unwritten
	}
	j.losses.add(l)
}

// judgeLoss finds out which series did not come back since the log lost something, once they have
// had time: series without numbered batches, and those of sources that are gone. a is the
// batch that is being applied. The caller holds recent.Log.Mu.
func (j *judge) judgeLoss(a *application) {
	l := j.losses.newest
	if l == nil {
		return
	}
	waited := l.waited(a.logTime)
	if a.source != nil && a.delivery.Position.Compare(l.until) > 0 {
		a.source.isHeardSince(l)
	}
	due := l.isDue(waited)
	if !due && (!l.over || waited > holePatience) {
		return
	}
	m := absence{reason: l.reason}
	declared := j.ledger.declaredFor(l)
	add := func(s *series) {
		for _, c := range declared {
			if c.Has(s.Hash) {
				return
			}
		}
		x := missing{hash: s.Hash, labels: s.Labels, after: s.before(j.losses.count), bound: l.from - j.lateness(), to: l.reach()}
		if s.source != nil && !s.source.shares(l.from) {
			x.bound = l.from - lossMargin
		}
		x.early = j.earlyOf(s)
		m.series = append(m.series, x)
	}
	over := true
	if due {
		l.judged(waited)
		for x := range j.recent.Index.Each() {
			s := seriesOf(x)
			switch {
			case s.source != nil && s.source.heardSince == l && !s.source.shares(l.from):
			case s.source != nil && waited < min(awayIntervals*s.Interval, maxLossPatience):
				over = false
			default:
				add(s)
			}
		}
		if l.away {
			m.storedBefore, m.storedTo = l.from, l.reach()
		}
	}
	if over && a.source == nil {
		// A series that nobody has heard of before may have begun in what was lost.
		for i := range a.incoming {
			if in := &a.incoming[i]; in.isNew && len(in.samples) > 0 {
				add(in.series)
			}
		}
	}
	m.declared = func() { l.declared(over) }
	a.lacks(m)
}

// judgeIdle judges the newest loss while no batch comes, as if a batch without samples came into
// the log now. It returns nil when there is nothing to judge. The caller holds recent.Log.Mu.
func (j *judge) judgeIdle() *application {
	p, l := j.progress, j.losses.newest
	a := &application{batch: &bus.Batch{}, now: j.recent.Now(), newest: recent.UnknownTime}
	if !j.losses.isOpen() || a.now-p.readAt < 1000 {
		return nil
	}
	// The log's clock went on as this one did, also while this server was away.
	a.logTime = max(max(p.read.LogTime(), l.until.Ms)+a.now-p.readAt, a.now)
	j.goOn(bus.Offset{Ms: a.logTime})
	j.judgeLoss(a)
	return a
}

// notInRing returns the gap of what was shown while the disk was full and is not in the
// ring any more, up to a position. It is told to viewers that join meanwhile, and not
// declared: what the log still has is recorded when there is room, and they are
// bootstrapped anew then. The caller holds recent.Log.Mu.
func (j *judge) notInRing(to bus.Position) *recent.Gap {
	from := j.progress.debt.after.LogTime() - max(j.lateness(), j.earlyOf(nil)) - 1
	return absence{reason: wire.GapNotStored, from: from, to: to.LogTime() + FutureBound + 1, of: recent.EverySeries}.gap()
}

// notRecorded has declared that what was only shown while the disk was full is gone from
// the log before it could be recorded, up to a position. The caller holds recent.Log.Mu.
func (j *judge) notRecorded(a *application, reason string, to bus.Position) {
	after := j.progress.debt.after
	from := min(after.LogTime(), to.LogTime()) // of an epoch whose clock was ahead, perhaps
	m := absence{reason: reason}
	for x := range j.recent.Index.Each() {
		s := seriesOf(x)
		// What was accepted last may not have been recorded: the store knows what was.
		m.series = append(m.series, missing{
			hash: s.Hash, labels: s.Labels, after: recent.UnknownTime, bound: from - j.lateness(), early: j.earlyOf(s),
			to: to.LogTime() + FutureBound + 1,
		})
	}
	j.log.Warn("what was only shown while the disk was full is gone from the log, and not recorded", "from", after.String(), "to", to.String())
	a.lacks(m)
}
