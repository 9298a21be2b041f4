package live

import "stripchart/internal/bus"

// logSide is the follower, as the audience of pages sees it. The audience calls all with
// recent.mu held.
type logSide interface {
	standing() standing
	// gapsIn returns the declared gaps that reach into a span of time, Unix ms.
	gapsIn(from, to int64) []*gap
	// notInRing returns the gap of what the ring lacks up to a position, while standing.partial.
	notInRing(to bus.Position) *gap
	// left takes a series out of what its source has written: it leaves the index.
	left(s *series)
}

// standing is what pages have to know of how the log stands.
type standing struct {
	full      bool // the disk is full: what comes is shown and not recorded
	judging   bool // a loss of the log is being judged: its gap is declared later, and only here
	rereading bool // the log of a new epoch is being read up to its end: rooms are not told what is known here

	unrecorded bool   // some of what was shown is not recorded yet,
	since      uint64 // from this index of the ring on,
	partial    bool   // which the ring does not cover any more
}

func (f *follower) standing() standing {
	d := &f.progress.debt
	return standing{
		full: f.record.full, judging: f.judge.losses.isOpen(), rereading: f.progress.isRereading(),
		unrecorded: d.isShown(), since: d.index, partial: d.isShown() && !f.ring.covers(d.index),
	}
}

func (f *follower) gapsIn(from, to int64) []*gap { return f.ledger.in(from, to) }

func (f *follower) notInRing(to bus.Position) *gap { return f.judge.notInRing(to) }

func (f *follower) left(s *series) { (*source)(nil).wrote(writtenOf(s)) }
