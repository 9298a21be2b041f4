package apply

import "stripchart/internal/bus"

const (
	// replaySpan is how far before the saved position the log is applied again
	// after a start, in ms: what the kernel had not written when the power failed,
	// and late samples that a kill may have cost (docs/decisions/0005).
	replaySpan = 60_000
	// checkpointEvery is the distance of the places that a replay can begin at, in ms.
	checkpointEvery = 5_000
)

// stage is how an entry of the log is taken. Progress judges it once, when the entry arrives.
//
//	stage            the entry was applied by         sequence numbers  shown to pages    recorded
//	fresh            nobody: no log was known         count             yes               yes
//	replaying        a life before this one           do not count      (no page is here) what the store lacks
//	following        nobody                           count             yes               yes
//	rereading        mostly this process, in another  count             what is new here  what the store lacks
//	                 epoch
//	recordingAgain   this process, in this epoch      do not count      no                what the store lacks
//	recordingInVain  the same; some of what is recorded again failed once more, so all of it starts anew
//
// Transitions: begin (a Tail starts), arrive (an entry), newEpoch, damaged and fullAgain (while
// recording again). TestProgressGoesFromStageToStage walks them all.
type stage uint8

const (
	fresh stage = iota
	replaying
	following
	rereading
	recordingAgain
	recordingInVain
)

// again reports whether this process has applied the entry before.
func (s stage) again() bool { return s == recordingAgain || s == recordingInVain }

// found is what the place of an entry tells of the log.
type found uint8

const (
	goesOn      found = iota // the entry follows what is known
	ringBegins               // the entry is the first that this process reads: the ring begins there
	trimmed                  // the log no longer holds what follows the last entry that was applied
	newEpoch                 // the log has lost its end, and a new epoch has begun
	unstoredCut              // the log no longer holds all of what was only shown
	endLost                  // the log has lost its end, and nothing has told so: see skips
)

// progress is how far the log was applied. recent.Log.Mu guards it.
//
// What is saved of it lags behind the commits, so that after a kill everything up to the saved position
// is in the store. After a start the log is read from the replay position, which lies before the saved
// one. Batches between the two positions are applied without regard to sequence numbers: the saved
// numbers belong to the saved position, so each of these batches would look like a duplicate.
type progress struct {
	// saved is the position that a life before this one has saved; zero: none. After a loss of power or
	// a repair, the store may lack up to `unwritten` ms of the log before it.
	saved     bus.Position
	unwritten int64
	// applied is the newest position that this process has applied; zero: none.
	applied bus.Position
	// from is where the present Tail began, and read the newest position that it has
	// passed, at first from.
	from, read bus.Position
	readAt     int64 // when read was passed, the server's clock, Unix ms
	// end is the log's end as it was when the Tail began. The log of a new epoch is being reread
	// up to reread; zero: it is not.
	end, reread bus.Position
	checkpoints []bus.Position

	stage stage // of the newest entry that has arrived
	debt  debt
}

// known returns the newest position up to which the store holds everything.
func (p *progress) known() bus.Position {
	if p.applied.IsZero() || p.replays(p.applied) {
		return p.saved
	}
	return p.applied
}

// skips reports whether the log has lost its end and the bus has not said so: a Tail
// that began before the known position reaches an entry after that position, and has
// not met the position itself. The bus judges only the place where a Tail begins,
// which is earlier.
func (p *progress) skips(at bus.Position) bool {
	known := p.known()
	return at.Epoch == known.Epoch && at.Compare(known.Offset) > 0 &&
		p.read.Epoch == known.Epoch && p.read.Compare(known.Offset) < 0
}

// endsEarly reports whether the log has lost its end, by another sign than skips: the log ends before
// the known position, and the Tail began before that end.
func (p *progress) endsEarly(from, end bus.Position) bool {
	known := p.known()
	return end.Epoch == known.Epoch && end.Compare(known.Offset) < 0 && from.Compare(known.Offset) < 0
}

// replays reports whether the entry at a position was applied by a life before
// this one.
func (p *progress) replays(at bus.Position) bool {
	return at.Epoch == p.saved.Epoch && at.Compare(p.saved.Offset) <= 0
}

// wasApplied reports whether this process has applied the entry already, and
// perhaps not recorded it.
func (p *progress) wasApplied(at bus.Position) bool {
	return at.Epoch == p.applied.Epoch && at.Compare(p.applied.Offset) <= 0
}

// isRereading reports whether the log of a new epoch is being read up to its end.
func (p *progress) isRereading() bool { return !p.reread.IsZero() }

// restore takes up what a life before this one has saved, and where a replay can begin.
func (p *progress) restore(saved, replay bus.Position, intact bool) {
	p.saved = saved
	if !intact {
		p.unwritten = replaySpan
	} else if !replay.IsZero() {
		p.checkpoints = append(p.checkpoints, replay)
	}
}

// begin notes that a Tail begins after from, while the log's end is end.
func (p *progress) begin(from, end bus.Position, now int64) {
	p.end, p.from, p.read, p.readAt = end, from, from, now
	if p.isRereading() {
		if p.reread = end; from == end {
			p.reread = bus.Position{}
		}
	}
	if p.stage == recordingInVain {
		p.stage = recordingAgain // from its beginning
	}
}

// arrive judges the place of an entry, and how the entry is taken.
func (p *progress) arrive(at bus.Position, now int64) found {
	if p.skips(at) {
		return endLost
	}
	known, first := p.known(), p.read.IsZero()
	p.read, p.readAt = at, now
	switch {
	case p.wasApplied(at):
		if p.stage != recordingInVain {
			p.stage = recordingAgain
		}
		if first && p.debt.isCutBefore(at) {
			return unstoredCut
		}
		return goesOn
	case p.isRereading():
		p.stage = rereading
	case known.Epoch == "":
		p.stage = fresh
	case p.replays(at):
		p.stage = replaying
	default:
		p.stage = following
	}
	switch {
	case known.Epoch != "" && at.Epoch != known.Epoch:
		return newEpoch
	case known.Epoch != "" && first && at.Compare(known.Offset) > 0:
		return trimmed
	case first && p.applied.IsZero():
		return ringBegins
	}
	return goesOn
}

// newEpoch forgets places of the log that was. The log of the new epoch goes on after a place of
// its own, and is reread up to where it ended when the Tail began.
func (p *progress) newEpoch(after bus.Position) {
	p.saved, p.applied, p.checkpoints = bus.Position{}, bus.Position{}, nil
	p.debt.newEpoch()
	p.stage, p.reread = rereading, after
	if p.end.Epoch == after.Epoch {
		p.reread = p.end
	}
}

// goOnIn notes that a new epoch shares the entries up to a position with the epoch before. These
// entries stay applied.
func (p *progress) goOnIn(at bus.Position, checkpoints []bus.Position) {
	p.applied, p.checkpoints = at, checkpoints
}

// checkpointsUpTo returns the checkpoints up to at as places of its epoch, which goes on
// from there as the present one did.
func (p *progress) checkpointsUpTo(at bus.Position) (places []bus.Position) {
	for _, c := range p.checkpoints {
		if at.Compare(c.Offset) >= 0 {
			places = append(places, bus.Position{Epoch: at.Epoch, Offset: c.Offset})
		}
	}
	return places
}

// advance notes that the entry at a position was applied.
func (p *progress) advance(at bus.Position) {
	p.applied = at
	if p.isRereading() && (at.Epoch != p.reread.Epoch || at.Compare(p.reread.Offset) >= 0) {
		p.reread = bus.Position{}
	}
	if n := len(p.checkpoints); n == 0 || at.LogTime() >= p.checkpoints[n-1].LogTime()+checkpointEvery {
		p.checkpoints = append(p.checkpoints, at)
	}
}

// onlyShown notes that the disk is full: from the entry that is being applied on, whose first
// part has the given index in the ring, entries are shown and not recorded.
func (p *progress) onlyShown(index uint64) {
	after := p.applied
	if after.IsZero() {
		after = p.from
	}
	p.debt.show(after, index)
}

// damaged notes that the store was repaired while the server runs, and has lost something. What
// was recorded again before may be among it.
func (p *progress) damaged() {
	p.debt.lose()
	p.fullAgain()
}

// fullAgain notes that something could not be recorded again, if that is what is going on.
func (p *progress) fullAgain() {
	if p.stage == recordingAgain {
		p.stage = recordingInVain
	}
}

// recordedAgain notes that the entry at a position was recorded again. Where it was the last one,
// and none has failed, the store lacks nothing any more: recordedAgain returns what it lacked.
func (p *progress) recordedAgain(at bus.Position) (paid debt, isPaid bool) {
	if at != p.applied || p.stage == recordingInVain {
		return debt{}, false
	}
	paid, p.debt = p.debt, debt{}
	return paid, true
}

// replay returns the newest checkpoint that is replaySpan before the applied
// position; the zero Position, the log's beginning, when there is none.
func (p *progress) replay() bus.Position {
	if p.debt.isOfAll() {
		return bus.Position{} // the next start goes on with it
	}
	limit := p.applied.LogTime() - replaySpan
	n := 0
	for n+1 < len(p.checkpoints) && p.checkpoints[n+1].LogTime() <= limit {
		n++
	}
	p.checkpoints = p.checkpoints[n:]
	if len(p.checkpoints) == 0 || p.checkpoints[0].LogTime() > limit {
		return bus.Position{}
	}
	return p.checkpoints[0]
}

// toSave returns how far the store holds everything, and where a replay begins. It is false while
// the saved position has to stand still: before anything was applied, and while something is
// shown that is not recorded.
func (p *progress) toSave() (position, replay bus.Position, ok bool) {
	if p.applied.IsZero() || p.debt.isShown() {
		return position, replay, false
	}
	return p.known(), p.replay(), true
}
