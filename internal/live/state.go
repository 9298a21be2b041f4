package live

import "stripchart/internal/wire"

const (
	// A room is stale when its newest sample is older than the larger of staleAfter
	// and staleIntervals of its shortest interval. (awayIntervals is the log side's.)
	staleAfter     = 3000 // ms
	staleIntervals = 3
)

// roomState is what viewers are told of a room's state. recent.mu guards it.
type roomState struct {
	name  string // wire.State...
	since int64  // Unix ms
}

// note takes up how a room stands whose newest sample has a time, and whose series have a usual
// interval. full: the disk is. It reports whether the state has changed.
func (s *roomState) note(now, newest, interval int64, full bool) bool {
	next := roomState{wire.StateLive, now}
	switch limit := max(staleAfter, staleIntervals*interval); {
	case newest > 0 && now-newest > limit:
		next = roomState{wire.StateStale, newest}
	case full:
		next.name = wire.StateNotStored
	}
	if next.name == s.name {
		return false
	}
	*s = next
	return true
}
