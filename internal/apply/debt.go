package apply

import "stripchart/internal/bus"

// debt is what the store lacks of what this process has applied. recent.Log.Mu guards it.
//
//	state         since                                          recorded again from
//	paid          -                                              -
//	shown         the disk was full, and the log has the entries  the first entry that was only shown
//	lost          the store was repaired, and has lost something  the log's beginning
//	shownAndLost  both                                           the log's beginning
//
// Where the log outlives this process, it is read again as soon as a batch could be recorded.
type debt struct {
	state debtState

	// While something is only shown: the newest position before it, and its index in the ring.
	after bus.Position
	index uint64
}

type debtState uint8

const (
	paid debtState = iota
	shownOnly
	lost
	shownAndLost
)

// isShown reports whether something was shown that is not recorded.
func (d *debt) isShown() bool { return d.state == shownOnly || d.state == shownAndLost }

// isOfAll reports whether the store may lack any part of the log.
func (d *debt) isOfAll() bool { return d.state == lost || d.state == shownAndLost }

// show notes that the entry with an index in the ring, which follows a position, is not recorded.
func (d *debt) show(after bus.Position, index uint64) {
	if d.isShown() {
		return
	}
	d.after, d.index = after, index
	if d.state == lost {
		d.state = shownAndLost
	} else {
		d.state = shownOnly
	}
}

// lose notes that the store has lost something.
func (d *debt) lose() {
	if d.isShown() {
		d.state = shownAndLost
	} else {
		d.state = lost
	}
}

// newEpoch forgets what was only shown: no log holds it any more.
func (d *debt) newEpoch() {
	switch d.state {
	case shownOnly:
		*d = debt{}
	case shownAndLost:
		*d = debt{state: lost}
	}
}

// isDue reports whether the log is to be read again after a batch. While something was only
// shown the batch has to be recorded itself: that tells that the disk has room.
func (d *debt) isDue(recorded bool) bool { return d.isOfAll() || d.isShown() && recorded }

// from returns where the log is to be read again from.
func (d *debt) from() bus.Position {
	if d.isOfAll() {
		return bus.Position{}
	}
	return d.after
}

// isCutBefore reports whether the log has lost the beginning of what was only shown, when the
// first entry that it holds is at a position.
func (d *debt) isCutBefore(at bus.Position) bool {
	return d.isShown() && !d.after.IsZero() && at.Compare(d.after.Offset) > 0
}

// isCutByEpoch reports whether a new epoch of the log no longer holds what was only shown.
func (d *debt) isCutByEpoch() bool { return d.isShown() && !d.after.IsZero() }
