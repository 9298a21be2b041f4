package live

import "slices"

// seats are the viewers of a room. recent.Log.Mu guards them.
type seats struct {
	viewers   int       // all that are in the room, joining ones included
	current   []seat    // they are sent the broadcast
	lent      bool      // copy-on-write: a flush is going over current
	newcomers []*viewer // they are sent the ring from their cursors at the next flush
	emptyAt   int64     // when the last viewer left, Unix ms
}

// seat is the place of a current viewer in its room. A flush goes over all seats of a dozen rooms and
// needs only their clients. A seat holds the client itself, so the flush does not load each viewer from
// memory.
type seat struct {
	viewer *viewer
	client *Client
}

// settle adds v to the current viewers.
func (s *seats) settle(v *viewer) {
	v.settle(int32(len(s.current)))
	s.current = append(s.current, seat{v, v.client})
}

// unsettle takes a viewer out of the current ones.
func (s *seats) unsettle(v *viewer) {
	if s.lent { // the flush takes nobody twice, and leaves nobody out
		s.current, s.lent = slices.Clone(s.current), false
	}
	last := len(s.current) - 1
	s.current[v.slot] = s.current[last]
	s.current[v.slot].viewer.moved(v.slot)
	s.current[last] = seat{}
	s.current = s.current[:last]
}

// lend returns the current viewers to a flush, until giveBack.
func (s *seats) lend() []seat {
	s.lent = true
	return s.current
}

func (s *seats) giveBack() { s.lent = false }

// await adds v to the newcomers.
func (s *seats) await(v *viewer) { s.newcomers = append(s.newcomers, v) }

// leave takes v out of the newcomers.
func (s *seats) leave(v *viewer) {
	if i := slices.Index(s.newcomers, v); i >= 0 {
		s.newcomers = slices.Delete(s.newcomers, i, i+1)
	}
}

// keep keeps the newcomers that have to wait for another flush.
func (s *seats) keep(stay []*viewer) { s.newcomers = stay }

// enter counts a viewer in. It reports whether the room was empty.
func (s *seats) enter() (first bool) {
	s.viewers++
	return s.viewers == 1
}

// exit counts a viewer out. It reports whether the room is empty.
func (s *seats) exit(now int64) (last bool) {
	if s.viewers--; s.viewers == 0 {
		s.emptyAt = now
	}
	return s.viewers == 0
}
