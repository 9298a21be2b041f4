package apply

import (
	"errors"
	"math"

	"stripchart/internal/bus"
	"stripchart/internal/recent"
	"stripchart/internal/wire"
)

// arrive judges the place of a batch in the log, and whether it is a duplicate. It returns nil when
// the log has lost its end.
func (x *applier) arrive(d bus.Delivery) *application {
	x.recent.Mu.Lock()
	defer x.recent.Mu.Unlock()
	a := &application{delivery: d, batch: d.Batch, logTime: d.Position.LogTime(), now: x.recent.Now()}
	readAt := x.progress.readAt
	found := x.progress.arrive(d.Position, a.now)
	if found == endLost {
		return nil
	}
	x.judge.losses.lives(a.logTime, a.now, readAt)
	if found != goesOn {
		x.lost(a, found)
	}
	if a.stage = x.progress.stage; a.stage.again() {
		return a
	}
	if a.source = x.sources.of(d.Batch); a.source == nil {
		return a
	}
	a.source.recall(d.Batch, a.logTime)
	if a.stage != replaying && a.source.isDuplicate(d.Batch) {
		a.duplicate = true
		x.metrics.copies.Inc()
		x.recent.Ring.Add(recent.Entry{Position: d.Position, At: a.now, Size: d.Batch.Size()})
		x.progress.advance(d.Position)
	}
	return a
}

// lost takes up what the place of an entry tells that the log has lost, and that this process
// therefore cannot have seen. The caller holds recent.Log.Mu.
func (x *applier) lost(a *application, f found) {
	p, at := &x.progress, a.delivery.Position
	switch f {
	case ringBegins:
		if x.o.Replica {
			x.recent.Ring.Restart(before(at))
		}
	case trimmed:
		known := p.known()
		x.log.Warn("this server was away for longer than the log is kept", "was", known.String(), "is", at.String())
		x.judge.lose(wire.GapLogTrimmed, known, before(at))
		x.recent.Ring.Restart(before(at))
	case unstoredCut:
		x.judge.notRecorded(a, wire.GapLogTrimmed, at)
	case newEpoch:
		if p.debt.isCutByEpoch() {
			x.judge.notRecorded(a, wire.GapLogLost, at)
		}
		x.beginEpoch(before(at))
	}
}

// beginEpoch takes up a log that has lost its end, and is read on behind a place of it. It is the
// one beginning of an epoch. The caller holds recent.Log.Mu.
func (x *applier) beginEpoch(after bus.Position) {
	known := x.progress.known()
	x.log.Warn("the log has lost its end: a new epoch begins", "was", known.String(), "is", after.String())
	x.metrics.epochs.Inc()
	x.sources.newEpoch()
	x.shown.clear()
	x.judge.lose(wire.GapLogLost, known, after)
	x.recent.Ring.Restart(after)
	x.progress.newEpoch(after)
}

// leftToRead returns where to read on after the bus has said that a position is lost: behind the
// entries that the new epoch shares with the one before, or at the beginning, where the first
// entry tells what is missing (see lost). It is the beginning too while something that is older
// is not recorded yet.
func (x *applier) leftToRead(err error) bus.Position {
	x.recent.Mu.Lock()
	defer x.recent.Mu.Unlock()
	var le *bus.LostError
	if !errors.As(err, &le) || le.Since.IsZero() || x.progress.debt.isShown() {
		return bus.Position{}
	}
	// The epoch begins now, and not with the first entry that comes: until then the log may have
	// become another one, even that of the epoch before, and places of the one would be
	// compared with places of the other.
	checkpoints := x.progress.checkpointsUpTo(le.Since)
	x.beginEpoch(le.Since)
	x.progress.goOnIn(le.Since, checkpoints)
	return le.Since
}

// before returns the place right before p.
func before(p bus.Position) bus.Position {
	if p.Seq > 0 {
		p.Seq--
	} else {
		p.Ms, p.Seq = p.Ms-1, math.MaxUint64
	}
	return p
}
