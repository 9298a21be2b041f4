package live

import (
	"time"

	"stripchart/internal/bus"
	"stripchart/internal/wire"
)

const (
	// lossPatience, or three intervals where that is longer, is how long sources are
	// waited for after the log has lost something, in ms of log time, so that a server
	// that has much to catch up with does not judge before it has read what they sent:
	// those that come back tell by their numbers what is missing, of the others nothing
	// is known. Nobody is waited for longer than maxLossPatience.
	lossPatience    = 15_000
	maxLossPatience = 4 * 3600 * 1000
	// lossMargin is how long before the log has a sample it may have been measured, in ms,
	// where nothing else is known of it. A source publishes within moments; what it has
	// spooled for longer it would have sent again.
	lossMargin = 10_000
	// lossPace is how often those who have not come back are looked for, in ms.
	lossPace = 5_000
)

// loss is what happened to the log, until it is known whom it concerns.
type loss struct {
	reason string
	from   int64 // log time of the last entry before, Unix ms
	newest int64 // the same of the newest loss, where several are judged together
	// until is where the log ended when it was noticed, if that is later: a server that
	// was away does not know what between the two was retained and what was new.
	// Whoever is heard after it is still there. It is a place of the log as it is since.
	until bus.Offset
	to    int64 // log time of the first entry after until; 0: not seen yet
	lived int64 // for how long the log was ahead of the clock since then, in ms by the clock
	next  int64 // after how long, as waited counts, to look again who has come back
	over  bool  // declared for all who did not come back
	// away says that this process has not applied what came before: only the store knows
	// which series there were.
	away bool
}

// reach returns the first time at which nothing is missing: what was lost came into the
// log before its next entry, and may have been measured a little ahead of the log.
func (l *loss) reach() int64 { return l.to + FutureBound + 1 }

// waited returns for how long sources were waited for at a log time, in ms. The time of a
// log whose clock was ahead stands still until the clock has come up with it.
func (l *loss) waited(logTime int64) int64 { return max(logTime-l.to, l.lived) }

// lives counts the clock's time between two entries, or a second where that is less: this
// process may have been stopped, and has not read what came meanwhile.
func (l *loss) lives(logTime, now, before int64) {
	if l.to != 0 && logTime > now {
		l.lived += max(0, min(now-before, time.Second.Milliseconds()))
	}
}

// goOn notes the first entry that came into the log after it has lost something. A new
// epoch may have another clock than the log before: if that was ahead, what it said is
// not later than this entry. The caller holds h.mu.
func (h *Hub) goOn(at bus.Offset) {
	l := h.loss
	if l == nil || l.to != 0 || at.Compare(l.until) <= 0 {
		return
	}
	l.to = at.Ms
	l.from, l.newest = min(l.from, l.to), min(l.newest, l.to)
	for _, s := range h.sources {
		s.heardAt = min(s.heardAt, l.until.Ms)
	}
}

// lose notes that the log has lost what came after what was known, and goes on behind a
// place. A loss before it that is still being judged becomes part of it. The caller holds
// h.mu.
func (h *Hub) lose(reason string, known, behind bus.Position) {
	p := &h.progress
	l := &loss{reason: reason, from: known.LogTime(), newest: known.LogTime(), until: behind.Offset, away: p.applied.IsZero()}
	if p.end.Epoch == behind.Epoch && p.end.Compare(l.until) > 0 {
		l.until = p.end.Offset
	}
	if known == p.saved && !p.intact {
		l.from -= replaySpan // what the machine had not written when its power failed
	}
	if old := h.loss; old != nil && !old.over {
		l.from, l.newest = min(l.from, old.from), max(l.newest, old.newest)
		l.away = l.away || old.away
	} else {
		h.losses++
	}
	h.loss = l
}

// before returns the newest accepted time of s in the newest batch that held it before
// the newest loss, unknownTime when this process has not applied any. The caller holds
// h.mu.
func (h *Hub) before(s *series) int64 {
	if s.losses == h.losses {
		return s.beforeLoss
	}
	return s.last
}

// wrote notes the newest accepted time of s in a batch. The caller holds h.mu.
func (h *Hub) wrote(s *series, newest int64) {
	if s.losses != h.losses {
		s.losses, s.beforeLoss = h.losses, s.last
	}
	s.last = newest
}

// judgeLoss finds out who was not heard of since the log lost something, once they have
// had time: series without numbered batches, and of sources that are gone. a is the
// batch that is being applied. The caller holds h.mu.
func (h *Hub) judgeLoss(a *application) {
	l := h.loss
	if l == nil {
		return
	}
	waited := l.waited(a.logTime)
	if a.source != nil && a.delivery.Position.Compare(l.until) > 0 {
		a.source.heardSince = l
	}
	due := l.to != 0 && !l.over && waited >= max(lossPatience, l.next)
	if !due && (!l.over || waited > holePatience) {
		return
	}
	m := absence{reason: l.reason}
	declared := h.declaredFor(l)
	add := func(s *series) {
		for _, c := range declared {
			if c.has(s.hash) {
				return
			}
		}
		x := missing{hash: s.hash, labels: s.labels, after: h.before(s), bound: l.from - h.lateness(), to: l.reach()}
		if s.source != nil {
			x.bound = l.from - lossMargin
		}
		x.early = h.earlyOf(s)
		m.series = append(m.series, x)
	}
	over := true
	if due {
		l.next = waited + lossPace
		for _, s := range h.index.byKey {
			switch {
			case s.source != nil && s.source.heardSince == l:
			case s.source != nil && waited < min(staleIntervals*s.interval, maxLossPatience):
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
	m.declared = func() { l.over, l.away = over, false }
	a.absences = append(a.absences, m)
}

// judgeWhileIdle judges a loss of the log by the clock, while nothing is written: a page
// must not wait for the next batch to be told what it lacks.
func (h *Hub) judgeWhileIdle() {
	ticker := time.NewTicker(time.Second)
	defer ticker.Stop()
	for {
		select {
		case <-h.ctx.Done():
			return
		case <-ticker.C:
		}
		select {
		case <-h.ctx.Done():
			return
		case h.applying <- struct{}{}:
		}
		h.judgeIdle()
		<-h.applying
	}
}

// judgeIdle judges the newest loss as a batch without samples would that came into the
// log now. The caller holds h.applying.
func (h *Hub) judgeIdle() {
	if !h.IsReady() {
		return // what was retained is still being read
	}
	a := &application{batch: &bus.Batch{}, now: h.now(), again: true, newest: unknownTime}
	h.mu.Lock()
	p, l := &h.progress, h.loss
	if l == nil || l.over || a.now-p.readAt < time.Second.Milliseconds() {
		h.mu.Unlock()
		return
	}
	// The log's clock went on as this one did, also while this server was away.
	a.logTime = max(max(p.read.LogTime(), l.until.Ms)+a.now-p.readAt, a.now)
	h.goOn(bus.Offset{Ms: a.logTime})
	h.judgeLoss(a)
	h.mu.Unlock()
	for i := range a.absences {
		m := &a.absences[i]
		if err := h.ask(h.ctx, m); err != nil {
			return // the store is away; the loss is judged again in a second
		}
		a.gaps = append(a.gaps, h.gapsOf(m, a.logTime)...)
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.declareAbsences(a)
}

// earlyOf returns by how much the samples of s may be older than what its writer wrote of
// it before: what its source has shown lately, or any source while the writer of s is not
// known, as after a restart. The caller holds h.mu.
func (h *Hub) earlyOf(s *series) int64 {
	if s != nil && s.source != nil {
		return s.source.back.most()
	}
	early := int64(0)
	for _, x := range h.sources {
		early = max(early, x.back.most())
	}
	return early
}

// declaredFor returns the series for which gaps were declared because of l. The caller
// holds h.mu.
func (h *Hub) declaredFor(l *loss) (cs []*concern) {
	for _, g := range h.gaps {
		if g.from < l.from && g.to >= l.reach() && g.reason == l.reason && g.source == "" {
			cs = append(cs, g.series)
		}
	}
	return cs
}

// notInRing returns the gap of what was shown while the disk was full and is not in the
// ring any more, up to a position. It is told to viewers that join meanwhile, and not
// declared: what the log still has is recorded when there is room, and they are
// bootstrapped anew then. The caller holds h.mu.
func (h *Hub) notInRing(to bus.Position) *gap {
	from := h.progress.unstored.LogTime() - max(h.lateness(), h.earlyOf(nil)) - 1
	return &gap{from: from, to: to.LogTime() + FutureBound + 1, reason: wire.GapNotStored, series: everySeries}
}

// notRecorded has declared that what was only shown while the disk was full is gone from
// the log before it could be recorded, up to a position. The caller holds h.mu.
func (h *Hub) notRecorded(a *application, reason string, to bus.Position) {
	from := min(h.progress.unstored.LogTime(), to.LogTime()) // of an epoch whose clock was ahead, perhaps
	m := absence{reason: reason}
	for _, s := range h.index.byKey {
		// What was accepted last may not have been recorded: the store knows what was.
		m.series = append(m.series, missing{
			hash: s.hash, labels: s.labels, after: unknownTime, bound: from - h.lateness(), early: h.earlyOf(s),
			to: to.LogTime() + FutureBound + 1,
		})
	}
	h.log.Warn("what was only shown while the disk was full is gone from the log, and not recorded", "from", h.progress.unstored.String(), "to", to.String())
	a.absences = append(a.absences, m)
}
